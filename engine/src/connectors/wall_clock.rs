//! The wall clock: what event times are compared with.
//!
//! Only lag figures read it. It never decides anything: timers, backoff and schedules run on the
//! engine's own monotonic clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// The host's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl WallClock {
    /// Microseconds since the Unix epoch; 0 before it.
    #[allow(clippy::disallowed_methods, reason = "lags compare wall clock and event time")]
    pub fn now_us() -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::WallClock;

    #[test]
    fn reads_microseconds_of_this_century() {
        let year_2020_us = 1_577_836_800_000_000;
        let year_2100_us = 4_102_444_800_000_000;
        assert!((year_2020_us..year_2100_us).contains(&WallClock::now_us()));
    }
}
