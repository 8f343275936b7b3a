//! Bad service: windows of time in which storage, database or log misbehave in one way.
//!
//! A window is data like any other fault; whether a single call inside it is struck is drawn. It
//! has landed when it has struck a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};
use stormproof_engine::seam::TimeUs;

use super::core::Core;

/// So many times as long does everything take at a service that is slow.
pub(super) const SLOWER: u64 = 20;

/// How a service misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disturbance {
    /// A write to the checkpoint storage fails and leaves nothing.
    StoreWriteFails,
    /// A write to the checkpoint storage is done, and reported as failed.
    StoreWriteInDoubt,
    /// The manifest of a checkpoint is written, and the write reported as failed.
    ManifestInDoubt,
    /// Reads and listings of the checkpoint storage fail.
    StoreReadFails,
    /// Single files of the checkpoint storage cannot be read; listings can.
    StoreFileUnreadable,
    /// The checkpoint storage is twenty times as slow.
    StoreSlow,
    /// The database refuses connections.
    DatabaseRefuses,
    /// The connection is lost before the commit.
    DatabaseConnectionLost,
    /// The commit is sent and no answer comes: done, not done, or done later.
    DatabaseCommitInDoubt,
    /// The database ends a transaction as the victim of a deadlock.
    DatabaseDeadlock,
    /// The database is twenty times as slow.
    DatabaseSlow,
    /// The log sends nothing.
    LogSilent,
    /// The log fails while a reader opens.
    LogOpenFails,
    /// The log refuses offset commits.
    LogCommitFails,
    /// An offset commit is done or not, and never answered.
    LogCommitUnanswered,
    /// The notification of a completed checkpoint does not reach a worker.
    NotificationLost,
    /// A reader of the log reports an error that passes.
    LogUnreachable,
    /// A reader of the log reports that it has failed for good, and from then on does nothing.
    LogClientBreaks,
    /// The log sends a record once more that was there before, as after a connection that was lost.
    LogRepeats,
}

impl Disturbance {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::StoreWriteFails,
        Self::StoreWriteInDoubt,
        Self::ManifestInDoubt,
        Self::StoreReadFails,
        Self::StoreFileUnreadable,
        Self::StoreSlow,
        Self::DatabaseRefuses,
        Self::DatabaseConnectionLost,
        Self::DatabaseCommitInDoubt,
        Self::DatabaseDeadlock,
        Self::DatabaseSlow,
        Self::LogSilent,
        Self::LogOpenFails,
        Self::LogCommitFails,
        Self::LogCommitUnanswered,
        Self::NotificationLost,
        Self::LogUnreachable,
        Self::LogClientBreaks,
        Self::LogRepeats,
    ];

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A window of bad service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// How.
    pub disturbance: Disturbance,
    /// From when, in microseconds of virtual time.
    pub from_us: TimeUs,
    /// How long.
    pub for_us: TimeUs,
    /// How many of a thousand calls are struck.
    pub per_mille: u32,
}

/// A window of a run.
#[derive(Debug)]
struct Spell {
    window: Window,
    strikes: AtomicU64,
    last_us: AtomicU64,
}

impl Spell {
    fn is_open(&self, disturbance: Disturbance, now_us: TimeUs) -> bool {
        let Window { from_us, for_us, .. } = self.window;
        self.window.disturbance == disturbance && (from_us..from_us + for_us).contains(&now_us)
    }
}

/// The windows of a run, and how often each has struck. Every call of a service asks, mostly for
/// nothing: so there is no lock.
#[derive(Debug)]
pub(super) struct Weather {
    core: Arc<Core>,
    spells: Vec<Spell>,
    /// Disturbances that strike always, as bits.
    forced: AtomicU32,
    is_healed: AtomicBool,
}

impl Weather {
    pub(super) fn new(core: Arc<Core>, windows: &[Window]) -> Arc<Self> {
        let spell = |window: &Window| Spell {
            window: *window,
            strikes: AtomicU64::default(),
            last_us: AtomicU64::default(),
        };
        let spells = windows.iter().map(spell).collect();
        Arc::new(Self {
            core,
            spells,
            forced: AtomicU32::new(0),
            is_healed: AtomicBool::new(false),
        })
    }

    /// Whether a call is struck by `disturbance` now.
    pub(super) fn strikes(&self, disturbance: Disturbance) -> bool {
        if self.is_healed.load(Relaxed) {
            return false;
        }
        let now = self.core.now();
        let mut open = self.spells.iter().filter(|spell| spell.is_open(disturbance, now));
        let Some(spell) = open.find(|spell| self.core.chance(spell.window.per_mille)) else {
            return self.forced.load(Relaxed) & disturbance.bit() != 0;
        };
        spell.strikes.store(spell.strikes.load(Relaxed) + 1, Relaxed);
        spell.last_us.store(now, Relaxed);
        self.core.trace(|| format!("weather: {disturbance:?} strikes"));
        true
    }

    /// From now on every call is struck by `disturbance`, or none is but in its windows.
    pub(super) fn set(&self, disturbance: Disturbance, is_on: bool) {
        let others = self.forced.load(Relaxed) & !disturbance.bit();
        self.forced.store(others | if is_on { disturbance.bit() } else { 0 }, Relaxed);
    }

    /// From now on every service is sound.
    pub(super) fn heal(&self) {
        self.is_healed.store(true, Relaxed);
    }

    /// When one of these has last struck, in microseconds of virtual time.
    pub(super) fn last_strike_us(&self, of: &[Disturbance]) -> Option<TimeUs> {
        let of = self.spells.iter().filter(|spell| of.contains(&spell.window.disturbance));
        let struck = of.filter(|spell| spell.strikes.load(Relaxed) > 0);
        struck.map(|spell| spell.last_us.load(Relaxed)).max()
    }

    /// How often each window has struck.
    pub(super) fn strikes_of_all(&self) -> Vec<u64> {
        self.spells.iter().map(|spell| spell.strikes.load(Relaxed)).collect()
    }
}
