//! The log: what it takes and refuses, what readers see, what survives a crash at any byte.

mod batches;
mod crashes;
mod files;
mod groups;
mod reading;
mod sequences;
mod support;
mod transactions;
