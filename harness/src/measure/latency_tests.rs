//! Latencies of effects whose times are known.

use super::*;
use crate::oracle::{AttemptId, CheckpointId, MemoryAudit};
use crate::workload::ledger::{LedgerBuilder, Offset, PartitionId};

/// The origin of these runs: not zero, so that nobody forgets it.
const ORIGIN_US: u64 = 5_000_000;

fn ledger(records: u64, late_us: u32) -> Ledger {
    let mut builder = LedgerBuilder::new();
    for n in 0..records {
        let mut value = n.to_le_bytes().to_vec();
        value.extend_from_slice(&intended_us(n).to_le_bytes());
        value.extend_from_slice(&late_us.to_le_bytes());
        builder.push(PartitionId(0), Offset(n), Some(b"k0-1"), Some(&value)).unwrap();
    }
    // Written by somebody else.
    builder.push(PartitionId(1), Offset(0), Some(b"key"), Some(b"value")).unwrap();
    builder.finish().unwrap()
}

fn intended_us(n: u64) -> i64 {
    (ORIGIN_US + n * 1_000) as i64
}

fn effect(partition: u32, offset: u64, sent_us: i64) -> Effect {
    Effect {
        seq: 0,
        partition: PartitionId(partition),
        offset: Offset(offset),
        index: 0,
        source_attempt: AttemptId(1),
        sink_attempt: AttemptId(1),
        subtask: 0,
        tag: CheckpointId(0),
        batch: 0,
        batch_try: 0,
        sent_us,
    }
}

fn timeline(samples: u64) -> Vec<Sample> {
    (1..=samples).map(|n| Sample { t_s: n as f64, ..Sample::default() }).collect()
}

fn near(shown: u64, expected: u64) -> bool {
    shown.abs_diff(expected) <= expected / 500
}

#[test]
fn both_latencies_are_quantiles_of_first_effects() {
    let ledger = ledger(1_000, 300);
    // Record n takes 10 ms plus n us; a duplicate an hour later changes nothing.
    let effects = (0..1_000).map(|n| effect(0, n, intended_us(n) + 10_000 + n as i64));
    let mut effects: Vec<Effect> = effects.collect();
    effects.push(effect(0, 5, intended_us(5) + HIGHEST_US as i64));
    effects.push(effect(1, 0, intended_us(5)));
    effects.push(effect(0, 999_999, 0));
    effects.push(effect(77, 0, 0));
    let mut audit = MemoryAudit { effects, ..MemoryAudit::default() };
    let measured = measure(&ledger, &mut audit, &timeline(3), ORIGIN_US).unwrap();
    let latency = measured.summary().unwrap();
    assert_eq!((latency.samples, latency.negative, latency.unmeasured), (1_000, 0, 1));
    assert!(near(latency.intended.p50_us, 10_500), "{latency:?}");
    assert!(near(latency.intended.p99_us, 10_990), "{latency:?}");
    assert!(near(latency.intended.max_us, 10_999), "{latency:?}");
    assert!(near(latency.actual.p50_us, 10_200), "{latency:?}");
    let curve = measured.curve().unwrap();
    let (first, last) = (curve.intended.first().unwrap(), curve.intended.last().unwrap());
    assert!(first.q < 0.01 && near(first.us, 10_000), "{first:?}");
    assert!(last.q > 0.999 && near(last.us, 10_999), "{last:?}");
    assert!(curve.intended.windows(2).all(|pair| pair[0].q <= pair[1].q));
    let written = measured.subtasks().iter().find(|f| f.what == "effects written").unwrap();
    assert_eq!(written.values, [1_002], "duplicates included, phantoms not");
}

#[test]
fn a_negative_latency_is_counted_and_kept() {
    let ledger = ledger(3, 50);
    let effects = vec![
        effect(0, 0, intended_us(0) - 7),
        effect(0, 1, intended_us(1) + 20),
        effect(0, 2, intended_us(2) + 90),
    ];
    let mut audit = MemoryAudit { effects, ..MemoryAudit::default() };
    let measured = measure(&ledger, &mut audit, &timeline(1), ORIGIN_US).unwrap();
    let latency = measured.summary().unwrap();
    // The second one came before its record was handed over.
    assert_eq!((latency.samples, latency.negative), (3, 2));
    assert_eq!((latency.intended.p50_us, latency.actual.p50_us), (20, 0));
}

#[test]
fn without_times_there_is_no_latency() {
    let ledger = ledger(0, 0);
    let mut audit = MemoryAudit { effects: vec![effect(1, 0, 9)], ..MemoryAudit::default() };
    let measured = measure(&ledger, &mut audit, &[], ORIGIN_US).unwrap();
    assert_eq!(measured.summary(), None);
}

#[test]
fn intervals_are_those_of_the_timeline_and_bounded() {
    let ledger = ledger(4_000, 0);
    // Effects of the second second take ten times as long.
    let effects = (0..4_000_u64).filter(|n| *n < 1_900 || *n >= 3_000).map(|n| {
        let slow = (1_000..2_000).contains(&n);
        effect(0, n, intended_us(n) + if slow { 50_000 } else { 5_000 })
    });
    let mut audit = MemoryAudit { effects: effects.collect(), ..MemoryAudit::default() };
    let mut samples = timeline(5);
    let measured = measure(&ledger, &mut audit, &samples, ORIGIN_US).unwrap();
    measured.fill(&mut samples);
    let p50 = |at: usize| samples[at].latency_p50_ms;
    assert!(p50(0).is_some_and(|ms| (4.9..5.1).contains(&ms)), "{:?}", p50(0));
    assert!(p50(1).is_some_and(|ms| (49.5..50.5).contains(&ms)), "{:?}", p50(1));
    assert_eq!(p50(2), None, "nothing was written in the third second");
    assert!(samples[3].latency_actual_p99_ms.is_some());

    let mut many = timeline(5_000);
    let measured = measure(&ledger, &mut audit, &many, ORIGIN_US).unwrap();
    assert!(measured.intervals.pairs.len() <= INTERVALS);
    measured.fill(&mut many);
    assert!(many[0].latency_p50_ms.is_some(), "every sample of an interval has its quantiles");
}

#[test]
fn the_log_is_read_back_by_the_crates_own_reader() {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    let ledger = ledger(2_000, 0);
    let effects = (0..2_000).map(|n| effect(0, n, intended_us(n) + 1_000)).collect();
    let mut audit = MemoryAudit { effects, ..MemoryAudit::default() };
    let measured = measure(&ledger, &mut audit, &timeline(4), ORIGIN_US).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("latency.hlog");
    measured.save(&file, SystemTime::now()).unwrap();
    let log = std::fs::read(&file).unwrap();
    let intervals: Vec<(String, f64)> = IntervalLogIterator::new(&log)
        .filter_map(|entry| match entry.unwrap() {
            LogEntry::Interval(one) => Some((one.tag()?.as_str().to_owned(), one.max())),
            _ => None,
        })
        .collect();
    assert_eq!(intervals.len(), 4, "two seconds, both latencies: {intervals:?}");
    assert_eq!(intervals.iter().filter(|(tag, _)| tag == "intended").count(), 2);
}

#[test]
fn the_true_lag_counts_first_effects_only() {
    let ledger = ledger(10, 0);
    let moment = |n: u64| (ORIGIN_US + n * 300_000) as i64;
    let mut effects: Vec<Effect> = (0..10).map(|n| effect(0, n, moment(n))).collect();
    effects.extend((0..10).map(|n| effect(0, n, moment(9))));
    let mut timeline = timeline(3);
    for (sample, produced) in timeline.iter_mut().zip([5, 8, 10]) {
        sample.produced = produced;
    }
    let mut audit = MemoryAudit { effects, ..MemoryAudit::default() };
    let latencies = measure(&ledger, &mut audit, &timeline, ORIGIN_US).unwrap();
    latencies.fill(&mut timeline);
    let lags: Vec<i64> = timeline.iter().map(|sample| sample.lag_records).collect();
    assert_eq!(lags, [1, 1, 0]);
    let effects: Vec<u64> = timeline.iter().map(|sample| sample.effects).collect();
    assert_eq!(effects, [4, 7, 20], "when they came");
    assert!((timeline[2].rate_out_per_s - 13.0).abs() < 1e-9, "{}", timeline[2].rate_out_per_s);
}
