//! How much each fault hurt: for how long nothing came out, how much piled up, what it doubled.
//!
//! Invariants: a fault answers only for the time until the next one strikes; silence counts only
//! while records wait. What comes from the samples is as fine as those (a quarter of a second).
//! It ranks what was measured and judges nothing.

use crate::figures::{count, counted, millis};
use crate::schema::{CheckResult, FaultSummary, RunResult, Sample, Seen, Witness};
use crate::text;

/// What one fault did to the job.
pub(crate) struct Harm<'a> {
    /// The fault.
    pub(crate) fault: &'a FaultSummary,
    /// The longest time without a new effect while records waited, milliseconds.
    pub(crate) silence_ms: f64,
    /// The most records that waited; `None` without samples.
    pub(crate) waiting: Option<u64>,
    /// The highest 99th percentile of the latency, milliseconds.
    pub(crate) p99_ms: Option<f64>,
    /// Duplicates of the failure that it caused.
    pub(crate) duplicates: Option<u64>,
    /// Witnesses whose record got lost in the recovery from it.
    pub(crate) lost: usize,
}

/// Every fault that landed, the worst first.
pub(crate) fn ranked(result: &RunResult) -> Vec<Harm<'_>> {
    let landed = || result.faults.iter().filter(|fault| fault.landed);
    let mut strikes: Vec<f64> = landed().filter_map(|fault| fault.fired_s).collect();
    strikes.sort_by(f64::total_cmp);
    let mut all: Vec<Harm<'_>> = landed()
        .filter_map(|fault| {
            let from = fault.fired_s.filter(|fired| fired.is_finite())?;
            let next = strikes.iter().find(|strike| **strike > from).copied();
            Some(harm(result, fault, from, next.unwrap_or(f64::INFINITY)))
        })
        .collect();
    all.sort_by(|a, b| {
        let by_loss = b.lost.cmp(&a.lost);
        by_loss
            .then(b.silence_ms.total_cmp(&a.silence_ms))
            .then(b.waiting.cmp(&a.waiting))
            .then(b.duplicates.cmp(&a.duplicates))
    });
    all
}

fn harm<'a>(result: &RunResult, fault: &'a FaultSummary, from: f64, to: f64) -> Harm<'a> {
    let start = result.timeline.partition_point(|sample| sample.t_s < from);
    let end = result.timeline.partition_point(|sample| sample.t_s < to);
    let window = result.timeline.get(start..end).unwrap_or_default();
    let recoveries = result.recoveries.iter().filter(|one| one.fault.as_deref() == Some(&fault.id));
    let outages = recoveries.clone().filter_map(|one| one.outage_ms());
    let failed: Vec<u32> = recoveries.map(|one| one.attempt.saturating_sub(1)).collect();
    let ends = result.failures.iter().filter(|end| failed.contains(&end.attempt));
    // What is lost never comes: nobody waits for it.
    let gone = result.lost.and_then(|lost| i64::try_from(lost).ok()).unwrap_or(0);
    let before = result.timeline[..start.min(result.timeline.len())].last();
    Harm {
        fault,
        // The parts of a recovery are finer than the samples.
        silence_ms: outages.reduce(f64::max).unwrap_or_else(|| silence_ms(before, window, gone)),
        waiting: window.iter().map(|s| u64::try_from(s.lag_records - gone).unwrap_or(0)).max(),
        p99_ms: window.iter().filter_map(|sample| sample.latency_p99_ms).reduce(f64::max),
        duplicates: ends.map(|end| end.duplicates).reduce(|a, b| a + b),
        lost: lost_to(result, &fault.id),
    }
}

/// Witnesses whose record got lost in the recovery from a fault, by the check that has most.
fn lost_to(result: &RunResult, fault: &str) -> usize {
    let is_lost = |witness: &&Witness| {
        witness.passage.as_ref().is_some_and(|passage| {
            passage.fault.as_deref() == Some(fault)
                && passage.hops.last().is_some_and(|hop| hop.seen == Seen::Missing)
        })
    };
    let of = |check: &CheckResult| check.witnesses.iter().filter(is_lost).count();
    result.checks.iter().map(of).max().unwrap_or(0)
}

/// The longest stretch of samples in which no effect came while records waited.
fn silence_ms(before: Option<&Sample>, window: &[Sample], gone: i64) -> f64 {
    let mut longest: f64 = 0.0;
    let mut last = before.or(window.first());
    for sample in window {
        let Some(since) = last else { break };
        if sample.effects > since.effects || sample.lag_records <= gone {
            last = Some(sample);
        } else {
            longest = longest.max(sample.t_s - since.t_s);
        }
    }
    longest * 1000.0
}

/// Which fault hurt most, in one sentence; `None` when none landed.
pub(crate) fn worst(result: &RunResult) -> Option<String> {
    let ranked = ranked(result);
    let worst = ranked.first()?;
    let fault = worst.fault;
    let mut said =
        format!("{}: {}", text::line(&fault.id, text::NAME), text::line(&fault.what, text::CELL));
    if let Some(checkpoint) = fault.checkpoint.filter(|_| fault.mid_checkpoint) {
        said += &format!(", in the middle of checkpoint {checkpoint}");
    }
    if worst.lost > 0 {
        said += ". Records were lost in the recovery from it";
    }
    said += &match worst.silence_ms {
        ms if ms > 0.0 => format!(". No new effect for {}", millis(ms)),
        _ => ". The output never stopped".to_owned(),
    };
    if let Some(waiting) = worst.waiting.filter(|waiting| *waiting > 0) {
        said += &format!(", at most {} waiting", counted(waiting, "record"));
    }
    if let Some(duplicates) = worst.duplicates {
        said += &format!(", {} duplicates", count(duplicates));
    }
    Some(said + ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{AttemptEnd, Hop, Passage, Recovery};

    fn sample(t_s: f64, effects: u64, lag_records: i64) -> Sample {
        Sample { t_s, effects, lag_records, ..Sample::default() }
    }

    fn fault(id: &str, fired_s: f64) -> FaultSummary {
        let what = "panic of sink[3]".to_owned();
        FaultSummary {
            id: id.into(),
            what,
            fired_s: Some(fired_s),
            landed: true,
            ..Default::default()
        }
    }

    #[test]
    fn a_fault_answers_until_the_next_one_strikes() {
        let result = RunResult {
            faults: vec![fault("f1", 1.5), fault("f2", 4.5)],
            timeline: vec![
                sample(1.0, 10, 5),
                sample(2.0, 10, 30),
                sample(3.0, 40, 9),
                sample(4.0, 50, 3),
                sample(5.0, 50, 80),
                sample(6.0, 50, 90),
                sample(7.0, 99, 0),
                sample(9.0, 99, 0),
            ],
            ..RunResult::default()
        };
        let ranked = ranked(&result);
        let told: Vec<_> =
            ranked.iter().map(|h| (h.fault.id.as_str(), h.silence_ms, h.waiting)).collect();
        assert_eq!(told, [("f2", 2000.0, Some(90)), ("f1", 1000.0, Some(30))]);
        let said = worst(&result).expect("two landed");
        let expected =
            "f2: panic of sink[3]. No new effect for 2.00 s, at most 90 records waiting.";
        assert_eq!(said, expected);
    }

    #[test]
    fn a_loss_hurts_more_than_silence_and_is_waited_for_by_nobody() {
        let hop = Hop { seen: Seen::Missing, ..Hop::default() };
        let way = Passage { hops: vec![hop], fault: Some("f1".into()), ..Passage::default() };
        let witness = Witness { passage: Some(way), ..Witness::default() };
        let check = CheckResult { witnesses: vec![witness], ..CheckResult::default() };
        let result = RunResult {
            lost: Some(7),
            faults: vec![fault("f1", 0.5), fault("f2", 1.5)],
            timeline: vec![sample(1.0, 10, 9), sample(2.0, 20, 8), sample(9.0, 20, 7)],
            checks: vec![check],
            ..RunResult::default()
        };
        let ranked = ranked(&result);
        let told: Vec<_> =
            ranked.iter().map(|h| (h.fault.id.as_str(), h.lost, h.silence_ms, h.waiting)).collect();
        assert_eq!(told, [("f1", 1, 0.0, Some(2)), ("f2", 0, 0.0, Some(1))]);
        assert!(worst(&result).is_some_and(|said| said.contains("lost in the recovery from it")));
    }

    #[test]
    fn a_recovery_brings_its_outage_and_its_duplicates() {
        let part = Some(700.0);
        let result = RunResult {
            faults: vec![fault("f1", 1.5)],
            recoveries: vec![Recovery {
                attempt: 2,
                fault: Some("f1".into()),
                detect_ms: part,
                restart_ms: part,
                restore_ms: part,
                first_output_ms: part,
                ..Recovery::default()
            }],
            failures: vec![AttemptEnd { attempt: 1, duplicates: 12, ..AttemptEnd::default() }],
            ..RunResult::default()
        };
        let ranked = ranked(&result);
        assert_eq!((ranked[0].silence_ms, ranked[0].duplicates), (2800.0, Some(12)));
        assert_eq!(worst(&RunResult::default()), None);
    }
}
