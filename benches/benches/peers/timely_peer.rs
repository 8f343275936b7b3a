//! The peer: Timely's exchange over the same records, keys and number of workers.
//!
//! A record is its key and its value, 112 bytes with nothing of the provenance that ours carry, and
//! goes to the worker that its key says, unhashed: the comparison leans towards Timely. It has no
//! barriers and no checkpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use timely::dataflow::InputHandle;
use timely::dataflow::operators::{Exchange, Input, Inspect, Probe};

/// Records between two looks at the dataflow. Not tuned.
const BATCH: u64 = 4096;
/// Batches under way.
const AHEAD: usize = 4;
/// Bytes of the pool that values are cut from, as the generator does it.
const POOL_BYTES: usize = 4096 + VALUE_BYTES;
const VALUE_BYTES: usize = 100;

#[derive(Clone, Serialize, Deserialize)]
struct TimelyRecord {
    key: u64,
    value: [[u8; 25]; 4],
}

/// Sends `records` records over `workers` workers. Returns how long it took.
pub(crate) fn run(workers: usize, records: u64, keys: u64) -> Duration {
    let seen = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&seen);
    let started = Instant::now();
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let mut input = InputHandle::new();
        let counted = Arc::clone(&counted);
        let mut counts = vec![0_u64; 1024];
        let probe = worker.dataflow(|scope| {
            let stream = scope.input_from(&mut input).container::<Vec<TimelyRecord>>();
            let arrived = stream.exchange(|record: &TimelyRecord| record.key);
            let inspected = arrived.inspect_core(move |event| {
                if let Ok((_, batch)) = event {
                    for record in batch {
                        counts[record.key as usize % 1024] += 1;
                    }
                    counted.fetch_add(batch.len() as u64, Ordering::Relaxed);
                }
            });
            inspected.probe().0
        });
        let mut source = Source::new(worker.index() as u64, keys);
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
    assert_eq!(seen.load(Ordering::Relaxed), whole, "every record arrives");
    elapsed
}

/// The generator's keys and values: SplitMix64 and stretches of a pool.
struct Source {
    state: u64,
    keys: u64,
    pool: Vec<u8>,
}

impl Source {
    fn new(seed: u64, keys: u64) -> Self {
        Self { state: seed, keys, pool: (0..POOL_BYTES).map(|i| (i * 31) as u8).collect() }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn make(&mut self, number: u64) -> TimelyRecord {
        let key = ((u128::from(self.next()) * u128::from(self.keys)) >> 64) as u64;
        let own = self.next();
        let mut value = [[0; 25]; 4];
        let flat = value.as_flattened_mut();
        flat[..8].copy_from_slice(&number.to_le_bytes());
        flat[8..16].copy_from_slice(&own.to_le_bytes());
        let place = (own % 4096) as usize;
        flat[16..].copy_from_slice(&self.pool[place..place + VALUE_BYTES - 16]);
        TimelyRecord { key, value }
    }
}
