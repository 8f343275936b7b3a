//! Kafka -> key by -> blackhole against a bare rdkafka consumer, both on librdkafka's mock cluster
//! in this process, from the first to the last record of a topic that is already there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use stormproof_benches::BenchJob;
use stormproof_engine::connectors::blackhole::BlackholeFactory;
use stormproof_engine::connectors::kafka::{KafkaSourceConfig, KafkaSourceFactory};
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::runtime::JobConfig;

/// Bytes of a record's value.
pub(crate) const VALUE_BYTES: u64 = 100;
const TOPIC: &str = "bench";
const WAIT: Duration = Duration::from_secs(20);

/// A topic with records of 100 bytes, spread evenly in runs.
pub(crate) struct Topic {
    _cluster: MockCluster<'static, DefaultProducerContext>,
    brokers: String,
    partitions: u16,
    records: u64,
}

impl Topic {
    pub(crate) fn filled(partitions: u16, records: u64) -> Self {
        const RUN: u64 = 50;
        let cluster = MockCluster::new(1).expect("the mock cluster starts");
        cluster.create_topic(TOPIC, i32::from(partitions), 1).expect("it takes a topic");
        let brokers = cluster.bootstrap_servers();
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .set("linger.ms", "20")
            .set("queue.buffering.max.messages", "1000000")
            .create()
            .expect("the settings are valid");
        for n in 0..records {
            let (key, partition) = (format!("k{}", n % 100_000), n / RUN % u64::from(partitions));
            let value = [b'v'; VALUE_BYTES as usize];
            let mut record = BaseRecord::to(TOPIC).partition(partition as i32);
            record = record.key(&key).payload(&value[..]);
            while let Err((_, again)) = producer.send(record) {
                record = again;
                producer.poll(Duration::from_millis(1));
            }
        }
        producer.flush(WAIT).expect("the mock cluster takes them");
        Self { _cluster: cluster, brokers, partitions, records }
    }

    /// The engine's rate, records/s.
    pub(crate) fn engine(&self) -> f64 {
        let source = KafkaSourceFactory::new(KafkaSourceConfig {
            brokers: self.brokers.clone(),
            topic: TOPIC.to_owned(),
            group: "bench".to_owned(),
            ..KafkaSourceConfig::default()
        });
        let blackhole = BlackholeFactory::new();
        let counts = blackhole.counts();
        let mut graph = JobGraph::builder();
        let source = source.expect("the settings are valid");
        let source = graph.source("source", self.partitions, Arc::new(source));
        let sink = graph.sink("sink", self.partitions, Arc::new(blackhole));
        graph.connect(source, sink, Partitioner::KeyBy);
        let graph = graph.build().expect("the graph is valid");
        let started = Instant::now();
        let mut elapsed = Duration::ZERO;
        BenchJob::new(graph, JobConfig::default()).run_with(|control, _| {
            while counts.records.get() < self.records && started.elapsed() < WAIT {
                std::thread::sleep(Duration::from_millis(1));
            }
            elapsed = started.elapsed();
            control.cancel();
        });
        assert_eq!(counts.records.get(), self.records, "every record arrives");
        self.records as f64 / elapsed.as_secs_f64()
    }

    /// A bare consumer's rate, records/s.
    pub(crate) fn bare(&self) -> f64 {
        let started = Instant::now();
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", "bare")
            .set("enable.auto.commit", "false")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "20")
            .create()
            .expect("the settings are valid");
        let mut list = TopicPartitionList::new();
        for partition in 0..i32::from(self.partitions) {
            list.add_partition_offset(TOPIC, partition, Offset::Offset(0)).expect("it is valid");
        }
        consumer.assign(&list).expect("the partitions exist");
        let mut seen = 0;
        while seen < self.records {
            let message = consumer.poll(WAIT).expect("a record comes in time");
            let message = message.expect("the mock cluster answers");
            seen += 1;
            std::hint::black_box(rdkafka::Message::payload(&message));
        }
        self.records as f64 / started.elapsed().as_secs_f64()
    }
}
