//! The log: librdkafka on a mock cluster, and the simulated one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
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

const TOPIC: &str = "storm-input";

enum Log {
    Simulated(SimServices),
    Real { cluster: MockCluster<'static, DefaultProducerContext> },
}

/// Three partitions; `records` in the first, one with nulls in the second, none in the third.
fn content(records: u64) -> Vec<Vec<(Option<Bytes>, Option<Bytes>)>> {
    let record = |n: u64| (Some(Bytes::from(format!("k{n}"))), Some(Bytes::from(format!("v{n}"))));
    vec![(0..records).map(record).collect(), vec![(None, None)], Vec::new()]
}

impl Log {
    fn real(records: u64) -> Self {
        let cluster = MockCluster::new(1).expect("a cluster");
        cluster.create_topic(TOPIC, 3, 1).expect("a topic");
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .create()
            .expect("a producer");
        for (partition, records) in (0..).zip(content(records)) {
            for (key, value) in records {
                let mut record: BaseRecord<'_, [u8], [u8]> =
                    BaseRecord::to(TOPIC).partition(partition);
                record.key = key.as_deref();
                record.payload = value.as_deref();
                producer.send(record).expect("room in the queue");
            }
        }
        producer.flush(Duration::from_secs(30)).expect("everything is produced");
        Self::Real { cluster }
    }

    fn simulated(records: u64) -> Self {
        Self::Simulated(SimServices::new(1, content(records)))
    }

    fn service(&self) -> Arc<dyn LogService> {
        match self {
            Self::Simulated(services) => services.log(),
            Self::Real { cluster } => brokers(KafkaSourceConfig {
                brokers: cluster.bootstrap_servers(),
                topic: TOPIC.to_owned(),
                ..KafkaSourceConfig::default()
            }),
        }
    }

    fn client(&self) -> Box<dyn LogClient> {
        self.service().client(WorkerIndex(0)).expect("a client")
    }
}

fn both(records: u64, check: impl Fn(&Log)) {
    check(&Log::simulated(records));
    check(&Log::real(records));
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
    both(40, |log| {
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
    both(40, |log| {
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
    both(10, |log| {
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
    both(10, |log| {
        let mut client = log.client();
        let asked = [PartitionId(0), PartitionId(1)];
        assert!(client.committed(&asked).expect("an answer").is_empty());
        assign(&mut client, &[split(0, 0), split(1, 0)]);
        for next in [7, 4] {
            let ticket = client.commit(&[split(0, next)]);
            let outcome = match log {
                Log::Simulated(services) => services.wait(&ticket).expect("it answers"),
                Log::Real { .. } => wait(&ticket),
            };
            outcome.expect("it is committed");
            let committed = client.committed(&asked).expect("an answer");
            assert_eq!(committed.into_iter().collect::<Vec<_>>(), [(PartitionId(0), Offset(next))]);
        }
    });
}

#[test]
fn a_position_that_the_log_does_not_hold_is_an_error_and_never_a_reset() {
    both(10, |log| {
        let mut client = log.client();
        assign(&mut client, &[split(0, 25)]);
        let (taken, failed) = take(&mut client, 0, 1);
        assert_eq!((taken.len(), failed), (0, Some(Meaning::PositionGone)));
    });
}

#[test]
fn a_position_below_what_retention_has_left_is_an_error_too() {
    let services = SimServices::new(1, content(10));
    services.truncate(0, 6);
    let mut client = services.log().client(WorkerIndex(0)).expect("a client");
    assert_eq!(client.bounds(&[PartitionId(0)]).unwrap(), [Bounds { low: 6, high: 10 }]);
    assign(&mut client, &[split(0, 5)]);
    let (taken, failed) = take(&mut client, 0, 1);
    assert_eq!((taken.len(), failed), (0, Some(Meaning::PositionGone)));
}
