//! Every figure of a result that can be compared, by name: one list for all tables.
//!
//! Invariants: a figure that does not exist is absent, never zero; ids are stable, their units
//! stand at their ends. Values within the run are kept where there are some, for intervals.

use crate::figures::{bytes, count, decimal, figure, micros, millis, seconds};
use crate::schema::{CheckpointStatus, CheckpointSummary, Quantiles, RunResult, Sample};

/// What a higher value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// More is better.
    More,
    /// Less is better.
    Less,
    /// It says nothing about better or worse.
    Neither,
}

/// A figure's unit, and how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A count.
    Count,
    /// Records for each second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
}

/// Values of one run that a figure is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Within {
    /// There are none.
    Nothing,
    /// One for each checkpoint or recovery.
    Each(Vec<f64>),
    /// A series over time.
    Series(Vec<f64>),
}

/// One figure of one result.
#[derive(Debug, Clone)]
pub(crate) struct Measure {
    /// Its stable name, unit at the end.
    pub(crate) id: &'static str,
    /// Its name for people.
    pub(crate) name: &'static str,
    /// Its unit.
    pub(crate) unit: Unit,
    /// What more of it means.
    pub(crate) better: Better,
    /// Its value.
    pub(crate) value: f64,
    /// What it is made of.
    pub(crate) within: Within,
}

impl Unit {
    /// A value for people.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => crate::figures::NONE.to_owned(),
            Self::Count if value >= 0.0 => count(value.round() as u64),
            Self::Count => figure(value),
            Self::PerSecond => format!("{}/s", decimal(value, 0)),
            Self::Bytes if value >= 0.0 => bytes(value as u64),
            Self::Bytes => format!("−{}", bytes(-value as u64)),
            Self::Seconds => seconds(value),
            Self::Millis => millis(value),
            Self::Micros if value >= 0.0 => micros(value as u64),
            Self::Micros => format!("−{}", micros(-value as u64)),
        }
    }
}

/// All figures that a result has, in the order in which they are shown.
pub(crate) fn measures(result: &RunResult) -> Vec<Measure> {
    let mut all = Vec::new();
    throughput(&mut all, result);
    latency(&mut all, result);
    checkpoints(&mut all, result);
    recoveries(&mut all, result);
    totals(&mut all, result);
    all
}

type Row = (&'static str, &'static str, Unit, Better);

fn push(all: &mut Vec<Measure>, row: Row, value: Option<f64>, within: Within) {
    let (id, name, unit, better) = row;
    if let Some(value) = value.filter(|value| value.is_finite()) {
        all.push(Measure { id, name, unit, better, value, within });
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures are shown to three digits")]
fn whole(n: u64) -> Option<f64> {
    Some(n as f64)
}

fn throughput(all: &mut Vec<Measure>, result: &RunResult) {
    use {Better::More, Unit::PerSecond};
    let rate = Some(result.records_per_s).filter(|rate| *rate > 0.0);
    push(all, ("records_per_s", "throughput", PerSecond, More), rate, Within::Nothing);
    // While there is load: the silence before and after it is the scenario's.
    let loaded = |s: &&Sample| s.rate_in_per_s > 0.0;
    let rates: Vec<f64> =
        result.timeline.iter().filter(loaded).map(|sample| sample.rate_out_per_s).collect();
    let row = ("rate_out_median_per_s", "effects per second under load, median", PerSecond, More);
    push(all, row, crate::stats::median(&rates), Within::Series(rates));
}

fn latency(all: &mut Vec<Measure>, result: &RunResult) {
    use {Better::Less, Unit::Micros, Unit::Millis};
    let pick = |pick: fn(&Sample) -> Option<f64>| -> Vec<f64> {
        result.timeline.iter().filter_map(pick).collect()
    };
    for (row, series) in [
        (
            ("latency_p50_over_time_ms", "latency p50 of an interval, median", Millis, Less),
            pick(|sample| sample.latency_p50_ms),
        ),
        (
            ("latency_p99_over_time_ms", "latency p99 of an interval, median", Millis, Less),
            pick(|sample| sample.latency_p99_ms),
        ),
    ] {
        push(all, row, crate::stats::median(&series), Within::Series(series));
    }
    let Some(latency) = &result.latency else { return };
    let of = |row: Row, q: &Quantiles, pick: fn(&Quantiles) -> u64| (row, pick(q));
    for (row, us) in [
        of(("latency_p50_us", "latency p50, intended", Micros, Less), &latency.intended, |q| {
            q.p50_us
        }),
        of(("latency_p99_us", "latency p99, intended", Micros, Less), &latency.intended, |q| {
            q.p99_us
        }),
        of(
            ("latency_max_us", "latency, highest, intended", Micros, Less),
            &latency.intended,
            |q| q.max_us,
        ),
        of(("latency_actual_p99_us", "latency p99, actual", Micros, Less), &latency.actual, |q| {
            q.p99_us
        }),
    ] {
        push(all, row, whole(us), Within::Nothing);
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures are shown to three digits")]
fn checkpoints(all: &mut Vec<Measure>, result: &RunResult) {
    use {Better::Less, Unit::Bytes, Unit::Millis};
    let completed: Vec<&CheckpointSummary> = result
        .checkpoints
        .iter()
        .filter(|c| c.status == CheckpointStatus::Completed && c.completed_s.is_some())
        .collect();
    type Pick = fn(&CheckpointSummary) -> Option<f64>;
    let parts: [(Row, Pick); 7] = [
        (("checkpoint_ms", "checkpoint, trigger to durable", Millis, Less), |c| {
            c.completed_s.map(|end| (end - c.triggered_s) * 1e3)
        }),
        (("checkpoint_start_delay_ms", "checkpoint start delay", Millis, Less), |c| {
            c.start_delay_ms
        }),
        (("checkpoint_alignment_ms", "checkpoint alignment", Millis, Less), |c| {
            Some(c.alignment_ms)
        }),
        (("checkpoint_sync_ms", "checkpoint, synchronous part", Millis, Less), |c| Some(c.sync_ms)),
        (("checkpoint_async_ms", "checkpoint, asynchronous part", Millis, Less), |c| {
            Some(c.async_ms)
        }),
        (("checkpoint_state_bytes", "checkpoint size", Bytes, Less), |c| {
            Some(c.state_bytes as f64)
        }),
        (("checkpoint_in_flight_bytes", "checkpoint size in flight", Bytes, Less), |c| {
            Some(c.in_flight_bytes as f64)
        }),
    ];
    for (row, pick) in parts {
        let values: Vec<f64> = completed.iter().filter_map(|c| pick(c)).collect();
        push(all, row, crate::stats::median(&values), Within::Each(values));
    }
}

fn recoveries(all: &mut Vec<Measure>, result: &RunResult) {
    use {Better::Less, Unit::Count, Unit::Millis};
    let outages: Vec<f64> = result.recoveries.iter().filter_map(|r| r.outage_ms()).collect();
    let drained: Vec<f64> = result.recoveries.iter().filter_map(|r| r.drained_ms).collect();
    let restores: Vec<f64> = result.recoveries.iter().filter_map(|r| r.restore_ms).collect();
    let doubled: Vec<f64> =
        result.failures.iter().filter_map(|end| whole(end.duplicates)).collect();
    for (row, values) in [
        (("outage_ms", "outage, fault to first output", Millis, Less), outages),
        (("restore_ms", "restore", Millis, Less), restores),
        (("drained_ms", "first output to drained", Millis, Less), drained),
        (("duplicates_of_a_failure", "duplicates of a failure", Count, Less), doubled),
    ] {
        push(all, row, crate::stats::median(&values), Within::Each(values));
    }
}

fn totals(all: &mut Vec<Measure>, result: &RunResult) {
    use {Better::Less, Better::Neither, Unit::Bytes, Unit::Count, Unit::Seconds};
    let rss = Some(result.peak_rss_bytes).filter(|bytes| *bytes > 0).and_then(whole);
    for (row, value) in [
        (("peak_rss_bytes", "peak memory", Bytes, Less), rss),
        (("lost", "records lost", Count, Less), result.lost.and_then(whole)),
        (("duplicates", "duplicates", Count, Neither), result.duplicates.and_then(whole)),
        (("records", "records", Count, Neither), whole(result.records)),
        (("effects", "effects", Count, Neither), result.effects.and_then(whole)),
        (
            ("checkpoints_completed", "checkpoints completed", Count, Neither),
            whole(result.checkpoints_completed),
        ),
        (
            ("checkpoints_aborted", "checkpoints aborted", Count, Neither),
            whole(result.checkpoints_aborted),
        ),
        (("faults_landed", "faults landed", Count, Neither), whole(result.faults_landed)),
        (("attempts", "execution attempts", Count, Neither), whole(result.attempts)),
        (("wall_s", "wall time", Seconds, Neither), Some(result.wall_s)),
    ] {
        push(all, row, value, Within::Nothing);
    }
}
