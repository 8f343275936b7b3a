//! The ledger: building, asking, saving, and reading it back from a topic.

use std::time::Duration;

use proptest::prelude::*;
use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use stormproof_harness::workload::ledger::{
    Ledger, LedgerBuilder, LedgerError, Offset, PartitionId, ReadProgress, SendTimes, hash_key,
    hash_value, read_topic, version_of,
};

const P0: PartitionId = PartitionId(0);
const P7: PartitionId = PartitionId(7);

fn value(id: u64, intended_us: i64) -> Vec<u8> {
    [&id.to_le_bytes()[..], &intended_us.to_le_bytes(), &5_u32.to_le_bytes(), b"filled up"].concat()
}

/// Two partitions with a gap, a null key, a null value and a key that lives in both.
fn sample() -> Ledger {
    let mut builder = LedgerBuilder::new();
    builder.set_bounds(P0, Offset(10), Offset(20));
    builder.push(P0, Offset(12), Some(b"k0-1"), Some(&value(1, 111))).unwrap();
    builder.push(P0, Offset(13), Some(b"both"), Some(b"old")).unwrap();
    builder.push(P0, Offset(16), None, Some(b"no key")).unwrap();
    builder.push(P7, Offset(14), Some(b"both"), Some(b"new")).unwrap();
    builder.push(P0, Offset(17), Some(b"k0-1"), None).unwrap();
    builder.set_bounds(PartitionId(9), Offset(5), Offset(5));
    assert_eq!(builder.records(), 5);
    builder.finish().unwrap()
}

#[test]
fn a_ledger_knows_bounds_gaps_keys_and_times() {
    let ledger = sample();
    assert_eq!(ledger.records(), 5);
    let slots = [P0, P7, PartitionId(9), PartitionId(1)].map(|p| ledger.slot(p));
    assert_eq!(slots, [Some(0), Some(1), Some(2), None]);
    let [first, second, empty] = ledger.partitions() else { panic!("three partitions") };
    assert_eq!((first.start(), first.end(), first.records()), (Offset(10), Offset(20), 4));
    assert_eq!((second.start(), second.end()), (Offset(14), Offset(15)));
    assert_eq!((empty.start(), empty.end(), empty.records()), (Offset(5), Offset(5), 0));
    assert_eq!(first.offsets().map(|o| o.0).collect::<Vec<_>>(), [12, 13, 16, 17]);
    let positions = [9, 10, 12, 13, 14, 16, 17, 18, 20].map(|o| first.position(Offset(o)));
    let expected = [None, None, Some(0), Some(1), None, Some(2), Some(3), None, None];
    assert_eq!(positions, expected);
    assert_eq!(first.key_hash(Offset(12)), Some(hash_key(b"k0-1")));
    assert_eq!(first.key_hash(Offset(16)), None, "a null key");
    assert_eq!(first.key_hash(Offset(15)), None, "a gap");
    assert_eq!(first.lane_at(0), first.lane_at(3), "one lane for one key");
    assert_eq!(first.send_times(Offset(12)), Some(SendTimes { intended_us: 111, actual_us: 116 }));
    assert_eq!(first.send_times(Offset(13)), None, "not of the load generator");
    assert_eq!(second.send_times(Offset(14)), None);
}

#[test]
fn the_highest_version_of_a_key_wins_across_partitions() {
    let ledger = sample();
    let both = ledger.key(hash_key(b"both")).unwrap();
    assert_eq!((both.partition, both.offset), (P7, Offset(14)));
    assert_eq!(both.version, version_of(P7, Offset(14)));
    assert_eq!(both.version, 14 * 65_536 + 7);
    assert_eq!((both.records, both.partitions), (2, 2));
    assert_eq!(both.value_hash, hash_value(Some(b"new")));
    let own = ledger.key(hash_key(b"k0-1")).unwrap();
    assert_eq!((own.offset, own.records, own.partitions), (Offset(17), 2, 1));
    assert_eq!(own.value_hash, hash_value(None), "a tombstone wins like any value");
    assert_ne!(hash_value(None), hash_value(Some(b"")));
    assert_eq!(ledger.key(hash_key(b"unknown")), None);
    let mut hashes: Vec<u128> = ledger.keys().map(|facts| facts.hash).collect();
    assert!(hashes.is_sorted());
    hashes.dedup();
    assert_eq!(hashes.len(), 2);
}

#[test]
fn only_the_load_generators_own_records_have_an_intended_time() {
    let mut builder = LedgerBuilder::new();
    let keys: [&[u8]; 6] = [b"k7-0", b"k8-0", b"k7-x", b"k7", b"x7-0", b"k7-1"];
    for (offset, key) in (0..).zip(keys) {
        let value = if key == b"k7-1" { b"short".to_vec() } else { value(offset, 5) };
        builder.push(P7, Offset(offset), Some(key), Some(&value)).unwrap();
    }
    let ledger = builder.finish().unwrap();
    let times = (0..6).map(|o| ledger.partitions()[0].send_times(Offset(o)).map(|t| t.intended_us));
    assert_eq!(times.collect::<Vec<_>>(), [Some(5), None, None, None, None, None]);
}

#[test]
fn records_must_come_in_order_and_within_bounds() {
    let mut builder = LedgerBuilder::new();
    builder.push(P0, Offset(5), None, None).unwrap();
    for offset in [5, 4] {
        let error = builder.push(P0, Offset(offset), None, None).unwrap_err();
        assert!(matches!(error, LedgerError::NotIncreasing { .. }), "{error}");
    }
    let error = builder.push(P0, Offset(5 + (1 << 32)), None, None).unwrap_err();
    assert!(matches!(error, LedgerError::TooLong { .. }), "{error}");
    for (start, end) in [(6, 10), (0, 5)] {
        let mut builder = LedgerBuilder::new();
        builder.set_bounds(P0, Offset(start), Offset(end));
        builder.push(P0, Offset(5), None, None).unwrap();
        let error = builder.finish().unwrap_err();
        assert!(matches!(error, LedgerError::OutOfBounds { .. }), "{error}");
        assert!(error.to_string().contains("offset 5 of partition 0"), "{error}");
    }
}

#[test]
fn a_saved_ledger_is_the_same_and_damage_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.bin");
    let ledger = sample();
    ledger.save(&path).unwrap();
    assert_eq!(Ledger::load(&path).unwrap(), ledger);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no scratch is left");

    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&path, &damaged).unwrap();
        let error = Ledger::load(&path).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged { .. }), "byte {at}: {error}");
    }
    for len in 0..bytes.len() {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert!(Ledger::load(&path).is_err(), "{len} bytes");
    }
    let mut newer = bytes.clone();
    newer[8] = 3;
    std::fs::write(&path, &newer).unwrap();
    let error = Ledger::load(&path).unwrap_err().to_string();
    assert!(error.contains("it has version 3, this build reads version 2"), "{error}");
    let error = Ledger::load(&folder.path().join("none")).unwrap_err().to_string();
    assert!(error.contains("cannot read the ledger file"), "{error}");
}

proptest! {
    #[test]
    fn a_ledger_agrees_with_a_plain_list_of_records(
        records in prop::collection::btree_map(
            (0u32..4, 0u64..300),
            (prop::option::of(0u8..20), prop::option::of(any::<u8>())),
            0..200,
        ),
        padding in 0u64..50,
    ) {
        let mut builder = LedgerBuilder::new();
        let list: Vec<_> = records.iter().map(|((p, o), (key, value))| {
            (PartitionId(*p), Offset(o + padding), key.map(|k| vec![k]), value.map(|v| vec![v]))
        }).collect();
        for (p, o, key, value) in &list {
            builder.set_bounds(*p, Offset(0), Offset(400));
            builder.push(*p, *o, key.as_deref(), value.as_deref()).unwrap();
        }
        let ledger = builder.finish().unwrap();
        prop_assert_eq!(ledger.records(), list.len() as u64);
        for partition in ledger.partitions() {
            let own: Vec<_> = list.iter().filter(|r| r.0 == partition.id()).collect();
            let offsets: Vec<_> = own.iter().map(|r| r.1).collect();
            prop_assert_eq!(partition.offsets().collect::<Vec<_>>(), offsets);
            for offset in (0..400).map(Offset) {
                let position = own.iter().position(|r| r.1 == offset);
                prop_assert_eq!(partition.position(offset), position);
                let key = position.and_then(|at| own[at].2.as_deref()).map(hash_key);
                prop_assert_eq!(partition.key_hash(offset), key);
            }
        }
        for key in (0u8..20).map(|k| vec![k]) {
            let own: Vec<_> = list.iter().filter(|r| r.2.as_ref() == Some(&key)).collect();
            let last = own.iter().max_by_key(|r| version_of(r.0, r.1));
            let facts = ledger.key(hash_key(&key));
            prop_assert_eq!(facts.map(|f| f.records), last.map(|_| own.len() as u64));
            prop_assert_eq!(facts.map(|f| f.version), last.map(|r| version_of(r.0, r.1)));
            let value_hash = last.map(|r| hash_value(r.3.as_deref()));
            prop_assert_eq!(facts.map(|f| f.value_hash), value_hash);
        }
    }
}

#[test]
fn ten_million_records_fit_in_a_gigabyte() {
    // A tenth of it, every key different: the dearest case. Grows in proportion.
    let mut builder = LedgerBuilder::new();
    for n in 0..1_000_000u64 {
        let p = PartitionId((n % 2000) as u32);
        let key = format!("k{}-{n}", p.0);
        builder.push(p, Offset(n / 2000), Some(key.as_bytes()), Some(&value(n, 1))).unwrap();
    }
    let ledger = builder.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.bin");
    ledger.save(&path).unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    // In memory there are 8 more bytes a key: the order by hash.
    assert!(bytes + 8_000_000 < 100_000_000, "{bytes} bytes for a million records");
    assert_eq!(Ledger::load(&path).unwrap(), ledger);
}

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    MockCluster::new(1).expect("a mock cluster")
}

fn produce(brokers: &str, topic: &str, partitions: &[i32], records: u64) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a producer");
    for n in 0..records {
        for p in partitions {
            let (key, value) = (format!("k{p}-{}", n % 5), value(n, n as i64));
            let record = BaseRecord::to(topic).partition(*p).key(&key).payload(&value);
            producer.send(record).expect("queued");
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(10)).expect("flushed");
}

#[test]
fn a_topic_is_read_back_from_start_to_log_end() {
    let cluster = cluster();
    cluster.create_topic("storm", 5, 1).expect("a topic");
    let brokers = cluster.bootstrap_servers();
    // Partitions 1 and 4 stay empty.
    produce(&brokers, "storm", &[0, 2, 3], 400);
    let mut last = None;
    let ledger = read_topic(&brokers, "storm", Duration::from_secs(30), |at| {
        last = Some(at);
    });
    let ledger = ledger.expect("a ledger");
    assert_eq!(last, Some(ReadProgress { records: 1200, offsets: 1200 }));
    let records: Vec<u64> = ledger.partitions().iter().map(|p| p.records()).collect();
    assert_eq!(records, [400, 0, 400, 400, 0]);
    let facts = ledger.key(hash_key(b"k3-4")).expect("known");
    assert_eq!((facts.offset, facts.records), (Offset(399), 80));
    assert_eq!(facts.value_hash, hash_value(Some(&value(399, 399))));
    assert_eq!(ledger.partitions()[2].send_times(Offset(17)).map(|t| t.intended_us), Some(17));
}

#[test]
fn a_topic_that_is_missing_or_unreachable_says_so() {
    let cluster = cluster();
    cluster.create_topic("storm", 1, 1).expect("a topic");
    let brokers = cluster.bootstrap_servers();
    produce(&brokers, "storm", &[0], 10);
    cluster.broker_down(1).expect("down");
    let error = read_topic(&brokers, "storm", Duration::from_secs(2), |_| ()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("topic storm") && text.contains(&brokers), "{text}");
}
