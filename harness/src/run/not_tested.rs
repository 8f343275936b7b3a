//! What a run says nothing about: the limits of its evidence, in plain sentences.
//!
//! Invariant: a sentence follows from the scenario and from what landed; nothing is left out
//! because it is embarrassing.

use stormproof_chaos::schedule::Schedule;
use stormproof_engine::seam::Step;

use super::nemesis::Tracked;
use crate::scenario::{EnvironmentChoice, Scenario, SinkDesign};

/// Every limit, the most important ones first.
pub(super) fn not_tested(
    scenario: &Scenario,
    schedule: &Schedule,
    faults: &[Tracked],
) -> Vec<String> {
    let mut open = Vec::new();
    if schedule.faults.is_empty() {
        open.push("No fault was scheduled.".to_owned());
    }
    if !schedule.faults.iter().any(|fault| fault.target.is_outside()) {
        open.push("Broker, database, network and disk did not fail.".to_owned());
    }
    open.extend(untouched_steps(faults));
    if let Some(instead) = stand_ins(&scenario.environment) {
        open.push(instead);
    }
    open.push("Loss of the machine: engine, broker and database shared one host.".to_owned());
    open.push(format!(
        "Other checkpoint modes than {}, and other sinks than one that {}.",
        scenario.checkpoint.mode.name(),
        match scenario.job.sink_design {
            SinkDesign::BufferInState => "keeps its buffer in state",
            SinkDesign::FlushOnBarrier => "flushes at the barrier",
        }
    ));
    if scenario.job.rescale_to.is_none() {
        let parallelism = scenario.job.parallelism;
        open.push(format!("Rescaling: the parallelism stayed at {parallelism}."));
    }
    open
}

/// The steps of a checkpoint at which nothing struck.
fn untouched_steps(faults: &[Tracked]) -> Option<String> {
    let struck: Vec<Step> = faults
        .iter()
        .filter(|tracked| tracked.has_landed())
        .filter_map(|tracked| tracked.fault.step())
        .collect();
    let open: Vec<&str> =
        Step::ALL.iter().filter(|step| !struck.contains(step)).map(|step| step.name()).collect();
    (!open.is_empty()).then(|| {
        format!("Faults at {} of {} named steps: {}.", open.len(), Step::ALL.len(), open.join(", "))
    })
}

/// What stood in for the real services.
fn stand_ins(environment: &EnvironmentChoice) -> Option<String> {
    match environment {
        EnvironmentChoice::Embedded { database: None } => Some(
            "Real Kafka and MySQL: an embedded broker without replicas and SQLite stood in for \
             them."
                .to_owned(),
        ),
        EnvironmentChoice::Embedded { database: Some(_) } => {
            Some("Real Kafka: an embedded broker without replicas stood in for it.".to_owned())
        }
        EnvironmentChoice::Local { cluster, .. } if cluster.brokers > 1 => {
            Some("Replication of the database: there was one, without replicas.".to_owned())
        }
        EnvironmentChoice::Local { .. } | EnvironmentChoice::Containers { .. } => {
            Some("Replication: one broker and one database, without replicas.".to_owned())
        }
        EnvironmentChoice::External { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{RawScenario, validate};

    #[test]
    fn a_run_without_faults_admits_everything() {
        let scenario = validate(RawScenario { seed: Some(7), ..RawScenario::default() }).unwrap();
        let said = not_tested(&scenario, &Schedule::default(), &[]).join("\n");
        for limit in ["No fault was scheduled", "Faults at", "Real Kafka and MySQL", "Rescaling"] {
            assert!(said.contains(limit), "{limit}: {said}");
        }
        for step in Step::ALL {
            assert!(said.contains(step.name()), "{step}");
        }
    }
}
