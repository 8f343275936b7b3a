//! Measurement: what a run's figures are made of, beside what the oracle judges.
//!
//! Nothing here changes a verdict. Times are microseconds of `CLOCK_MONOTONIC`.

pub mod latency;
mod subtasks;
