//! Time of the harness: the host's `CLOCK_MONOTONIC` for what is measured, UTC for what is named.
//!
//! Invariant: every duration is a difference of two `CLOCK_MONOTONIC` readings, which parent,
//! engine process and load generator share.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` in microseconds.
///
/// # Panics
/// Never on Linux: the clock always exists.
pub fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has CLOCK_MONOTONIC");
    now.tv_sec() as u64 * 1_000_000 + now.tv_nsec() as u64 / 1_000
}

/// A moment of UTC, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    year: i64,
    month: u32,
    day: u32,
    second_of_day: u32,
}

impl Utc {
    /// Now.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_unix_s(since.as_secs() as i64)
    }

    /// From seconds since 1970 (the civil calendar of Howard Hinnant's `civil_from_days`).
    pub fn from_unix_s(unix_s: i64) -> Self {
        let days = unix_s.div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let second_of_day = unix_s.rem_euclid(86_400) as u32;
        Self { year, month: month as u32, day: day as u32, second_of_day }
    }

    fn hour_minute_second(self) -> (u32, u32, u32) {
        let s = self.second_of_day;
        (s / 3_600, s / 60 % 60, s % 60)
    }

    /// RFC 3339, as results carry it.
    pub fn rfc3339(self) -> String {
        let (h, m, s) = self.hour_minute_second();
        format!("{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}Z", self.year, self.month, self.day)
    }

    /// `20250131T235959Z`, as names of folders, topics and tables carry it.
    pub fn compact(self) -> String {
        let (h, m, s) = self.hour_minute_second();
        format!("{:04}{:02}{:02}T{h:02}{m:02}{s:02}Z", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(Utc::from_unix_s(0).rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(Utc::from_unix_s(951_868_799).rfc3339(), "2000-02-29T23:59:59Z");
        assert_eq!(Utc::from_unix_s(1_735_689_599).compact(), "20241231T235959Z");
        assert_eq!(Utc::from_unix_s(-1).rfc3339(), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn monotonic_time_goes_on() {
        let before = monotonic_us();
        assert!(monotonic_us() >= before && before > 0);
    }
}
