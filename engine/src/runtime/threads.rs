//! The workers of an attempt on threads, one each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::build::GroupBuilder;
use super::host::WorkerHost;
use super::thread::{ThreadWaker, WorkerThread};
use crate::error::EngineError;
use crate::exchange::Wake;
use crate::ids::WorkerIndex;
use crate::metrics::WorkerMetrics;
use crate::seam::Clock;
use crate::worker::{Control, Report};

struct Handle {
    index: WorkerIndex,
    control: Sender<Control>,
    waker: Arc<ThreadWaker>,
    thread: JoinHandle<()>,
}

/// The threads.
pub(super) struct Threads {
    clock: Arc<dyn Clock>,
    handles: Vec<Handle>,
    reports: Option<Receiver<Report>>,
    is_cancelled: Arc<AtomicBool>,
}

impl Threads {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, handles: Vec::new(), reports: None, is_cancelled: Arc::default() }
    }

    /// Waits for a report, but not longer than `patience`.
    #[allow(clippy::disallowed_methods, reason = "the runtime is where threads wait")]
    pub(super) fn wait(&mut self, patience: Duration) -> Option<Report> {
        let Some(reports) = &self.reports else {
            std::thread::sleep(patience);
            return None;
        };
        match reports.recv_timeout(patience) {
            Ok(report) => Some(report),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                // Told once. Workers that have stopped as they were told have said so before.
                self.reports = None;
                let what = "every worker ended without a report".to_owned();
                let error = EngineError::Panic { place: "the runtime".to_owned(), what };
                Some(Report::Failed(WorkerIndex(0), error))
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the runtime is where threads come from")]
    fn spawn(
        &self,
        index: WorkerIndex,
        builder: &Arc<GroupBuilder>,
        waker: Arc<ThreadWaker>,
        metrics: Arc<WorkerMetrics>,
        reports: &Sender<Report>,
    ) -> Handle {
        let (control, control_receiver) = channel();
        let thread = WorkerThread {
            index,
            clock: Arc::clone(&self.clock),
            waker: Arc::clone(&waker),
            is_cancelled: Arc::clone(&self.is_cancelled),
            metrics: Arc::clone(&metrics),
            reports: reports.clone(),
        };
        let (builder, reports) = (Arc::clone(builder), reports.clone());
        let open = move || builder.worker(index, control_receiver, reports, metrics);
        let name = format!("worker-{index}");
        let spawned = std::thread::Builder::new().name(name).spawn(move || thread.run(open));
        let thread = spawned.expect("the system gives a thread");
        Handle { index, control, waker, thread }
    }
}

impl WorkerHost for Threads {
    fn start(&mut self, builder: Arc<GroupBuilder>) -> Vec<(WorkerIndex, Arc<WorkerMetrics>)> {
        assert!(self.handles.is_empty(), "one attempt at a time");
        let workers = builder.graph.workers;
        let wakers: Vec<_> = (0..workers).map(|_| Arc::new(ThreadWaker::default())).collect();
        let wake = |w: WorkerIndex| Arc::clone(&wakers[w.index()]) as Arc<dyn Wake>;
        let builder = Arc::new(builder.connected(wake));
        let (sender, reports) = channel();
        self.reports = Some(reports);
        self.is_cancelled = Arc::default();
        let mut figures = Vec::new();
        for index in builder.workers() {
            let metrics = Arc::new(WorkerMetrics::default());
            figures.push((index, Arc::clone(&metrics)));
            let waker = Arc::clone(&wakers[index.index()]);
            let handle = self.spawn(index, &builder, waker, metrics, &sender);
            self.handles.push(handle);
        }
        figures
    }

    fn tell(&mut self, worker: WorkerIndex, message: Control) {
        if let Some(handle) = self.handles.iter().find(|handle| handle.index == worker) {
            // A worker that is gone has reported its failure, or is about to.
            let _ = handle.control.send(message);
            handle.waker.wake();
        }
    }

    fn end(&mut self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
        for handle in &self.handles {
            handle.waker.wake();
        }
        for handle in self.handles.drain(..) {
            // A panic outside of a step has nowhere else to go; the attempt is over anyway.
            let _ = handle.thread.join();
        }
        self.reports = None;
    }
}
