//! The log: what a Kafka broker keeps, without the broker.
//!
//! Partitions of checksummed record batches, idempotent producers, transactions, committed offsets
//! of groups; bytes in, bytes out, over a small [`Storage`]. The embedded broker serves it over
//! sockets, tests call it directly. The simulation has a log of its own, of records, not of bytes;
//! one conformance suite holds both to what the engine's reader relies on.
//!
//! *Follow a batch:* [`Log::append`] validates it ([`validate`]), judges its producer's sequence,
//! writes one entry, notes it in the partition's index; [`Log::read`] finds it, [`Log::load`]
//! reads it. *Follow a transaction:* [`Log::take_transactional_id`],
//! [`Log::add_partitions_to_transaction`], [`Log::append`], [`Log::end_transaction`]: one entry
//! with all its markers. *Follow a crash:* [`Log::open`] replays every entry and cuts off a torn
//! tail.
//!
//! Invariants: no threads, no clock, no randomness: time is given in milliseconds. A call that
//! returns `Ok` has been written; one that returns an error has changed nothing. What is replayed
//! is what was there.
//!
//! What it does not do: replicate, compact, compress, look into compressed batches, flush to the
//! disk by itself ([`Log::sync`] does): it survives the death of its process, not that of its
//! machine.

mod admin;
mod append;
mod batch;
mod change;
mod entry;
mod error;
mod files;
mod groups;
mod ids;
mod journal;
#[expect(clippy::module_inception, reason = "the log is what this room is about")]
mod log;
mod offsets;
mod partition;
mod producers;
mod read;
mod record;
mod state;
mod storage;
mod topics;
mod transact;
mod transactions;

pub use admin::TopicView;
pub use append::Appended;
pub use batch::{BatchHeader, CONTROL_BYTES, HEADER_BYTES, control_batch, validate};
pub use error::{LogError, Result};
pub use files::FileStorage;
pub use groups::{Committed, Offsets};
pub use ids::{Isolation, Outcome, Producer, ProducerEpoch, ProducerId, TopicId, TopicPartition};
pub use log::{Log, LogConfig, Recovery};
pub use read::{AbortedTransaction, Bounds, Found, OffsetAt};
pub use storage::{MemoryStorage, Storage};
pub use topics::{PARTITIONS_LIMIT, TopicSettings};
pub use transactions::TIMEOUT_LIMIT_MS;
