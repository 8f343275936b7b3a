//! What is simulated: size, mode, faults, bugs, and the records of the input.

use std::collections::BTreeSet;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use stormproof_harness::oracle::checkpoint_reader::Mode;

/// What is broken in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Nothing: a correct engine.
    None,
    /// "Exactly-once" that holds no channel.
    NoHolding,
    /// Snapshot on the first barrier, in-transit records are not logged.
    FirstBarrierUnlogged,
    /// A restore does not refill the sink buffer.
    BufferNotRefilled,
    /// A restore does not bring back channel state.
    ChannelStateIgnored,
    /// List state is appended to the last checkpoint's instead of replacing it.
    BufferAppended,
    /// The sink leaves its buffer out of the snapshot.
    BufferIgnored,
    /// Sources restore one offset behind.
    OneBehind,
    /// Sources skip some offsets at restore.
    SkipsAtRestore,
    /// The checkpoint completes without the last sink.
    OneAckShort,
    /// A restore takes an older checkpoint than it could.
    RestoresOldest,
}

/// What is simulated.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
    pub(crate) partitions: u32,
    pub(crate) sinks: u16,
    pub(crate) records_per_partition: u64,
    pub(crate) keys_per_partition: u64,
    pub(crate) crashes: u32,
    pub(crate) bug: Bug,
    /// Some batches are tried twice.
    pub(crate) retries: bool,
    /// Sinks go on, and snapshot, before their batches are confirmed.
    pub(crate) pipelined: bool,
    /// The newest checkpoint may be torn at a crash.
    pub(crate) torn: bool,
}

impl Plan {
    pub(crate) fn new(seed: u64, mode: Mode) -> Self {
        Self {
            seed,
            mode,
            partitions: 3,
            sinks: 2,
            records_per_partition: 150,
            keys_per_partition: 5,
            crashes: 3,
            bug: Bug::None,
            retries: false,
            pipelined: false,
            torn: false,
        }
    }

    pub(crate) fn with(self, bug: Bug) -> Self {
        Self { bug, ..self }
    }
}

/// A record on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) source_attempt: u32,
    /// Set by the sink that counted it.
    pub(crate) count: u64,
}

/// Makes a partition's records: some offsets are missing, some keys and values null.
pub(super) fn make_log(plan: &Plan, partition: u32, rng: &mut Pcg64Mcg) -> Vec<Record> {
    let mut offset = 0;
    let mut log = Vec::new();
    for n in 0..plan.records_per_partition {
        offset += if rng.random_bool(0.05) { rng.random_range(2..5) } else { 1 };
        let key = rng.random_range(0..plan.keys_per_partition);
        let mut value = n.to_le_bytes().to_vec();
        value.extend((n as i64 * 10).to_le_bytes());
        value.extend([partition as u8; 8]);
        log.push(Record {
            partition,
            offset: offset - 1,
            key: (!rng.random_bool(0.05)).then(|| format!("k{partition}-{key}").into_bytes()),
            value: (!rng.random_bool(0.05)).then_some(value),
            source_attempt: 0,
            count: 0,
        });
    }
    log
}

/// Used by sinks to remember which channels' barriers have come.
pub(crate) type Arrived = BTreeSet<usize>;
