//! A fault: what, where, when; how it heals and how its effect is confirmed.
//!
//! Invariant: a fault is data. It names steps, vertices and subtasks, never code; the same JSON or
//! TOML strikes the same way in another process and on another day.

use std::fmt;

use serde::{Deserialize, Serialize};
use stormproof_engine::ids::{AttemptId, CheckpointId};
use stormproof_engine::seam::Step;
use thiserror::Error;

pub use crate::action::{Confirmation, FaultAction, Healer};

/// The longest pause, stall or delay, in milliseconds: longer ones look like a hang.
pub const MAX_DURATION_MS: u64 = 60_000;

/// A fault's number in its schedule.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct FaultId(pub u32);

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault-{}", self.0)
    }
}

/// What a fault strikes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultTarget {
    /// Whichever subtask gets there first.
    #[default]
    AnySubtask,
    /// One subtask.
    Subtask {
        /// The vertex's name.
        vertex: String,
        /// The subtask's index.
        index: u16,
    },
    /// The engine process.
    Process,
    /// The broker; of several, one that the fault's number chooses.
    Broker,
    /// One broker of several, by its number from 1.
    BrokerNode(u32),
    /// The database.
    Database,
    /// The link between the engine and the broker.
    BrokerLink,
    /// The link between the engine and the database.
    DatabaseLink,
    /// The disk under the checkpoint folder.
    Disk,
}

impl FaultTarget {
    /// Whether it is beside the engine: a service, the way to it, or the disk.
    pub fn is_outside(&self) -> bool {
        !matches!(self, Self::AnySubtask | Self::Subtask { .. } | Self::Process)
    }
}

impl fmt::Display for FaultTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnySubtask => f.write_str("any subtask"),
            Self::Subtask { vertex, index } => write!(f, "{vertex}[{index}]"),
            Self::Process => f.write_str("process"),
            Self::Broker => f.write_str("broker"),
            Self::BrokerNode(node) => write!(f, "broker {node}"),
            Self::Database => f.write_str("database"),
            Self::BrokerLink => f.write_str("broker link"),
            Self::DatabaseLink => f.write_str("database link"),
            Self::Disk => f.write_str("checkpoint disk"),
        }
    }
}

/// Which checkpoint a step must belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum CheckpointRef {
    /// The n-th checkpoint of which a step is seen after arming (1 = the first one), or a later
    /// one if that checkpoint never reaches the step.
    Nth(u32),
    /// Exactly this one.
    Exactly(CheckpointId),
}

impl Default for CheckpointRef {
    fn default() -> Self {
        Self::Nth(1)
    }
}

/// When a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultTrigger {
    /// So many milliseconds after the load's start. A fault of a subtask strikes at the first
    /// step that the subtask reaches after that.
    AtMs(u64),
    /// As soon as so many records have been produced; then as above.
    AtRecords(u64),
    /// At a named step of a checkpoint or of a recovery.
    AtStep {
        /// The step.
        step: Step,
        /// Of which checkpoint.
        #[serde(default)]
        checkpoint: CheckpointRef,
        /// Of which execution attempt; absent = of any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<AttemptId>,
        /// Armed so many milliseconds after the load's start.
        #[serde(default)]
        armed_at_ms: u64,
    },
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its number in the schedule; a schedule numbers its faults itself.
    #[serde(default)]
    pub id: FaultId,
    /// What happens.
    pub action: FaultAction,
    /// What it strikes.
    #[serde(default)]
    pub target: FaultTarget,
    /// When it strikes.
    pub when: FaultTrigger,
    /// How long its healer waits after the effect was observed, in milliseconds: so long a killed
    /// process stays down. Faults that heal by themselves ignore it.
    #[serde(default)]
    pub heal_after_ms: u64,
}

impl Fault {
    /// The named step it waits for, if it waits for one.
    pub fn step(&self) -> Option<Step> {
        match self.when {
            FaultTrigger::AtStep { step, .. } => Some(step),
            FaultTrigger::AtMs(_) | FaultTrigger::AtRecords(_) => None,
        }
    }

    /// Whether the engine's hook fires it. The others are the harness's to execute.
    pub fn is_fired_by_hook(&self) -> bool {
        if self.target.is_outside() {
            return false;
        }
        let is_signal = matches!(self.action, FaultAction::Sigkill | FaultAction::Pause { .. });
        !is_signal || self.step().is_some()
    }

    /// The fault in a few words.
    pub fn describe(&self) -> String {
        let place = match self.target {
            FaultTarget::AnySubtask if self.is_fired_by_hook() => String::new(),
            FaultTarget::AnySubtask | FaultTarget::Process => " the engine process".to_owned(),
            FaultTarget::Subtask { .. } => format!(" {}", self.target),
            _ => format!(" of the {}", self.target),
        };
        let when = match &self.when {
            FaultTrigger::AtMs(ms) => format!("at {ms} ms"),
            FaultTrigger::AtRecords(records) => format!("at {records} records"),
            FaultTrigger::AtStep { step, checkpoint: CheckpointRef::Exactly(id), .. } => {
                format!("at {step} of checkpoint {id}")
            }
            FaultTrigger::AtStep { step, armed_at_ms, .. } => {
                format!("at {step} after {armed_at_ms} ms")
            }
        };
        format!("{}{place} {when}", self.action)
    }

    /// Checks the fault against the job it is meant for.
    ///
    /// # Errors
    /// When it can never land there.
    pub fn check(&self, job: &[VertexShape]) -> Result<(), FaultError> {
        let refuse = |problem, remedy| Err(FaultError { id: self.id, problem, remedy });
        if let Some(ms) = self.action.duration_ms()
            && !(1..=MAX_DURATION_MS).contains(&ms)
        {
            return refuse(
                format!("a {} of {ms} ms", self.action.name()),
                format!("choose between 1 and {MAX_DURATION_MS} ms"),
            );
        }
        if matches!(self.when, FaultTrigger::AtStep { checkpoint: CheckpointRef::Nth(0), .. }) {
            return refuse(
                "checkpoint = { nth = 0 }".to_owned(),
                "the first checkpoint after arming is nth = 1".to_owned(),
            );
        }
        if !self.action.fits(&self.target) {
            return refuse(
                format!("{} does not strike the target {}", self.action.name(), self.target),
                format!("its targets are {}", self.action.targets()),
            );
        }
        if self.target.is_outside() && self.step().is_some() {
            return refuse(
                format!("a fault of the {} cannot wait for a step of the engine", self.target),
                "give it a moment: when = { at_ms = ... } or { at_records = ... }".to_owned(),
            );
        }
        let FaultTarget::Subtask { vertex, index } = &self.target else { return Ok(()) };
        match job.iter().find(|shape| shape.name == *vertex) {
            None => {
                let names: Vec<&str> = job.iter().map(|shape| shape.name.as_str()).collect();
                refuse(
                    format!("the job has no vertex named {vertex:?}"),
                    format!("its vertices are {}", names.join(", ")),
                )
            }
            Some(shape) if *index >= shape.parallelism => refuse(
                format!("{vertex} has no subtask {index}"),
                format!("its subtasks are 0 to {}", shape.parallelism - 1),
            ),
            Some(_) => Ok(()),
        }
    }
}

/// A vertex of the job, as far as faults care.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VertexShape {
    /// Its name.
    pub name: String,
    /// Its subtasks.
    pub parallelism: u16,
}

/// A fault that can never land.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{id}: {problem}; {remedy}")]
pub struct FaultError {
    /// Which.
    pub id: FaultId,
    /// Why.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}
