//! What an environment is told about the run it is for: its name, what to say, when to give up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use super::service::Service;
use crate::error::{HarnessError, Result, environment};
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
    /// Where the log of a service that does not come up is kept; `None` = nowhere.
    pub logs: Option<PathBuf>,
}

impl Host {
    /// A run that nobody watches or interrupts.
    pub fn quiet(run_id: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            console: Console { quiet: true, json: false },
            stop: Stop::never(),
            ready_limit: READY_LIMIT,
            logs: None,
        }
    }

    /// Starts a service and waits until it is ready, telling how long that took.
    pub(super) fn bring_up(&self, service: &Service) -> Result<()> {
        let begun = Instant::now();
        service.start()?;
        service.wait_ready(self.ready_limit, &self.stop).map_err(|error| {
            self.with_log(error, |folder| Ok(service.save_log(folder)?.path().to_owned()))
        })?;
        self.console.remark(&format!(
            "{} ready at {} after {:.1} s",
            service.label(),
            service.direct(),
            begun.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// `error` of a program that prepares a service, with its whole log `file` kept.
    pub(super) fn with_log_of(&self, error: HarnessError, file: &Path) -> HarnessError {
        self.with_log(error, |folder| {
            let kept = folder.join(file.file_name().unwrap_or_default());
            let copied = std::fs::copy(file, &kept);
            copied.map(|_| kept).map_err(|error| crate::run::cannot_write(file, &error))
        })
    }

    /// `error` with the file that `keep` wrote into the folder of logs. Who interrupts a start wants
    /// none.
    fn with_log(
        &self,
        error: HarnessError,
        keep: impl FnOnce(&Path) -> Result<PathBuf>,
    ) -> HarnessError {
        let folder = self.logs.as_deref().filter(|_| self.stop.check().is_ok());
        match folder.map(keep) {
            Some(Ok(file)) => error.and_remedy(&format!("its whole log is {}", file.display())),
            // The error itself is more than why there is no log.
            Some(Err(_)) | None => error,
        }
    }
}

/// The outcome of a thread that starts a service.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(environment("starting a service panicked")))
}
