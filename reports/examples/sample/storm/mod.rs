//! A made-up storm of three minutes that is consistent in itself: every total is the sum of its
//! parts. Deterministic, so that it can serve as a snapshot.

mod events;
mod facts;
mod pictures;

use std::collections::BTreeMap;

use serde_json::json;
use stormproof_reports::schema::{CheckpointStatus, RunResult, Verdict, Witness};

use events::{checkpoints, coverage, failures, faults, recoveries};
use facts::{checks, environment, latency, phases, timeline};
use pictures::{curve, matrix, origin, passage, subtasks};

const RUN_S: f64 = 180.0;
const RATE: f64 = 60_000.0;
const LOAD_S: f64 = 165.0;

/// When it strikes, for how long, the step, the action, and whether it fails the job.
const STORM: [(f64, f64, &str, &str, bool); 12] = [
    (12.31, 1.9, "aligning", "panic", true),
    (24.12, 3.2, "sink flush sent", "kill", true),
    (37.42, 1.8, "snapshot async", "panic", true),
    (49.05, 4.0, "sink flush confirmed", "connection reset", false),
    (62.38, 2.1, "acked", "panic", true),
    (74.30, 3.4, "all acked", "kill", true),
    (87.44, 2.0, "metadata durable", "panic", true),
    (99.00, 6.5, "upload", "pause", false),
    (112.36, 3.1, "notified", "kill", true),
    (124.40, 2.2, "offset committed", "panic", true),
    (137.32, 5.2, "barrier received", "partition", false),
    (149.33, 2.0, "restore begun", "panic", true),
];

/// A run in which everything holds.
pub(crate) fn proven() -> RunResult {
    let failures = failures();
    let duplicates: u64 = failures.iter().map(|f| f.duplicates).sum();
    let checkpoints = checkpoints();
    let completed =
        checkpoints.iter().filter(|c| c.status == CheckpointStatus::Completed).count() as u64;
    let records = (RATE * LOAD_S) as u64;
    RunResult {
        verdict: Verdict::Proven,
        verdict_reason: "Every record survived 12 faults, and every duplicate is accounted for by \
                         the checkpoint that was restored before it."
            .into(),
        scenario: "storm-2000".into(),
        parallelism: 2000,
        workers: 8,
        mode: "at-least-once".into(),
        seed: 8_273_645_091_827_364,
        records,
        effects: Some(records + duplicates),
        lost: Some(0),
        duplicates: Some(duplicates),
        duplicates_expected: Some(duplicates),
        duplicates_bound: Some(failures.iter().map(|f| f.bound).sum()),
        checkpoints_completed: completed,
        checkpoints_aborted: checkpoints.len() as u64 - completed,
        faults_landed: 12,
        faults_landed_mid_checkpoint: 9,
        faults_scheduled: 12,
        attempts: failures.len() as u64 + 1,
        wall_s: RUN_S + 4.2,
        peak_rss_bytes: 1_932_735_283,
        records_per_s: RATE,
        latency: Some(latency()),
        checks: checks(),
        failures,
        checkpoints,
        faults: faults(),
        coverage: coverage(),
        timeline: timeline(),
        recoveries: recoveries(),
        environment: environment(),
        reproduce: "stormproof run --scenario storm-2000 --env embedded --parallelism 2000 \
                    --seed 8273645091827364"
            .into(),
        not_tested: vec![
            "Loss of the machine itself: engine, log and database share one host.".into(),
            "Real Kafka and MySQL: this run used the embedded environment.".into(),
            "Rescaling: the parallelism stayed at 2000.".into(),
        ],
        notes: vec!["This is a sample: its figures are made up to show the report.".into()],
        started_at: "2026-03-14T09:26:53Z".into(),
        phases: phases(),
        latency_curve: Some(curve()),
        subtasks: subtasks(),
        matrix: Some(matrix()),
        origin: Some(origin()),
        ..RunResult::default()
    }
}

/// The same run with three records lost and one failure over its bound.
pub(crate) fn violated() -> RunResult {
    let mut result = proven();
    result.verdict = Verdict::Violated;
    result.verdict_reason = "3 records were acknowledged by checkpoint 12 and are in no effect, \
                             although checkpoint 12 was restored."
        .into();
    result.scenario = "storm-2000 with mutant 4".into();
    let duplicates = result.duplicates.unwrap_or(0) + 70_000;
    result.lost = Some(3);
    result.effects = Some(result.records - 3 + duplicates);
    result.duplicates = Some(duplicates);
    result.failures[4].duplicates += 70_000;
    result.faults[10].landed = false;
    result.faults[10].mid_checkpoint = false;
    result.faults[10].effect = "the link carried no barrier while it was cut".into();
    result.faults_landed = 11;
    result.faults_landed_mid_checkpoint = 8;
    result.coverage[10].landed = 0;
    result.checks[0].verdict = Verdict::Violated;
    result.checks[0].summary = "3 records of 9,900,000 have no effect.".into();
    result.checks[0].figures.insert("lost_records".into(), 3.0);
    result.checks[0].witnesses = (0..3).map(lost).collect();
    result.checks[1].verdict = Verdict::Violated;
    result.checks[1].summary = "849,154 duplicates, 779,154 predicted.".into();
    result.checks[1].witnesses = vec![Witness {
        what: "offset 2,400 of partition 417 has 3 effects in attempts 5 and 6".into(),
        attribution: "one replay is predicted, the second is not".into(),
        details: BTreeMap::from([
            ("partition".into(), json!(417)),
            ("offset".into(), json!(2_400)),
        ]),
        passage: None,
    }];
    result.checks[2].verdict = Verdict::Violated;
    result.checks[2].summary = "Failure 5 caused 70,000 duplicates beyond its bound.".into();
    result.checks[2].witnesses = vec![Witness {
        what: "attempt 5 replayed offsets that checkpoint 12 already covered".into(),
        attribution: "source 417 restored partition 417 at 2,400, its split state says 2,435"
            .into(),
        details: BTreeMap::from([
            ("partition".into(), json!(417)),
            ("checkpoint".into(), json!(12)),
        ]),
        passage: None,
    }];
    result.checks[6].verdict = Verdict::Unknown;
    result.checks[6].summary = "The fence of attempt 5 was not read back in time.".into();
    result
}

fn lost(n: u64) -> Witness {
    Witness {
        what: format!("offset {} of partition 417 has no effect", 812 + n),
        attribution: "in flight on source 417 -> sink 88 at checkpoint 12, \
                      absent after restore of 12"
            .into(),
        details: BTreeMap::from([
            ("partition".into(), json!(417)),
            ("offset".into(), json!(812 + n)),
            ("checkpoint".into(), json!(12)),
            ("subtask".into(), json!("sink[88]")),
        ]),
        passage: Some(passage(n)),
    }
}

/// A repeatable value in 0..1.
fn noise(seed: f64) -> f64 {
    (seed * 12.9898).sin().mul_add(43_758.547, 1e6).fract()
}
