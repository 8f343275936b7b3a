//! Time as the engine sees it: microseconds of one monotonic clock.

use std::fmt::Debug;
use std::time::Instant;

/// Microseconds since the clock's origin.
pub type TimeUs = u64;

/// A monotonic clock. The real one counts from an origin given by whoever starts the engine, so
/// that several processes of one host can share a time line.
pub trait Clock: Send + Sync + Debug {
    /// Now, in microseconds.
    fn now_us(&self) -> TimeUs;
}

/// The operating system's monotonic clock.
#[derive(Debug, Clone)]
pub struct MonotonicClock {
    origin: Instant,
    origin_us: TimeUs,
}

impl MonotonicClock {
    /// A clock that reads `origin_us` now. Pass `CLOCK_MONOTONIC` to share the host's time line.
    #[allow(clippy::disallowed_methods, reason = "the one place where the engine reads real time")]
    pub fn starting_at(origin_us: TimeUs) -> Self {
        Self { origin: Instant::now(), origin_us }
    }
}

impl Clock for MonotonicClock {
    #[inline]
    fn now_us(&self) -> TimeUs {
        self.origin_us + self.origin.elapsed().as_micros() as TimeUs
    }
}
