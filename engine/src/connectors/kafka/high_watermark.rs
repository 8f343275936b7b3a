//! High watermarks of the partitions, asked for once a second by a thread of its own.
//!
//! The safe client offers no cached figures, and asking waits for the brokers: never on a worker.
//! One request to each leader covers all partitions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::Offset as KafkaOffset;

use super::client::Consumer;
use super::start::query_offsets;
use crate::ids::PartitionId;

const REFRESH: Duration = Duration::from_secs(1);

/// The newest known high watermarks of some partitions, in their order.
#[derive(Debug)]
pub(super) struct HighWatermarks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    offsets: Vec<AtomicU64>,
    is_over: Mutex<bool>,
    over: Condvar,
    is_watched: AtomicBool,
}

impl HighWatermarks {
    /// Starts with `known` and keeps it fresh until dropped.
    pub(super) fn watch(
        client: Arc<Consumer>,
        topic: &str,
        partitions: Vec<PartitionId>,
        known: &[u64],
    ) -> Self {
        let shared = Arc::new(Shared {
            offsets: known.iter().map(|offset| AtomicU64::new(*offset)).collect(),
            is_over: Mutex::new(false),
            over: Condvar::new(),
            is_watched: AtomicBool::new(true),
        });
        let (watched, topic) = (Arc::clone(&shared), topic.to_owned());
        let watcher = std::thread::Builder::new().name("kafka-lag".to_owned());
        let spawned = watcher.spawn(move || watched.refresh(&client, &topic, &partitions));
        shared.is_watched.store(spawned.is_ok(), Ordering::Relaxed);
        Self { shared }
    }

    /// The high watermark of the partition at `index`; `None` when nobody keeps it fresh.
    pub(super) fn get(&self, index: usize) -> Option<u64> {
        let is_watched = self.shared.is_watched.load(Ordering::Relaxed);
        is_watched.then(|| self.shared.offsets[index].load(Ordering::Relaxed))
    }
}

impl Drop for HighWatermarks {
    /// Tells the thread to end, and does not wait for it.
    fn drop(&mut self) {
        *self.shared.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.over.notify_all();
    }
}

impl Shared {
    fn refresh(&self, client: &Consumer, topic: &str, partitions: &[PartitionId]) {
        while !self.wait() && !partitions.is_empty() {
            // Brokers that are away answer later: the figures are simply older then.
            let answer = query_offsets(client, topic, partitions, KafkaOffset::End, REFRESH);
            for (slot, high) in self.offsets.iter().zip(answer.unwrap_or_default()) {
                slot.store(high, Ordering::Relaxed);
            }
        }
    }

    /// Waits for the next refresh; `true` when there is none.
    fn wait(&self) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.over.wait_timeout_while(is_over, REFRESH, |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
