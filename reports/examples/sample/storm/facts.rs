//! What was measured and judged: timeline, latency, checks, environment.

use stormproof_reports::schema::{
    CheckResult, EnvironmentFacts, Latency, Phase, Quantiles, Sample, Verdict,
};

use super::{LOAD_S, RATE, RUN_S, STORM, noise};

pub(super) fn timeline() -> Vec<Sample> {
    let (mut produced, mut effects, mut committed, mut all) = (0.0, 0.0, 0.0, Vec::new());
    let step_s = 0.1;
    for i in 0..=(RUN_S / step_s) as u32 {
        let t_s = f64::from(i) * step_s;
        let rate_in = if t_s < LOAD_S { RATE * (0.98 + 0.04 * noise(t_s)) } else { 0.0 };
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
            latency_actual_p50_ms: (!down && t_s < LOAD_S + 1.0).then_some(p50 * 0.9),
            latency_actual_p99_ms: (!down && t_s < LOAD_S + 1.0).then_some(p50 * 1.5),
            rss_bytes: 1_700_000_000 + (lag * 40.0) as u64,
            ..Sample::default()
        });
    }
    all
}

pub(super) fn latency() -> Latency {
    let intended = Quantiles {
        p50_us: 41_300,
        p90_us: 2_104_000,
        p99_us: 5_370_000,
        p999_us: 6_912_000,
        max_us: 7_204_311,
    };
    let actual = Quantiles { p50_us: 39_800, p90_us: 1_998_000, ..intended };
    Latency { intended, actual, samples: 9_900_000, negative: 0, unmeasured: 0 }
}

pub(super) fn checks() -> Vec<CheckResult> {
    let check = |id: &str, title: &str, summary: &str, figures: &[(&str, f64)]| CheckResult {
        id: id.into(),
        title: title.into(),
        verdict: Verdict::Proven,
        summary: summary.into(),
        figures: figures.iter().map(|(name, figure)| ((*name).into(), *figure)).collect(),
        witnesses: Vec::new(),
    };
    vec![
        check(
            "no-loss",
            "No record is lost",
            "Each of 9,900,000 records has an effect.",
            &[("ledger_records", 9_900_000.0), ("lost_records", 0.0), ("judged_s", 3.4)],
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
        check("fencing", "No zombie writes after its fence", "10 fences, no late effect.", &[]),
    ]
}

pub(super) fn environment() -> EnvironmentFacts {
    let versions = [("rustc", "1.90.0"), ("librdkafka", "2.12.1"), ("SQLite", "3.50.4")];
    EnvironmentFacts {
        name: "embedded".into(),
        os: "Debian GNU/Linux 12".into(),
        kernel: "6.1.0".into(),
        cpu_model: "Sample CPU, 8 cores at 3.4 GHz".into(),
        cores: 8,
        memory_bytes: 32 << 30,
        versions: versions.map(|(name, version)| (name.into(), version.into())).into(),
        git_commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
        stormproof_version: "0.1.0".into(),
    }
}

pub(super) fn phases() -> Vec<Phase> {
    [("set up", 0.8), ("storm", LOAD_S), ("drain", RUN_S - LOAD_S), ("judge", 3.4)]
        .map(|(name, seconds)| Phase { name: name.into(), seconds })
        .into()
}
