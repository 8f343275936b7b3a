//! A bare consumer: librdkafka with settings for throughput, and nothing behind it.
//!
//! Two clients with half of the partitions each, as the job's source has: one alone is slower.

use std::time::Instant;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{LIMIT, Row};
use crate::environment::{Addresses, Client, Stop};
use crate::error::{HarnessError, Result, environment};

const CLIENTS: usize = 2;
const POLL: std::time::Duration = std::time::Duration::from_millis(50);
/// Between two looks at whether to go on.
const LOOK_EVERY: u64 = 4_096;

fn refused(at: &Addresses, error: &dyn std::fmt::Display) -> HarnessError {
    environment(format!("the bare consumer: {error}"))
        .at(format!("topic {} at {}", at.topic, at.brokers))
        .remedy("see whether the broker answers; the verdict of the run stands")
}

/// Reads the whole topic and hands each record to `take`; returns how many and how long it took.
pub(super) fn read(at: &Addresses, stop: &Stop, take: impl Fn(Row) + Sync) -> Result<(u64, f64)> {
    let client = Client::connect(&at.brokers, "stormproof-beside")?;
    let starts = client.log_start_offsets(&at.topic, at.partitions)?;
    let ends = client.log_end_offsets(&at.topic, at.partitions)?;
    let mut halves: [Vec<(u32, u64, u64)>; CLIENTS] = Default::default();
    for (partition, (start, end)) in starts.iter().zip(&ends).enumerate() {
        if start < end {
            halves[partition % CLIENTS].push((partition as u32, *start, *end));
        }
    }
    let begun = Instant::now();
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = halves
            .iter()
            .map(|half| scope.spawn(|| read_some(at, half, stop, &take, begun)))
            .collect();
        let panicked = || environment("reading the topic panicked");
        let joined = threads.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(panicked())));
        joined.collect::<Result<Vec<u64>>>()
    })?;
    Ok((counts.iter().sum(), begun.elapsed().as_secs_f64()))
}

fn read_some(
    at: &Addresses,
    partitions: &[(u32, u64, u64)],
    stop: &Stop,
    take: &(impl Fn(Row) + Sync),
    begun: Instant,
) -> Result<u64> {
    if partitions.is_empty() {
        return Ok(0);
    }
    let refuse = |error: KafkaError| refused(at, &error);
    let consumer = consumer(at).map_err(refuse)?;
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (partition, start, _) in partitions {
        let from = Offset::Offset(*start as i64);
        list.add_partition_offset(&at.topic, *partition as i32, from).map_err(refuse)?;
    }
    consumer.assign(&list).map_err(refuse)?;
    let (mut open, mut count, mut turns) = (partitions.len(), 0, 0_u64);
    while open > 0 {
        turns += 1;
        if turns.is_multiple_of(LOOK_EVERY) {
            stop.check()?;
        }
        if begun.elapsed() > LIMIT {
            return Err(refused(at, &format!("not at the end after {} s", LIMIT.as_secs())));
        }
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                count += 1;
                take(Row {
                    partition: message.partition() as u32,
                    offset: message.offset() as u64,
                    key: message.key().unwrap_or_default().to_vec(),
                    value: message.payload().unwrap_or_default().to_vec(),
                });
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(refuse(error)),
            None => stop.check()?,
        }
    }
    Ok(count)
}

fn consumer(at: &Addresses) -> Result<BaseConsumer, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", &at.brokers)
        .set("group.id", "stormproof-beside")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.wait.max.ms", "20")
        .set("fetch.message.max.bytes", "1048576")
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "65536")
        .create()
}
