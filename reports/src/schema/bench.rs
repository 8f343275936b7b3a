//! What a bench has tried and found: rates, the slopes of their lags, latencies.
//!
//! Invariant: every trial is kept, those that were not sustainable too.

use serde::{Deserialize, Serialize};

use super::{Quantiles, number};

/// Throughput of the job beside bare clients, on the same services over the same records, in one
/// run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BesideBare {
    /// Records of the topic.
    pub records: u64,
    /// A consumer that does nothing with what it reads.
    pub consumer_records_per_s: f64,
    /// A loader that writes what the job writes: an audit row and an upsert for each record.
    pub loader_records_per_s: f64,
    /// A loader that writes the upserts alone.
    pub upserts_records_per_s: f64,
    /// The job, from the topic to the last effect in the database.
    pub job_records_per_s: f64,
    /// The job's rate as a share of the slower of consumer and loader.
    pub share_of_bare: f64,
}

/// The search for the sustainable rate, and the trials at it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BenchSummary {
    /// The highest rate that was sustained; `None` = none was.
    #[serde(default)]
    pub sustainable_records_per_s: Option<u64>,
    /// The trials of the search, in order.
    #[serde(default)]
    pub searched: Vec<BenchTrial>,
    /// The trials at the rate that was found, in order.
    #[serde(default)]
    pub repeated: Vec<BenchTrial>,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BenchTrial {
    /// The intended rate.
    pub rate_per_s: u64,
    /// Whether the pipeline kept up.
    pub sustainable: bool,
    /// Why the trial says nothing, if it does not.
    #[serde(default)]
    pub invalid: Option<String>,
    /// Slope of the lag after the warm-up, records/s.
    #[serde(default)]
    pub lag_slope_per_s: Option<f64>,
    /// Half the width of its 95 % interval.
    #[serde(default)]
    pub lag_slope_half_width: Option<f64>,
    /// From the end of the load until everything was confirmed.
    #[serde(default)]
    pub drained_s: Option<f64>,
    /// What was left out at the start.
    #[serde(deserialize_with = "number::or_nan")]
    pub warm_up_s: f64,
    /// Latency from the intended time, after the warm-up.
    pub latency: Quantiles,
}
