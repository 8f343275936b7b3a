//! What an environment is told about the run it is for: its name, what to say, when to give up.

use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use super::service::Service;
use crate::error::{Result, environment};
use crate::output::Console;

/// The longest wait for a service, unless told otherwise.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(90);

/// Whether somebody wants waiting to end.
#[derive(Clone)]
pub struct Stop(Arc<dyn Fn() -> bool + Send + Sync>);

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stop").field(&(self.0)()).finish()
    }
}

impl Stop {
    /// Waiting ends when `is_raised` says so.
    pub fn when(is_raised: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_raised))
    }

    /// Nobody ends it.
    pub fn never() -> Self {
        Self::when(|| false)
    }

    /// An error when waiting shall end.
    pub(crate) fn check(&self) -> Result<()> {
        match (self.0)() {
            false => Ok(()),
            true => Err(environment("interrupted before it was over")),
        }
    }
}

/// A run, as its environment sees it.
#[derive(Clone, Debug)]
pub struct Host {
    /// The run's name.
    pub run_id: String,
    /// Where progress goes.
    pub console: Console,
    /// Whether to give up.
    pub stop: Stop,
    /// The longest wait for a service.
    pub ready_limit: Duration,
}

impl Host {
    /// A run that nobody watches or interrupts.
    pub fn quiet(run_id: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            console: Console { quiet: true, json: false },
            stop: Stop::never(),
            ready_limit: READY_LIMIT,
        }
    }

    /// Starts a service and waits until it is ready, telling how long that took.
    pub(super) fn bring_up(&self, service: &Service) -> Result<()> {
        let begun = Instant::now();
        service.start()?;
        service.wait_ready(self.ready_limit, &self.stop)?;
        self.console.remark(&format!(
            "{} ready at {} after {:.1} s",
            service.label(),
            service.direct(),
            begun.elapsed().as_secs_f64()
        ));
        Ok(())
    }
}

/// The outcome of a thread that starts a service.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(environment("starting a service panicked")))
}
