//! Reading a ledger back from the topic.
//!
//! All partitions are assigned by hand, from the start offset to the log end offset that the
//! broker named when reading began (under `read_committed` that is the last stable offset).
//! A partition is finished by its last record or, where the log ends in a gap, by its
//! end-of-partition event. No group is joined and nothing is committed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset as Position, TopicPartitionList};

use super::{Ledger, LedgerBuilder, LedgerError, Offset, PartitionId};

const POLL: Duration = Duration::from_millis(100);
/// Progress is told once for so many records.
const PROGRESS_EVERY_RECORDS: u64 = 10_000;

/// How far the reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadProgress {
    /// Records read so far.
    pub records: u64,
    /// Offsets between the start and the log end offsets: the most that can be read.
    pub offsets: u64,
}

/// Reads the whole topic into a ledger, or fails when `deadline` has passed.
pub fn read_topic(
    brokers: &str,
    topic: &str,
    deadline: Duration,
    progress: impl FnMut(ReadProgress),
) -> Result<Ledger, LedgerError> {
    let mut builder = LedgerBuilder::new();
    read_on(&mut builder, brokers, topic, deadline, progress)?;
    builder.finish()
}

/// Reads what `builder` does not know yet of the topic. Records that went away before anybody had
/// read them are an error: without them there is no input to judge by.
pub fn read_on(
    builder: &mut LedgerBuilder,
    brokers: &str,
    topic: &str,
    deadline: Duration,
    mut progress: impl FnMut(ReadProgress),
) -> Result<(), LedgerError> {
    let reader = TopicReader::connect(brokers, topic, deadline)?;
    let mut open = reader.bounds(builder)?;
    let offsets = open.values().map(|(start, end)| end.0 - start.0).sum();
    reader.assign(&open)?;
    while !open.is_empty() {
        if reader.until <= Instant::now() {
            return Err(reader.too_late(&open));
        }
        match reader.consumer.poll(POLL) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&PartitionId(partition.unsigned_abs()));
            }
            Some(Err(error)) if is_transient(&error) => {}
            Some(Err(source)) => return Err(reader.failed("read the records", source)),
            Some(Ok(message)) => {
                let partition = PartitionId(message.partition().unsigned_abs());
                let offset = Offset(message.offset().unsigned_abs());
                let Some((_, end)) = open.get(&partition).copied() else {
                    continue;
                };
                if offset < end {
                    builder.push(partition, offset, message.key(), message.payload())?;
                    if builder.records().is_multiple_of(PROGRESS_EVERY_RECORDS) {
                        progress(ReadProgress { records: builder.records(), offsets });
                    }
                }
                if offset.0 + 1 >= end.0 {
                    open.remove(&partition);
                }
            }
        }
    }
    progress(ReadProgress { records: builder.records(), offsets });
    Ok(())
}

struct TopicReader<'a> {
    consumer: BaseConsumer,
    brokers: &'a str,
    topic: &'a str,
    deadline: Duration,
    until: Instant,
}

type Bounds = HashMap<PartitionId, (Offset, Offset)>;

impl<'a> TopicReader<'a> {
    fn connect(brokers: &'a str, topic: &'a str, deadline: Duration) -> Result<Self, LedgerError> {
        let created = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "stormproof-ledger")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "20")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.message.max.bytes", "1048576")
            .set("queued.min.messages", "1000")
            .set("queued.max.messages.kbytes", "256")
            .create();
        let consumer = created.map_err(|source| LedgerError::Kafka {
            action: "create a reader",
            topic: topic.to_owned(),
            brokers: brokers.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self { consumer, brokers, topic, deadline, until: Instant::now() + deadline })
    }

    /// Asks for every partition's bounds; empty partitions need no reading and are left out.
    fn bounds(&self, builder: &mut LedgerBuilder) -> Result<Bounds, LedgerError> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(self.topic), self.left())
            .map_err(|source| self.failed("read the metadata", source))?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let partitions = topic.map_or(&[][..], |topic| topic.partitions());
        if partitions.is_empty() {
            let (topic, brokers) = (self.topic.to_owned(), self.brokers.to_owned());
            return Err(LedgerError::NoTopic { topic, brokers });
        }
        let mut open = Bounds::new();
        for partition in partitions {
            let (low, high) = self
                .consumer
                .fetch_watermarks(self.topic, partition.id(), self.left())
                .map_err(|source| self.failed("read the start and log end offsets", source))?;
            let id = PartitionId(partition.id().unsigned_abs());
            let (start, end) = (Offset(low.unsigned_abs()), Offset(high.unsigned_abs()));
            let next = builder.known_to(id).unwrap_or(start);
            if start > next {
                return Err(LedgerError::Gone { partition: id, next, start });
            }
            builder.extend_bounds(id, start, end);
            if next < end {
                open.insert(id, (next, end));
            }
        }
        Ok(open)
    }

    fn assign(&self, open: &Bounds) -> Result<(), LedgerError> {
        let mut list = TopicPartitionList::with_capacity(open.len());
        for (partition, (start, _)) in open {
            let position = Position::Offset(start.0.cast_signed());
            list.add_partition_offset(self.topic, partition.0.cast_signed(), position)
                .map_err(|source| self.failed("name the partitions", source))?;
        }
        self.consumer.assign(&list).map_err(|source| self.failed("assign the partitions", source))
    }

    /// The time left; never zero, so that a request is sent and fails by itself.
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }

    fn failed(&self, action: &'static str, source: KafkaError) -> LedgerError {
        let (topic, brokers) = (self.topic.to_owned(), self.brokers.to_owned());
        LedgerError::Kafka { action, topic, brokers, source: Box::new(source) }
    }

    fn too_late(&self, open: &Bounds) -> LedgerError {
        let first = open.iter().min_by_key(|(partition, _)| **partition);
        let (partition, end) =
            first.map_or((PartitionId(0), Offset(0)), |(partition, (_, end))| (*partition, *end));
        LedgerError::Deadline {
            topic: self.topic.to_owned(),
            deadline_ms: self.deadline.as_millis(),
            partition,
            end,
            open: open.len(),
        }
    }
}

/// Errors after which the client goes on by itself: a broker is away and may come back.
fn is_transient(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::RequestTimedOut
        )
    )
}
