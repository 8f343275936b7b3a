//! Counters of a worker, written by its own thread and read by whoever asks.
//!
//! Invariant: plain relaxed atomics; a reader may see figures of two different moments, never a
//! torn one. Names and units follow Flink and FLIP-33 where they have one.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter or a gauge.
#[derive(Debug, Default)]
pub struct Figure(AtomicU64);

impl Figure {
    /// Adds to a counter.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets a gauge.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Raises a gauge to `value` if it is lower.
    pub fn raise(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! figures {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:literal,)*) => {
        /// The figures of one worker.
        #[derive(Debug, Default)]
        pub struct WorkerMetrics {
            $($(#[doc = $help])+ pub $name: Figure,)*
        }

        /// What each figure says, in the order of [`WorkerMetrics::all`].
        pub const HELP: &[&str] = &[$(concat!($($help),+),)*];

        impl WorkerMetrics {
            /// Every figure: name, kind (`counter` or `gauge`), value.
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $kind, self.$name.get()),)*]
            }
        }
    };
}

figures! {
    /// Records emitted by sources.
    source_records: "counter",
    /// Bytes of frames emitted by sources.
    source_bytes: "counter",
    /// Records taken by sinks.
    sink_records: "counter",
    /// Records confirmed by the sink's service.
    sink_confirmed_records: "counter",
    /// Records in the sink that are not confirmed.
    sink_pending_records: "gauge",
    /// Records known to wait in the log (FLIP-33 pendingRecords).
    pending_records: "gauge",
    /// Log end offsets minus the offsets last committed by this attempt, records; before its first
    /// commit, minus the offsets it started from.
    committed_lag_records: "gauge",
    /// Microseconds in which the worker did something.
    busy_us: "counter",
    /// Microseconds in which there was nothing to do.
    idle_us: "counter",
    /// Microseconds in which the worker had input and no credit or no room in a sink.
    backpressured_us: "counter",
    /// Bytes between emission and processing on lanes into this worker.
    in_flight_bytes: "gauge",
    /// Bytes held back by alignment.
    held_bytes: "gauge",
    /// Bytes that each upstream subtask may have under way to this worker; buffer debloating moves
    /// it (Flink's debloatedBufferSize).
    credit_bytes: "gauge",
    /// FLIP-33 currentFetchEventTimeLag: wall clock at fetch minus event time, microseconds.
    fetch_event_time_lag_us: "gauge",
    /// FLIP-33 currentEmitEventTimeLag: wall clock at emission minus event time, microseconds.
    emit_event_time_lag_us: "gauge",
    /// Database transactions confirmed.
    sink_batches: "counter",
    /// Database transactions tried again.
    sink_retries: "counter",
    /// Retries whose earlier try had an unknown outcome.
    sink_in_doubt: "counter",
    /// Offset commits confirmed.
    offset_commits: "counter",
}
