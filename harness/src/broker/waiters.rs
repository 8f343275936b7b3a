//! Fetches that found too little, and the appends that end their wait.
//!
//! Invariant: a fetch is woken when as many bytes as it lacked have come into its partitions, and
//! not by what goes on elsewhere: with 2000 partitions, looking at all of them for every append
//! would cost more than everything else.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use stormproof_chaos::log::TopicPartition;
use tokio::sync::Notify;

/// One fetch that waits.
pub(super) struct Waiter {
    missing_bytes: Cell<i64>,
    enough: Notify,
}

impl Waiter {
    pub(super) fn new(missing_bytes: usize) -> Rc<Self> {
        let missing_bytes = Cell::new(missing_bytes as i64);
        Rc::new(Self { missing_bytes, enough: Notify::new() })
    }

    /// Waits until there is enough.
    pub(super) async fn wait(&self) {
        self.enough.notified().await;
    }

    fn gets(&self, bytes: i64) {
        let missing = self.missing_bytes.get().saturating_sub(bytes);
        self.missing_bytes.set(missing);
        if missing <= 0 {
            self.enough.notify_one();
        }
    }
}

/// All that wait, by partition.
#[derive(Default)]
pub(super) struct Waiters(BTreeMap<TopicPartition, Vec<Rc<Waiter>>>);

impl Waiters {
    /// `waiter` waits for these.
    pub(super) fn enter(&mut self, waiter: &Rc<Waiter>, partitions: &[TopicPartition]) {
        for at in partitions {
            self.0.entry(*at).or_default().push(Rc::clone(waiter));
        }
    }

    /// `waiter` waits no more.
    pub(super) fn leave(&mut self, waiter: &Rc<Waiter>, partitions: &[TopicPartition]) {
        for at in partitions {
            let Some(waiting) = self.0.get_mut(at) else { continue };
            waiting.retain(|other| !Rc::ptr_eq(other, waiter));
            if waiting.is_empty() {
                self.0.remove(at);
            }
        }
    }

    /// Bytes came into a partition.
    pub(super) fn appended(&self, at: TopicPartition, bytes: usize) {
        for waiter in self.0.get(&at).into_iter().flatten() {
            waiter.gets(bytes as i64);
        }
    }

    /// Something else than an append happened to a partition: whoever waits shall look.
    pub(super) fn changed(&self, at: TopicPartition) {
        for waiter in self.0.get(&at).into_iter().flatten() {
            waiter.gets(i64::MAX);
        }
    }
}
