//! What all connections share: the log, the groups, the fetches that wait.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use stormproof_chaos::log::{FileStorage, Log, LogError, TopicPartition};

use super::group::Groups;
use super::waiters::Waiters;

/// The only node's id.
pub(super) const NODE_ID: i32 = 1;
/// The cluster's id.
pub(super) const CLUSTER_ID: &str = "stormproof-embedded";

/// Where clients that came in on one listener are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
}

pub(super) struct Node {
    pub(super) log: Log<FileStorage>,
    pub(super) groups: Groups,
    pub(super) waiters: Waiters,
    next_sweep_ms: i64,
}

/// Between two sweeps through the idempotent producers, in milliseconds.
const SWEEP_MS: i64 = 3_600_000;

/// The node; everything runs on one thread.
pub(super) type Shared = Rc<RefCell<Node>>;

impl Node {
    /// A node without connections.
    pub(super) fn new(log: Log<FileStorage>) -> Self {
        let next_sweep_ms = now_ms() + SWEEP_MS;
        Self { log, groups: Groups::default(), waiters: Waiters::default(), next_sweep_ms }
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self) -> Result<(), LogError> {
        let now_ms = now_ms();
        self.groups.tick(now_ms);
        if now_ms >= self.next_sweep_ms {
            self.next_sweep_ms = now_ms + SWEEP_MS;
            self.log.forget_silent_producers(now_ms)?;
        }
        let touched = self.log.tick(now_ms)?;
        self.wake(&touched);
        Ok(())
    }

    /// Wakes fetches that wait for one of these.
    pub(super) fn wake(&mut self, touched: &[TopicPartition]) {
        for at in touched {
            self.waiters.changed(*at);
        }
    }
}

/// Milliseconds since 1970, as Kafka's times are.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64
}
