//! One execution attempt: threads, the coordinator's loop, and how it ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::build::{GroupBuilder, Lanes, active_workers, upstream_name};
use super::event::JobEvent;
use super::job::{JobSeams, JobSignals};
use super::thread::{ThreadWaker, WorkerThread};
use crate::checkpoint::{Command, Coordinator, checkpoint_folder, manifest_path};
use crate::error::{EngineError, Result};
use crate::exchange::{Barrier, Wake as _};
use crate::ids::{AttemptId, CheckpointId, SubtaskIndex, VertexId, WorkerIndex};
use crate::metrics::WorkerMetrics;
use crate::seam::{Step, StepContext, Ticket, TimeUs};
use crate::worker::{Control, Report, Worker, WorkerLinks};

/// How often figures are reported.
const METRICS_EVERY_US: TimeUs = 200_000;
/// How long offset commits may take at the end.
const STOP_WITHIN_US: TimeUs = 10_000_000;

/// How long a manifest under way may take when an attempt ends.
const MANIFEST_WITHIN_US: TimeUs = 30_000_000;

/// How an attempt ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttemptEnd {
    /// Everything read is written and confirmed.
    Drained,
    /// It was told to end at once.
    Cancelled,
}

struct WorkerHandle {
    index: WorkerIndex,
    control: Sender<Control>,
    waker: Arc<ThreadWaker>,
    metrics: Arc<WorkerMetrics>,
    thread: JoinHandle<()>,
}

/// A running attempt.
pub(super) struct Attempt<'a> {
    id: AttemptId,
    seams: &'a JobSeams,
    signals: &'a JobSignals,
    workers: Vec<WorkerHandle>,
    reports: Receiver<Report>,
    is_cancelled: Arc<AtomicBool>,
    manifests: Vec<(CheckpointId, Ticket<Result<bool>>)>,
    started_us: TimeUs,
    metrics_due_us: TimeUs,
    running: BTreeSet<WorkerIndex>,
    finished: BTreeSet<WorkerIndex>,
    stopped: BTreeSet<WorkerIndex>,
    stop_by_us: Option<TimeUs>,
}

impl<'a> Attempt<'a> {
    /// Starts the workers' threads.
    pub(super) fn start(
        seams: &'a JobSeams,
        signals: &'a JobSignals,
        mut builder: GroupBuilder,
        started_us: TimeUs,
    ) -> Self {
        let graph = Arc::clone(&builder.graph);
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let wakers: Vec<_> = (0..graph.workers).map(|_| Arc::new(ThreadWaker::default())).collect();
        let wake =
            |w: WorkerIndex| Arc::clone(&wakers[w.index()]) as Arc<dyn crate::exchange::Wake>;
        builder.lanes = Arc::new(Lanes::new(&graph, &builder.config.exchange, wake));
        let id = builder.attempt;
        let builder = Arc::new(builder);
        let (report_sender, reports) = channel();
        let workers = active_workers(&graph)
            .into_iter()
            .map(|index| {
                let waker = Arc::clone(&wakers[index.index()]);
                spawn(index, &builder, seams, waker, &is_cancelled, &report_sender)
            })
            .collect::<Vec<WorkerHandle>>();
        let metrics = workers.iter().map(|w| (w.index, Arc::clone(&w.metrics)));
        signals.exposition.on_attempt(id, metrics.collect());
        Self {
            id,
            seams,
            signals,
            workers,
            reports,
            is_cancelled,
            manifests: Vec::new(),
            started_us,
            metrics_due_us: 0,
            running: BTreeSet::new(),
            finished: BTreeSet::new(),
            stopped: BTreeSet::new(),
            stop_by_us: None,
        }
    }

    /// Coordinates until the attempt ends.
    ///
    /// # Errors
    /// What failed it.
    pub(super) fn run(&mut self, coordinator: &mut Coordinator) -> Result<AttemptEnd> {
        loop {
            let now = self.seams.clock.now_us();
            if self.signals.is_cancelled() {
                return Ok(AttemptEnd::Cancelled);
            }
            match self.reports.recv_timeout(self.patience(coordinator, now)) {
                Ok(report) => self.take_report(report, coordinator)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if self.stop_by_us.is_none() => {
                    let what = "every worker ended without a report".to_owned();
                    return Err(EngineError::Panic { place: "the runtime".to_owned(), what });
                }
                Err(RecvTimeoutError::Disconnected) => {}
            }
            let now = self.seams.clock.now_us();
            self.take_manifests(coordinator, now)?;
            if self.running.len() == self.workers.len() && self.stop_by_us.is_none() {
                let is_finished = self.finished.len() == self.workers.len();
                if self.signals.wants_drain() || is_finished {
                    coordinator.request_drain();
                }
                let commands = coordinator.on_time(now);
                self.carry_out(commands, coordinator)?;
            }
            if now >= self.metrics_due_us {
                self.report_metrics(now);
            }
            let is_late = self.stop_by_us.is_some_and(|by| now >= by);
            if self.stop_by_us.is_some() && (self.stopped.len() == self.workers.len() || is_late) {
                self.report_metrics(now);
                return Ok(AttemptEnd::Drained);
            }
        }
    }

    /// Ends the threads, in whatever state they are.
    pub(super) fn end(mut self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
        for worker in &self.workers {
            worker.waker.wake();
        }
        for worker in self.workers.drain(..) {
            // A panic outside of a step has nowhere else to go; the attempt is over anyway.
            let _ = worker.thread.join();
        }
        self.await_manifests();
    }

    /// A manifest that is being written decides which checkpoint the next attempt starts from:
    /// its outcome must be known before anybody looks.
    #[allow(clippy::disallowed_methods, reason = "between attempts nothing else runs")]
    fn await_manifests(&mut self) {
        let give_up_us = self.seams.clock.now_us() + MANIFEST_WITHIN_US;
        while self.seams.clock.now_us() < give_up_us {
            self.manifests.retain(|(_, t)| t.try_take().is_none() && !t.is_orphaned());
            if self.manifests.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn patience(&self, coordinator: &Coordinator, now: TimeUs) -> Duration {
        let longest = if self.manifests.is_empty() { 20_000 } else { 200 };
        let due = coordinator.next_due_us().map_or(longest, |due| due.saturating_sub(now));
        Duration::from_micros(due.clamp(50, longest))
    }

    fn take_report(&mut self, report: Report, coordinator: &mut Coordinator) -> Result<()> {
        let now = self.seams.clock.now_us();
        match report {
            Report::Running(worker) => {
                self.running.insert(worker);
                if self.running.len() == self.workers.len() {
                    self.hit(Step::RestoreDone, CheckpointId::NONE)?;
                    let restore_us = now - self.started_us;
                    self.seams.emit(JobEvent::AttemptRunning { attempt: self.id, restore_us });
                }
                Ok(())
            }
            Report::Acknowledged(acknowledgement) => {
                let commands = coordinator.on_acknowledged(acknowledgement, now);
                self.carry_out(commands, coordinator)
            }
            Report::Declined(checkpoint, why) => {
                let commands = coordinator.on_declined(checkpoint, &why);
                self.carry_out(commands, coordinator)
            }
            Report::Finished(worker) => {
                self.finished.insert(worker);
                Ok(())
            }
            Report::Stopped(worker) => {
                self.stopped.insert(worker);
                Ok(())
            }
            Report::Failed(_, error) => Err(error),
        }
    }

    fn take_manifests(&mut self, coordinator: &mut Coordinator, now: TimeUs) -> Result<()> {
        for (checkpoint, ticket) in std::mem::take(&mut self.manifests) {
            let commands = match ticket.try_take() {
                None => {
                    self.manifests.push((checkpoint, ticket));
                    continue;
                }
                Some(Ok(true)) => {
                    self.hit(Step::MetadataDurable, checkpoint)?;
                    coordinator.on_manifest_durable(checkpoint, now)
                }
                Some(Ok(false)) => {
                    let why = format!(
                        "{} exists already: another process runs this job",
                        manifest_path(checkpoint)
                    );
                    return Err(EngineError::Fenced(why));
                }
                Some(Err(error)) => coordinator.on_manifest_failed(checkpoint, &error.to_string()),
            };
            self.carry_out(commands, coordinator)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, commands: Vec<Command>, coordinator: &Coordinator) -> Result<()> {
        let attempt = self.id;
        for command in commands {
            match command {
                Command::Trigger { checkpoint, drain } => {
                    self.seams.emit(JobEvent::CheckpointTriggered { checkpoint, attempt });
                    let triggered_us = self.seams.clock.now_us();
                    let barrier = Barrier { checkpoint, drain, triggered_us };
                    self.tell(&Control::Trigger(barrier));
                }
                Command::WriteManifest(manifest) => {
                    self.hit(Step::AllAcked, manifest.checkpoint)?;
                    let path = manifest_path(manifest.checkpoint);
                    let ticket = self.seams.storage.put_new(&path, manifest.encode());
                    self.manifests.push((manifest.checkpoint, ticket));
                }
                Command::Notify { checkpoint, stats, drain } => {
                    self.signals.exposition.on_completed(checkpoint, &stats);
                    self.seams.emit(JobEvent::CheckpointCompleted { checkpoint, attempt, stats });
                    self.tell(&Control::Notify(checkpoint));
                    if drain {
                        self.tell(&Control::Stop);
                        self.stop_by_us = Some(self.seams.clock.now_us() + STOP_WITHIN_US);
                    }
                }
                Command::Abort { checkpoint, reason } => {
                    self.signals.exposition.on_aborted();
                    self.seams.emit(JobEvent::CheckpointAborted { checkpoint, attempt, reason });
                    self.tell(&Control::Abort(checkpoint));
                }
                Command::Delete(checkpoint) => self.delete(checkpoint),
                Command::FailJob(reason) => {
                    return Err(EngineError::service("checkpoints", reason));
                }
            }
        }
        debug_assert!(coordinator.next_id() > CheckpointId::NONE);
        Ok(())
    }

    /// Deletes a checkpoint: the manifest first, so that it never looks complete half deleted.
    fn delete(&self, checkpoint: CheckpointId) {
        let storage = &self.seams.storage;
        drop(storage.delete(&manifest_path(checkpoint)));
        // A listing that fails leaves files behind; the next attempt's cleaning finds them.
        for path in storage.list(&checkpoint_folder(checkpoint)).unwrap_or_default() {
            drop(storage.delete(&path));
        }
    }

    fn tell(&self, message: &Control) {
        for worker in &self.workers {
            // A worker that is gone has reported its failure, or is about to.
            let _ = worker.control.send(message.clone());
            worker.waker.wake();
        }
    }

    fn hit(&self, step: Step, checkpoint: CheckpointId) -> Result<()> {
        let at = StepContext {
            attempt: self.id,
            vertex: VertexId(0),
            subtask: SubtaskIndex(0),
            checkpoint,
        };
        self.seams.probe.hit(step, &at).map(drop)
    }

    fn report_metrics(&mut self, now: TimeUs) {
        self.metrics_due_us = now + METRICS_EVERY_US;
        let mut figures: Vec<(String, u64)> = Vec::new();
        for worker in &self.workers {
            for (i, (name, _, value)) in worker.metrics.all().into_iter().enumerate() {
                match figures.get_mut(i) {
                    Some((_, sum)) => *sum += value,
                    None => figures.push((name.to_owned(), value)),
                }
            }
        }
        self.seams.emit(JobEvent::Metrics { attempt: self.id, figures });
    }
}

#[allow(clippy::disallowed_methods, reason = "the runtime is where threads come from")]
fn spawn(
    index: WorkerIndex,
    builder: &Arc<GroupBuilder>,
    seams: &JobSeams,
    waker: Arc<ThreadWaker>,
    is_cancelled: &Arc<AtomicBool>,
    reports: &Sender<Report>,
) -> WorkerHandle {
    let (control, control_receiver) = channel();
    let metrics = Arc::new(WorkerMetrics::default());
    let thread = WorkerThread {
        index,
        clock: Arc::clone(&seams.clock),
        waker: Arc::clone(&waker),
        is_cancelled: Arc::clone(is_cancelled),
        metrics: Arc::clone(&metrics),
        reports: reports.clone(),
    };
    let links = WorkerLinks {
        control: control_receiver,
        reports: reports.clone(),
        storage: Arc::clone(&seams.storage),
        metrics: Arc::clone(&metrics),
    };
    let builder = Arc::clone(builder);
    let open = move || {
        let groups = builder.open(index, &links.metrics)?;
        let upstream = |vertex| upstream_name(&builder.graph, vertex);
        Ok(Worker::new(index, builder.attempt, groups, upstream, links))
    };
    let name = format!("worker-{index}");
    let spawned = std::thread::Builder::new().name(name).spawn(move || thread.run(open));
    let thread = spawned.expect("the system gives a thread");
    WorkerHandle { index, control, waker, metrics, thread }
}
