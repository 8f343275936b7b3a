//! What is measured: the clients are set as the engine's and the generator's are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::place::{LATENCY_TOPIC, Place, TOPIC};

/// Records that go into one partition before the next has its turn.
const RUN: u64 = 64;
const LIMIT: Duration = Duration::from_secs(100);
const LATENCY_RECORDS: u64 = 1_000;

fn producer(place: &Place, linger_ms: &str) -> BaseProducer {
    place
        .config()
        .set("enable.idempotence", "true")
        .set("batch.size", "65536")
        .set("linger.ms", linger_ms)
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "131072")
        .create()
        .expect("a producer")
}

/// Produces `records`; returns the seconds until the last one is acknowledged.
pub(crate) fn produce(place: &Place, records: u64, partitions: i32) -> f64 {
    let producer = producer(place, "20");
    let payload = [7_u8; 100];
    let begun = Instant::now();
    for i in 0..records {
        let partition = (i / RUN % partitions as u64) as i32;
        let mut record: BaseRecord<'_, (), [u8]> =
            BaseRecord::to(TOPIC).partition(partition).payload(&payload);
        while let Err((error, back)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "a record is refused");
            record = back;
            producer.poll(Duration::from_millis(1));
        }
        if i % 1_024 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(LIMIT).expect("all are acknowledged");
    begun.elapsed().as_secs_f64()
}

fn consumer(brokers: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "false")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.wait.max.ms", "10")
        .set("queued.min.messages", "1000")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.message.max.bytes", "131072")
        .create()
        .expect("a consumer")
}

/// Consumes everything with so many clients; returns the seconds.
pub(crate) fn consume(place: &Place, records: u64, partitions: i32, clients: i32) -> f64 {
    let seen = AtomicU64::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..clients {
            let (seen, brokers) = (&seen, place.brokers.as_str());
            scope.spawn(move || {
                let consumer = consumer(brokers);
                let mut list = TopicPartitionList::new();
                for partition in (client..partitions).step_by(clients as usize) {
                    list.add_partition_offset(TOPIC, partition, Offset::Offset(0)).expect("new");
                }
                consumer.assign(&list).expect("assigned");
                while seen.load(Ordering::Relaxed) < records {
                    assert!(begun.elapsed() < LIMIT, "{seen:?} of {records} came back");
                    if let Some(message) = consumer.poll(Duration::from_millis(20)) {
                        message.expect("a record");
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    begun.elapsed().as_secs_f64()
}

/// From handing a record over to seeing it, one at a time, in microseconds.
pub(crate) fn latencies(place: &Place) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits");
    let producer = producer(place, "0");
    let consumer = consumer(&place.brokers);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(LATENCY_TOPIC, 0, Offset::Offset(0)).expect("new");
    consumer.assign(&list).expect("assigned");
    for i in 0..LATENCY_RECORDS + 50 {
        let begun = Instant::now();
        let payload = i.to_le_bytes();
        let record: BaseRecord<'_, (), [u8]> =
            BaseRecord::to(LATENCY_TOPIC).partition(0).payload(&payload);
        producer.send(record).map_err(|(error, _)| error).expect("taken");
        producer.poll(Duration::ZERO);
        let message = consumer.poll(LIMIT).expect("a record").expect("a record");
        assert_eq!(message.payload(), Some(&payload[..]));
        // The first ones find connections and metadata.
        if i >= 50 {
            histogram.record(begun.elapsed().as_micros() as u64).expect("it fits");
        }
    }
    producer.flush(LIMIT).expect("all are acknowledged");
    histogram
}
