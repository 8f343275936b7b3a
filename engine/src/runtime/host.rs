//! Where the workers of an attempt run: on threads, or in a simulator.

use std::sync::Arc;

use super::GroupBuilder;
use crate::ids::WorkerIndex;
use crate::metrics::WorkerMetrics;
use crate::worker::Control;

/// Runs workers for a [`super::JobMachine`]. What workers report goes back to
/// [`super::JobMachine::on_report`], by whoever drives the machine.
pub trait WorkerHost {
    /// Opens and starts every worker of an attempt, see [`GroupBuilder::workers`]; says which they
    /// are and where their figures are. Opening may go on in the background: each worker reports
    /// when it runs, or that it failed.
    fn start(&mut self, builder: Arc<GroupBuilder>) -> Vec<(WorkerIndex, Arc<WorkerMetrics>)>;

    /// Sends a message to a worker. A worker that is gone has reported its failure, or is about to.
    fn tell(&mut self, worker: WorkerIndex, message: Control);

    /// Ends every worker, in whatever state it is. Afterwards none of them does anything any more.
    fn end(&mut self);
}
