//! The simulator's step hook: lets armed faults strike at named steps of a simulated process.
//!
//! A panic unwinds without the panic hook's message; a SIGKILL unwinds, too, and the process is
//! dropped before anything else happens. One whose target is the process, not a subtask, strikes a
//! moment later: what was being done at the step is done, or on its way.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stormproof_engine::seam::{Step, StepAction, StepContext, StepHook};

use super::core::{Core, ProcessId};
use super::evidence::{Landed, Passed};
use crate::armed::Armed;
use crate::fault::{Fault, FaultAction, FaultTarget, VertexShape};
use crate::hook::INJECTED_PREFIX;

/// The payload of the unwinding that stands for a SIGKILL.
pub(super) struct Killed;

/// What a strike asks of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// The process dies now.
    Kill(ProcessId),
    /// The process stands still for so many microseconds.
    Pause(ProcessId, u64),
    /// The thread that is stepping sleeps for so many microseconds.
    Delay(u64),
}

#[derive(Default)]
struct State {
    /// With their places in the plan.
    armed: Vec<(usize, Armed)>,
    landed: Vec<Landed>,
    strikes: Vec<Strike>,
    reached: u64,
    /// Every step, if the run is watched.
    passed: Option<Vec<Passed>>,
}

/// The faults that wait for their steps, in all processes.
pub(super) struct Armory {
    core: Arc<Core>,
    vertices: Vec<VertexShape>,
    state: Mutex<State>,
}

impl Armory {
    pub(super) fn new(core: Arc<Core>, vertices: Vec<VertexShape>) -> Arc<Self> {
        Arc::new(Self { core, vertices, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn arm(&self, index: usize, fault: &Fault) {
        self.state().armed.push((index, Armed::new(fault.clone(), &self.vertices)));
    }

    pub(super) fn disarm_all(&self) {
        self.state().armed.clear();
    }

    /// Whether steps must be reported.
    pub(super) fn has_armed(&self) -> bool {
        let state = self.state();
        !state.armed.is_empty() || state.passed.is_some()
    }

    /// Keeps every step from now on.
    pub(super) fn watch(&self) {
        self.state().passed = Some(Vec::new());
    }

    pub(super) fn take_passed(&self) -> Vec<Passed> {
        self.state().passed.take().unwrap_or_default()
    }

    /// Notes a fault that struck from outside.
    pub(super) fn note(&self, index: usize, action: FaultAction, step: Option<Step>) {
        let action = action.name().to_owned();
        let landed = Landed { index, is_window: false, step, action, at_us: self.core.now() };
        self.state().landed.push(landed);
    }

    fn ask(&self, strike: Strike) {
        self.state().strikes.push(strike);
        self.core.ask();
    }

    pub(super) fn take_strikes(&self) -> Vec<Strike> {
        std::mem::take(&mut self.state().strikes)
    }

    pub(super) fn landed(&self) -> Vec<Landed> {
        self.state().landed.clone()
    }

    fn reached(&self, step: Step, at: &StepContext) -> Option<(usize, Fault)> {
        let mut state = self.state();
        state.reached += 1;
        let at_us = self.core.now();
        if let Some(passed) = &mut state.passed {
            passed.push(Passed { at_us, step, at: *at });
        }
        for (_, armed) in &mut state.armed {
            armed.saw(step, at);
        }
        let hit = state.armed.iter().position(|(_, armed)| armed.matches(step, at))?;
        let (index, armed) = state.armed.remove(hit);
        Some((index, armed.fault))
    }
}

/// The hook of one process.
pub(super) struct SimHook {
    pub(super) process: ProcessId,
    pub(super) armory: Arc<Armory>,
}

impl StepHook for SimHook {
    fn hit(&self, step: Step, at: &StepContext) -> StepAction {
        let Some((index, fault)) = self.armory.reached(step, at) else {
            return StepAction::Proceed;
        };
        let core = &self.armory.core;
        core.trace(|| {
            let place = format!("vertex {} subtask {}", at.vertex, at.subtask);
            format!(
                "fault {index}: {} at {step} of checkpoint {}, {place}",
                fault.action, at.checkpoint
            )
        });
        self.armory.note(index, fault.action, Some(step));
        match fault.action {
            FaultAction::Panic => {
                let message = format!("{INJECTED_PREFIX}{index}: panic at {step}");
                resume_unwind(Box::new(message))
            }
            FaultAction::Sigkill => {
                self.armory.ask(Strike::Kill(self.process));
                if fault.target == FaultTarget::Process {
                    return StepAction::Proceed;
                }
                resume_unwind(Box::new(Killed))
            }
            FaultAction::Pause { ms } => {
                self.armory.ask(Strike::Pause(self.process, ms * 1000));
                StepAction::Proceed
            }
            FaultAction::Delay { ms } => {
                self.armory.ask(Strike::Delay(ms * 1000));
                StepAction::Proceed
            }
            FaultAction::Stall { ms } => StepAction::Stall { duration_us: ms * 1000 },
            FaultAction::Error => StepAction::Fail(format!("fault {index} at {step}")),
            other => unreachable!("{} is no fault of a step", other.name()),
        }
    }
}
