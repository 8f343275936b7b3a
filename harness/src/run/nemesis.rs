//! The nemesis: carries a schedule out and observes, from outside, what landed.
//!
//! Pure: it is told moments, shots, events and ends of processes, and answers with orders. The
//! session sends commands and signals.
//!
//! Invariants: a fault lands only when its effect was observed; each fault ends as landed or as
//! missed with a reason. A storm's faults come one at a time, each after a checkpoint of the
//! attempt that the one before it caused; faults written by hand come when they say.

use nix::sys::signal::Signal;
use stormproof_chaos::fault::{Confirmation, Fault, FaultAction, FaultId, FaultTrigger};
use stormproof_chaos::hook::FaultShot;
use stormproof_chaos::schedule::Schedule;
use stormproof_engine::ids::CheckpointId;
use stormproof_engine::runtime::JobEvent;

use crate::strike::News;

/// A step that is not reached in so long after arming will not be.
const ARMED_LIMIT_US: u64 = 30_000_000;
/// An effect that is not seen in so long after the shot will not be.
const EFFECT_LIMIT_US: u64 = 30_000_000;

/// A fault beside the engine that has not come to its end in so long will not: a killed broker of
/// 2000 partitions needs half a minute on a slow disk.
const OUTSIDE_LIMIT_US: u64 = 120_000_000;

/// What the nemesis wants done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    /// Arm the fault in the engine's hook.
    Arm(Fault),
    /// Signal the engine process.
    Signal(Signal),
    /// Strike beside the engine: a service, a link, the disk.
    Strike(Fault),
}

/// Where things stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    /// Now.
    pub(super) now_us: u64,
    /// Since the load's start; `None` before it.
    pub(super) load_us: Option<u64>,
    /// Records produced.
    pub(super) records: u64,
    /// Whether every subtask of an attempt is running.
    pub(super) is_running: bool,
    /// Checkpoints that this attempt has completed.
    pub(super) completed_in_attempt: u64,
    /// When a checkpoint was completed last; 0 = never.
    pub(super) completed_us: u64,
}

/// How far a fault has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Progress {
    /// Its time has not come.
    Waiting,
    /// It waits for its step in the engine.
    Armed {
        /// Since when.
        since_us: u64,
    },
    /// It struck; its effect has not been seen.
    Fired,
    /// Its effect was seen.
    Landed,
    /// It will not land.
    Missed(String),
}

/// A fault and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    /// The fault.
    pub(super) fault: Fault,
    /// How far it has come.
    pub(super) progress: Progress,
    /// Its shot, if the hook fired it.
    pub(super) shot: Option<FaultShot>,
    /// When it struck.
    pub(super) fired_us: Option<u64>,
    /// When it was healed.
    pub(super) healed_us: Option<u64>,
    /// When a checkpoint completed that was triggered after the healing.
    pub(super) recovered_us: Option<u64>,
    /// What was observed.
    pub(super) effect: String,
    /// Whether it struck between a barrier's injection and the notification.
    pub(super) mid_checkpoint: bool,
    was_stopped: bool,
    /// The first checkpoint that was triggered after the healing.
    first_after: Option<CheckpointId>,
}

impl Tracked {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            progress: Progress::Waiting,
            shot: None,
            fired_us: None,
            healed_us: None,
            recovered_us: None,
            effect: String::new(),
            mid_checkpoint: false,
            was_stopped: false,
            first_after: None,
        }
    }

    /// Whether it has landed.
    pub(super) fn has_landed(&self) -> bool {
        self.progress == Progress::Landed
    }

    fn is_settled(&self) -> bool {
        match self.progress {
            Progress::Landed => !self.is_undone_later(),
            Progress::Missed(_) => true,
            _ => false,
        }
    }

    /// Whether it landed, and whoever carries it out is still at undoing it.
    fn is_undone_later(&self) -> bool {
        let is_taking = matches!(self.fault.action, FaultAction::UncleanElection { .. });
        self.has_landed() && is_taking && self.healed_us.is_none()
    }

    fn land(&mut self, effect: impl Into<String>) {
        self.progress = Progress::Landed;
        self.effect = effect.into();
    }

    fn miss(&mut self, why: impl Into<String>) {
        let why = why.into();
        self.effect.clone_from(&why);
        self.progress = Progress::Missed(why);
    }

    fn is_due(&self, moment: &Moment) -> bool {
        let Some(load_us) = moment.load_us else { return false };
        match self.fault.when {
            FaultTrigger::AtMs(ms) | FaultTrigger::AtStep { armed_at_ms: ms, .. } => {
                load_us >= ms * 1_000
            }
            FaultTrigger::AtRecords(records) => moment.records >= records,
        }
    }

    /// A stopped process whose pause is over.
    fn is_pause_over(&self, now_us: u64) -> bool {
        match (self.fault.action, self.fired_us) {
            (FaultAction::Pause { ms }, Some(fired_us))
                if self.progress == Progress::Fired && !self.fault.target.is_outside() =>
            {
                now_us >= fired_us + ms * 1_000
            }
            _ => false,
        }
    }
}

/// The nemesis.
pub(super) struct Nemesis {
    faults: Vec<Tracked>,
    is_storm: bool,
}

impl Nemesis {
    /// Carries out `schedule`.
    pub(super) fn new(schedule: &Schedule) -> Self {
        let faults = schedule.faults.iter().cloned().map(Tracked::new).collect();
        Self { faults, is_storm: schedule.seed.is_some() }
    }

    /// Every fault, in the schedule's order.
    pub(super) fn faults(&self) -> &[Tracked] {
        &self.faults
    }

    /// Faults that have landed.
    pub(super) fn landed(&self) -> u64 {
        self.faults.iter().filter(|tracked| tracked.has_landed()).count() as u64
    }

    /// Whether nothing more will happen.
    pub(super) fn is_settled(&self) -> bool {
        self.faults.iter().all(Tracked::is_settled)
    }

    /// Whether faults beside the engine are in the schedule.
    pub(super) fn strikes_outside(&self) -> bool {
        self.faults.iter().any(|tracked| tracked.fault.target.is_outside())
    }

    /// Whether a fault waits for the process to be seen stopped, or running again.
    pub(super) fn watches_process_state(&self) -> bool {
        let is_pause = |tracked: &Tracked| {
            tracked.progress == Progress::Fired
                && !tracked.fault.target.is_outside()
                && tracked.fault.action.confirmation() == Confirmation::StoppedAndContinued
        };
        self.faults.iter().any(is_pause)
    }

    /// Time goes on.
    pub(super) fn tick(&mut self, moment: &Moment) -> Vec<Order> {
        let mut orders = Vec::new();
        for tracked in &mut self.faults {
            expire(tracked, moment.now_us);
            if tracked.is_pause_over(moment.now_us) {
                orders.push(Order::Signal(Signal::SIGCONT));
            }
        }
        for index in 0..self.faults.len() {
            if self.faults[index].progress != Progress::Waiting {
                continue;
            }
            let may_start = moment.is_running && !(self.is_storm && self.must_wait(moment));
            if !may_start || !self.faults[index].is_due(moment) {
                if self.is_storm {
                    break;
                }
                continue;
            }
            orders.push(start(&mut self.faults[index], moment.now_us));
        }
        orders
    }

    /// A process is about to start: what is due and waits for a step is armed before its first one,
    /// so that no step of the recovery is missed. A storm's faults wait for a job that runs.
    pub(super) fn arm_with_start(&mut self, moment: &Moment) -> Vec<Fault> {
        if self.is_storm {
            return Vec::new();
        }
        let waits = |tracked: &&mut Tracked| {
            tracked.progress == Progress::Waiting
                && tracked.fault.is_fired_by_hook()
                && tracked.fault.step().is_some()
                && tracked.is_due(moment)
        };
        let arm = |tracked: &mut Tracked| {
            tracked.progress = Progress::Armed { since_us: moment.now_us };
            tracked.fault.clone()
        };
        self.faults.iter_mut().filter(waits).map(arm).collect()
    }

    /// Whether a fault beside the engine is under way, or the job is not over it yet.
    pub(super) fn is_striking_outside(&self) -> bool {
        let is_striking = |tracked: &Tracked| {
            let is_over = tracked.has_landed() && tracked.recovered_us.is_some();
            tracked.fault.target.is_outside() && tracked.fired_us.is_some() && !is_over
        };
        self.faults.iter().any(is_striking)
    }

    /// A storm waits until its last fault is over and the attempt has a checkpoint of its own. What
    /// a stall did to a checkpoint shows only in one that completes after it.
    fn must_wait(&self, moment: &Moment) -> bool {
        let is_unproven = |tracked: &Tracked| {
            matches!(tracked.fault.action, FaultAction::Stall { .. })
                && tracked.healed_us.is_some_and(|healed_us| moment.completed_us < healed_us)
        };
        if self.faults.iter().any(is_unproven) {
            return true;
        }
        let is_under_way = |tracked: &Tracked| match tracked.progress {
            Progress::Armed { .. } | Progress::Fired => true,
            Progress::Landed => tracked.fault.target.is_outside() && tracked.recovered_us.is_none(),
            Progress::Waiting | Progress::Missed(_) => false,
        };
        moment.completed_in_attempt == 0 || self.faults.iter().any(is_under_way)
    }

    /// The hook announced a shot. `was_triggered`: its checkpoint is under way.
    pub(super) fn on_shot(&mut self, shot: &FaultShot, t_us: u64, was_triggered: bool) {
        let found = self.faults.iter_mut().find(|tracked| tracked.fault.id == shot.id);
        let Some(tracked) = found else { return };
        assert!(tracked.shot.is_none(), "{} fired twice", shot.id);
        tracked.shot = Some(*shot);
        tracked.fired_us = Some(t_us);
        tracked.mid_checkpoint = was_triggered && shot.step.is_mid_checkpoint();
        tracked.progress = Progress::Fired;
        if tracked.fault.action.confirmation() == Confirmation::Announced {
            let lasts_us = tracked.fault.action.duration_ms().unwrap_or(0) * 1_000;
            tracked.healed_us = Some(t_us + lasts_us);
            tracked.land(format!("announced by the engine at {}", shot.step));
        }
    }

    /// A fault beside the engine has struck.
    pub(super) fn on_outside(&mut self, news: &News) {
        let found = self.faults.iter_mut().find(|tracked| tracked.fault.id == news.id());
        let is_open = |tracked: &&mut Tracked| {
            tracked.progress == Progress::Fired || tracked.is_undone_later()
        };
        let Some(tracked) = found.filter(is_open) else { return };
        match news {
            News::Struck { t_us, .. } => tracked.fired_us = Some(*t_us),
            News::Healed { t_us, effect, .. } => {
                tracked.healed_us = Some(*t_us);
                tracked.land(effect);
            }
            News::Taken { effect, .. } => tracked.land(effect),
            News::Missed { why, .. } => tracked.miss(why),
        }
    }

    /// Whether a fault is at work that takes records away.
    pub(super) fn is_taking(&self) -> bool {
        let is_at_work = |tracked: &Tracked| {
            let is_taking = matches!(tracked.fault.action, FaultAction::UncleanElection { .. });
            is_taking && (tracked.progress == Progress::Fired || tracked.is_undone_later())
        };
        self.faults.iter().any(is_at_work)
    }

    /// The newest checkpoint was damaged while the engine was down; `None` = the fault is not
    /// waiting for that.
    pub(super) fn damage_due(&self) -> Option<&Fault> {
        let is_due = |tracked: &&Tracked| {
            tracked.progress == Progress::Fired
                && tracked.effect.is_empty()
                && is_damage(tracked.fault.action)
        };
        self.faults.iter().find(is_due).map(|tracked| &tracked.fault)
    }

    /// What came of the damage.
    pub(super) fn on_damaged(&mut self, id: FaultId, damage: Result<String, String>) {
        let found = self.faults.iter_mut().find(|tracked| tracked.fault.id == id);
        match (found, damage) {
            // The next attempt has to meet a damaged checkpoint; deleted records are gone already.
            (Some(tracked), Ok(effect)) => match tracked.fault.action.confirmation() {
                Confirmation::PassedOver => tracked.effect = effect,
                _ => tracked.land(effect),
            },
            (Some(tracked), Err(why)) => tracked.miss(why),
            (None, _) => {}
        }
    }

    /// Something happened in the job.
    pub(super) fn on_event(&mut self, event: &JobEvent, t_us: u64) {
        for tracked in &mut self.faults {
            match event {
                JobEvent::CheckpointSkipped { checkpoint, reason } => {
                    let wants = tracked.fault.action.confirmation() == Confirmation::PassedOver;
                    if tracked.progress == Progress::Fired && wants {
                        let damage = std::mem::take(&mut tracked.effect);
                        tracked.land(format!("{damage}; checkpoint {checkpoint}: {reason}"));
                    }
                }
                JobEvent::CheckpointTriggered { checkpoint, .. } => {
                    let is_after = tracked.healed_us.is_some_and(|healed_us| t_us >= healed_us);
                    if is_after && tracked.first_after.is_none() {
                        tracked.first_after = Some(*checkpoint);
                    }
                }
                JobEvent::CheckpointCompleted { checkpoint, .. } => {
                    let is_after = tracked.first_after.is_some_and(|first| *checkpoint >= first);
                    if is_after && tracked.recovered_us.is_none() {
                        tracked.recovered_us = Some(t_us);
                    }
                }
                JobEvent::AttemptStarted { attempt, .. } => {
                    let is_later = tracked.shot.is_some_and(|shot| *attempt > shot.at.attempt);
                    let wants = tracked.fault.action.confirmation() == Confirmation::LaterAttempt;
                    if tracked.progress == Progress::Fired && wants && is_later {
                        tracked.land(format!("attempt {attempt} took over"));
                    }
                }
                JobEvent::AttemptRunning { .. } => {
                    let is_service =
                        tracked.fault.target.is_outside() && !is_damage(tracked.fault.action);
                    let heals = tracked.fault.action.ends_attempt() && !is_service;
                    if tracked.has_landed() && heals && tracked.healed_us.is_none() {
                        tracked.healed_us = Some(t_us);
                    }
                }
                _ => {}
            }
        }
    }

    /// The process was looked at.
    pub(super) fn on_process_state(&mut self, is_stopped: bool, now_us: u64) {
        for tracked in &mut self.faults {
            let is_over = tracked.is_pause_over(now_us);
            let wants = tracked.fault.action.confirmation() == Confirmation::StoppedAndContinued;
            if tracked.progress != Progress::Fired || !wants || tracked.fault.target.is_outside() {
                continue;
            }
            if is_stopped {
                tracked.was_stopped = true;
            } else if tracked.was_stopped && is_over {
                tracked.healed_us = Some(now_us);
                tracked.land("seen stopped, then running again");
            }
        }
    }

    /// The process ended. Returns how long it stays down if that was planned.
    pub(super) fn on_exit(&mut self, is_killed: bool) -> Option<u64> {
        let mut planned_down_ms = None;
        for tracked in &mut self.faults {
            let is_outside = tracked.fault.target.is_outside();
            let kills_engine = !is_outside || is_damage(tracked.fault.action);
            match (&tracked.progress, tracked.fault.action.confirmation()) {
                (Progress::Armed { .. }, _) => tracked.progress = Progress::Waiting,
                (Progress::Fired, _) if is_outside && !kills_engine => {}
                (Progress::Fired, _) if is_outside && is_killed => {
                    planned_down_ms = Some(tracked.fault.heal_after_ms);
                }
                (Progress::Fired, Confirmation::KilledBySignal) if is_killed => {
                    planned_down_ms = Some(tracked.fault.heal_after_ms);
                    tracked.land("the process's wait status is signal 9");
                }
                (Progress::Fired, Confirmation::KilledBySignal) => {
                    tracked.miss("the process ended in another way");
                }
                (Progress::Fired, Confirmation::StoppedAndContinued) => {
                    tracked.miss("the process ended while it was paused");
                }
                _ => {}
            }
        }
        planned_down_ms
    }

    /// A fault that the engine's hook refused.
    pub(super) fn on_refused(&mut self, reason: &str) {
        let armed = |tracked: &&mut Tracked| matches!(tracked.progress, Progress::Armed { .. });
        if let Some(tracked) = self.faults.iter_mut().find(armed) {
            tracked.miss(reason);
        }
    }

    /// The run ends: whatever has not landed will not.
    pub(super) fn give_up(&mut self, why: &str) {
        let is_open = |tracked: &&mut Tracked| !tracked.is_settled() && !tracked.has_landed();
        for tracked in self.faults.iter_mut().filter(is_open) {
            tracked.miss(why);
        }
    }
}

fn start(tracked: &mut Tracked, now_us: u64) -> Order {
    if tracked.fault.is_fired_by_hook() {
        tracked.progress = Progress::Armed { since_us: now_us };
        return Order::Arm(tracked.fault.clone());
    }
    tracked.progress = Progress::Fired;
    tracked.fired_us = Some(now_us);
    if tracked.fault.target.is_outside() && !is_damage(tracked.fault.action) {
        return Order::Strike(tracked.fault.clone());
    }
    match tracked.fault.action {
        FaultAction::Pause { .. } => Order::Signal(Signal::SIGSTOP),
        _ => Order::Signal(Signal::SIGKILL),
    }
}

/// Whether the engine is killed first, and something is damaged while it is down.
fn is_damage(action: FaultAction) -> bool {
    action.kills_engine() && action != FaultAction::Sigkill
}

fn expire(tracked: &mut Tracked, now_us: u64) {
    match tracked.progress {
        Progress::Armed { since_us } if now_us > since_us + ARMED_LIMIT_US => {
            tracked.miss(format!("not reached in {} s", ARMED_LIMIT_US / 1_000_000));
        }
        Progress::Fired => {
            let lasts_us = tracked.fault.action.duration_ms().unwrap_or(0) * 1_000;
            let effect_limit_us = match tracked.fault.target.is_outside() {
                true => OUTSIDE_LIMIT_US,
                false => EFFECT_LIMIT_US,
            };
            let limit_us = tracked.fired_us.unwrap_or(now_us) + lasts_us + effect_limit_us;
            if now_us > limit_us {
                tracked.miss("it struck, and its effect was not seen");
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "nemesis_tests.rs"]
mod tests;
