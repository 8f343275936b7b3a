//! Claim 6: barrier, upload, acknowledgements, notification, commit of the offsets.
//!
//! Every named step of every subtask is on record, in order. The commit point is found by killing
//! the process right before and right after the metadata is durable.

use std::collections::BTreeMap;

use stormproof_chaos::fault::{Fault, FaultAction, FaultId, FaultTarget, FaultTrigger};
use stormproof_chaos::sim::{self, Plan, SimRun};
use stormproof_engine::ids::{AttemptId, CheckpointId, SubtaskIndex, VertexId};
use stormproof_engine::runtime::JobEvent;
use stormproof_engine::seam::Step;
use stormproof_reports::claims::{Outcome, Shown};

use super::simulated::{SIMULATION, calm};
use super::{Context, fact, ran};
use crate::error::Result;

/// The steps in the order that is claimed, and the one between.
const STEPS: [Step; 7] = [
    Step::BarrierInjected,
    Step::Upload,
    Step::Acked,
    Step::AllAcked,
    Step::MetadataDurable,
    Step::Notified,
    Step::OffsetCommitted,
];

fn plan(context: &Context, parallelism: u16) -> Plan {
    let mut plan = calm(context.seed);
    plan.topology.parallelism[0].source = parallelism;
    plan.topology.parallelism[0].count = parallelism;
    plan.topology.parallelism[0].sink = parallelism;
    plan.topology.partitions = u32::from(parallelism);
    plan.topology.max_parallelism = u16::max(128, parallelism.next_power_of_two() * 2);
    plan.load.records = u32::from(parallelism) * 2 + 200;
    plan.load.keys = plan.load.records;
    plan
}

/// The first and the last place of each step in the order of events, by checkpoint.
fn places(run: &SimRun) -> BTreeMap<CheckpointId, BTreeMap<Step, (usize, usize)>> {
    let mut places: BTreeMap<CheckpointId, BTreeMap<Step, (usize, usize)>> = BTreeMap::new();
    for (at, passed) in run.passed.iter().enumerate() {
        let of = places.entry(passed.at.checkpoint).or_default();
        let place = of.entry(passed.step).or_insert((at, at));
        place.1 = at;
    }
    places
}

/// Whether every event of `before` came before every event of `after`.
fn is_ordered(of: &BTreeMap<Step, (usize, usize)>, before: Step, after: Step) -> bool {
    match (of.get(&before), of.get(&after)) {
        (Some((_, last)), Some((first, _))) => last < first,
        _ => false,
    }
}

/// Subtasks that acknowledged a checkpoint.
fn acknowledged(run: &SimRun, checkpoint: CheckpointId) -> usize {
    let acked =
        run.passed.iter().filter(|p| p.step == Step::Acked && p.at.checkpoint == checkpoint);
    let mut subtasks: Vec<(VertexId, SubtaskIndex)> =
        acked.map(|passed| (passed.at.vertex, passed.at.subtask)).collect();
    subtasks.sort_unstable();
    subtasks.dedup();
    subtasks.len()
}

/// The checkpoint during which the process is killed at `step`, and the one restored after.
fn killed_at(context: &Context, step: Step) -> Option<(CheckpointId, CheckpointId, bool)> {
    let mut plan = plan(context, 4);
    let when = FaultTrigger::AtStep {
        step,
        checkpoint: stormproof_chaos::fault::CheckpointRef::Exactly(CheckpointId(3)),
        attempt: Some(AttemptId(1)),
        armed_at_ms: 0,
    };
    plan.faults = vec![Fault {
        id: FaultId(1),
        action: FaultAction::Sigkill,
        target: FaultTarget::AnySubtask,
        when,
        heal_after_ms: 1,
    }];
    let run = sim::watch(&plan);
    let was_notified = run
        .passed
        .iter()
        .any(|p| p.step == Step::Notified && p.at.checkpoint.0 == 3 && p.at.attempt.0 == 1);
    let restored = run.told.iter().filter_map(|told| match told.event {
        JobEvent::AttemptStarted { restored, .. } if restored != CheckpointId::NONE => {
            Some(restored)
        }
        _ => None,
    });
    (run.landed.len() == 1).then_some(())?;
    restored.into_iter().next().map(|restored| (CheckpointId(3), restored, was_notified))
}

/// What a kill has shown, in words.
fn told_of(kill: Option<(CheckpointId, CheckpointId, bool)>) -> String {
    kill.map_or_else(
        || "the process was not killed there".to_owned(),
        |(at, restored, _)| format!("killed in checkpoint {at}, {restored} was restored"),
    )
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let run = sim::watch(&plan(context, context.parallelism));
    let of_all = places(&run);
    let whole: Vec<_> =
        of_all.iter().filter(|(_, of)| STEPS.iter().all(|step| of.contains_key(step))).collect();
    let subtasks = usize::from(context.parallelism) * 3;
    let acked: Vec<usize> = whole.iter().map(|(id, _)| acknowledged(&run, **id)).collect();
    let in_order = |before, after| whole.iter().all(|(_, of)| is_ordered(of, before, after));
    let told = |text: &str, before, after| {
        let holds = in_order(before, after);
        let word = if holds { "in each" } else { "not in each" };
        fact(text, holds, format!("{word} of {} checkpoints", whole.len()))
    };
    let (before, after) =
        (killed_at(context, Step::AllAcked), killed_at(context, Step::MetadataDurable));
    let schedule = whole.first().map(|(id, _)| lines(&run, **id)).unwrap_or_default();
    ran(Shown {
        premises: vec![
            fact("checkpoints passed every step", whole.len() >= 2, whole.len().to_string()),
            fact("both kills landed", before.is_some() && after.is_some(), ""),
        ],
        says: vec![
            told(
                "the barriers before the last acknowledgement",
                Step::BarrierInjected,
                Step::AllAcked,
            ),
            told("every upload before all have acknowledged", Step::Upload, Step::AllAcked),
            fact(
                "every subtask acknowledges",
                acked.iter().all(|n| *n == subtasks),
                format!("{} of {subtasks} in each checkpoint", acked.first().unwrap_or(&0)),
            ),
            told("acknowledgements before notifications", Step::Acked, Step::Notified),
            told(
                "a notification before the commit of offsets",
                Step::AllAcked,
                Step::OffsetCommitted,
            ),
        ],
        beyond: vec![
            told(
                "metadata becomes durable after the last acknowledgement",
                Step::AllAcked,
                Step::MetadataDurable,
            ),
            told("and before the first notification", Step::MetadataDurable, Step::Notified),
            fact(
                "before it is durable the checkpoint does not exist",
                before.is_some_and(|(at, restored, _)| restored < at),
                told_of(before),
            ),
            fact(
                "from then on it does, although nobody was notified",
                after.is_some_and(|(at, restored, notified)| restored == at && !notified),
                told_of(after),
            ),
        ],
        why: "The order is right, and one step is missing from it: what decides is not the \
              notification but the durable metadata in front of it."
            .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule,
        figure: None,
    })
}

/// When the first and the last subtask passed each step of a checkpoint.
fn lines(run: &SimRun, checkpoint: CheckpointId) -> Vec<String> {
    let moments = |step: Step| super::simulated::passed(run, step).get(&checkpoint).copied();
    let line = |step: &Step| {
        let (first, last) = moments(*step)?;
        let ms = |us: u64| us as f64 / 1e3;
        Some(format!("{:>9.3} ms to {:>9.3} ms  {step}", ms(first), ms(last)))
    };
    STEPS.iter().filter_map(line).collect()
}
