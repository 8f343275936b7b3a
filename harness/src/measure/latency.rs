//! End-to-end latency of a run, from what the topic and the audit table say, in HdrHistograms.
//!
//! *What is measured:* for each record of the load generator, from a send time to the begin of the
//! transaction that wrote its first effect. Twice: from the intended send time (what a user who
//! does not care for the generator's troubles waited) and from the actual one. Duplicates are
//! counted by the oracle and not measured: they come when the effect is there already. How many
//! records had their first effect by each sample makes the true lag: produced minus those.
//!
//! Invariants: a negative latency is counted, recorded as 0 and never dropped; one that is longer
//! than [`HIGHEST_US`] counts as that. Memory is one bit for each record, and two histograms for
//! each of at most [`INTERVALS`] intervals, and a counter for each sample.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use roaring::RoaringBitmap;
use stormproof_reports::schema::{
    CurvePoint, Latency, LatencyCurve, Quantiles, Sample, SubtaskFigures,
};

use super::subtasks::Subtasks;
use crate::oracle::AuditSource;
use crate::oracle::evidence::{Effect, EvidenceError};
use crate::workload::ledger::Ledger;

/// The longest latency that is told apart: an hour.
const HIGHEST_US: u64 = 3_600_000_000;
/// Significant digits of the whole run's quantiles.
const RUN_DIGITS: u8 = 3;
/// Significant digits of an interval's quantiles.
const INTERVAL_DIGITS: u8 = 2;
/// Points of the kept distribution for each halving of the distance to 1.
const CURVE_TICKS: u32 = 5;
/// Intervals of the run at most; longer runs have longer intervals.
const INTERVALS: usize = 600;

/// The latencies of a run.
#[derive(Debug)]
pub struct Latencies {
    intended: Histogram<u64>,
    actual: Histogram<u64>,
    negative: u64,
    unmeasured: u64,
    intervals: Intervals,
    arrivals: Arrivals,
    subtasks: Subtasks,
    figures: Vec<SubtaskFigures>,
}

/// Effects, and records whose first effect it was, that began between one sample of the timeline
/// and the next.
#[derive(Debug)]
struct Arrivals {
    origin_us: u64,
    /// The moments of the samples, in seconds after the origin, ascending.
    samples_s: Vec<f64>,
    effects: Vec<u64>,
    records: Vec<u64>,
}

impl Arrivals {
    fn new(timeline: &[Sample], origin_us: u64) -> Self {
        let samples_s: Vec<f64> = timeline.iter().map(|sample| sample.t_s).collect();
        let none = vec![0; samples_s.len()];
        Self { origin_us, effects: none.clone(), records: none, samples_s }
    }

    /// What comes after the last sample is not in the timeline.
    fn count(&mut self, t_us: i64, is_first: bool) {
        let t_s = (t_us - self.origin_us as i64) as f64 / 1e6;
        let at = self.samples_s.partition_point(|sample_s| *sample_s < t_s);
        if let (Some(effects), Some(records)) = (self.effects.get_mut(at), self.records.get_mut(at))
        {
            *effects += 1;
            *records += u64::from(is_first);
        }
    }
}

/// Both latencies of the effects of one interval.
#[derive(Debug)]
struct Pair {
    intended: Histogram<u32>,
    actual: Histogram<u32>,
}

/// The run cut into intervals that end with samples of the timeline.
#[derive(Debug)]
struct Intervals {
    origin_us: u64,
    /// The end of each interval, in seconds after the origin, ascending.
    ends_s: Vec<f64>,
    /// Samples of the timeline for each interval.
    samples: usize,
    pairs: Vec<Option<Pair>>,
}

impl Intervals {
    fn new(timeline: &[Sample], origin_us: u64) -> Self {
        let samples = timeline.len().div_ceil(INTERVALS).max(1);
        let ends_s: Vec<f64> =
            timeline.chunks(samples).filter_map(|group| Some(group.last()?.t_s)).collect();
        let pairs = ends_s.iter().map(|_| None).collect();
        Self { origin_us, ends_s, samples, pairs }
    }

    /// The interval of a moment; what comes after the last sample belongs to the last interval.
    fn at(&mut self, t_us: i64) -> Option<&mut Pair> {
        let t_s = (t_us - self.origin_us as i64) as f64 / 1e6;
        let at = self.ends_s.partition_point(|end_s| *end_s < t_s);
        let last = self.pairs.len().checked_sub(1)?;
        Some(self.pairs[at.min(last)].get_or_insert_with(|| Pair {
            intended: histogram(INTERVAL_DIGITS),
            actual: histogram(INTERVAL_DIGITS),
        }))
    }
}

fn histogram<C: hdrhistogram::Counter>(digits: u8) -> Histogram<C> {
    Histogram::new_with_bounds(1, HIGHEST_US, digits).expect("the bounds are a range")
}

/// Streams the audit table once more and measures; `timeline` and `origin_us` cut the intervals.
///
/// # Errors
/// When the audit table cannot be read.
pub fn measure(
    ledger: &Ledger,
    audit: &mut dyn AuditSource,
    timeline: &[Sample],
    origin_us: u64,
) -> Result<Latencies, EvidenceError> {
    let mut seen = vec![RoaringBitmap::new(); ledger.partitions().len()];
    let mut latencies = Latencies {
        intended: histogram(RUN_DIGITS),
        actual: histogram(RUN_DIGITS),
        negative: 0,
        unmeasured: 0,
        intervals: Intervals::new(timeline, origin_us),
        arrivals: Arrivals::new(timeline, origin_us),
        subtasks: Subtasks::default(),
        figures: Vec::new(),
    };
    audit.effects(&mut |effect| latencies.take(ledger, &mut seen, effect))?;
    latencies.figures = latencies.subtasks.figures(ledger);
    Ok(latencies)
}

impl Latencies {
    fn take(&mut self, ledger: &Ledger, seen: &mut [RoaringBitmap], effect: &Effect) {
        // An effect of no record is the oracle's business.
        let Some(slot) = ledger.slot(effect.partition) else { return };
        let partition = &ledger.partitions()[slot];
        let Some(relative) = partition.relative(effect.offset) else { return };
        if partition.position(effect.offset).is_none() {
            return;
        }
        self.subtasks.effect(effect.subtask);
        let is_first = seen[slot].insert(relative);
        self.arrivals.count(effect.sent_us, is_first);
        if !is_first {
            return;
        }
        match partition.send_times(effect.offset) {
            Some(times) => {
                let latency_us = recorded(effect.sent_us - times.intended_us);
                self.subtasks.first_effect(effect.subtask, latency_us);
                self.record(effect.sent_us - times.intended_us, effect.sent_us - times.actual_us);
                if let Some(pair) = self.intervals.at(effect.sent_us) {
                    pair.intended.saturating_record(latency_us);
                    pair.actual.saturating_record(recorded(effect.sent_us - times.actual_us));
                }
            }
            None => self.unmeasured += 1,
        }
    }

    fn record(&mut self, intended_us: i64, actual_us: i64) {
        self.negative += u64::from(intended_us.min(actual_us) < 0);
        self.intended.saturating_record(recorded(intended_us));
        self.actual.saturating_record(recorded(actual_us));
    }

    /// The figures for the result; `None` when no record had times.
    pub fn summary(&self) -> Option<Latency> {
        (!self.intended.is_empty()).then(|| Latency {
            intended: quantiles(&self.intended),
            actual: quantiles(&self.actual),
            samples: self.intended.len(),
            negative: self.negative,
            unmeasured: self.unmeasured,
        })
    }

    /// The distribution, for the percentile plot; `None` when no record had times.
    pub fn curve(&self) -> Option<LatencyCurve> {
        (!self.intended.is_empty())
            .then(|| LatencyCurve { intended: curve(&self.intended), actual: curve(&self.actual) })
    }

    /// The figures of every subtask.
    pub fn subtasks(&self) -> &[SubtaskFigures] {
        &self.figures
    }

    /// Writes the quantiles of each interval into its samples, and into each sample the true lag
    /// and the effects: when they came, not when somebody had counted them. `timeline` is the one
    /// measured by.
    pub fn fill(&self, timeline: &mut [Sample]) {
        let (mut arrived, mut written, mut then_s) = (0, 0, 0.0);
        let counted = self.arrivals.records.iter().zip(&self.arrivals.effects);
        for (sample, (records, effects)) in timeline.iter_mut().zip(counted) {
            arrived += records;
            written += effects;
            sample.lag_records = sample.produced as i64 - arrived as i64;
            sample.effects = written;
            sample.rate_out_per_s = *effects as f64 / (sample.t_s - then_s).max(1e-3);
            then_s = sample.t_s;
        }
        for (group, pair) in timeline.chunks_mut(self.intervals.samples).zip(&self.intervals.pairs)
        {
            let Some(pair) = pair else { continue };
            let ms = |of: &Histogram<u32>, q| Some(of.value_at_quantile(q) as f64 / 1e3);
            for sample in group {
                sample.latency_p50_ms = ms(&pair.intended, 0.5);
                sample.latency_p99_ms = ms(&pair.intended, 0.99);
                sample.latency_actual_p50_ms = ms(&pair.actual, 0.5);
                sample.latency_actual_p99_ms = ms(&pair.actual, 0.99);
            }
        }
    }

    /// Writes every interval's histograms as an HdrHistogram log (microseconds; tags `intended`
    /// and `actual`), which the tools of that format read.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, file: &Path, started: SystemTime) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(file)?);
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("latency in microseconds, from a send time to the first effect's begin")
            .with_start_time(started)
            .with_base_time(started)
            .begin_log_with(&mut out, &mut serializer)?;
        let broken = |error| io::Error::other(format!("{error:?}"));
        let mut from_s = 0.0;
        for (end_s, pair) in self.intervals.ends_s.iter().zip(&self.intervals.pairs) {
            if let Some(pair) = pair {
                let start = Duration::from_secs_f64(f64::max(from_s, 0.0));
                let length = Duration::from_secs_f64((end_s - from_s).max(0.0));
                for (tag, histogram) in [("intended", &pair.intended), ("actual", &pair.actual)] {
                    log.write_histogram(histogram, start, length, Tag::new(tag)).map_err(broken)?;
                }
            }
            from_s = *end_s;
        }
        drop(log);
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// What a latency is recorded as; the histogram's lowest value stands for everything below it.
fn recorded(latency_us: i64) -> u64 {
    latency_us.max(0).unsigned_abs()
}

/// The quantiles at which the distribution is kept: [`CURVE_TICKS`] for each half of what is left.
fn curve(of: &Histogram<u64>) -> Vec<CurvePoint> {
    of.iter_quantiles(CURVE_TICKS)
        .map(|at| CurvePoint { q: at.quantile_iterated_to(), us: at.value_iterated_to() })
        .collect()
}

fn quantiles(of: &Histogram<u64>) -> Quantiles {
    Quantiles {
        p50_us: of.value_at_quantile(0.5),
        p90_us: of.value_at_quantile(0.9),
        p99_us: of.value_at_quantile(0.99),
        p999_us: of.value_at_quantile(0.999),
        max_us: of.max(),
    }
}

#[cfg(test)]
#[path = "latency_tests.rs"]
mod tests;
