//! Bad service: windows of time in which storage, database or log misbehave in one way.
//!
//! A window is data like any other fault; whether a single call inside it is struck is drawn. It
//! has landed when it has struck a call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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

#[derive(Debug)]
struct State {
    windows: Vec<(Window, u64)>,
    last_us: BTreeMap<Disturbance, TimeUs>,
    is_healed: bool,
}

/// The windows of a run, and how often each has struck.
#[derive(Debug)]
pub(super) struct Weather {
    core: Arc<Core>,
    state: Mutex<State>,
}

impl Weather {
    pub(super) fn new(core: Arc<Core>, windows: &[Window]) -> Arc<Self> {
        let windows = windows.iter().map(|window| (*window, 0)).collect();
        Arc::new(Self {
            core,
            state: Mutex::new(State { windows, last_us: BTreeMap::new(), is_healed: false }),
        })
    }

    /// Whether a call is struck by `disturbance` now.
    pub(super) fn strikes(&self, disturbance: Disturbance) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_healed || state.windows.is_empty() {
            return false;
        }
        let now = self.core.now();
        let State { windows, last_us, .. } = &mut *state;
        for (window, strikes) in windows {
            let is_open = (window.from_us..window.from_us + window.for_us).contains(&now);
            if window.disturbance == disturbance && is_open && self.core.chance(window.per_mille) {
                *strikes += 1;
                last_us.insert(disturbance, now);
                self.core.trace(|| format!("weather: {disturbance:?} strikes"));
                return true;
            }
        }
        false
    }

    /// From now on every call is struck by `disturbance`, or none is.
    pub(super) fn set(&self, disturbance: Disturbance, is_on: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.windows.retain(|(window, _)| window.disturbance != disturbance);
        if is_on {
            let (from_us, for_us) = (self.core.now(), u64::MAX / 2);
            let window = Window { disturbance, from_us, for_us, per_mille: 1000 };
            state.windows.push((window, 0));
        }
    }

    /// From now on every service is sound.
    pub(super) fn heal(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_healed = true;
    }

    /// When one of these has last struck, in microseconds of virtual time.
    pub(super) fn last_strike_us(&self, of: &[Disturbance]) -> Option<TimeUs> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let struck = state.last_us.iter().filter(|(disturbance, _)| of.contains(disturbance));
        struck.map(|(_, at_us)| *at_us).max()
    }

    /// How often each window has struck.
    pub(super) fn strikes_of_all(&self) -> Vec<u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.windows.iter().map(|(_, strikes)| *strikes).collect()
    }
}
