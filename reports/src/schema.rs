//! The versioned result of one run: everything a report shows and everything a gate compares.
//!
//! Invariants: every time is in seconds since the run's start; units stand at the end of names;
//! a figure that does not exist is `None`, never zero. Within one version fields are only added,
//! and added fields have defaults, so a reader ignores fields it does not know; whatever changes
//! the meaning of an existing field is a new [`SCHEMA_VERSION`], and other versions are refused.
//!
//! This module does not judge: the verdicts are the oracle's.

mod bench;
mod chaos;
mod checks;
mod consistency;
mod environment;
mod matrix;
mod measure;
mod number;
mod origin;
mod skew;
mod store;
mod trace;
mod verdict;

pub use bench::{BenchSummary, BenchTrial, BesideBare};
pub use chaos::{
    AttemptEnd, CheckpointStatus, CheckpointSummary, CoverageCell, FaultSummary, Recovery,
};
pub use checks::{CheckResult, Witness};
pub use environment::{EnvironmentFacts, Phase};
pub use matrix::{MatrixCell, MatrixOutcome, MatrixSummary};
pub use measure::{
    CurvePoint, EngineLag, Latency, LatencyCurve, Quantiles, Sample, Sawtooth, Tooth,
};
pub use origin::Origin;
pub use skew::SubtaskFigures;
pub use store::SchemaError;
pub use trace::{Hop, Passage, Seen};
pub use verdict::Verdict;

use serde::{Deserialize, Serialize};

/// The version of `result.json` that this crate writes, and the only one it reads.
///
/// Version 2: what was not counted is `null`, where version 1 had 0; latency from the actual send
/// time counts from the hand-over to the producer.
pub const SCHEMA_VERSION: u32 = 2;

/// The result of one run, as kept in `result.json`.
///
/// Build it with `RunResult { scenario, ..RunResult::default() }`: the default is a run of the
/// current schema version whose verdict is unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The oracle's verdict on the whole run: the worst of its checks.
    pub verdict: Verdict,
    /// Why, in one plain sentence.
    pub verdict_reason: String,
    /// The scenario's name.
    pub scenario: String,
    /// Subtasks of every vertex.
    pub parallelism: u32,
    /// Worker threads that hosted them.
    pub workers: u32,
    /// Checkpoint mode, for example `at-least-once`.
    pub mode: String,
    /// The seed of load, schedule and jitter.
    pub seed: u64,
    /// Records in the input ledger.
    pub records: u64,
    /// Effects in the sink: audit rows. `None` = not counted, as in a run that was interrupted.
    #[serde(deserialize_with = "number::or_absent")]
    pub effects: Option<u64>,
    /// Records without any effect; `None` = not counted.
    #[serde(deserialize_with = "number::or_absent")]
    pub lost: Option<u64>,
    /// Effects beyond the first of their record; `None` = not counted.
    #[serde(deserialize_with = "number::or_absent")]
    pub duplicates: Option<u64>,
    /// What theory says `duplicates` must be, exactly; `None` = the oracle cannot tell.
    #[serde(deserialize_with = "number::or_absent")]
    pub duplicates_expected: Option<u64>,
    /// The most duplicates that theory allows for these failures; `None` = it cannot tell.
    #[serde(deserialize_with = "number::or_absent")]
    pub duplicates_bound: Option<u64>,
    /// Checkpoints whose manifest became durable.
    pub checkpoints_completed: u64,
    /// Checkpoints that were triggered and did not complete.
    pub checkpoints_aborted: u64,
    /// Faults whose effect was observed.
    pub faults_landed: u64,
    /// Those of them that struck while a checkpoint was in progress.
    pub faults_landed_mid_checkpoint: u64,
    /// Faults in the schedule.
    pub faults_scheduled: u64,
    /// Execution attempts, the first one included.
    pub attempts: u64,
    /// Wall-clock time of the run.
    #[serde(deserialize_with = "number::or_nan")]
    pub wall_s: f64,
    /// Highest resident set size of the system under test.
    pub peak_rss_bytes: u64,
    /// Mean throughput over the measured phase.
    #[serde(deserialize_with = "number::or_nan")]
    pub records_per_s: f64,
    /// End-to-end latency, if it was measured.
    #[serde(default)]
    pub latency: Option<Latency>,
    /// What each check of the oracle found.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// How each failed attempt ended, in order.
    #[serde(default)]
    pub failures: Vec<AttemptEnd>,
    /// Every checkpoint that was triggered, in order.
    #[serde(default)]
    pub checkpoints: Vec<CheckpointSummary>,
    /// Every fault of the schedule, in order.
    #[serde(default)]
    pub faults: Vec<FaultSummary>,
    /// Which step was struck by which action, and how often.
    #[serde(default)]
    pub coverage: Vec<CoverageCell>,
    /// Samples over the run, in order of time.
    #[serde(default)]
    pub timeline: Vec<Sample>,
    /// How each recovery went, in order.
    #[serde(default)]
    pub recoveries: Vec<Recovery>,
    /// Where it ran.
    pub environment: EnvironmentFacts,
    /// The exact command that runs it again.
    pub reproduce: String,
    /// What this run says nothing about, one plain sentence each.
    #[serde(default)]
    pub not_tested: Vec<String>,
    /// Remarks for the reader, one plain sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// When the run began, RFC 3339.
    pub started_at: String,
    /// What the run spent its time on, in order.
    #[serde(default)]
    pub phases: Vec<Phase>,
    /// Throughput beside bare clients, if it was asked for.
    #[serde(default)]
    pub beside_bare: Option<BesideBare>,
    /// Committed lag against its formula, if the load came at a steady rate.
    #[serde(default)]
    pub sawtooth: Option<Sawtooth>,
    /// The distribution of the latency, for the percentile plot.
    #[serde(default)]
    pub latency_curve: Option<LatencyCurve>,
    /// Figures of every subtask, one list for each thing that was counted.
    #[serde(default)]
    pub subtasks: Vec<SubtaskFigures>,
    /// The kill matrix in simulation, if one belongs to this result.
    #[serde(default)]
    pub matrix: Option<MatrixSummary>,
    /// All that another machine needs to run it again.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// What was tried and found, if this is a bench and not a run.
    #[serde(default)]
    pub bench: Option<BenchSummary>,
}

impl Default for RunResult {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            verdict: Verdict::Unknown,
            verdict_reason: String::new(),
            scenario: String::new(),
            parallelism: 0,
            workers: 0,
            mode: String::new(),
            seed: 0,
            records: 0,
            effects: None,
            lost: None,
            duplicates: None,
            duplicates_expected: None,
            duplicates_bound: None,
            checkpoints_completed: 0,
            checkpoints_aborted: 0,
            faults_landed: 0,
            faults_landed_mid_checkpoint: 0,
            faults_scheduled: 0,
            attempts: 0,
            wall_s: 0.0,
            peak_rss_bytes: 0,
            records_per_s: 0.0,
            latency: None,
            checks: Vec::new(),
            failures: Vec::new(),
            checkpoints: Vec::new(),
            faults: Vec::new(),
            coverage: Vec::new(),
            timeline: Vec::new(),
            recoveries: Vec::new(),
            environment: EnvironmentFacts::default(),
            reproduce: String::new(),
            not_tested: Vec::new(),
            notes: Vec::new(),
            started_at: String::new(),
            phases: Vec::new(),
            beside_bare: None,
            sawtooth: None,
            latency_curve: None,
            subtasks: Vec::new(),
            matrix: None,
            origin: None,
            bench: None,
        }
    }
}
