//! The peer: Timely's exchange over the same number of workers, in two forms.
//!
//! [`Same`] is like for like: key and value are made by the engine's own generator, and the record
//! goes to the worker that the same hash of its text key says. [`Numbered`] leans towards Timely:
//! its key is a number that nobody hashes, and the value is copied from a pool. Both sides' sinks
//! count records and their bytes. Neither form carries provenance, and Timely has no barriers and
//! no checkpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use stormproof_engine::connectors::generator::{Content, KeySkew};
use stormproof_engine::ids::{Offset, PartitionId};
use timely::dataflow::InputHandle;
use timely::dataflow::operators::{Exchange, Input, Inspect, Probe};
use xxhash_rust::xxh3::xxh3_64;

/// Records between two looks at the dataflow. Not tuned.
const BATCH: u64 = 4096;
/// Batches under way.
const AHEAD: usize = 4;
/// Bytes of the pool that values are cut from, as the generator does it.
const POOL_BYTES: usize = 4096 + VALUE_BYTES;
const VALUE_BYTES: usize = 100;
/// Bytes of a text key: `k` and up to seven digits.
const KEY_BYTES: usize = 8;

/// What is sent, and how it is made.
pub(crate) trait Form: 'static {
    /// The record, as it lies in Timely's buffers.
    type Record: Clone + Serialize + DeserializeOwned + Send + 'static;

    /// A source of one worker.
    fn new(worker: u64, keys: u64) -> Self;
    /// The record of this number.
    fn make(&mut self, number: u64) -> Self::Record;
    /// Who gets it: this, modulo the workers.
    fn route(record: &Self::Record) -> u64;
    /// Bytes of key and value.
    fn bytes(record: &Self::Record) -> u64;
}

/// What all sinks have seen.
#[derive(Default)]
struct Seen {
    records: AtomicU64,
    bytes: AtomicU64,
}

/// Sends `records` records over `workers` workers. Returns how long it took.
pub(crate) fn run<F: Form>(workers: usize, records: u64, keys: u64) -> Duration {
    let seen = Arc::new(Seen::default());
    let counted = Arc::clone(&seen);
    let started = Instant::now();
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let mut input = InputHandle::new();
        let counted = Arc::clone(&counted);
        let probe = worker.dataflow(|scope| {
            let stream = scope.input_from(&mut input).container::<Vec<F::Record>>();
            let arrived = stream.exchange(F::route);
            let inspected = arrived.inspect_core(move |event| {
                if let Ok((_, batch)) = event {
                    let bytes: u64 = batch.iter().map(F::bytes).sum();
                    counted.records.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    counted.bytes.fetch_add(bytes, Ordering::Relaxed);
                }
            });
            inspected.probe().0
        });
        let mut source = F::new(worker.index() as u64, keys);
        let share = records / workers as u64;
        let mut sent = 0;
        let mut batch: usize = 0;
        while sent < share {
            for number in sent..share.min(sent + BATCH) {
                input.send(source.make(number));
            }
            sent = share.min(sent + BATCH);
            batch += 1;
            input.advance_to(batch);
            worker.step();
            while probe.less_than(&batch.saturating_sub(AHEAD)) {
                worker.step();
            }
        }
        input.close();
        while !probe.done() {
            worker.step();
        }
    });
    drop(guards.expect("Timely starts its workers"));
    let elapsed = started.elapsed();
    let whole = records / workers as u64 * workers as u64;
    assert_eq!(seen.records.load(Ordering::Relaxed), whole, "every record arrives");
    let bytes = seen.bytes.load(Ordering::Relaxed);
    assert!(bytes > whole * VALUE_BYTES as u64, "every record arrives whole: {bytes} bytes");
    elapsed
}

/// A value in pieces that serde knows.
type Value = [[u8; 25]; 4];

/// The engine's own records: same keys, same bytes, same hash.
pub(crate) struct Same {
    worker: u64,
    content: Content,
}

impl Form for Same {
    type Record = ([u8; KEY_BYTES], u8, Value);

    fn new(worker: u64, keys: u64) -> Self {
        assert!(keys <= 10_000_000, "a key has {KEY_BYTES} bytes at most");
        Self { worker, content: Content::new(1, keys, KeySkew::Uniform, VALUE_BYTES) }
    }

    fn make(&mut self, number: u64) -> Self::Record {
        let partition = PartitionId(self.worker as u32);
        let (text, bytes) = self.content.make(partition, Offset(number), number);
        let mut key = [0; KEY_BYTES];
        key[..text.len()].copy_from_slice(text);
        let mut value = [[0; 25]; 4];
        value.as_flattened_mut().copy_from_slice(bytes);
        (key, text.len() as u8, value)
    }

    fn route((key, bytes, _): &Self::Record) -> u64 {
        xxh3_64(&key[..usize::from(*bytes)])
    }

    fn bytes((_, bytes, value): &Self::Record) -> u64 {
        u64::from(*bytes) + value.as_flattened().len() as u64
    }
}

/// A number for a key.
pub(crate) struct Numbered {
    state: u64,
    keys: u64,
    pool: Vec<u8>,
}

impl Numbered {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Form for Numbered {
    type Record = (u64, Value);

    fn new(worker: u64, keys: u64) -> Self {
        Self { state: worker, keys, pool: (0..POOL_BYTES).map(|i| (i * 31) as u8).collect() }
    }

    fn make(&mut self, number: u64) -> Self::Record {
        let key = ((u128::from(self.next()) * u128::from(self.keys)) >> 64) as u64;
        let own = self.next();
        let mut value = [[0; 25]; 4];
        let flat = value.as_flattened_mut();
        flat[..8].copy_from_slice(&number.to_le_bytes());
        flat[8..16].copy_from_slice(&own.to_le_bytes());
        let place = (own % 4096) as usize;
        flat[16..].copy_from_slice(&self.pool[place..place + VALUE_BYTES - 16]);
        (key, value)
    }

    fn route((key, _): &Self::Record) -> u64 {
        *key
    }

    fn bytes((key, value): &Self::Record) -> u64 {
        (size_of_val(key) + value.as_flattened().len()) as u64
    }
}
