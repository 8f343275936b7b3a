//! Workloads: the load that is written, and the ledger of what the log holds.

pub mod generator;
pub mod ledger;
mod producers;
