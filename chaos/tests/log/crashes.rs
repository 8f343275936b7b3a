//! Crashes: a storage cut at any byte, or failing at any write, and what is there afterwards.

use std::io;

use proptest::prelude::*;
use stormproof_chaos::log::{
    Committed, Isolation, Log, LogConfig, LogError, MemoryStorage, Offsets, Outcome, Producer,
    Storage, TopicSettings,
};

use crate::support::{Batch, MemoryLog, log_with, partition, values};

const SMALL: LogConfig = LogConfig { segment_bytes: 3_000 };

/// What a client could do.
#[derive(Clone, Debug)]
enum Request {
    Append { partition: i32, records: usize },
    AppendInTransaction { partition: i32 },
    End(bool),
    Take,
    CommitOffset(i64),
    CommitOffsetInTransaction(i64),
    Delete { partition: i32, offset: i64 },
    Tick(i64),
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let request = prop_oneof![
        4 => (0..2, 1_usize..4).prop_map(|(partition, records)| Request::Append { partition, records }),
        4 => (0..2).prop_map(|partition| Request::AppendInTransaction { partition }),
        2 => any::<bool>().prop_map(Request::End),
        1 => Just(Request::Take),
        1 => (0_i64..9).prop_map(Request::CommitOffset),
        1 => (0_i64..9).prop_map(Request::CommitOffsetInTransaction),
        1 => (0..2, 0_i64..9).prop_map(|(partition, offset)| Request::Delete { partition, offset }),
        1 => (0_i64..2_000).prop_map(Request::Tick),
    ];
    proptest::collection::vec(request, 1..60)
}

/// A client with a transactional producer.
struct Client {
    producer: Producer,
    sequences: [i32; 2],
    now_ms: i64,
}

impl Client {
    fn carry_out<S: Storage>(&mut self, log: &mut Log<S>, request: &Request) {
        // A refusal is as good an answer as any: what counts is what is there afterwards.
        let _ = self.try_to(log, request);
    }

    fn try_to<S: Storage>(&mut self, log: &mut Log<S>, request: &Request) -> Result<(), LogError> {
        let offset = |offset| {
            let committed = Committed { offset, metadata: String::new() };
            Offsets::from([("t".to_owned(), [(0, committed)].into())])
        };
        match request {
            Request::Append { partition, records } => {
                let at = log.find("t", *partition)?;
                let batch = Batch::of(&["value", "value", "value"][..*records]);
                log.append(at, &batch.bytes(), self.now_ms).map(drop)
            }
            Request::AppendInTransaction { partition } => {
                let at = log.find("t", *partition)?;
                log.add_partitions_to_transaction("x", self.producer, vec![at], self.now_ms)?;
                let sequence = &mut self.sequences[*partition as usize];
                let batch = Batch::of(&["in"]).from(self.producer, *sequence).transactional();
                log.append(at, &batch.bytes(), self.now_ms)?;
                *sequence += 1;
                Ok(())
            }
            Request::End(commit) => {
                let outcome = if *commit { Outcome::Commit } else { Outcome::Abort };
                log.end_transaction("x", self.producer, outcome, self.now_ms).map(drop)
            }
            Request::Take => {
                self.producer = log.take_transactional_id("x", 500, None, self.now_ms)?.0;
                self.sequences = [0; 2];
                Ok(())
            }
            Request::CommitOffset(to) => log.commit_offsets("g", offset(*to)),
            Request::CommitOffsetInTransaction(to) => {
                log.add_group_to_transaction("x", self.producer, "g", self.now_ms)?;
                log.commit_offsets_in_transaction("x", self.producer, "g", offset(*to))
            }
            Request::Delete { partition, offset } => {
                let at = log.find("t", *partition)?;
                log.delete_records(at, Some(*offset)).map(drop)
            }
            Request::Tick(ms) => {
                self.now_ms += ms;
                log.tick(self.now_ms).map(drop)
            }
        }
    }
}

/// Everything that can be seen from outside.
fn view(log: &MemoryLog) -> String {
    let mut seen = String::new();
    for index in 0..2 {
        let at = partition(log, index);
        let bounds = log.bounds(at).unwrap();
        seen.push_str(&format!("{bounds:?}"));
        for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
            seen.push_str(&format!("{:?}", values(log, at, bounds.start_offset, isolation)));
        }
    }
    seen.push_str(&format!("{:?} {:?}", log.all_committed("g"), log.topic("t")));
    seen
}

fn begin(config: LogConfig) -> (MemoryLog, Client) {
    let (mut log, _) = Log::open(MemoryStorage::default(), config).unwrap();
    log.create_topic("t", 2, TopicSettings::default()).unwrap();
    let (producer, _) = log.take_transactional_id("x", 500, None, 0).unwrap();
    (log, Client { producer, sequences: [0; 2], now_ms: 0 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A restart, at any moment, changes nothing that can be seen, and the client goes on as if
    /// nothing had been.
    #[test]
    fn what_is_replayed_is_what_was_there(requests in requests(), restarts in any::<u64>()) {
        let (mut log, mut client) = begin(SMALL);
        let (mut same, mut untroubled) = begin(LogConfig::default());
        for (i, request) in requests.iter().enumerate() {
            client.carry_out(&mut log, request);
            untroubled.carry_out(&mut same, request);
            if restarts >> (i % 64) & 1 == 1 {
                log = Log::open(log.into_storage(), SMALL).unwrap().0;
            }
            prop_assert_eq!(view(&log), view(&same));
        }
    }

    /// A crash leaves a prefix of the writes: what is seen then is what was seen after one of the
    /// requests, and not before the last one that was answered.
    #[test]
    fn a_cut_at_any_byte_leaves_a_state_that_was_there(
        requests in requests(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut log, mut client) = begin(LogConfig::default());
        let mut seen = vec![(log_bytes(&log), view(&log))];
        for request in &requests {
            client.carry_out(&mut log, request);
            seen.push((log_bytes(&log), view(&log)));
        }
        let first = seen[0].0;
        let mut storage = log.into_storage();
        let segment = storage.segments.get_mut(&1).unwrap();
        let len = first + cut.index(segment.len() - first + 1);
        segment.truncate(len);
        let (log, recovery) = Log::open(storage, LogConfig::default()).unwrap();
        prop_assert!(recovery.torn_bytes <= (len - first) as u64);
        let survived = seen.iter().rposition(|(bytes, _)| *bytes <= len).unwrap();
        let view = view(&log);
        // One request can be several entries: begin, then write; its first may be there alone.
        let is_known = view == seen[survived].1
            || client_could_have_seen(&requests, survived, len, &view);
        prop_assert!(is_known, "cut at {len}: {view}");
    }
}

fn log_bytes(log: &MemoryLog) -> usize {
    log.storage().segments[&1].len()
}

/// Whether the entries of request `survived` that lie before `len` explain `view`.
fn client_could_have_seen(requests: &[Request], survived: usize, len: usize, view_: &str) -> bool {
    let (mut log, mut client) = begin(LogConfig::default());
    for request in &requests[..survived] {
        client.carry_out(&mut log, request);
    }
    let (mut log, _) =
        Log::open(Capped { inner: log.into_storage(), len }, LogConfig::default()).unwrap();
    if let Some(request) = requests.get(survived) {
        client.carry_out(&mut log, request);
    }
    let (log, _) = Log::open(log.into_storage().inner, LogConfig::default()).unwrap();
    view(&log) == view_
}

/// A storage that is full at `len` bytes: writes beyond are torn and refused.
struct Capped {
    inner: MemoryStorage,
    len: usize,
}

impl Storage for Capped {
    fn segments(&self) -> io::Result<Vec<u32>> {
        self.inner.segments()
    }
    fn create(&mut self, segment: u32) -> io::Result<()> {
        self.inner.create(segment)
    }
    fn len(&self, segment: u32) -> io::Result<u64> {
        self.inner.len(segment)
    }
    fn append(&mut self, segment: u32, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = parts.concat();
        let used: usize = self.inner.segments.values().map(Vec::len).sum();
        let room = self.len.saturating_sub(used).min(bytes.len());
        self.inner.append(segment, &[&bytes[..room]])?;
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
    fn read(&self, segment: u32, position: u64, into: &mut [u8]) -> io::Result<()> {
        self.inner.read(segment, position, into)
    }
    fn truncate(&mut self, segment: u32, len: u64) -> io::Result<()> {
        self.inner.truncate(segment, len)
    }
    fn remove(&mut self, segment: u32) -> io::Result<()> {
        self.inner.remove(segment)
    }
    fn sync(&mut self, segment: u32) -> io::Result<()> {
        self.inner.sync(segment)
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing_and_goes_on_when_there_is_room() {
    for room in (0..4_000).step_by(37) {
        let storage = Capped { inner: MemoryStorage::default(), len: 1_500 + room };
        let config = LogConfig { segment_bytes: 1_000 };
        let (mut log, _) = Log::open(storage, config).unwrap();
        log.create_topic("t", 1, TopicSettings::default()).unwrap();
        let at = log.find("t", 0).unwrap();
        let batch = Batch::of(&["value"]).bytes();
        let mut acknowledged = 0;
        while log.append(at, &batch, 0).is_ok() {
            acknowledged += 1;
        }
        let error = log.append(at, &batch, 0).unwrap_err();
        assert_eq!(error.code(), 56, "{error}");
        assert_eq!(log.bounds(at).unwrap().high_watermark, acknowledged);
        let mut storage = log.into_storage();
        storage.len = usize::MAX;
        let (mut log, recovery) = Log::open(storage, config).unwrap();
        assert_eq!(recovery.torn_bytes, 0, "with {room} bytes of room");
        assert_eq!(log.append(at, &batch, 0).unwrap().base_offset, acknowledged);
    }
}

#[test]
fn a_segment_that_was_only_begun_is_dropped() {
    let mut log = log_with(1);
    let at = partition(&log, 0);
    log.append(at, &Batch::of(&["a"]).bytes(), 0).unwrap();
    let mut storage = log.into_storage();
    let snapshot = storage.segments[&1].clone();
    for cut in [0, 5, 20] {
        storage.segments.insert(2, snapshot[..cut].to_vec());
        let (log, recovery) = Log::open(storage, LogConfig::default()).unwrap();
        assert_eq!(recovery.torn_bytes, cut as u64);
        assert_eq!(log.bounds(at).unwrap().high_watermark, 1);
        storage = log.into_storage();
        assert_eq!(storage.segments.len(), 1);
    }
}

#[test]
fn what_is_corrupt_before_the_end_is_told_and_not_thrown_away() {
    let (mut log, mut client) = begin(LogConfig { segment_bytes: 1_000 });
    for _ in 0..30 {
        client.carry_out(&mut log, &Request::Append { partition: 0, records: 2 });
    }
    let storage = log.into_storage();
    assert!(storage.segments.len() > 2);
    for (segment, at) in [(1, 900), (1, 20), (3, 20)] {
        let mut bad = storage.clone();
        bad.segments.get_mut(&segment).unwrap()[at] ^= 1;
        match Log::open(bad, LogConfig::default()).err() {
            Some(LogError::CorruptStorage { segment: found, .. }) => assert_eq!(found, segment),
            other => panic!("{other:?}"),
        }
    }
}
