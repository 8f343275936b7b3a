//! What a fault does, what undoes it, and the effect that confirms it.
//!
//! Invariant: each action names its targets, its healer and its confirmation; whoever executes it
//! looks them up here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::FaultTarget;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultAction {
    /// One subtask panics; its region fails.
    Panic,
    /// The engine process, or a service, dies by SIGKILL.
    Sigkill,
    /// The engine process, or a service, is stopped (SIGSTOP) and continued (SIGCONT).
    Pause {
        /// How long.
        ms: u64,
    },
    /// One subtask makes no progress.
    Stall {
        /// How long.
        ms: u64,
    },
    /// The step fails, as if the service behind it had.
    Error,
    /// The thread that reaches the step sleeps.
    Delay {
        /// How long.
        ms: u64,
    },
    /// A service is asked to end, and started again.
    Restart,
    /// Connections of a link break in the middle of a batch.
    Reset,
    /// What a link carries arrives later, in both directions.
    Latency {
        /// By so many milliseconds.
        ms: u64,
        /// How long this lasts.
        for_ms: u64,
    },
    /// A link carries so much and no more, in each direction.
    Bandwidth {
        /// KiB per second.
        kib_per_s: u64,
        /// How long this lasts.
        for_ms: u64,
    },
    /// A link's connections are reset; new ones are accepted and never answered.
    HalfOpen {
        /// How long.
        ms: u64,
    },
    /// Nothing passes a link, and nobody is told.
    NetworkPartition {
        /// How long.
        ms: u64,
    },
    /// The broker forgets the consumer group with its committed offsets.
    DeleteGroup,
    /// The topic is truncated past the checkpoint while the engine is down, as retention would.
    /// The job has to end with a clear error: records are gone that it has not read.
    Truncate,
    /// Retention takes away what the engine has not read, while it is down: the broker itself does
    /// it, by its own clock. The job has to end with a clear error.
    Retention,
    /// All brokers but one die, that one acknowledges records alone and dies too, and one that does
    /// not have them is elected: the log loses what it had acknowledged. Needs several brokers.
    UncleanElection {
        /// How long the one is alone.
        ms: u64,
    },
    /// A transaction of the engine is rolled back as the victim of a deadlock.
    Deadlock,
    /// Rows that the engine writes are locked by somebody else.
    LockWait {
        /// How long.
        ms: u64,
    },
    /// The database takes small packets only (`max_allowed_packet`).
    SmallPackets {
        /// How long.
        ms: u64,
    },
    /// The database is read-only.
    ReadOnly {
        /// How long.
        ms: u64,
    },
    /// The disk has no room: writes under the checkpoint folder fail.
    DiskFull {
        /// How long.
        ms: u64,
    },
    /// Each write under the checkpoint folder takes longer.
    DiskSlow {
        /// By so many milliseconds.
        ms: u64,
        /// How long this lasts.
        for_ms: u64,
    },
    /// The engine process dies, and the newest checkpoint's last file is cut in half.
    TornCheckpoint,
    /// The engine process dies, and bytes of the newest checkpoint's state are changed.
    CorruptCheckpoint,
}

impl FaultAction {
    /// The action's name, without its duration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Sigkill => "sigkill",
            Self::Pause { .. } => "pause",
            Self::Stall { .. } => "stall",
            Self::Error => "error",
            Self::Delay { .. } => "delay",
            Self::Restart => "restart",
            Self::Reset => "reset",
            Self::Latency { .. } => "latency",
            Self::Bandwidth { .. } => "bandwidth",
            Self::HalfOpen { .. } => "half-open",
            Self::NetworkPartition { .. } => "network-partition",
            Self::DeleteGroup => "delete-group",
            Self::Truncate => "truncate",
            Self::Retention => "retention",
            Self::UncleanElection { .. } => "unclean-election",
            Self::Deadlock => "deadlock",
            Self::LockWait { .. } => "lock-wait",
            Self::SmallPackets { .. } => "small-packets",
            Self::ReadOnly { .. } => "read-only",
            Self::DiskFull { .. } => "disk-full",
            Self::DiskSlow { .. } => "disk-slow",
            Self::TornCheckpoint => "torn-checkpoint",
            Self::CorruptCheckpoint => "corrupt-checkpoint",
        }
    }

    /// How long it lasts, in milliseconds; `None` for faults of a moment.
    pub fn duration_ms(self) -> Option<u64> {
        match self {
            Self::Pause { ms }
            | Self::Stall { ms }
            | Self::Delay { ms }
            | Self::HalfOpen { ms }
            | Self::NetworkPartition { ms }
            | Self::UncleanElection { ms }
            | Self::LockWait { ms }
            | Self::SmallPackets { ms }
            | Self::ReadOnly { ms }
            | Self::DiskFull { ms } => Some(ms),
            Self::Latency { for_ms, .. }
            | Self::Bandwidth { for_ms, .. }
            | Self::DiskSlow { for_ms, .. } => Some(for_ms),
            _ => None,
        }
    }

    /// Whether it ends the engine's execution attempt, when it strikes the engine.
    pub fn ends_attempt(self) -> bool {
        matches!(self, Self::Panic) || self.kills_engine()
    }

    /// Whether the engine process dies, when it is not a service that is struck.
    pub fn kills_engine(self) -> bool {
        matches!(
            self,
            Self::Sigkill
                | Self::Truncate
                | Self::Retention
                | Self::TornCheckpoint
                | Self::CorruptCheckpoint
        )
    }

    /// Whether it takes records of the input away for good: no correct engine gets over that, and
    /// none is to blame for it.
    pub fn takes_records(self) -> bool {
        matches!(self, Self::Truncate | Self::Retention | Self::UncleanElection { .. })
    }

    /// The targets that it can strike, for messages.
    pub fn targets(self) -> &'static str {
        match self {
            Self::Panic | Self::Stall { .. } | Self::Error | Self::Delay { .. } => {
                "any-subtask, { subtask = ... }, process"
            }
            Self::Sigkill | Self::Pause { .. } => {
                "any-subtask, { subtask = ... }, process, broker, database"
            }
            Self::Restart => "broker, database",
            Self::Reset
            | Self::Latency { .. }
            | Self::Bandwidth { .. }
            | Self::HalfOpen { .. }
            | Self::NetworkPartition { .. } => "broker-link, database-link",
            Self::DeleteGroup | Self::Truncate | Self::Retention | Self::UncleanElection { .. } => {
                "broker"
            }
            Self::Deadlock
            | Self::LockWait { .. }
            | Self::SmallPackets { .. }
            | Self::ReadOnly { .. } => "database",
            Self::DiskFull { .. }
            | Self::DiskSlow { .. }
            | Self::TornCheckpoint
            | Self::CorruptCheckpoint => "disk",
        }
    }

    /// Whether it can strike `target`.
    pub fn fits(self, target: &FaultTarget) -> bool {
        let is = |name: &str| self.targets().split(", ").any(|one| one == name);
        match target {
            FaultTarget::AnySubtask | FaultTarget::Subtask { .. } => is("any-subtask"),
            FaultTarget::Process => is("process"),
            FaultTarget::Broker | FaultTarget::BrokerNode(_) => is("broker"),
            FaultTarget::Database => is("database"),
            FaultTarget::BrokerLink => is("broker-link"),
            FaultTarget::DatabaseLink => is("database-link"),
            FaultTarget::Disk => is("disk"),
        }
    }

    /// What undoes it.
    pub fn healer(self) -> Healer {
        match self {
            Self::Panic | Self::Error => Healer::RestartStrategy,
            Self::Sigkill
            | Self::Truncate
            | Self::Retention
            | Self::TornCheckpoint
            | Self::CorruptCheckpoint => Healer::NewProcess,
            Self::Restart => Healer::NewProcess,
            Self::Pause { .. } => Healer::Continue,
            Self::Stall { .. } | Self::Delay { .. } => Healer::Elapses,
            Self::DeleteGroup | Self::Deadlock => Healer::NextCheckpoint,
            _ => Healer::Undo,
        }
    }

    /// What has to be observed before it counts as landed, when it strikes the engine or its disk.
    /// Faults of services and links are confirmed by whoever executes them.
    pub fn confirmation(self) -> Confirmation {
        match self {
            Self::Panic => Confirmation::LaterAttempt,
            Self::Sigkill => Confirmation::KilledBySignal,
            Self::Pause { .. } => Confirmation::StoppedAndContinued,
            Self::Stall { .. } | Self::Error | Self::Delay { .. } => Confirmation::Announced,
            Self::TornCheckpoint | Self::CorruptCheckpoint => Confirmation::PassedOver,
            _ => Confirmation::Observed,
        }
    }
}

impl fmt::Display for FaultAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Latency { ms, for_ms } | Self::DiskSlow { ms, for_ms } => {
                write!(f, "{} of {ms} ms for {for_ms} ms", self.name())
            }
            Self::Bandwidth { kib_per_s, for_ms } => {
                write!(f, "{} of {kib_per_s} KiB/s for {for_ms} ms", self.name())
            }
            _ => match self.duration_ms() {
                Some(ms) => write!(f, "{} {ms} ms", self.name()),
                None => f.write_str(self.name()),
            },
        }
    }
}

/// What undoes a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healer {
    /// The engine's own restart strategy starts the next attempt.
    RestartStrategy,
    /// The harness starts the process again.
    NewProcess,
    /// The harness sends SIGCONT.
    Continue,
    /// It is over by itself.
    Elapses,
    /// The harness takes it back.
    Undo,
    /// The engine makes up for it by itself, with its next checkpoint or retry.
    NextCheckpoint,
}

impl Healer {
    /// What undoes the fault, in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::RestartStrategy => "the restart strategy",
            Self::NewProcess => "a new process",
            Self::Continue => "it is continued",
            Self::Elapses => "it elapses",
            Self::Undo => "the harness undoes it",
            Self::NextCheckpoint => "the next checkpoint or retry",
        }
    }
}

/// The effect that confirms a fault, as seen from outside the engine process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// A later attempt starts after the shot.
    LaterAttempt,
    /// The process's wait status is signal 9.
    KilledBySignal,
    /// The process was seen stopped (state T), then not stopped.
    StoppedAndContinued,
    /// The engine announced the shot; nothing more can be seen from outside.
    Announced,
    /// The next attempt passed the damaged checkpoint over.
    PassedOver,
    /// Whoever executes the fault saw its effect on the service, the link or the disk.
    Observed,
}
