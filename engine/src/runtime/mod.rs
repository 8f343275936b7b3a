//! Running a job: attempts on threads, the coordinator's loop, restarts.
//!
//! Everything here may touch the world (threads, sleeping, blocking reads at restore); what it
//! drives may not.

mod attempt;
mod build;
mod config;
mod event;
mod exposition;
mod job;
mod restart;
mod thread;

pub use build::{GroupBuilder, Lanes, active_workers, upstream_name};
pub use config::{CheckpointConfig, CheckpointMode, ExchangeConfig, JobConfig, RestartStrategy};
pub use event::{CheckpointStats, JobEvent, TimedEvent};
pub use job::{EventListener, Job, JobControl, JobOutcome, JobSeams};
pub use restart::RestartPolicy;
