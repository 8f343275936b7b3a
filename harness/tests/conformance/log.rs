//! The log: librdkafka on its mock cluster, on the embedded broker and, where
//! `STORMPROOF_TEST_KAFKA=HOST:PORT` names one, on a real Kafka; and the simulated one.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use stormproof_chaos::sim::SimServices;
use stormproof_engine::connectors::Split;
use stormproof_engine::connectors::kafka::{
    Bounds, KafkaSourceConfig, LogClient, LogService, Meaning, Polled, ReadyFlags, brokers,
};
use stormproof_engine::ids::*;

use super::wait;

enum Log {
    Simulated(SimServices),
    Served(Served),
}

/// A topic that is reached by the protocol.
struct Served {
    servers: String,
    /// Its name, and that of the consumer group.
    topic: String,
    /// Whatever ends with it.
    _host: Option<Host>,
}

enum Host {
    Mock { _cluster: MockCluster<'static, DefaultProducerContext> },
    Embedded { _broker: Broker },
}

/// The embedded broker as a process, with a folder of its own.
struct Broker {
    child: Child,
    servers: String,
    _data: tempfile::TempDir,
}

impl Broker {
    fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let binary = env!("CARGO_BIN_EXE_stormproof");
        let mut child = Command::new(binary)
            .args(["keep", "--parent", &std::process::id().to_string(), "--", binary, "broker"])
            .arg("--data")
            .arg(data.path())
            .args(["--port", "0", "--quiet"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the broker starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("its first line");
        let port = line.trim().rsplit_once(':').unwrap_or_else(|| panic!("it said {line:?}")).1;
        Self { child, servers: format!("127.0.0.1:{port}"), _data: data }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three partitions; `records` in the first, one with nulls in the second, none in the third.
fn content(records: u64) -> Vec<Vec<(Option<Bytes>, Option<Bytes>)>> {
    let record = |n: u64| (Some(Bytes::from(format!("k{n}"))), Some(Bytes::from(format!("v{n}"))));
    vec![(0..records).map(record).collect(), vec![(None, None)], Vec::new()]
}

impl Served {
    fn mock(records: u64) -> Self {
        let cluster = MockCluster::new(1).expect("a cluster");
        let (servers, topic) = (cluster.bootstrap_servers(), "storm-input".to_owned());
        cluster.create_topic(&topic, 3, 1).expect("a topic");
        let _host = Some(Host::Mock { _cluster: cluster });
        let served = Self { servers, topic, _host };
        served.produce(records);
        served
    }

    fn embedded(records: u64) -> Self {
        let broker = Broker::start();
        let servers = broker.servers.clone();
        Self::created(servers, Some(Host::Embedded { _broker: broker }), records)
    }

    /// A Kafka that was started by somebody else, and goes on.
    fn external(records: u64) -> Option<Self> {
        let servers = std::env::var("STORMPROOF_TEST_KAFKA").ok()?;
        Some(Self::created(servers, None, records))
    }

    fn created(servers: String, _host: Option<Host>, records: u64) -> Self {
        static TOPICS: AtomicU32 = AtomicU32::new(0);
        let serial = TOPICS.fetch_add(1, Ordering::Relaxed);
        let topic = format!("storm-input-{}-{serial}", std::process::id());
        let served = Self { servers, topic, _host };
        let new = NewTopic::new(&served.topic, 3, TopicReplication::Fixed(1));
        let made = super::runtime()
            .block_on(served.admin().create_topics(&[new], &AdminOptions::new()))
            .expect("an answer");
        made[0].as_ref().expect("a topic");
        served.produce(records);
        served
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers).create().expect("an admin client")
    }

    fn produce(&self, records: u64) {
        let mut config = ClientConfig::new();
        let producer: BaseProducer =
            config.set("bootstrap.servers", &self.servers).create().expect("a producer");
        for (partition, records) in (0..).zip(content(records)) {
            for (key, value) in records {
                let to: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic);
                let mut record = to.partition(partition);
                record.key = key.as_deref();
                record.payload = value.as_deref();
                producer.send(record).expect("room in the queue");
            }
        }
        producer.flush(Duration::from_secs(30)).expect("everything is produced");
    }

    /// Retention moves on to `low` in the first partition.
    fn truncate(&self, low: i64) {
        let mut before = rdkafka::TopicPartitionList::new();
        let offset = rdkafka::Offset::Offset(low);
        before.add_partition_offset(&self.topic, 0, offset).expect("an offset");
        super::runtime()
            .block_on(self.admin().delete_records(&before, &AdminOptions::new()))
            .expect("an answer");
    }

    fn service(&self) -> Arc<dyn LogService> {
        brokers(KafkaSourceConfig {
            brokers: self.servers.clone(),
            topic: self.topic.clone(),
            group: self.topic.clone(),
            ..KafkaSourceConfig::default()
        })
    }
}

impl Log {
    fn simulated(records: u64) -> Self {
        Self::Simulated(SimServices::new(1, content(records)))
    }

    /// Those that keep what they are told to keep, and drop the rest.
    fn embedded_and_external(records: u64) -> Vec<Served> {
        let embedded = Served::embedded(records);
        [Some(embedded), Served::external(records)].into_iter().flatten().collect()
    }

    fn client(&self) -> Box<dyn LogClient> {
        let service = match self {
            Self::Simulated(services) => services.log(),
            Self::Served(served) => served.service(),
        };
        service.client(WorkerIndex(0)).expect("a client")
    }
}

fn all(records: u64, check: impl Fn(&Log)) {
    check(&Log::simulated(records));
    check(&Log::Served(Served::mock(records)));
    for served in Log::embedded_and_external(records) {
        check(&Log::Served(served));
    }
}

const fn split(partition: u32, next: u64) -> Split {
    Split { partition: PartitionId(partition), next: Offset(next) }
}

fn assign(client: &mut Box<dyn LogClient>, splits: &[Split]) -> Arc<ReadyFlags> {
    let flags = ReadyFlags::new(splits.len());
    client.assign(splits, &vec![0; splits.len()], &flags).expect("an assignment");
    flags
}

/// Offset, key and value of what comes until nothing does for a while, or of so many.
type Taken = Vec<(u64, Option<Vec<u8>>, Option<Vec<u8>>)>;

fn take(client: &mut Box<dyn LogClient>, index: usize, wanted: usize) -> (Taken, Option<Meaning>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut taken = Taken::new();
    while taken.len() < wanted && Instant::now() < deadline {
        let polled = client.poll(index, &mut |record| {
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            taken.push((record.offset.0, owned(record.key), owned(record.value)));
        });
        match polled {
            Polled::Record => {}
            Polled::Empty => {
                // Errors of the client as a whole pass: the broker is being connected to.
                let _ = client.poll_errors();
                std::thread::sleep(Duration::from_millis(1));
            }
            Polled::Failed(error) if error.meaning == Meaning::Transient => {}
            Polled::Failed(error) => return (taken, Some(error.meaning)),
        }
    }
    (taken, None)
}

#[test]
fn bounds_and_partitions_are_told() {
    all(40, |log| {
        let mut client = log.client();
        assert_eq!(client.count_partitions().expect("an answer"), 3);
        let asked = [PartitionId(0), PartitionId(1), PartitionId(2)];
        let bounds = client.bounds(&asked).expect("an answer");
        let expected = [40, 1, 0].map(|high| Bounds { low: 0, high });
        assert_eq!(bounds, expected);
    });
}

#[test]
fn records_come_once_in_order_from_the_assigned_offset() {
    all(40, |log| {
        let mut client = log.client();
        assign(&mut client, &[split(0, 13), split(1, 0)]);
        let (taken, failed) = take(&mut client, 0, 27);
        assert_eq!(failed, None);
        let offsets: Vec<u64> = taken.iter().map(|(offset, _, _)| *offset).collect();
        assert_eq!(offsets, (13..40).collect::<Vec<_>>());
        assert_eq!(taken[0].1.as_deref(), Some(&b"k13"[..]));
        assert_eq!(taken[0].2.as_deref(), Some(&b"v13"[..]));
        let (nulls, _) = take(&mut client, 1, 1);
        assert_eq!(nulls, [(0, None, None)], "a null stays a null");
        assert_eq!(client.poll(0, &mut |_| panic!("nothing is left")), Polled::Empty);
    });
}

#[test]
fn a_second_client_reads_the_same_again() {
    all(10, |log| {
        for _ in 0..2 {
            let mut client = log.client();
            assign(&mut client, &[split(0, 5)]);
            let (taken, _) = take(&mut client, 0, 5);
            assert_eq!(taken.iter().map(|r| r.0).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
        }
    });
}

#[test]
fn a_committed_offset_is_the_last_one_even_if_it_goes_back() {
    all(10, |log| {
        let mut client = log.client();
        let asked = [PartitionId(0), PartitionId(1)];
        assert!(client.committed(&asked).expect("an answer").is_empty());
        assign(&mut client, &[split(0, 0), split(1, 0)]);
        for next in [7, 4] {
            let ticket = client.commit(&[split(0, next)]);
            let outcome = match log {
                Log::Simulated(services) => services.wait(&ticket).expect("it answers"),
                Log::Served(_) => wait(&ticket),
            };
            outcome.expect("it is committed");
            let committed = client.committed(&asked).expect("an answer");
            assert_eq!(committed.into_iter().collect::<Vec<_>>(), [(PartitionId(0), Offset(next))]);
        }
    });
}

#[test]
fn a_position_that_the_log_does_not_hold_is_an_error_and_never_a_reset() {
    all(10, |log| {
        let mut client = log.client();
        assign(&mut client, &[split(0, 25)]);
        let (taken, failed) = take(&mut client, 0, 1);
        assert_eq!((taken.len(), failed), (0, Some(Meaning::PositionGone)));
    });
}

/// Not on the mock cluster: it drops old records only when it has too many.
#[test]
fn a_position_below_what_retention_has_left_is_an_error_too() {
    let check = |log: &Log| {
        let mut client = log.client();
        assert_eq!(client.bounds(&[PartitionId(0)]).unwrap(), [Bounds { low: 6, high: 10 }]);
        assign(&mut client, &[split(0, 5)]);
        let (taken, failed) = take(&mut client, 0, 1);
        assert_eq!((taken.len(), failed), (0, Some(Meaning::PositionGone)));
    };
    let services = SimServices::new(1, content(10));
    services.truncate(0, 6);
    check(&Log::Simulated(services));
    for served in Log::embedded_and_external(10) {
        served.truncate(6);
        check(&Log::Served(served));
    }
}
