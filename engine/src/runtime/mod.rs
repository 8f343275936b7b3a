//! Running a job.
mod config;
mod event;
pub use config::{CheckpointConfig, CheckpointMode, ExchangeConfig, JobConfig, RestartStrategy};
pub use event::{CheckpointStats, JobEvent, TimedEvent};
