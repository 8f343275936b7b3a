use super::*;

const RATE: u64 = 1_000;

/// Checkpoints every 4 s that take half a second each, the first one at 1 s.
fn checkpoints() -> Vec<CheckpointSummary> {
    let one = |id: u64| CheckpointSummary {
        id,
        attempt: 1,
        status: CheckpointStatus::Completed,
        triggered_s: id as f64 * 4.0 - 3.0,
        completed_s: Some(id as f64 * 4.0 - 2.5),
        ..CheckpointSummary::default()
    };
    (1..=5).map(one).collect()
}

/// A load of 20 s, looked at twice a second; what is committed is what `committed` says.
fn samples(committed: impl Fn(f64) -> f64) -> Vec<Sample> {
    let one = |i: u32| {
        let t_s = f64::from(i) * 0.25;
        let produced = t_s.min(20.0) * RATE as f64;
        let looked_s = (t_s * 2.0).floor() / 2.0;
        let lag = looked_s.min(20.0) * RATE as f64 - committed(looked_s);
        Sample {
            t_s,
            produced: produced as u64,
            committed_lag_records: lag as i64,
            committed_lag_at_s: Some(looked_s),
            ..Sample::default()
        }
    };
    (0..100).map(one).collect()
}

/// What was produced when the last completed checkpoint was triggered.
fn at_the_last_barrier(t_s: f64) -> f64 {
    let done = checkpoints().into_iter().rfind(|one| one.completed_s.unwrap() <= t_s);
    done.map_or(0.0, |one| one.triggered_s * RATE as f64)
}

#[test]
fn a_commit_of_what_the_barrier_covers_is_the_formulas_sawtooth() {
    let found = sawtooth(RATE, &checkpoints(), &[], &[], &samples(at_the_last_barrier)).unwrap();
    assert_eq!((found.teeth.len(), found.agrees), (4, Some(true)), "{found:?}");
    let tooth = found.teeth[1];
    assert_eq!((tooth.interval_s, tooth.commit_s), (4.0, 0.5));
    assert_eq!((tooth.low_expected, tooth.high_expected), (500.0, 4_500.0));
}

#[test]
fn commits_that_lag_a_checkpoint_behind_or_run_ahead_disagree() {
    let behind = |t_s: f64| (at_the_last_barrier(t_s) - 4_000.0).max(0.0);
    let found = sawtooth(RATE, &checkpoints(), &[], &[], &samples(behind)).unwrap();
    assert_eq!(found.agrees, Some(false), "{found:?}");
    let ahead = |t_s: f64| t_s.min(20.0) * RATE as f64;
    let found = sawtooth(RATE, &checkpoints(), &[], &[], &samples(ahead)).unwrap();
    assert_eq!(found.agrees, Some(false), "{found:?}");
}

#[test]
fn without_a_whole_tooth_nothing_is_said() {
    let found =
        sawtooth(RATE, &checkpoints()[..1], &[], &[], &samples(at_the_last_barrier)).unwrap();
    assert_eq!((found.teeth.len(), found.agrees), (0, None));
    assert_eq!(sawtooth(0, &checkpoints(), &[], &[], &samples(at_the_last_barrier)), None);
}

#[test]
fn a_tooth_that_a_fault_touched_does_not_count() {
    let fault =
        FaultSummary { fired_s: Some(7.0), recovered_s: Some(8.0), ..FaultSummary::default() };
    let all = checkpoints();
    let found = sawtooth(RATE, &all, &[fault], &[], &samples(at_the_last_barrier)).unwrap();
    let counted: Vec<u64> = found.teeth.iter().map(|tooth| tooth.checkpoint).collect();
    assert_eq!(counted, [2, 4, 5], "the third one was touched");
}
