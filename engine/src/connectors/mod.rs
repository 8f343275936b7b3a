//! Connectors: where records come from and where effects go.
//!
//! | room | what |
//! |---|---|
//! | [`kafka`] | a source over few clients and many partitions; offsets are state |
//! | [`generator`] | an open-loop source that needs no service |
//! | [`sql`] | a sink for MySQL, MariaDB and SQLite: buffered, batched, fenced |
//! | [`immediate`] | what sinks without state or anything pending have in common |
//! | [`blackhole`] | one of them, that counts |
//!
//! Connectors are the edge of the engine: they own clients, threads and tasks, and answer the
//! worker through flags, queues and tickets. Nothing here blocks a worker, except opening.
//!
//! What connectors count themselves: everything behind them (confirmations, retries, commits,
//! lags). What passes *into* and *out of* them (`source_records`, `sink_records`) is counted by
//! the worker that calls them.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the edge: connectors own clients, threads and clocks; the core does not"
)]

pub mod blackhole;
pub mod generator;
pub mod immediate;
pub mod kafka;
pub mod sql;

mod splits;
mod wall_clock;

pub use splits::{SPLITS_STATE, Split};
pub use wall_clock::WallClock;
