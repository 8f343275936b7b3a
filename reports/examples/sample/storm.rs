//! A made-up storm of three minutes that is consistent in itself: every total is the sum of its
//! parts. Deterministic, so that it can serve as a snapshot.

use std::collections::BTreeMap;

use serde_json::json;
use stormproof_reports::schema::{
    AttemptEnd, CheckResult, CheckpointStatus, CheckpointSummary, CoverageCell, EnvironmentFacts,
    FaultSummary, Latency, Phase, Quantiles, Recovery, RunResult, Sample, Verdict, Witness,
};

const RUN_S: f64 = 180.0;
const RATE: f64 = 60_000.0;
const LOAD_S: f64 = 165.0;

/// When it strikes, for how long, the step, the action, and whether it fails the job.
const STORM: [(f64, f64, &str, &str, bool); 12] = [
    (12.31, 1.9, "aligning", "panic", true),
    (24.12, 3.2, "sink flush sent", "kill", true),
    (37.42, 1.8, "snapshot async", "panic", true),
    (
        49.05,
        4.0,
        "sink flush confirmed",
        "connection reset",
        false,
    ),
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
    let duplicates = failures.iter().map(|f| f.duplicates).sum();
    let checkpoints = checkpoints();
    let completed = checkpoints
        .iter()
        .filter(|c| c.status == CheckpointStatus::Completed)
        .count() as u64;
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
        effects: records + duplicates,
        duplicates,
        duplicates_expected: duplicates,
        duplicates_bound: failures.iter().map(|f| f.bound).sum(),
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
    result.lost = 3;
    result.effects = result.records - 3 + result.duplicates + 70_000;
    result.duplicates += 70_000;
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
    }
}

/// A repeatable value in 0..1.
fn noise(seed: f64) -> f64 {
    (seed * 12.9898).sin().mul_add(43_758.547, 1e6).fract()
}

fn failures() -> Vec<AttemptEnd> {
    let fatal = STORM.iter().filter(|s| s.4).zip(1_u32..);
    fatal
        .map(|((at, _, step, action, _), attempt)| {
            let bound = 90_000 + (noise(*at) * 60_000.0) as u64;
            AttemptEnd {
                attempt,
                restored_checkpoint: Some((at / 5.0) as u64),
                cause: format!(
                    "{action} of sink {} at step {step}",
                    (at * 37.0) as u64 % 2000
                ),
                duplicates: (bound as f64 * (0.45 + 0.5 * noise(at + 1.0))) as u64,
                bound,
            }
        })
        .collect()
}

fn checkpoints() -> Vec<CheckpointSummary> {
    let mut attempt = 1;
    let mut all = Vec::new();
    for id in 1..36_u64 {
        let at = id as f64 * 5.0 + 0.02;
        let took_s = 0.35 + 0.5 * noise(id as f64);
        let struck = STORM
            .iter()
            .find(|s| s.4 && s.0 > at - 2.5 && s.0 < at + took_s);
        let status = if struck.is_some() {
            CheckpointStatus::Aborted
        } else {
            CheckpointStatus::Completed
        };
        all.push(CheckpointSummary {
            id,
            attempt,
            status,
            triggered_s: at,
            completed_s: Some(at + struck.map_or(took_s, |s| (s.0 - at).max(0.08))),
            alignment_ms: 120.0 * noise(at),
            sync_ms: 14.0 + 9.0 * noise(at + 2.0),
            async_ms: took_s * 700.0,
            state_bytes: 31_000_000 + id * 90_000,
            in_flight_bytes: 1_200_000,
        });
        attempt += u32::from(struck.is_some());
    }
    all
}

fn faults() -> Vec<FaultSummary> {
    let mut attempt = 1;
    let mut all = Vec::new();
    for (n, (at, lasts_s, step, action, fatal)) in STORM.iter().enumerate() {
        let target = match *action {
            "kill" => "engine process".to_owned(),
            "connection reset" => "database".to_owned(),
            "partition" => "engine to broker".to_owned(),
            _ => format!("sink[{}]", (at * 37.0) as u64 % 2000),
        };
        all.push(FaultSummary {
            id: format!("f{}", n + 1),
            what: format!("{action} at {step}"),
            target,
            step: Some((*step).into()),
            action: (*action).into(),
            checkpoint: Some((at / 5.0) as u64 + 1),
            attempt: Some(attempt),
            fired_s: Some(*at),
            healed_s: Some(at + lasts_s),
            landed: true,
            mid_checkpoint: n % 4 != 3,
            effect: if *fatal {
                "attempt ended, next one ran"
            } else {
                "writes retried"
            }
            .into(),
        });
        attempt += u32::from(*fatal);
    }
    all
}

fn coverage() -> Vec<CoverageCell> {
    STORM
        .iter()
        .map(|(_, _, step, action, _)| CoverageCell {
            step: (*step).into(),
            action: (*action).into(),
            scheduled: 1,
            landed: 1,
        })
        .collect()
}

fn timeline() -> Vec<Sample> {
    let (mut produced, mut effects, mut committed, mut all) = (0.0, 0.0, 0.0, Vec::new());
    let step_s = 0.1;
    for i in 0..=(RUN_S / step_s) as u32 {
        let t_s = f64::from(i) * step_s;
        let rate_in = if t_s < LOAD_S {
            RATE * (0.98 + 0.04 * noise(t_s))
        } else {
            0.0
        };
        produced += rate_in * step_s;
        let down = STORM.iter().any(|s| t_s > s.0 && t_s < s.0 + s.1);
        let backlog = produced - effects;
        let rate_out = match (down, backlog > RATE * 0.15) {
            (true, _) => 0.0,
            (false, true) => (92_000.0 + 6_000.0 * noise(t_s + 7.0)).min(backlog / step_s),
            (false, false) => rate_in.min(backlog / step_s),
        };
        effects += rate_out * step_s;
        if t_s % 5.0 < step_s && !down {
            committed = effects - RATE * 0.6;
        }
        let lag = produced - effects;
        let p50 = 8.0 + lag / RATE * 900.0 + 3.0 * noise(t_s + 3.0);
        all.push(Sample {
            t_s,
            produced: produced as u64,
            emitted: (effects + 2_000.0) as u64,
            effects: effects as u64,
            lag_records: lag as i64,
            committed_lag_records: (produced - committed.max(0.0)) as i64,
            rate_in_per_s: rate_in,
            rate_out_per_s: rate_out,
            latency_p50_ms: (!down && t_s < LOAD_S + 1.0).then_some(p50),
            latency_p99_ms: (!down && t_s < LOAD_S + 1.0).then_some(p50 * 1.7 + 20.0 * noise(t_s)),
            rss_bytes: 1_700_000_000 + (lag * 40.0) as u64,
        });
    }
    all
}

fn recoveries() -> Vec<Recovery> {
    STORM
        .iter()
        .enumerate()
        .filter(|(_, s)| s.4)
        .zip(2..)
        .map(|((n, (at, lasts_s, ..)), attempt)| Recovery {
            attempt,
            fault: Some(format!("f{}", n + 1)),
            detect_ms: Some(40.0 + 300.0 * noise(*at)),
            restart_ms: Some(lasts_s * 380.0),
            restore_ms: Some(lasts_s * 240.0),
            first_output_ms: Some(60.0 + 90.0 * noise(at + 4.0)),
            drained_ms: (n != 11).then_some(lasts_s * 1_900.0),
        })
        .collect()
}

fn latency() -> Latency {
    let intended = Quantiles {
        p50_us: 41_300,
        p90_us: 2_104_000,
        p99_us: 5_370_000,
        p999_us: 6_912_000,
        max_us: 7_204_311,
    };
    let actual = Quantiles {
        p50_us: 39_800,
        p90_us: 1_998_000,
        ..intended
    };
    Latency {
        intended,
        actual,
        samples: 9_900_000,
        negative: 0,
    }
}

fn checks() -> Vec<CheckResult> {
    let check = |id: &str, title: &str, summary: &str, figures: &[(&str, f64)]| CheckResult {
        id: id.into(),
        title: title.into(),
        verdict: Verdict::Proven,
        summary: summary.into(),
        figures: figures
            .iter()
            .map(|(name, figure)| ((*name).into(), *figure))
            .collect(),
        witnesses: Vec::new(),
    };
    vec![
        check(
            "no-loss",
            "No record is lost",
            "Each of 9,900,000 records has an effect.",
            &[
                ("ledger_records", 9_900_000.0),
                ("lost_records", 0.0),
                ("judged_s", 3.4),
            ],
        ),
        check(
            "exact-duplicates",
            "Duplicates are exactly those predicted",
            "Non-canonical effects and orphans add up to the duplicates.",
            &[("non_canonical", 777_950.0), ("orphans", 1_204.0)],
        ),
        check(
            "bounded-duplicates",
            "Each failure stays within its bound",
            "9 failures, the closest used 94 % of its bound.",
            &[("failures", 9.0), ("highest_share_percent", 94.1)],
        ),
        check(
            "conservation",
            "Each checkpoint conserves the stream",
            "Kept effects, buffers and channel state cover every offset before the cut, at 31 \
             checkpoints.",
            &[("checkpoints", 31.0), ("extras_behind_cut", 0.0)],
        ),
        check(
            "key-order",
            "Keys never go back outside a replay",
            "9,900,000 keys, highest version final in each.",
            &[("keys", 9_900_000.0)],
        ),
        check(
            "offset-coverage",
            "Every partition is owned once",
            "2,000 partitions, no gap and no overlap at any restore.",
            &[("partitions", 2_000.0)],
        ),
        check(
            "fencing",
            "No zombie writes after its fence",
            "10 fences, no late effect.",
            &[],
        ),
    ]
}

fn environment() -> EnvironmentFacts {
    let versions = [
        ("rustc", "1.90.0"),
        ("librdkafka", "2.12.1"),
        ("SQLite", "3.50.4"),
    ];
    EnvironmentFacts {
        name: "embedded".into(),
        os: "Debian GNU/Linux 12".into(),
        kernel: "6.1.0".into(),
        cpu_model: "Sample CPU, 8 cores at 3.4 GHz".into(),
        cores: 8,
        memory_bytes: 32 << 30,
        versions: versions
            .map(|(name, version)| (name.into(), version.into()))
            .into(),
        git_commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
        stormproof_version: "0.1.0".into(),
    }
}

fn phases() -> Vec<Phase> {
    [
        ("set up", 0.8),
        ("storm", LOAD_S),
        ("drain", RUN_S - LOAD_S),
        ("judge", 3.4),
    ]
    .map(|(name, seconds)| Phase {
        name: name.into(),
        seconds,
    })
    .into()
}
