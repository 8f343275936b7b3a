//! A worker on a thread: the loop around [`Worker::step`], and what wakes it.
//!
//! The only place where the engine parks a thread or catches a panic of a subtask.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use crate::error::{EngineError, Result};
use crate::exchange::Wake;
use crate::ids::WorkerIndex;
use crate::metrics::WorkerMetrics;
use crate::seam::Clock;
use crate::worker::{Report, Worker};

/// The longest sleep: sources and sinks are polled at least so often.
const LONGEST_PARK_US: u64 = 1_000;

/// Wakes a worker's thread.
#[derive(Debug, Default)]
pub(super) struct ThreadWaker {
    thread: OnceLock<Thread>,
    is_signalled: AtomicBool,
}

impl Wake for ThreadWaker {
    fn wake(&self) {
        if !self.is_signalled.swap(true, Ordering::AcqRel)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

/// What a worker's thread needs.
pub(super) struct WorkerThread {
    pub(super) index: WorkerIndex,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) waker: Arc<ThreadWaker>,
    pub(super) is_cancelled: Arc<AtomicBool>,
    pub(super) metrics: Arc<WorkerMetrics>,
    pub(super) reports: Sender<Report>,
}

impl WorkerThread {
    /// Opens the worker and steps it to its end. Failures are reported, never raised.
    #[allow(clippy::disallowed_methods, reason = "this is the seam's own thread")]
    pub(super) fn run(self, open: impl FnOnce() -> Result<Worker>) {
        let _ = self.waker.thread.set(std::thread::current());
        let opened = catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|panic| {
            let place = format!("opening worker {}", self.index);
            Err(EngineError::Panic { place, what: panic_message(&*panic) })
        });
        let ended = opened.and_then(|worker| {
            let _ = self.reports.send(Report::Running(self.index));
            self.step_to_end(worker)
        });
        if let Err(error) = ended {
            let _ = self.reports.send(Report::Failed(self.index, error));
        }
    }

    #[allow(clippy::disallowed_methods, reason = "this is the seam's own thread")]
    fn step_to_end(&self, mut worker: Worker) -> Result<()> {
        let mut now_us = self.clock.now_us();
        while !self.is_cancelled.load(Ordering::Relaxed) && !worker.has_stopped() {
            self.waker.is_signalled.store(false, Ordering::Release);
            let step = catch_unwind(AssertUnwindSafe(|| worker.step(now_us)));
            let progress = step.unwrap_or_else(|panic| {
                Err(EngineError::Panic { place: worker.place(), what: panic_message(&*panic) })
            })?;
            let stepped_us = self.clock.now_us();
            let spent_us = stepped_us - now_us;
            if progress.moved {
                self.metrics.busy_us.add(spent_us);
                now_us = stepped_us;
                continue;
            }
            let due_in = progress.due_us.map_or(LONGEST_PARK_US, |d| d.saturating_sub(stepped_us));
            std::thread::park_timeout(Duration::from_micros(due_in.clamp(50, LONGEST_PARK_US)));
            now_us = self.clock.now_us();
            let waited_us = spent_us + now_us - stepped_us;
            if progress.is_backpressured {
                self.metrics.backpressured_us.add(waited_us);
            } else {
                self.metrics.idle_us.add(waited_us);
            }
        }
        Ok(())
    }
}

/// The message of a panic.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}
