//! What an environment is told about the run it is for: its name, what to say, when to give up.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// How a service is started.
pub(super) type Start<'a> = Box<dyn FnOnce(&Host) -> Result<Service> + Send + 'a>;

impl Host {
    /// Starts services at the same time. When one cannot be started, the others are not waited for.
    ///
    /// # Errors
    /// That of the first that failed.
    pub(super) fn together<'a>(&self, starts: Vec<Start<'a>>) -> Result<Vec<Service>> {
        let has_failed = Arc::new(AtomicBool::new(false));
        let (outer, flag) = (self.stop.clone(), Arc::clone(&has_failed));
        let stop = Stop::when(move || flag.load(Ordering::SeqCst) || outer.check().is_err());
        let host = &Self { stop, ..self.clone() };
        let first = &Mutex::new(None);
        // Only the first error says what is wrong: the other starts end because of it.
        let note = &|error: HarnessError| {
            if !has_failed.swap(true, Ordering::SeqCst) {
                *first.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        };
        let started: Option<Vec<_>> = std::thread::scope(|scope| {
            let one = |start: Start<'a>| scope.spawn(move || start(host).map_err(note).ok());
            // All are begun before the first is waited for.
            let threads: Vec<_> = starts.into_iter().map(one).collect();
            threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
        });
        match first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => started.ok_or_else(|| environment("starting a service panicked")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_one_service_does_not_start_the_others_are_not_waited_for() {
        let waits = || -> Start<'_> {
            Box::new(|host| {
                loop {
                    host.stop.check()?;
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
        };
        let fails: Start<'_> = Box::new(|_| Err(environment("no such image")));
        let error = Host::quiet("r").together(vec![waits(), fails, waits()]).map(|_| ());
        assert_eq!(error.unwrap_err().what, "no such image");
    }
}
