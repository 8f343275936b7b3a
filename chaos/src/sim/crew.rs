//! The workers of one simulated process: what threads are to a real one.
//!
//! Messages travel for a while, in order between any two ends. A panic of a subtask is caught, as
//! a worker's thread would, and becomes a report.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use stormproof_engine::checkpoint::Acknowledgement;
use stormproof_engine::error::EngineError;
use stormproof_engine::exchange::{Barrier, Wake};
use stormproof_engine::ids::{CheckpointId, VertexId, WorkerIndex};
use stormproof_engine::metrics::WorkerMetrics;
use stormproof_engine::runtime::{GroupBuilder, WorkerHost};
use stormproof_engine::seam::TimeUs;
use stormproof_engine::worker::{Control, Progress, Report, Worker};

use super::core::{Actor, Core, Event, ProcessId};
use super::hook::Killed;
use super::plan::Pace;

/// Wakes a simulated worker.
struct SimWaker {
    core: Arc<Core>,
    actor: Actor,
}

impl Wake for SimWaker {
    fn wake(&self) {
        self.core.wake(self.actor);
    }
}

/// A worker's place.
struct Slot {
    control: Sender<Control>,
    control_end: Option<Receiver<Control>>,
    reports: Receiver<Report>,
    reports_end: Sender<Report>,
    metrics: Arc<WorkerMetrics>,
    worker: Option<Worker>,
    last_control_us: TimeUs,
    last_report_us: TimeUs,
    /// Checkpoints that it was told of, that it has not answered for, and that are not over.
    waiting: BTreeSet<CheckpointId>,
    /// Checkpoints that it has answered for, which may be before it was told of them: where it has
    /// no source, the barriers of others may be faster.
    answered: BTreeSet<CheckpointId>,
    /// Checkpoints that are over, whether it has heard of that or not.
    over: BTreeSet<CheckpointId>,
    /// The newest checkpoint whose completion it was told of and has not seen in a step.
    completed: Option<CheckpointId>,
    /// The one that it saw in its last step.
    seen_completed: Option<CheckpointId>,
}

/// A worker that has opened, seen from outside.
#[derive(Clone, Copy)]
pub(super) struct Opened<'a> {
    pub(super) worker: &'a Worker,
    metrics: &'a WorkerMetrics,
    waiting: &'a BTreeSet<CheckpointId>,
    /// The newest checkpoint whose completion it was told of in its last step.
    pub(super) completed: Option<CheckpointId>,
}

impl Opened<'_> {
    /// Bytes that wait to be processed.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.metrics.in_flight_bytes.get() + self.metrics.held_bytes.get()
    }

    /// Rows that the sink has taken and not confirmed.
    pub(super) fn pending_rows(&self) -> u64 {
        self.metrics.sink_pending_records.get()
    }

    /// A checkpoint that the worker was told of and that waits for it, and a gate there that has no
    /// part in it and will take none.
    pub(super) fn forgotten(&self) -> Option<(VertexId, CheckpointId)> {
        self.waiting
            .iter()
            .find_map(|of| self.worker.has_forgotten(*of).map(|vertex| (vertex, *of)))
    }
}

/// How a step of a worker ended.
pub(super) enum Stepped {
    /// It goes on.
    Alive(Progress),
    /// It has stopped, or failed and said so.
    Gone,
    /// The process was killed in the middle of it.
    Killed,
}

/// The workers of the current attempt.
pub(super) struct Crew {
    core: Arc<Core>,
    process: ProcessId,
    pace: Pace,
    /// Counts attempts: messages of an older one are dropped.
    pub(super) generation: u32,
    builder: Option<Arc<GroupBuilder>>,
    slots: BTreeMap<WorkerIndex, Slot>,
}

impl Crew {
    pub(super) fn new(core: Arc<Core>, process: ProcessId, pace: Pace) -> Self {
        Self { core, process, pace, generation: 0, builder: None, slots: BTreeMap::new() }
    }

    /// Opens a worker. `true`: it may be stepped.
    pub(super) fn open(&mut self, worker: WorkerIndex) -> Stepped {
        let Some(slot) = self.slots.get_mut(&worker) else { return Stepped::Gone };
        let Some(control) = slot.control_end.take() else { return Stepped::Gone };
        let builder = self.builder.as_ref().expect("a crew with places has a builder");
        let (reports, metrics) = (slot.reports_end.clone(), Arc::clone(&slot.metrics));
        let open = || builder.worker(worker, control, reports, metrics);
        match catch_unwind(AssertUnwindSafe(open)) {
            Ok(Ok(opened)) => {
                slot.worker = Some(opened);
                self.report(worker, Report::Running(worker));
                Stepped::Alive(Progress { moved: true, ..Progress::default() })
            }
            Ok(Err(error)) => {
                self.report(worker, Report::Failed(worker, error));
                Stepped::Gone
            }
            Err(panic) if panic.is::<Killed>() => Stepped::Killed,
            Err(panic) => {
                let error = panicked(format!("opening worker {worker}"), &*panic);
                self.report(worker, Report::Failed(worker, error));
                Stepped::Gone
            }
        }
    }

    /// Steps a worker.
    pub(super) fn step(&mut self, index: WorkerIndex) -> Stepped {
        let now_us = self.core.now();
        let Some(slot) = self.slots.get_mut(&index) else { return Stepped::Gone };
        let Some(worker) = &mut slot.worker else { return Stepped::Gone };
        slot.seen_completed = slot.completed.take();
        let stepped = match catch_unwind(AssertUnwindSafe(|| worker.step(now_us))) {
            Ok(Ok(progress)) => Ok(progress),
            Ok(Err(error)) => Err(error),
            Err(panic) if panic.is::<Killed>() => return Stepped::Killed,
            Err(panic) => Err(panicked(worker.place(), &*panic)),
        };
        let has_stopped = worker.has_stopped();
        let reports: Vec<Report> = slot.reports.try_iter().collect();
        for report in &reports {
            match report {
                Report::Acknowledged(Acknowledgement { checkpoint, .. })
                | Report::Declined(checkpoint, _) => {
                    slot.answered.insert(*checkpoint);
                    slot.waiting.remove(checkpoint);
                }
                _ => {}
            }
        }
        if has_stopped || stepped.is_err() {
            slot.worker = None;
        }
        for report in reports {
            self.report(index, report);
        }
        match stepped {
            Ok(progress) if !has_stopped => Stepped::Alive(progress),
            Ok(_) => Stepped::Gone,
            Err(error) => {
                self.report(index, Report::Failed(index, error));
                Stepped::Gone
            }
        }
    }

    /// A message has reached a worker.
    pub(super) fn deliver(&mut self, worker: WorkerIndex, message: Control) {
        if let Some(slot) = self.slots.get_mut(&worker) {
            if let Control::Trigger(Barrier { checkpoint: of, .. }) = message
                && !slot.answered.contains(&of)
                && !slot.over.contains(&of)
            {
                slot.waiting.insert(of);
            }
            if let Control::Notify(of) = message {
                slot.completed = Some(of);
            }
            // A worker that is gone has reported its failure, or is about to.
            let _ = slot.control.send(message);
        }
    }

    fn report(&mut self, worker: WorkerIndex, report: Report) {
        let Some(slot) = self.slots.get_mut(&worker) else { return };
        let at_us =
            (self.core.now() + self.core.draw(self.pace.message)).max(slot.last_report_us + 1);
        slot.last_report_us = at_us;
        self.core.trace(|| format!("{}/w{worker} reports {}", self.process, describe(&report)));
        let (process, generation, report) = (self.process, self.generation, Box::new(report));
        self.core.at(at_us, Event::Report { process, generation, report });
    }

    /// A worker, if it has opened.
    pub(super) fn opened(&self, worker: WorkerIndex) -> Option<Opened<'_>> {
        let Slot { worker, metrics, waiting, seen_completed, .. } = self.slots.get(&worker)?;
        Some(Opened { worker: worker.as_ref()?, metrics, waiting, completed: *seen_completed })
    }

    /// Workers that are there, for messages.
    pub(super) fn alive(&self) -> usize {
        self.slots.values().filter(|slot| slot.worker.is_some()).count()
    }
}

impl WorkerHost for Crew {
    fn start(&mut self, builder: Arc<GroupBuilder>) -> Vec<(WorkerIndex, Arc<WorkerMetrics>)> {
        assert!(self.slots.is_empty(), "one attempt at a time");
        self.generation += 1;
        let (core, process) = (Arc::clone(&self.core), self.process);
        let builder = builder.connected(|worker| {
            let actor = Actor::of_worker(process, worker);
            Arc::new(SimWaker { core: Arc::clone(&core), actor })
        });
        let workers = builder.workers();
        self.builder = Some(Arc::new(builder));
        for worker in &workers {
            let (control, control_end) = channel();
            let (reports_end, reports) = channel();
            let slot = Slot {
                control,
                control_end: Some(control_end),
                reports,
                reports_end,
                metrics: Arc::default(),
                worker: None,
                last_control_us: 0,
                last_report_us: 0,
                waiting: BTreeSet::new(),
                answered: BTreeSet::new(),
                over: BTreeSet::new(),
                completed: None,
                seen_completed: None,
            };
            self.slots.insert(*worker, slot);
            let generation = self.generation;
            let event = Event::Open { process: self.process, generation, worker: *worker };
            self.core.after(self.pace.open, event);
        }
        self.slots.iter().map(|(worker, slot)| (*worker, Arc::clone(&slot.metrics))).collect()
    }

    fn tell(&mut self, worker: WorkerIndex, message: Control) {
        let Some(slot) = self.slots.get_mut(&worker) else { return };
        if let Control::Abort(checkpoint) | Control::Notify(checkpoint) = message {
            slot.over.insert(checkpoint);
            slot.waiting.remove(&checkpoint);
        }
        let travelled_us = self.core.now() + self.core.draw(self.pace.message);
        let at_us = travelled_us.max(slot.last_control_us + 1);
        slot.last_control_us = at_us;
        let (process, generation) = (self.process, self.generation);
        self.core.at(at_us, Event::Control { process, generation, worker, message });
    }

    fn end(&mut self) {
        self.generation += 1;
        self.slots.clear();
        self.builder = None;
    }
}

fn panicked(place: String, panic: &(dyn std::any::Any + Send)) -> EngineError {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let what = text.unwrap_or_else(|| "a panic without a message".to_owned());
    EngineError::Panic { place, what }
}

fn describe(report: &Report) -> String {
    match report {
        Report::Running(_) => "that it runs".to_owned(),
        Report::Acknowledged(ack) => format!("checkpoint {} acknowledged", ack.checkpoint),
        Report::Declined(checkpoint, why) => format!("checkpoint {checkpoint} declined: {why}"),
        Report::Finished(_) => "that its input has ended".to_owned(),
        Report::Stopped(_) => "that it has stopped".to_owned(),
        Report::Failed(_, error) => format!("a failure: {error}"),
    }
}
