//! What befalls processes from outside, and what faults at steps ask of the scheduler.

use super::{HEALED_US, World};
use crate::fault::FaultAction;
use crate::sim::core::{Actor, Event, ProcessId};
use crate::sim::hook::Strike;
use crate::sim::plan::Services;

impl World<'_> {
    pub(super) fn kill(&mut self, id: ProcessId, down_us: u64) {
        if !self.processes.contains_key(&id) {
            return;
        }
        self.core.trace(|| format!("{id} is killed"));
        self.bury(id);
        if self.current == Some(id) {
            let Services { rots_per_mille, rot_takes_files, .. } = self.plan.services;
            if self.processes.is_empty() && self.core.chance(rots_per_mille) {
                self.store.rot(id, rot_takes_files);
            }
            let after_us = self.core.draw(self.plan.pace.restart) + down_us;
            self.core.at(self.core.now() + after_us, Event::Start);
        }
    }

    pub(super) fn pause(&mut self, id: ProcessId, duration_us: u64) {
        if !self.processes.contains_key(&id) {
            return;
        }
        self.core.trace(|| format!("{id} stands still for {duration_us} us"));
        let now = self.core.now();
        self.core.pause(id, now + duration_us);
        self.core.at(now + duration_us, Event::Resume(id));
        if duration_us > self.plan.pace.heartbeat_us {
            self.core.at(now + self.plan.pace.heartbeat_us, Event::HeartbeatMissed(id));
        }
    }

    /// The supervisor takes a process for dead that only stands still: a second one runs beside it.
    pub(super) fn on_heartbeat_missed(&mut self, id: ProcessId) {
        if self.current == Some(id) && self.core.paused_until(id).is_some() {
            self.core.trace(|| format!("{id} is taken for dead"));
            self.start();
        }
    }

    /// A fault's moment: it strikes the process from outside, or waits for its step.
    pub(super) fn on_fault(&mut self, index: usize) {
        if self.is_healed {
            return;
        }
        let fault = &self.plan.faults[index];
        if fault.is_fired_by_hook() {
            self.armory.arm(index, fault);
            return self.show_armed();
        }
        let Some(id) = self.current.filter(|id| self.processes.contains_key(id)) else { return };
        self.core.trace(|| format!("fault {index}: {} from outside", fault.action));
        self.armory.note(index, fault.action, None);
        match fault.action {
            FaultAction::Sigkill => self.kill(id, fault.heal_after_ms * 1000),
            FaultAction::Pause { ms } => self.pause(id, ms * 1000),
            _ => unreachable!("only signals come from outside"),
        }
    }

    pub(super) fn show_armed(&self) {
        let has_armed = self.armory.has_armed();
        for process in self.processes.values() {
            process.probe.set_armed(has_armed);
        }
    }

    /// What faults at steps ask of the scheduler.
    pub(super) fn follow_strikes(&mut self) {
        let strikes = self.armory.take_strikes();
        if strikes.is_empty() {
            return;
        }
        for strike in strikes {
            match strike {
                Strike::Kill(id) => self.kill(id, 0),
                Strike::Pause(id, duration_us) => self.pause(id, duration_us),
                Strike::Delay(duration_us) => {
                    let (actor, now) = (self.core.current(), self.core.now());
                    let turnout = self.turnouts.entry(actor).or_default();
                    turnout.blocked_until_us = now + duration_us;
                    turnout.at_us = None;
                    self.plan_step(actor, now + duration_us);
                }
            }
        }
        self.show_armed();
    }

    /// The end of the safety phase.
    pub(super) fn heal(&mut self) {
        self.core.trace(|| "everything is healed".to_owned());
        self.is_healed = true;
        // An answer that never came is waited for as long as any other.
        let lasts_us = self.plan.longest_stall_us() + self.plan.sink.call_timeout_ms * 1_000;
        let calm_us = self.core.now() + lasts_us + self.plan.services.outlast_us();
        // What the job needs may be gone: then it fails, and rightly so.
        if !self.plan.may_refuse() {
            self.tell_conduct(|conduct| conduct.be_calm(calm_us));
        }
        self.core.hasten(HEALED_US);
        self.armory.disarm_all();
        self.show_armed();
        self.weather.heal();
        for id in self.core.resume_all() {
            self.core.trace(|| format!("{id} goes on"));
        }
        let actors: Vec<Actor> = self.turnouts.keys().copied().collect();
        for actor in actors {
            self.core.wake(actor);
        }
    }
}
