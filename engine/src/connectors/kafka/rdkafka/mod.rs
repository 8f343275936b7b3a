//! The log over librdkafka: one client for each worker, one queue for each partition.
//!
//! Invariants: every partition's queue is split off before the partition is assigned and lives
//! until after it is unassigned; the main queue is polled on every step, for that is where errors
//! appear.

mod client;
mod error;
mod query;
mod side;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset as KafkaOffset};
use stormproof_corrections as _;

use super::config::KafkaSourceConfig;
use super::log::{Bounds, LogClient, LogError, LogRecord, LogService, Meaning, Polled};
use super::ready::ReadyFlags;
use crate::connectors::{Split, WallClock};
use crate::ids::{Offset, PartitionId, WorkerIndex};
use crate::seam::Ticket;
use client::{IdleClients, Lease, SourceContext};
use error::log_error;
use query::{committed_offsets, count_partitions, query_offsets, split_list};
use side::Side;

/// Real brokers.
pub(super) struct Brokers {
    config: Arc<KafkaSourceConfig>,
    idle: Arc<IdleClients>,
}

impl std::fmt::Debug for Brokers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brokers").field("brokers", &self.config.brokers).finish_non_exhaustive()
    }
}

impl Brokers {
    /// The brokers that `config` names. None is asked yet.
    pub(super) fn new(config: Arc<KafkaSourceConfig>) -> Self {
        Self { config, idle: Arc::default() }
    }
}

impl LogService for Brokers {
    fn client(&self, worker: WorkerIndex) -> Result<Box<dyn LogClient>, LogError> {
        let lease = self.idle.lease(worker, &self.config)?;
        let config = Arc::clone(&self.config);
        Ok(Box::new(Client { lease, config, queues: Vec::new(), side: None }))
    }
}

struct Client {
    lease: Lease,
    config: Arc<KafkaSourceConfig>,
    /// Emptied when the client is dropped, after it is unassigned.
    queues: Vec<PartitionQueue<SourceContext>>,
    side: Option<Side>,
}

impl Client {
    fn timeout(&self) -> Duration {
        Duration::from_millis(self.config.request_timeout_ms)
    }

    fn split_queue(
        &self,
        index: usize,
        split: Split,
        ready: &Arc<ReadyFlags>,
    ) -> Result<PartitionQueue<SourceContext>, LogError> {
        let (topic, partition) = (&self.config.topic, split.partition);
        let queue = self.lease.split_partition_queue(topic, partition.0 as i32);
        let mut queue = queue.ok_or_else(|| LogError {
            meaning: Meaning::Broken,
            what: format!("topic `{topic}`, partition {partition}: no queue"),
        })?;
        let ready = Arc::clone(ready);
        queue.set_nonempty_callback(move || ready.raise(index, WallClock::now_us()));
        Ok(queue)
    }
}

impl LogClient for Client {
    fn count_partitions(&mut self) -> Result<u32, LogError> {
        count_partitions(&self.lease, &self.config.topic, self.timeout())
    }

    fn bounds(&mut self, partitions: &[PartitionId]) -> Result<Vec<Bounds>, LogError> {
        let ask = |which| {
            query_offsets(&self.lease, &self.config.topic, partitions, which, self.timeout())
                .map_err(|error| log_error(&error))
        };
        let (low, high) = (ask(KafkaOffset::Beginning)?, ask(KafkaOffset::End)?);
        Ok(low.into_iter().zip(high).map(|(low, high)| Bounds { low, high }).collect())
    }

    fn committed(
        &mut self,
        partitions: &[PartitionId],
    ) -> Result<BTreeMap<PartitionId, Offset>, LogError> {
        committed_offsets(&self.lease, &self.config.topic, partitions, self.timeout())
            .map_err(|error| log_error(&error))
    }

    fn assign(
        &mut self,
        splits: &[Split],
        high: &[u64],
        ready: &Arc<ReadyFlags>,
    ) -> Result<(), LogError> {
        for (index, split) in splits.iter().enumerate() {
            let queue = self.split_queue(index, *split, ready)?;
            self.queues.push(queue);
        }
        split_list(&self.config.topic, splits)
            .and_then(|list| self.lease.assign(&list))
            .map_err(|error| log_error(&error))?;
        let partitions = splits.iter().map(|split| split.partition).collect();
        let client = Arc::clone(&self.lease);
        self.side = Some(Side::start(client, &self.config.topic, partitions, high));
        Ok(())
    }

    fn poll_errors(&mut self) -> Option<LogError> {
        match self.lease.poll(Duration::ZERO)? {
            Err(error) => Some(log_error(&error)),
            Ok(message) => {
                let (partition, offset) = (message.partition(), message.offset());
                let what = format!("partition {partition}, offset {offset} came past its queue");
                Some(LogError { meaning: Meaning::Broken, what })
            }
        }
    }

    fn poll(&mut self, index: usize, take: &mut dyn FnMut(LogRecord<'_>)) -> Polled {
        match self.queues[index].poll(Duration::ZERO) {
            Some(Ok(message)) => {
                take(LogRecord {
                    offset: Offset(message.offset() as u64),
                    event_time_us: event_time_us(&message),
                    key: message.key(),
                    value: message.payload(),
                });
                Polled::Record
            }
            Some(Err(error)) => Polled::Failed(log_error(&error)),
            None => Polled::Empty,
        }
    }

    fn commit(&mut self, splits: &[Split]) -> Ticket<Result<(), String>> {
        match (split_list(&self.config.topic, splits), &self.side) {
            (Ok(offsets), Some(side)) => side.commit(offsets),
            (Err(error), _) => Ticket::ready(Err(error.to_string())),
            (_, None) => Ticket::ready(Err("nothing is assigned".to_owned())),
        }
    }

    fn high_watermark(&self, index: usize) -> u64 {
        self.side.as_ref().map_or(0, |side| side.high_watermark(index))
    }

    fn wall_us(&self) -> i64 {
        WallClock::now_us()
    }

    fn condemn(&mut self) {
        self.lease.condemn();
    }
}

impl Drop for Client {
    /// Unassigns before the queues go, and leaves the client to the next attempt.
    fn drop(&mut self) {
        if self.lease.unassign().is_err() {
            self.lease.condemn();
        }
        self.queues.clear();
    }
}

/// Kafka's timestamp, milliseconds of the wall clock, in microseconds; 0 when there is none.
#[inline]
fn event_time_us(message: &BorrowedMessage<'_>) -> i64 {
    message.timestamp().to_millis().map_or(0, |ms| ms.saturating_mul(1000))
}
