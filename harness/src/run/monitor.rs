//! The outside monitor: committed offsets of the consumer group, log end offsets, and effects in
//! the database, sampled by a thread of its own, as kcat and a database shell would see them.
//!
//! It asks the services, never the engine. A service that does not answer leaves the last known
//! figures in place; who needs fresh ones looks at their time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::monotonic_us;
use crate::environment::{Addresses, Client, EffectsProbe};
use crate::error::{Result, environment};

/// Between two looks while the load runs: reading 2000 committed offsets costs 30 ms and more.
const RELAXED_MS: u64 = 500;
/// Between two looks while the run waits for the last commit.
const EAGER_MS: u64 = 250;

/// What the monitor saw last.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The group's committed offset of each partition.
    pub(super) committed: Vec<u64>,
    /// When the committed offsets were asked for.
    pub(super) committed_at_us: u64,
    /// Log end offsets minus committed offsets, of one look.
    pub(super) lag: Option<Lag>,
    /// Effects in the database.
    pub(super) effects: u64,
}

/// Committed lag at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lag {
    /// Over all partitions.
    pub(super) records: i64,
    /// Between the two requests.
    pub(super) at_us: u64,
}

struct Shared {
    seen: Mutex<Seen>,
    interval_ms: AtomicU64,
    stop: AtomicBool,
}

/// A running monitor.
pub(super) struct Monitor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    /// Starts to watch the services at `addresses`.
    pub(super) fn start(addresses: &Addresses) -> Result<Self> {
        let client = Client::connect(&addresses.brokers, &addresses.group)?.hasty();
        let mut effects = EffectsProbe::new(&addresses.database, &addresses.table_prefix)?;
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            interval_ms: AtomicU64::new(RELAXED_MS),
            stop: AtomicBool::new(false),
        });
        let (watched, to) = (addresses.clone(), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("monitor".to_owned())
            .spawn(move || {
                while !to.stop.load(Ordering::Relaxed) {
                    to.look(&client, &mut effects, &watched);
                    to.rest();
                }
            })
            .map_err(|error| environment(format!("cannot start the monitor: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What was seen last.
    pub(super) fn seen(&self) -> Seen {
        self.shared.lock().clone()
    }

    /// Effects and committed lag, without a copy of the offsets.
    pub(super) fn sums(&self) -> (u64, Option<Lag>) {
        let seen = self.shared.lock();
        (seen.effects, seen.lag)
    }

    /// The sum of committed offsets.
    pub(super) fn committed(&self) -> u64 {
        self.shared.lock().committed.iter().sum()
    }

    /// From now on, look more often.
    pub(super) fn be_eager(&self) {
        self.shared.interval_ms.store(EAGER_MS, Ordering::Relaxed);
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, client: &Client, effects: &mut EffectsProbe, at: &Addresses) {
        let asked_us = monotonic_us();
        let committed = client.committed_offsets(&at.topic, at.partitions);
        let at_us = monotonic_us();
        // After the committed ones: in this order a lag is never negative by the time between.
        let ends = client.log_end_offsets(&at.topic, at.partitions);
        let counted = effects.count();
        let mut seen = self.lock();
        if let Ok(committed) = committed {
            if let Ok(ends) = ends {
                let sum = |offsets: &[u64]| offsets.iter().sum::<u64>() as i64;
                seen.lag = Some(Lag { records: sum(&ends) - sum(&committed), at_us });
            }
            seen.committed = committed;
            seen.committed_at_us = asked_us;
        }
        if let Some(counted) = counted {
            seen.effects = counted;
        }
    }

    fn rest(&self) {
        let until_us = monotonic_us() + self.interval_ms.load(Ordering::Relaxed) * 1_000;
        while monotonic_us() < until_us && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
