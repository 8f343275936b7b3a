//! What was measured over a run: latency quantiles and the timeline.
//!
//! Invariants: latency is end to end, from a send time to the begin of the transaction in which the
//! first effect of the record became durable; negative latencies are counted,
//! never dropped; a sample's counters are totals since the run's start.

use serde::{Deserialize, Serialize};

use super::number;

/// End-to-end latency, measured twice so that coordinated omission shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Latency {
    /// From the time at which a record should have been sent.
    pub intended: Quantiles,
    /// From the time at which it was handed to the producer: what a load generator that waits
    /// with everything else would have seen.
    pub actual: Quantiles,
    /// Measurements behind each set of quantiles.
    #[serde(default)]
    pub samples: u64,
    /// Measurements below zero: a clock problem, if there are any. They count as 0 in the
    /// quantiles.
    pub negative: u64,
    /// Records that have an effect and no times of the load generator: written by somebody else.
    #[serde(default)]
    pub unmeasured: u64,
}

/// Quantiles of a latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quantiles {
    /// Median.
    pub p50_us: u64,
    /// 90 of 100 are not slower.
    pub p90_us: u64,
    /// 99 of 100 are not slower.
    pub p99_us: u64,
    /// 999 of 1000 are not slower.
    pub p999_us: u64,
    /// The slowest.
    pub max_us: u64,
}

/// Lag as the engine itself sees it, of its last report.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct EngineLag {
    /// FLIP-33 currentFetchEventTimeLag of the latest worker: wall clock at fetch minus event time.
    pub fetch_ms: f64,
    /// FLIP-33 currentEmitEventTimeLag of the latest worker.
    pub emit_ms: f64,
    /// FLIP-33 pendingRecords: records known to wait in the log.
    pub pending_records: u64,
    /// Log end offsets minus the offsets that this attempt has committed.
    pub committed_lag_records: u64,
}

/// Committed lag against the formula: low = r·d, high = r·(T + d), with the rate r, the interval T
/// between two completed checkpoints, and d from a barrier to the commit of its offsets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sawtooth {
    /// The load's rate.
    pub rate_per_s: f64,
    /// How far a figure may be off: the rate, times the time between two looks at the broker.
    pub tolerance_records: f64,
    /// Teeth that were seen from their beginning to their end, without a failure inside.
    pub teeth: Vec<Tooth>,
    /// Whether all of them are as the formula says; `None` = there was no whole tooth.
    pub agrees: Option<bool>,
}

/// One tooth: from the completion of a checkpoint to that of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Tooth {
    /// The checkpoint whose completion ends it.
    pub checkpoint: u64,
    /// From one completion to the next: T.
    pub interval_s: f64,
    /// From the trigger to the completion: d.
    pub commit_s: f64,
    /// Least lag that was seen.
    pub low_records: f64,
    /// r·d
    pub low_expected: f64,
    /// Most lag that was seen.
    pub high_records: f64,
    /// r·(T + d)
    pub high_expected: f64,
}

/// The distribution of a latency: for ever rarer quantiles, the latency that they do not exceed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LatencyCurve {
    /// From the time at which a record should have been sent.
    pub intended: Vec<CurvePoint>,
    /// From the time at which it was handed to the producer.
    pub actual: Vec<CurvePoint>,
}

/// One point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The quantile, from 0 to 1.
    #[serde(deserialize_with = "number::or_nan")]
    pub q: f64,
    /// The latency.
    pub us: u64,
}

/// One point of the timeline.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the run's start.
    #[serde(deserialize_with = "number::or_nan")]
    pub t_s: f64,
    /// Records produced into the log.
    pub produced: u64,
    /// Records that the sources have emitted, replays included.
    pub emitted: u64,
    /// Effects in the sink, duplicates included: in a judged run by the begin of their
    /// transactions, else as counted by then.
    pub effects: u64,
    /// True lag: records produced that had no effect yet. In a run that was not judged, nobody
    /// knows which effects are duplicates: it is produced minus effects, and may be negative.
    pub lag_records: i64,
    /// Committed lag: log end offsets minus committed offsets, both as the broker told them.
    pub committed_lag_records: i64,
    /// When the broker was asked for both; `None` = it has not answered yet.
    #[serde(default)]
    pub committed_lag_at_s: Option<f64>,
    /// The engine's own figures at that time; `None` = it has told none yet.
    #[serde(default)]
    pub engine_lag: Option<EngineLag>,
    /// Records produced per second since the sample before.
    #[serde(deserialize_with = "number::or_nan")]
    pub rate_in_per_s: f64,
    /// Effects per second since the sample before.
    #[serde(deserialize_with = "number::or_nan")]
    pub rate_out_per_s: f64,
    /// Median latency, from the intended send time, of the effects since the sample before.
    #[serde(default)]
    pub latency_p50_ms: Option<f64>,
    /// 99th percentile of the same.
    #[serde(default)]
    pub latency_p99_ms: Option<f64>,
    /// Median from the actual send time, of the same effects.
    #[serde(default)]
    pub latency_actual_p50_ms: Option<f64>,
    /// 99th percentile from the actual send time, of the same effects.
    #[serde(default)]
    pub latency_actual_p99_ms: Option<f64>,
    /// Resident set size of the system under test.
    pub rss_bytes: u64,
}
