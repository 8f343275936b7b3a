//! From a session and a judgement to the result that is kept and shown.
//!
//! Invariant: the verdict is the worst of the oracle's and of what the harness itself knows: a
//! fault that did not land, an engine process that ended by itself, a run cut short make it
//! unknown, whatever the oracle found proven.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use stormproof_chaos::coverage::Coverage;
use stormproof_chaos::schedule::Schedule;
use stormproof_reports::html;
use stormproof_reports::schema::{
    AttemptEnd, CheckpointStatus, CheckpointSummary, CoverageCell, EnvironmentFacts, FaultSummary,
    Latency, LatencyCurve, Phase, RunResult, SubtaskFigures, Verdict,
};

use super::RunFolder;
use super::folder::cannot_write;
use super::history::{Checkpoint, History};
use super::nemesis::{Progress, Tracked};
use super::not_tested::not_tested;
use super::origin;
use super::passage::Passages;
use super::phases::slip;
use super::recovery::recoveries;
use super::sawtooth::sawtooth;
use super::session::{Halt, Session};
use super::verdict::{add_passages, apply_judgement, verdict_of};
use crate::clock::{Utc, monotonic_us};
use crate::error::{HarnessError, Result};
use crate::oracle::Judgement;
use crate::scenario::{Scenario, print};

/// A generator that was later than this has not made the load that was asked for.
const SLIP_LIMIT: Duration = Duration::from_secs(1);

/// What is known of a run beside its session.
pub(super) struct Account<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) schedule: &'a Schedule,
    pub(super) started: Utc,
    pub(super) origin_us: u64,
    pub(super) environment: EnvironmentFacts,
    pub(super) remarks: Vec<String>,
    pub(super) phases: Vec<Phase>,
    pub(super) judged: Option<Judgement>,
    pub(super) latency: Option<Latency>,
    pub(super) latency_curve: Option<LatencyCurve>,
    pub(super) subtasks: Vec<SubtaskFigures>,
    /// The ways of the records that witnesses name.
    pub(super) passages: Passages,
    /// The run's folder, as a command names it.
    pub(super) folder: PathBuf,
    /// The run's start on the wall clock, for logs of other tools.
    pub(super) started_wall: SystemTime,
    /// Why the run was cut short.
    pub(super) halted: Option<String>,
}

impl<'a> Account<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        schedule: &'a Schedule,
        started: Utc,
        origin_us: u64,
    ) -> Self {
        Self {
            scenario,
            schedule,
            started,
            origin_us,
            environment: EnvironmentFacts::default(),
            remarks: Vec::new(),
            phases: Vec::new(),
            judged: None,
            latency: None,
            latency_curve: None,
            subtasks: Vec::new(),
            passages: Passages::new(),
            folder: PathBuf::new(),
            started_wall: SystemTime::now(),
            halted: None,
        }
    }

    /// The run is cut short.
    pub(super) fn halt(&mut self, halt: &Halt) {
        if self.halted.is_some() {
            // What came first is the cause.
            return;
        }
        self.halted = Some(match halt {
            Halt::Interrupted => "the run was interrupted before its end".to_owned(),
            Halt::TimeLimit => format!(
                "the run was not over after its time limit of {} s",
                self.scenario.time_limit_s
            ),
            Halt::Failed(error) => match &error.remedy {
                Some(remedy) => format!("{} ({remedy})", error.what),
                None => error.what.clone(),
            },
        });
    }

    /// An error at the end, with what had ended the run before it.
    pub(super) fn and_before(&self, mut error: HarnessError) -> HarnessError {
        if let Some(why) = &self.halted {
            error.what = format!("{} (before that: {why})", error.what);
        }
        error
    }

    /// The result.
    pub(super) fn settle(&self, session: &Session) -> RunResult {
        let history = &session.history;
        let faults = session.nemesis.faults();
        let mut result = RunResult {
            scenario: self.scenario.name.clone(),
            parallelism: u32::from(self.scenario.job.parallelism),
            workers: match self.scenario.job.workers {
                0 => self.environment.cores,
                given => u32::from(given),
            },
            mode: self.scenario.checkpoint.mode.name().to_owned(),
            seed: self.scenario.seed,
            records: session.produced(),
            checkpoints_completed: history.completed(),
            checkpoints_aborted: history.checkpoints.len() as u64 - history.completed(),
            faults_landed: session.nemesis.landed(),
            faults_landed_mid_checkpoint: faults
                .iter()
                .filter(|tracked| tracked.has_landed() && tracked.mid_checkpoint)
                .count() as u64,
            faults_scheduled: faults.len() as u64,
            attempts: history.attempts.len() as u64,
            wall_s: (monotonic_us() - self.origin_us) as f64 / 1e6,
            peak_rss_bytes: session.sampler.peak_rss_bytes,
            records_per_s: self.throughput(session),
            latency: self.latency,
            latency_curve: self.latency_curve.clone(),
            subtasks: self.subtasks.clone(),
            origin: Some(origin::of(self.scenario, self.schedule)),
            checkpoints: self.checkpoints(history),
            faults: faults.iter().map(|tracked| self.fault(tracked)).collect(),
            coverage: coverage(faults),
            timeline: session.sampler.samples.clone(),
            recoveries: recoveries(history, faults, &session.sampler.samples, self.origin_us),
            environment: self.environment.clone(),
            reproduce: origin::command(self.scenario, &self.folder),
            not_tested: not_tested(self.scenario, self.schedule, faults),
            notes: self.notes(session),
            started_at: self.started.rfc3339(),
            phases: self.phases.clone(),
            ..RunResult::default()
        };
        if let Some(judged) = &self.judged {
            apply_judgement(&mut result, judged, self.halted.is_none(), |attempt| {
                cause(history, attempt)
            });
            add_passages(&mut result, &self.passages);
        }
        result.sawtooth = sawtooth(
            self.scenario.load.rate_per_s,
            &result.checkpoints,
            &result.faults,
            &result.recoveries,
            &result.timeline,
        );
        (result.verdict, result.verdict_reason) = verdict_of(&result, self, session);
        result
    }

    fn seconds(&self, t_us: u64) -> f64 {
        t_us.saturating_sub(self.origin_us) as f64 / 1e6
    }

    /// Records per second from the load's start until everything was committed.
    fn throughput(&self, session: &Session) -> f64 {
        let measured_s: f64 = self
            .phases
            .iter()
            .filter(|phase| phase.name == "load" || phase.name == "drain")
            .map(|phase| phase.seconds)
            .sum();
        if measured_s > 0.0 { session.produced() as f64 / measured_s } else { 0.0 }
    }

    fn checkpoints(&self, history: &History) -> Vec<CheckpointSummary> {
        let summary = |(&id, checkpoint): (&u64, &Checkpoint)| {
            let stats = checkpoint.stats.clone().unwrap_or_default();
            let ms = |us: u64| us as f64 / 1e3;
            CheckpointSummary {
                id,
                attempt: checkpoint.attempt,
                status: match checkpoint.is_completed {
                    true => CheckpointStatus::Completed,
                    false => CheckpointStatus::Aborted,
                },
                triggered_s: self.seconds(checkpoint.triggered_us),
                completed_s: checkpoint.ended_us.map(|t_us| self.seconds(t_us)),
                start_delay_ms: checkpoint.stats.as_ref().map(|stats| ms(stats.start_delay_us)),
                alignment_ms: ms(stats.alignment_us),
                sync_ms: ms(stats.sync_us),
                async_ms: ms(stats.async_us),
                state_bytes: stats.state_bytes,
                in_flight_bytes: stats.in_flight_bytes,
                aborted_because: checkpoint.aborted_because.clone(),
            }
        };
        history.checkpoints.iter().map(summary).collect()
    }

    fn fault(&self, tracked: &Tracked) -> FaultSummary {
        let fault = &tracked.fault;
        FaultSummary {
            id: fault.id.to_string(),
            what: fault.describe(),
            target: fault.target.to_string(),
            step: fault.step().map(|step| step.to_string()),
            action: fault.action.name().to_owned(),
            checkpoint: tracked.shot.map(|shot| shot.at.checkpoint.0),
            attempt: tracked.shot.map(|shot| shot.at.attempt.0),
            fired_s: tracked.fired_us.map(|t_us| self.seconds(t_us)),
            healed_s: tracked.healed_us.map(|t_us| self.seconds(t_us)),
            recovered_s: tracked.recovered_us.map(|t_us| self.seconds(t_us)),
            landed: tracked.has_landed(),
            mid_checkpoint: tracked.has_landed() && tracked.mid_checkpoint,
            effect: match &tracked.progress {
                Progress::Landed | Progress::Missed(_) => tracked.effect.clone(),
                _ => "the run ended before".to_owned(),
            },
        }
    }

    fn notes(&self, session: &Session) -> Vec<String> {
        let mut notes = self.remarks.clone();
        notes.extend(session.history.remarks.iter().cloned());
        notes.extend(session.unplanned.iter().cloned());
        if let Some(to) = session.rescaled_to {
            notes.push(format!(
                "After the first kill the job was restored at parallelism {to} instead of {}.",
                self.scenario.job.parallelism
            ));
        }
        let planned = self.scenario.load.records + session.records_before;
        let more = session.produced().saturating_sub(planned);
        if more > 0 && self.scenario.load.records > 0 {
            notes.push(format!(
                "The storm lasted longer than the load: {more} more records were written, slower, \
                 until its last fault was over."
            ));
        }
        let late = slip(session);
        if late > SLIP_LIMIT {
            notes.push(format!(
                "The load generator was up to {:.1} s late: the machine could not keep the \
                 intended rate of {} records per second.",
                late.as_secs_f64(),
                self.scenario.load.rate_per_s
            ));
        }
        notes
    }
}

/// What ended an attempt.
fn cause(history: &History, attempt: u32) -> String {
    let failed = history.attempts.iter().find(|candidate| candidate.id == attempt);
    let cause = failed.and_then(|attempt| attempt.failed.clone());
    cause.map_or_else(|| "not observed".to_owned(), |(_, cause)| cause)
}

fn coverage(faults: &[Tracked]) -> Vec<CoverageCell> {
    let told = faults.iter().map(|tracked| (&tracked.fault, tracked.has_landed()));
    let cell = |row: stormproof_chaos::coverage::CoverageRow| CoverageCell {
        step: row.place,
        action: row.action,
        scheduled: row.scheduled,
        landed: row.landed,
    };
    Coverage::of(told).rows().into_iter().map(cell).collect()
}

/// Writes result and report.
pub(super) fn save(folder: &RunFolder, result: &RunResult) -> Result<()> {
    let file = folder.result();
    result.save(&file).map_err(|error| cannot_write(&file, &error))?;
    folder.write(&folder.report(), html::render(result))
}

/// Writes result, report and, after a violation, all that is needed to run it again.
pub(super) fn write(
    folder: &RunFolder,
    result: &RunResult,
    scenario: &Scenario,
    account: &Account<'_>,
) -> Result<()> {
    save(folder, result)?;
    if result.verdict != Verdict::Violated {
        return Ok(());
    }
    let failure = serde_json::json!({
        "format": 1,
        "verdict_reason": result.verdict_reason,
        "scenario": print(&super::without_secrets(scenario)),
        "schedule": account.schedule,
    });
    let json = serde_json::to_vec_pretty(&failure).expect("a failure is plain data");
    folder.write(&folder.failure(), json)
}

/// How a failed attempt ended, in the result's words.
pub(super) fn attempt_end(failure: &crate::oracle::Failure, cause: String) -> AttemptEnd {
    AttemptEnd {
        attempt: failure.attempt.0,
        restored_checkpoint: (failure.restored.0 > 0).then_some(failure.restored.0),
        cause,
        duplicates: failure.duplicates,
        bound: failure.bound,
    }
}
