//! A worker: some subtasks of every vertex, run cooperatively.
//!
//! One entry, [`Worker::step`]; a thread's loop calls it, or the simulator. A step never blocks
//! and reads no clock but the one it is given.
//!
//! - `groups`: [`gated`] (operators and sinks behind an inbox), [`source`] (what has no input).
//! - `snapshots`: a checkpoint's parts on their way from the groups to the state file and the
//!   acknowledgement.

mod gated;
mod parked;
mod snapshots;
mod source;
mod stalls;
mod step;

pub use gated::{GatedGroup, GatedTask};
pub use source::SourceGroup;
pub use step::{Alignment, Control, Flow, Group, Misheld, Progress, Report, Worker, WorkerLinks};
