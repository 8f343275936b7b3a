//! Recoveries, broken down: detect, restart, restore, first output, lag drained.
//!
//! The first three parts are differences of the job's own times; the last two are read off the
//! samples, so they are as fine as those: a quarter of a second, and half a second for the lag.

use stormproof_reports::schema::{Recovery, Sample};

use super::history::{Attempt, History};
use super::nemesis::Tracked;

/// Every recovery, in order.
pub(super) fn recoveries(
    history: &History,
    faults: &[Tracked],
    samples: &[Sample],
    origin_us: u64,
) -> Vec<Recovery> {
    let seconds = |t_us: u64| t_us.saturating_sub(origin_us) as f64 / 1e6;
    let ms = |from_us: u64, to_us: u64| to_us.saturating_sub(from_us) as f64 / 1e3;
    let mut recoveries = Vec::new();
    for pair in history.attempts.windows(2) {
        let (failed, next) = (&pair[0], &pair[1]);
        let Some((failed_us, _)) = failed.failed else { continue };
        let fault = cause(failed, next, faults);
        let fired_us = fault.and_then(|tracked| tracked.fired_us);
        let running_s = next.running_us.map(seconds);
        let first_s = running_s.and_then(|since_s| first_output(samples, since_s));
        let struck_s = seconds(fired_us.unwrap_or(failed_us));
        recoveries.push(Recovery {
            attempt: next.id,
            fault: fault.map(|tracked| tracked.fault.id.to_string()),
            struck_s: Some(struck_s),
            detect_ms: fired_us.map(|fired_us| ms(fired_us, failed_us)),
            restart_ms: Some(ms(failed_us, next.started_us)),
            restore_ms: next.running_us.map(|running_us| ms(next.started_us, running_us)),
            first_output_ms: first_s.zip(running_s).map(|(first, since)| (first - since) * 1e3),
            drained_ms: first_s
                .and_then(|first_s| Some((drained(samples, struck_s, first_s)? - first_s) * 1e3)),
        });
    }
    recoveries
}

/// The fault that struck the failed attempt last before the next one began.
fn cause<'a>(failed: &Attempt, next: &Attempt, faults: &'a [Tracked]) -> Option<&'a Tracked> {
    let struck = |tracked: &&Tracked| {
        (tracked.fault.action.ends_attempt() || tracked.fault.target.is_outside())
            && tracked.fired_us.is_some_and(|t| t >= failed.started_us && t <= next.started_us)
    };
    faults.iter().filter(struck).max_by_key(|tracked| tracked.fired_us)
}

/// The first sample after `since_s` with more effects than there were then.
fn first_output(samples: &[Sample], since_s: f64) -> Option<f64> {
    let then = samples.iter().rev().find(|sample| sample.t_s <= since_s)?.effects;
    samples.iter().find(|s| s.t_s > since_s && s.effects > then).map(|s| s.t_s)
}

/// The first sample from `from_s` on whose lag is no more than before the fault.
fn drained(samples: &[Sample], struck_s: f64, from_s: f64) -> Option<f64> {
    let before = samples.iter().rev().find(|sample| sample.t_s <= struck_s)?.lag_records;
    samples.iter().find(|s| s.t_s >= from_s && s.lag_records <= before).map(|s| s.t_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(t_s: f64, effects: u64, lag_records: i64) -> Sample {
        Sample { t_s, effects, lag_records, ..Sample::default() }
    }

    #[test]
    fn a_recovery_is_the_sum_of_its_parts() {
        let failed = Attempt { id: 1, started_us: 0, ..Attempt::default() };
        let failed = Attempt { failed: Some((2_000_000, "panic".to_owned())), ..failed };
        let next = Attempt {
            id: 2,
            started_us: 2_100_000,
            running_us: Some(2_400_000),
            ..Attempt::default()
        };
        let history = History { attempts: vec![failed, next], ..History::default() };
        let samples =
            [sample(1.9, 100, 10), sample(2.3, 100, 50), sample(2.9, 120, 40), sample(3.4, 200, 9)];
        let all = recoveries(&history, &[], &samples, 0);
        assert_eq!(all.len(), 1);
        let one = &all[0];
        assert_eq!((one.attempt, one.detect_ms, one.struck_s), (2, None, Some(2.0)));
        assert_eq!((one.restart_ms, one.restore_ms), (Some(100.0), Some(300.0)));
        assert!((one.first_output_ms.unwrap() - 500.0).abs() < 1e-6);
        assert!((one.drained_ms.unwrap() - 500.0).abs() < 1e-6);
    }
}
