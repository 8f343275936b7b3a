//! The pace of a link with a bandwidth: one for each direction, shared by all connections.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When the link is free again.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Reserves the link for `bytes` at `kib_per_s`; returns when they have passed.
    pub(super) fn reserve(&self, bytes: usize, kib_per_s: u64, now: Instant) -> Instant {
        let takes = Duration::from_secs_f64(bytes as f64 / (kib_per_s.max(1) * 1024) as f64);
        let mut free_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = free_at.map_or(now, |free_at| free_at.max(now)) + takes;
        *free_at = Some(passed);
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_all_connections_queue_up() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.reserve(1024, 1, now), now + Duration::from_secs(1));
        assert_eq!(pace.reserve(2048, 1, now), now + Duration::from_secs(3));
        let later = now + Duration::from_secs(10);
        assert_eq!(pace.reserve(512, 1, later), later + Duration::from_millis(500));
    }
}
