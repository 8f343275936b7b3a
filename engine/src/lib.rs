//! The compact streaming engine of Stormproof: Flink's semantics, other mechanics.
//!
//! P subtasks for each vertex, P x P logical channels, barriers, alignment, credits, checkpoints,
//! restarts; physically W workers, W x W lanes for each edge, one mark for each barrier and lane.
//!
//! **Follow a record**: [`api::SourceReader::poll`] -> [`exchange::Outputs::emit`] writes its frame
//! once ([`record`]) into the open buffer of a [`exchange::Lane`] -> [`exchange::Inbox`] of the
//! receiving worker -> [`worker::GatedGroup`] -> [`api::Operator`] or [`api::Sink`] -> credit goes
//! back.
//!
//! **Follow a barrier**: [`checkpoint::Coordinator`] triggers -> [`worker::SourceGroup`] marks its
//! lanes and snapshots -> [`exchange::Inbox`] meets the mark at ingest and again at processing ->
//! [`checkpoint::BarrierHandler`] decides -> snapshot, state file, acknowledgement -> manifest (the
//! commit point) -> everyone is notified.
//!
//! **Follow a fault**: [`seam::Probe::hit`] at a named [`seam::Step`] -> the hook panics, stalls,
//! fails or kills -> the worker's thread reports -> [`runtime::Job`] ends the attempt, claims the
//! next one, fences the sink, restores the newest complete checkpoint.
//!
//! What it does not do: run on several machines. A job that outgrows one belongs on Apache Flink.

pub mod api;
pub mod checkpoint;
pub mod connectors;
pub mod error;
pub mod exchange;
pub mod graph;
pub mod ids;
pub mod metrics;
pub mod mutants;
pub mod operators;
pub mod record;
pub mod runtime;
pub mod seam;
pub mod worker;
