//! The simulated world: the scheduler over processes, services and faults.
//!
//! One event after the other, in the order of virtual time; events of one moment in a drawn order.
//! The *safety phase* lets anything fail; then everything is healed and in the *liveness phase* the
//! job must read, write and confirm everything within a bound.

mod alignments;
mod buffers;
mod checkpoints;
mod drain;
mod heard;
mod in_flight;
mod looks;
mod nemesis;
mod report;
mod waits;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use stormproof_engine::error::EngineError;
use stormproof_engine::ids::WorkerIndex;
use stormproof_engine::runtime::{JobMachine, JobOutcome, JobSeams, Turn, WorkerHost as _};
use stormproof_engine::seam::{Probe, Sight, TimeUs};
use stormproof_engine::worker::Control;

use self::heard::Heard;
use self::looks::Seen;
use super::connection::Backend;
use super::core::{Actor, Core, Event, ProcessId};
use super::crew::{Crew, Stepped};
use super::database::Database;
use super::escrow::Escrow;
use super::evidence::{SimEnd, SimRun};
use super::hold::Mistimed;
use super::hook::{Armory, SimHook};
use super::job::{self, ArrivalOf};
use super::plan::Plan;
use super::store::{Store, StoreHandle};
use super::topic::{LogHandle, Topic};
use super::weather::{Disturbance, Weather};
use crate::fault::FaultTrigger;

/// A coordinator that waits for nothing in particular looks around so often.
const LOOK_AROUND_US: TimeUs = 50_000;
/// A coordinator that waits for a ticket is woken by it; this is for what nobody answers.
const POLL_US: TimeUs = 5_000;

/// The longest duration of anything once all is healed.
pub(super) const HEALED_US: TimeUs = 100;

/// A job that has begun so often will never end: faults are fewer by an order of magnitude.
const ATTEMPTS_AT_MOST: u32 = 500;

/// Once all is healed, a job that has broken a rule is waited for no longer than this: what it is
/// convicted of is known, and it may never end.
const CONVICTED_US: TimeUs = 200_000;

/// Since when an attempt has read everything.
#[derive(Clone, Copy, Debug)]
struct ReadingEnded {
    attempts: u32,
    at_us: TimeUs,
}

struct Process {
    machine: JobMachine,
    crew: Crew,
    probe: Probe,
    /// Whether no other one was there when it began.
    began_alone: bool,
    is_told_to_drain: bool,
}

/// When an actor steps next, and the number of that plan.
#[derive(Clone, Copy, Debug, Default)]
struct Turnout {
    ticket: u64,
    at_us: Option<TimeUs>,
    /// It sleeps until then, whatever happens.
    blocked_until_us: TimeUs,
}

pub(super) struct World<'a> {
    plan: &'a Plan,
    core: Arc<Core>,
    weather: Arc<Weather>,
    store: Arc<Store>,
    database: Arc<Database>,
    /// The other database, where the sink is transactional.
    escrow: Option<Arc<Escrow>>,
    topic: Arc<Topic>,
    armory: Arc<Armory>,
    /// The first timer that did not fire as it should.
    mistimed: Mistimed,
    heard: Arc<Mutex<Heard>>,
    seen: BTreeMap<Actor, Seen>,
    processes: BTreeMap<ProcessId, Process>,
    /// The newest process that was started, and how many there were.
    current: Option<ProcessId>,
    started: u32,
    turnouts: BTreeMap<Actor, Turnout>,
    /// Room for those who are woken.
    woken: Vec<Actor>,
    produced: u64,
    is_healed: bool,
    reading_ended: Option<ReadingEnded>,
    /// Since when every record is to be seen in the database.
    all_visible_us: Option<TimeUs>,
    end: Option<SimEnd>,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan, is_traced: bool) -> Self {
        let core = Core::new(plan.seed, is_traced);
        let weather = Weather::new(Arc::clone(&core), &plan.windows);
        let (records, arrivals) = job::load(plan);
        let services = &plan.services;
        let store = Store::new(
            Arc::clone(&core),
            Arc::clone(&weather),
            services.store,
            services.torn_per_mille,
            // A checkpoint that completes after its transactions were aborted has lost them.
            if plan.sink.transactional_us.is_some() { 0 } else { 500 },
            services.late_us,
        );
        store.begin_after(services.begun_before);
        let (traits, retries) = (services.database, plan.sink.retries());
        let database = Database::new(Arc::clone(&core), Arc::clone(&weather), traits, retries);
        let topic = Topic::new(
            Arc::clone(&core),
            Arc::clone(&weather),
            services.log_commit,
            job::commit_timeout_us(plan),
            records,
            (services.read_before, services.removed_before),
        );
        let limit_us = plan.sink.transactional_us;
        let escrow = limit_us.map(|us| Escrow::new(Arc::clone(&core), Arc::clone(&weather), us));
        let armory = Armory::new(Arc::clone(&core), plan.vertices());
        let world = Self {
            plan,
            weather,
            store,
            database,
            escrow,
            topic,
            armory,
            mistimed: Mistimed::new(Arc::clone(&core)),
            heard: Arc::new(Mutex::new(Heard::nothing(plan))),
            seen: BTreeMap::new(),
            processes: BTreeMap::new(),
            current: None,
            started: 0,
            turnouts: BTreeMap::new(),
            woken: Vec::new(),
            produced: 0,
            is_healed: false,
            reading_ended: None,
            all_visible_us: None,
            end: None,
            core,
        };
        world.schedule(&arrivals);
        world
    }

    /// Keeps what the jobs tell and the steps that they pass.
    pub(super) fn watched(self) -> Self {
        self.armory.watch();
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).told = Some(Vec::new());
        self
    }

    /// Everything that the plan has fixed.
    fn schedule(&self, arrivals: &[ArrivalOf]) {
        self.core.at(0, Event::Start);
        for ArrivalOf { at_us, partition, records } in arrivals {
            let event = Event::Arrival { partition: *partition, records: *records };
            self.core.at(*at_us, event);
        }
        for (index, fault) in self.plan.faults.iter().enumerate() {
            let at_ms = match &fault.when {
                FaultTrigger::AtMs(ms) => *ms,
                FaultTrigger::AtStep { armed_at_ms, .. } => *armed_at_ms,
                FaultTrigger::AtRecords(_) => continue,
            };
            self.core.at(at_ms * 1000, Event::Fault(index));
        }
        for (index, truncation) in self.plan.truncations.iter().enumerate() {
            self.core.at(truncation.at_us, Event::Truncate(index));
        }
        if let Some(at_us) = self.plan.drain_at_us {
            self.core.at(at_us, Event::Drain);
        }
        self.core.at(self.plan.safety_us, Event::Heal);
        self.core.begin();
    }

    /// Runs to the end.
    pub(super) fn run(mut self) -> SimRun {
        let limit_us = self.plan.safety_us + self.plan.liveness_us;
        while self.end.is_none() {
            let Some(event) = self.core.next() else {
                self.end = Some(SimEnd::Stuck("nothing is left to happen".to_owned()));
                break;
            };
            let healed_us = self.core.now().saturating_sub(self.plan.safety_us);
            let is_long = healed_us > CONVICTED_US && self.is_convicted();
            if self.core.now() > limit_us || is_long {
                self.end = Some(SimEnd::Stuck(self.what_is_awaited()));
                break;
            }
            self.on_event(event);
            if self.core.take_asked() {
                self.follow_strikes();
                self.follow_wakes();
            }
        }
        self.report()
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Start => self.start(),
            Event::Step { actor, ticket } => self.on_step(actor, ticket),
            Event::Open { process, generation, worker } => {
                if let Some(until_us) = self.core.paused_until(process) {
                    let event = Event::Open { process, generation, worker };
                    return self.core.at(until_us, event);
                }
                if self.is_current(process, generation) {
                    self.step_worker(process, worker, true);
                }
            }
            Event::Control { process, generation, worker, message } => {
                let is_lost = matches!(message, Control::Notify(_))
                    && self.weather.strikes(Disturbance::NotificationLost);
                if self.is_current(process, generation) && !is_lost {
                    self.processes
                        .get_mut(&process)
                        .expect("it was just found")
                        .crew
                        .deliver(worker, message);
                    self.core.wake(Actor::of_worker(process, worker));
                }
            }
            Event::Report { process, generation, report } => {
                if self.is_current(process, generation) {
                    let process_of = self.processes.get_mut(&process);
                    process_of.expect("it was just found").machine.on_report(*report);
                    self.core.wake(Actor::coordinator(process));
                }
            }
            Event::Resume(process) => self.core.trace(|| format!("{process} goes on")),
            Event::HeartbeatMissed(process) => self.on_heartbeat_missed(process),
            Event::Arrival { partition, records } => self.on_arrival(partition, records),
            Event::Fault(index) => self.on_fault(index),
            Event::Truncate(index) => {
                let truncation = self.plan.truncations[index];
                // Before the first checkpoint nothing of it was ever promised.
                if self.completed() > 0 {
                    self.topic.truncate(truncation.partition, truncation.low);
                }
            }
            Event::Store(event) => self.store.on_event(event),
            Event::Database(event) => self.database.on_event(event),
            Event::Commit(id) => self.topic.on_commit(id),
            Event::Drain => self.drain_early(),
            Event::Heal => self.heal(),
        }
    }

    fn is_convicted(&self) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.conduct.has_breaches()
    }

    /// Whether messages of this attempt still count.
    fn is_current(&self, process: ProcessId, generation: u32) -> bool {
        self.processes.get(&process).is_some_and(|p| p.crew.generation == generation)
    }

    /// Starts the next process.
    fn start(&mut self) {
        let id = ProcessId(self.started);
        self.started += 1;
        self.current = Some(id);
        self.core.trace(|| format!("{id} starts"));
        self.core.set_current(Actor::coordinator(id));
        let probe = Probe::new(SimHook { process: id, armory: Arc::clone(&self.armory) });
        probe.set_armed(self.armory.has_armed());
        let log = LogHandle(Arc::clone(&self.topic));
        let backend = Backend::new(Arc::clone(&self.core), Arc::clone(&self.database));
        let seams = JobSeams {
            clock: Arc::clone(&self.core) as _,
            storage: Arc::new(StoreHandle(Arc::clone(&self.store))),
            probe: probe.clone(),
            sight: self.sight(),
            events: self.listener(id),
        };
        let machine =
            job::graph(self.plan, id, log, (backend, self.escrow.clone()), &self.mistimed)
                .and_then(|graph| JobMachine::new(&graph, job::config(self.plan, id), seams));
        match machine {
            Ok(machine) => {
                let crew = Crew::new(Arc::clone(&self.core), id, self.plan.pace);
                let began_alone = self.processes.is_empty();
                let process =
                    Process { machine, crew, probe, began_alone, is_told_to_drain: false };
                self.processes.insert(id, process);
                self.core.wake(Actor::coordinator(id));
            }
            Err(error) => self.end = Some(SimEnd::Refused(error.to_string())),
        }
    }

    /// Credit that comes back while a worker steps.
    fn sight(&self) -> Sight {
        let per_mille = self.plan.pace.late_credit_per_mille;
        if per_mille == 0 {
            return Sight::default();
        }
        let core = Arc::clone(&self.core);
        Sight::new(move || !core.chance(per_mille))
    }

    /// Lets an actor step at `at_us`, or earlier if that is planned.
    fn plan_step(&mut self, actor: Actor, at_us: TimeUs) {
        let now = self.core.now();
        let turnout = self.turnouts.entry(actor).or_default();
        let at_us = at_us.max(turnout.blocked_until_us).max(now);
        if turnout.at_us.is_some_and(|planned| planned <= at_us) {
            return;
        }
        turnout.ticket += 1;
        turnout.at_us = Some(at_us);
        let ticket = turnout.ticket;
        self.core.at(at_us, Event::Step { actor, ticket });
    }

    fn follow_wakes(&mut self) {
        let now = self.core.now();
        let mut woken = std::mem::take(&mut self.woken);
        self.core.take_woken(&mut woken);
        for actor in woken.drain(..) {
            if self.processes.contains_key(&actor.process()) {
                self.plan_step(actor, now + 1);
            }
        }
        self.woken = woken;
    }

    fn on_step(&mut self, actor: Actor, ticket: u64) {
        let Some(turnout) = self.turnouts.get_mut(&actor) else { return };
        if turnout.ticket != ticket {
            return;
        }
        turnout.at_us = None;
        if let Some(until_us) = self.core.paused_until(actor.process()) {
            return self.plan_step(actor, until_us);
        }
        match actor.worker() {
            Some(worker) => self.step_worker(actor.process(), worker, false),
            None => self.step_machine(actor.process()),
        }
    }

    fn step_worker(&mut self, id: ProcessId, worker: WorkerIndex, opens: bool) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let actor = Actor::of_worker(id, worker);
        self.core.set_current(actor);
        let stepped = if opens { process.crew.open(worker) } else { process.crew.step(worker) };
        match stepped {
            Stepped::Alive(_) if !opens => self.look_at_worker(id, worker),
            // It begins anew.
            _ => drop(self.seen.remove(&actor)),
        }
        let now = self.core.now();
        match stepped {
            Stepped::Alive(progress) if progress.moved => {
                let busy_us = self.core.draw(self.plan.pace.step);
                self.turnouts.entry(actor).or_default().blocked_until_us = now + busy_us;
                self.plan_step(actor, now + busy_us);
                self.tell_to_drain();
            }
            Stepped::Alive(progress) => {
                self.mistimed.look_at_sleeper(actor, progress.due_us);
                let latest_us = now + self.plan.pace.poll_us;
                let due_us = progress.due_us.map_or(latest_us, |due| due.min(latest_us));
                self.plan_step(actor, due_us.max(now + 50));
            }
            Stepped::Gone | Stepped::Killed => {
                self.turnouts.remove(&actor);
            }
        }
    }

    fn step_machine(&mut self, id: ProcessId) {
        if self.attempts().max(self.started) > ATTEMPTS_AT_MOST {
            let what =
                format!("{ATTEMPTS_AT_MOST} attempts and no end; {}", self.what_is_awaited());
            self.end = Some(SimEnd::Stuck(what));
            return;
        }
        let completed = self.completed();
        let Some(process) = self.processes.get_mut(&id) else { return };
        let actor = Actor::coordinator(id);
        self.core.set_current(actor);
        let running = process.machine.running();
        let turn = process.machine.step(&mut process.crew);
        if let Some(until_us) = process.machine.pauses_until() {
            self.tell_conduct(|conduct| conduct.look_at_pause(id, until_us));
        }
        self.look_at_checkpoints(id, running, completed);
        let now = self.core.now();
        match turn {
            Turn::Again => {
                let busy_us = self.core.draw(self.plan.pace.step);
                self.plan_step(actor, now + busy_us);
            }
            Turn::Wait { due_us, is_polling } => {
                let latest_us = now + if is_polling { POLL_US } else { LOOK_AROUND_US };
                let due_us = due_us.map_or(latest_us, |due| due.min(latest_us));
                self.plan_step(actor, due_us.max(now + 50));
                self.tell_to_drain();
            }
            Turn::Over(outcome) => self.on_over(id, outcome),
        }
    }

    /// A process has come to its own end.
    fn on_over(&mut self, id: ProcessId, outcome: Result<JobOutcome, EngineError>) {
        let is_drained = outcome.is_ok() && self.topic.is_read_by(id);
        self.core.trace(|| format!("{id} is over: {outcome:?}"));
        if outcome.is_ok() {
            self.look_at_finished(id);
        }
        if let Err(error) = &outcome {
            self.tell_conduct(|conduct| conduct.on_over(id, error));
        }
        self.bury(id);
        if self.current != Some(id) {
            // It was taken for dead: what it says ends nothing.
            return;
        }
        match outcome {
            Ok(_) if is_drained => self.end = Some(SimEnd::Drained),
            Err(error @ (EngineError::Config(_) | EngineError::Input(_))) => {
                self.end = Some(SimEnd::Refused(error.to_string()));
            }
            // Stopped before everything was read, or failed: whoever runs the job starts it again.
            _ if self.current == Some(id) => {
                self.core.after(self.plan.pace.restart, Event::Start);
            }
            _ => {}
        }
    }

    /// What was in a process's memory is gone, what it had under way ends somehow.
    fn bury(&mut self, id: ProcessId) {
        let Some(mut process) = self.processes.remove(&id) else { return };
        self.core.set_current(Actor::coordinator(id));
        process.crew.end();
        drop(process);
        self.store.on_death(id);
        self.database.on_death(id);
        self.topic.on_death(id);
        self.turnouts.retain(|actor, _| actor.process() != id);
    }

    fn on_arrival(&mut self, partition: u32, records: u32) {
        self.topic.on_arrival(partition, records);
        let before = self.produced;
        self.produced += u64::from(records);
        for (index, fault) in self.plan.faults.iter().enumerate() {
            if let FaultTrigger::AtRecords(at) = fault.when
                && (before..self.produced).contains(&at)
            {
                self.on_fault(index);
            }
        }
    }
}
