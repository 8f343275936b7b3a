//! Running a job: attempts, the coordinator's side of them, restarts.
//!
//! [`JobMachine`] is the job: it never waits. [`Job`] drives it on threads; the simulator drives the
//! same machine and the same workers in virtual time. Only [`Job`], its threads and the blocking
//! reads at a restore touch the world.

mod attempt;
mod build;
mod claims;
mod config;
mod event;
mod exposition;
mod host;
mod job;
mod machine;
mod restart;
mod thread;
mod threads;

pub use build::{GroupBuilder, Lanes, active_workers, upstream_name};
pub use config::{CheckpointConfig, CheckpointMode, ExchangeConfig, JobConfig, RestartStrategy};
pub use event::{CheckpointStats, JobEvent, TimedEvent};
pub use host::WorkerHost;
pub use job::{EventListener, Job, JobControl, JobOutcome, JobSeams};
pub use machine::{JobMachine, Turn};
pub use restart::RestartPolicy;
