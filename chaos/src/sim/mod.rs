//! The deterministic simulation: the very engine under a seeded scheduler and virtual time.
//!
//! *Follow a seed.* [`Plan::draw`] draws everything: shape, load, pace, services, faults ->
//! [`run`] builds a world ([`world`]) of services that keep the contract of the real ones
//! ([`store`], [`topic`], [`database`]) and of processes whose job is the engine's own
//! `JobMachine`, whose workers are the engine's own `Worker`s ([`crew`]) -> one event after the
//! other ([`core`]) until the job has drained -> [`SimRun`]: evidence for the oracle, faults that
//! landed, the trace.
//!
//! *Follow a fault.* At a named step: [`hook`]. From outside: [`world`]. Bad service: [`weather`].
//!
//! Invariant: the same plan gives the same run, byte for byte, in every process and on every
//! machine. So there is no time, randomness, thread or hash order here but the world's own.
//!
//! What it does not do: judge. That is the oracle's, in the harness.

mod bounded;
mod conduct;
mod connection;
mod core;
mod crew;
mod database;
mod draw;
mod escrow;
mod evidence;
mod hold;
mod hook;
mod job;
mod plan;
mod quiet;
mod services;
mod shape;
mod store;
mod topic;
mod weather;
mod world;

pub use core::{ProcessId, Span};
pub use database::DatabaseTraits;
pub use evidence::{
    AuditRow, Breach, Evidence, FenceRow, InputRecord, Landed, Passed, ResultRow, SimEnd, SimRun,
};
pub use job::{ArrivalOf, arrivals};
pub use plan::{Load, Pace, Parallelism, Plan, Services, SinkPlan, Topology, Truncation, VERTICES};
pub use services::{KeyValue, SimServices};
pub use shape::{key_of_output, output_of_key};
pub use weather::{Disturbance, Window};

/// Runs a plan; `is_traced` keeps a line for each event.
pub fn run(plan: &Plan, is_traced: bool) -> SimRun {
    quiet::while_simulating(|| world::World::new(plan, is_traced).run())
}

/// Runs a plan and keeps what the jobs told and every named step that they passed. The run is the
/// same as [`run`]'s.
pub fn watch(plan: &Plan) -> SimRun {
    quiet::while_simulating(|| world::World::new(plan, false).watched().run())
}
