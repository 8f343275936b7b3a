//! Committed lag against the formula of the sawtooth.
//!
//! A commit at the completion of a checkpoint covers what was read when its barrier began, so right
//! after it the lag is low = r·d, and right before the next one it is high = r·(T + d): r the
//! rate, d from trigger to completion, T from one completion to the next. The lag is the outside
//! monitor's: what the broker said at the moment it was asked. Invariant: a tooth counts only if
//! the load ran through all of it and its attempt did too, no fault touched it, and it is long
//! enough for the monitor to see it; nothing here is part of a verdict.

use stormproof_reports::schema::{
    CheckpointStatus, CheckpointSummary, FaultSummary, Recovery, Sample, Sawtooth, Tooth,
};

/// Between two looks at the broker, and between two samples: a tip is seen that late.
const SEEN_LATE_S: f64 = 0.8;
/// Shorter ones are over before the monitor has seen both of their ends.
const SHORTEST_S: f64 = 2.0 * SEEN_LATE_S;
/// At least one look in a tooth sees it before its end.
const LOOKS_AT_LEAST: usize = 2;

/// What a run's samples say; `None` without a load.
pub(super) fn sawtooth(
    rate_per_s: u64,
    checkpoints: &[CheckpointSummary],
    faults: &[FaultSummary],
    recoveries: &[Recovery],
    samples: &[Sample],
) -> Option<Sawtooth> {
    let rate_per_s = (rate_per_s > 0).then_some(rate_per_s as f64)?;
    let looks = looks(samples);
    let (first, last) = load(samples)?;
    let completed: Vec<_> = checkpoints
        .iter()
        .filter(|checkpoint| checkpoint.status == CheckpointStatus::Completed)
        .filter_map(|checkpoint| Some((checkpoint, checkpoint.completed_s?)))
        .collect();
    let was_replaying = |attempt| recoveries.iter().any(|recovery| recovery.attempt == attempt);
    let mut teeth = Vec::new();
    for pair in completed.windows(2) {
        let ((before, since_s), (checkpoint, until_s)) = (pair[0], pair[1]);
        let is_whole = since_s - SEEN_LATE_S > first && until_s + SEEN_LATE_S < last;
        // The first tooth after a restore has what the failure held back in it.
        let is_calm = before.attempt == checkpoint.attempt
            && (!was_replaying(checkpoint.attempt) || !is_first(&completed, before));
        let seen: Vec<f64> = looks
            .iter()
            .filter(|(at_s, _)| (since_s..until_s + SEEN_LATE_S).contains(at_s))
            .map(|(_, records)| *records)
            .collect();
        let (interval_s, commit_s) = (until_s - since_s, until_s - checkpoint.triggered_s);
        let is_seen = interval_s >= SHORTEST_S && seen.len() >= LOOKS_AT_LEAST;
        if !is_whole || !is_calm || !is_seen || is_touched(faults, before.triggered_s, until_s) {
            continue;
        }
        // The tooth begins with the commit of the checkpoint before it.
        let before_s = since_s - before.triggered_s;
        teeth.push(Tooth {
            checkpoint: checkpoint.id,
            interval_s,
            commit_s,
            low_records: seen.iter().copied().fold(f64::INFINITY, f64::min),
            low_expected: rate_per_s * before_s.min(commit_s),
            high_records: seen.iter().copied().fold(0.0, f64::max),
            high_expected: rate_per_s * (interval_s + before_s),
        });
    }
    let tolerance_records = rate_per_s * SEEN_LATE_S;
    let is_near = |seen: f64, expected: f64| (seen - expected).abs() <= tolerance_records;
    let agrees = |tooth: &Tooth| {
        is_near(tooth.low_records, tooth.low_expected)
            && is_near(tooth.high_records, tooth.high_expected)
    };
    let agrees = (!teeth.is_empty()).then(|| teeth.iter().all(agrees));
    Some(Sawtooth { rate_per_s, tolerance_records, teeth, agrees })
}

/// Whether a fault was about between the two.
fn is_touched(faults: &[FaultSummary], since_s: f64, until_s: f64) -> bool {
    faults.iter().any(|fault| {
        let over_s = fault.recovered_s.or(fault.healed_s).unwrap_or(f64::INFINITY);
        fault.fired_s.is_some_and(|fired_s| fired_s < until_s && over_s > since_s)
    })
}

/// Whether it is the first completed checkpoint of its attempt.
fn is_first(completed: &[(&CheckpointSummary, f64)], one: &CheckpointSummary) -> bool {
    let of_attempt = |(other, _): &&(&CheckpointSummary, f64)| other.attempt == one.attempt;
    completed.iter().find(of_attempt).is_some_and(|(first, _)| first.id == one.id)
}

/// Each look of the monitor once, with its own time.
fn looks(samples: &[Sample]) -> Vec<(f64, f64)> {
    let seen =
        |sample: &Sample| Some((sample.committed_lag_at_s?, sample.committed_lag_records as f64));
    let mut looks: Vec<_> = samples.iter().filter_map(seen).collect();
    looks.dedup();
    looks
}

/// When the load began and ended, as the samples saw it.
fn load(samples: &[Sample]) -> Option<(f64, f64)> {
    let all = samples.last()?.produced;
    let before = samples.first()?.produced;
    let first = samples.iter().find(|sample| sample.produced > before)?;
    let last = samples.iter().rev().find(|sample| sample.produced < all)?;
    Some((first.t_s, last.t_s))
}

#[cfg(test)]
#[path = "sawtooth_tests.rs"]
mod tests;
