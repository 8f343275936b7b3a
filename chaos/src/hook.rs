//! The hook: fires armed faults at the engine's named steps, through the `fail` crate.
//!
//! Each step is one failpoint. The engine's probe calls [`FailHook::hit`], which publishes where it
//! stands in a thread-local and evaluates the failpoint; the failpoint's callback picks the first
//! armed fault that matches, announces the shot, and acts.
//!
//! Invariants: a fault fires exactly once, however many threads reach its step; the shot is
//! announced before the action, so that a SIGKILL cannot swallow it. The `fail` crate's registry
//! belongs to the process: there is one hook at a time.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;
use serde::{Deserialize, Serialize};
use stormproof_engine::seam::{Step, StepAction, StepContext, StepHook};

use crate::armed::Armed;
use crate::fault::{Fault, FaultAction, FaultError, FaultId, VertexShape};

/// A fault that is firing: announced before its action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultShot {
    /// Which fault.
    pub id: FaultId,
    /// At which step.
    pub step: Step,
    /// Where and in which checkpoint.
    pub at: StepContext,
}

/// How the message of an injected panic begins.
pub const INJECTED_PREFIX: &str = "injected fault-";

/// Called with each shot, before the action. Must write and flush.
pub type Announce = Box<dyn Fn(&FaultShot) + Send + Sync>;

thread_local! {
    static HERE: Cell<Option<StepContext>> = const { Cell::new(None) };
    static OUTCOME: RefCell<StepAction> = const { RefCell::new(StepAction::Proceed) };
}

struct Inner {
    vertices: Vec<VertexShape>,
    armed: Mutex<Vec<Armed>>,
    announce: Announce,
}

/// The engine's step hook. Its vertices are numbered as the job graph numbers them.
pub struct FailHook {
    inner: Arc<Inner>,
}

/// Arms faults from another thread.
#[derive(Clone)]
pub struct Armory {
    inner: Arc<Inner>,
}

impl FailHook {
    /// Takes over the process's failpoints.
    pub fn install(vertices: Vec<VertexShape>, announce: Announce) -> (Self, Armory) {
        let inner = Arc::new(Inner { vertices, armed: Mutex::default(), announce });
        for &step in Step::ALL {
            let at = Arc::clone(&inner);
            fail::cfg_callback(step.name(), move || at.reached(step))
                .expect("a callback is always a valid failpoint configuration");
        }
        (Self { inner: Arc::clone(&inner) }, Armory { inner })
    }
}

impl Drop for FailHook {
    fn drop(&mut self) {
        for step in Step::ALL {
            fail::remove(step.name());
        }
    }
}

impl StepHook for FailHook {
    fn hit(&self, step: Step, at: &StepContext) -> StepAction {
        // A failpoint's name costs a look-up in a map: only where a fault may be waiting.
        if self.inner.lock().is_empty() {
            return StepAction::Proceed;
        }
        HERE.set(Some(*at));
        fail::fail_point!(step.name());
        HERE.set(None);
        OUTCOME.take()
    }
}

impl Armory {
    /// Arms `fault`. A fault that is armed already is armed anew.
    ///
    /// # Errors
    /// When the fault can never land in this job.
    pub fn arm(&self, fault: Fault) -> Result<(), FaultError> {
        fault.check(&self.inner.vertices)?;
        if fault.target.is_outside() {
            let problem = format!("{} is not the hook's to fire", fault.describe());
            let remedy = "the harness executes it".to_owned();
            return Err(FaultError { id: fault.id, problem, remedy });
        }
        let mut armed = self.inner.lock();
        armed.retain(|other| other.fault.id != fault.id);
        armed.push(Armed::new(fault, &self.inner.vertices));
        Ok(())
    }

    /// Disarms everything.
    pub fn disarm_all(&self) {
        self.inner.lock().clear();
    }

    /// Faults that are armed and have not fired.
    pub fn armed_count(&self) -> usize {
        self.inner.lock().len()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The callback of a failpoint.
    fn reached(&self, step: Step) {
        let Some(at) = HERE.get() else { return };
        let fired = {
            let mut armed = self.lock();
            for waiting in armed.iter_mut() {
                waiting.saw(step, &at);
            }
            let hit = armed.iter().position(|waiting| waiting.matches(step, &at));
            hit.map(|index| armed.remove(index).fault)
        };
        if let Some(fault) = fired {
            (self.announce)(&FaultShot { id: fault.id, step, at });
            strike(&fault, step, &at);
        }
    }
}

/// Acts. Returns only where the engine is to go on.
fn strike(fault: &Fault, step: Step, at: &StepContext) {
    match fault.action {
        FaultAction::Panic => {
            HERE.set(None);
            panic!(
                "{INJECTED_PREFIX}{}: panic at {step} of checkpoint {}",
                fault.id.0, at.checkpoint
            )
        }
        FaultAction::Sigkill => signal_myself(Signal::SIGKILL),
        FaultAction::Pause { .. } => signal_myself(Signal::SIGSTOP),
        FaultAction::Delay { ms } => sleep(ms),
        FaultAction::Stall { ms } => {
            OUTCOME.replace(StepAction::Stall { duration_us: ms * 1000 });
        }
        FaultAction::Error => {
            OUTCOME.replace(StepAction::Fail(format!("{} at {step}", fault.id)));
        }
        other => unreachable!("{} is no fault of a step: arming it was refused", other.name()),
    }
}

fn signal_myself(signal: Signal) {
    // A process may always signal itself; if not, the fault never lands and the run says so.
    let _ = kill(getpid(), signal);
}

#[allow(clippy::disallowed_methods, reason = "a delay fault is real time, by definition")]
fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
