//! A thread beside each reader for what waits for the brokers: offset commits and high watermarks.
//!
//! Commits: the client's asynchronous commit never reports its outcome (its callback is not called
//! for commits by hand, rust-rdkafka issue 856), so this thread commits synchronously and answers
//! with a ticket. High watermarks: the safe client offers no cached figures; this thread asks once
//! a second, one request to each leader for all partitions.
//!
//! Nobody waits for the thread: it ends on its own after its reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::client::Consumer;
use super::query::query_offsets;
use crate::ids::PartitionId;
use crate::seam::{Ticket, TicketSender};

const REFRESH: Duration = Duration::from_secs(1);

struct CommitCall {
    offsets: TopicPartitionList,
    answer: TicketSender<Result<(), String>>,
}

/// The reader's half.
#[derive(Debug)]
pub(super) struct Side {
    calls: Sender<CommitCall>,
    high_watermarks: Arc<[AtomicU64]>,
}

impl Side {
    /// Starts with the `known` high watermarks of `partitions` and keeps them fresh until dropped.
    pub(super) fn start(
        client: Arc<Consumer>,
        topic: &str,
        partitions: Vec<PartitionId>,
        known: &[u64],
    ) -> Self {
        let high_watermarks: Arc<[_]> = known.iter().map(|high| AtomicU64::new(*high)).collect();
        let (calls, queue) = channel();
        let beside =
            Beside { client, topic: topic.to_owned(), partitions, high: high_watermarks.clone() };
        let thread = std::thread::Builder::new().name("kafka-side".to_owned());
        // Without a thread every commit is answered by its absence, and figures grow old.
        drop(thread.spawn(move || beside.run(&queue)));
        Self { calls, high_watermarks }
    }

    /// Commits offsets. A ticket without an answer: the thread is gone.
    pub(super) fn commit(&self, offsets: TopicPartitionList) -> Ticket<Result<(), String>> {
        let (answer, ticket) = Ticket::pair();
        drop(self.calls.send(CommitCall { offsets, answer }));
        ticket
    }

    /// The newest known high watermark of the partition at `index`.
    pub(super) fn high_watermark(&self, index: usize) -> u64 {
        self.high_watermarks[index].load(Ordering::Relaxed)
    }
}

struct Beside {
    client: Arc<Consumer>,
    topic: String,
    partitions: Vec<PartitionId>,
    high: Arc<[AtomicU64]>,
}

impl Beside {
    fn run(self, queue: &Receiver<CommitCall>) {
        let mut next_refresh = Instant::now() + REFRESH;
        loop {
            match queue.recv_timeout(next_refresh.saturating_duration_since(Instant::now())) {
                Ok(CommitCall { offsets, answer }) => {
                    let outcome = self.client.commit(&offsets, CommitMode::Sync);
                    answer.fulfil(outcome.map_err(|error| error.to_string()));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // After a commit too: where commits come more often than this, figures grow old.
            if Instant::now() >= next_refresh {
                self.refresh();
                next_refresh = Instant::now() + REFRESH;
            }
        }
    }

    /// Brokers that are away answer later: the figures are simply older then.
    fn refresh(&self) {
        if self.partitions.is_empty() {
            return;
        }
        let end = KafkaOffset::End;
        let answer = query_offsets(&self.client, &self.topic, &self.partitions, end, REFRESH);
        for (slot, high) in self.high.iter().zip(answer.unwrap_or_default()) {
            slot.store(high, Ordering::Relaxed);
        }
    }
}
