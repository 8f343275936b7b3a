//! The harness: runs a job through a storm and proves from outside what became of its records.
//!
//! *Follow a run:* [`cli`] reads options into a [`scenario`]; [`run`] starts an [`environment`], the
//! system under test ([`driver`]) and the load ([`workload::generator`]), strikes, drains; the
//! [`oracle`] judges the topic's own content ([`workload::ledger`]) against checkpoints and
//! database; the result goes to `stormproof_reports`, and all that is printed through [`output`].
//!
//! *Follow a claim:* [`claims`] tries what is said about such jobs, by simulation and by the engine.
//!
//! *Follow a seed:* [`sim`] lets the chaos room simulate it and asks the same oracle.
//!
//! *Follow a figure through the gate:* [`gate`].
//!
//! Invariant: `oracle` and `workload::ledger` import neither the engine nor the faults; a test of
//! this crate enforces it.

pub mod bench;
pub mod broker;
pub mod claims;
pub mod cli;
pub mod clock;
pub mod doctor;
pub mod driver;
pub mod environment;
pub mod error;
pub mod foreign;
pub mod gate;
pub mod measure;
pub mod oracle;
pub mod output;
pub(crate) mod program;
pub mod proof;
pub mod run;
pub mod scenario;
pub mod sim;
pub(crate) mod strike;
pub mod workload;
