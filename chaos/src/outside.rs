//! Faults beside the engine, drawn from a seed: services, links and the disk.
//!
//! Invariants: the same seed, services and count give the same faults; each kind comes once before
//! one comes again. Only faults that a correct engine gets over are drawn: what takes
//! records away, which it has to refuse, is written by hand.

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use crate::fault::{Fault, FaultAction, FaultId, FaultTarget, FaultTrigger};
use crate::schedule::Schedule;

/// Faults of this room must not follow the storm's own stream.
const STREAM: u64 = 0x005e_7276_6963_6573;

/// Which services a storm may strike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// The broker and the link to it.
    pub broker: bool,
    /// The database's server and the link to it.
    pub database: bool,
    /// A database that is a file of this machine: it can be locked.
    pub file: bool,
}

/// Every kind of fault that a storm may draw, with durations that suit a test.
pub fn catalogue(outside: Outside, rng: &mut Pcg64Mcg) -> Vec<(FaultAction, FaultTarget)> {
    let mut all = Vec::new();
    let mut on = |target: FaultTarget, actions: &[FaultAction]| {
        all.extend(actions.iter().map(|action| (*action, target.clone())));
    };
    let mut service = |rng: &mut Pcg64Mcg, one: FaultTarget, link: FaultTarget| {
        let pause = FaultAction::Pause { ms: rng.random_range(500..=1_500) };
        on(one, &[FaultAction::Sigkill, FaultAction::Restart, pause]);
        let (ms, for_ms) = (rng.random_range(20..=80), rng.random_range(1_000..=2_000));
        let links = [
            FaultAction::Reset,
            FaultAction::Latency { ms, for_ms },
            FaultAction::Bandwidth { kib_per_s: rng.random_range(256..=1_024), for_ms },
            FaultAction::HalfOpen { ms: rng.random_range(800..=1_500) },
            FaultAction::NetworkPartition { ms: rng.random_range(800..=1_500) },
        ];
        on(link, &links);
    };
    if outside.broker {
        service(rng, FaultTarget::Broker, FaultTarget::BrokerLink);
    }
    if outside.database {
        service(rng, FaultTarget::Database, FaultTarget::DatabaseLink);
    }
    if outside.broker {
        on(FaultTarget::Broker, &[FaultAction::DeleteGroup]);
    }
    if outside.database {
        let (lock, packets, read) = (
            rng.random_range(800..=1_500),
            rng.random_range(800..=1_500),
            rng.random_range(500..=1_000),
        );
        let faults = [
            FaultAction::Deadlock,
            FaultAction::LockWait { ms: lock },
            FaultAction::SmallPackets { ms: packets },
            FaultAction::ReadOnly { ms: read },
        ];
        on(FaultTarget::Database, &faults);
    }
    if outside.file {
        let lock = FaultAction::LockWait { ms: rng.random_range(800..=1_500) };
        on(FaultTarget::Database, &[lock]);
    }
    let (full, slow, for_ms) = (
        rng.random_range(1_500..=2_500),
        rng.random_range(50..=200),
        rng.random_range(1_500..=2_500),
    );
    let faults = [
        FaultAction::DiskFull { ms: full },
        FaultAction::DiskSlow { ms: slow, for_ms },
        FaultAction::TornCheckpoint,
        FaultAction::CorruptCheckpoint,
    ];
    on(FaultTarget::Disk, &faults);
    all
}

impl Schedule {
    /// This storm with `count` faults beside the engine between its own, drawn from its seed and
    /// spread over `duration_ms`.
    #[must_use]
    pub fn with_outside(self, count: u32, outside: Outside, duration_ms: u64) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(self.seed.unwrap_or_default() ^ STREAM);
        let mut drawn = Vec::new();
        while drawn.len() < count as usize {
            let mut round = catalogue(outside, &mut rng);
            round.shuffle(&mut rng);
            drawn.extend(round);
        }
        drawn.truncate(count as usize);
        let slot_ms = duration_ms / u64::from(count.max(1));
        let added = drawn.into_iter().enumerate().map(|(index, (action, target))| {
            let at_ms = slot_ms * index as u64 + rng.random_range(0..=slot_ms / 4);
            let when = FaultTrigger::AtMs(at_ms);
            Fault { id: FaultId::default(), action, target, when, heal_after_ms: 200 }
        });
        let mut faults = self.faults;
        faults.extend(added.collect::<Vec<_>>());
        faults.sort_by_key(|fault| match fault.when {
            FaultTrigger::AtMs(ms) | FaultTrigger::AtStep { armed_at_ms: ms, .. } => ms,
            FaultTrigger::AtRecords(_) => 0,
        });
        for (index, fault) in faults.iter_mut().enumerate() {
            fault.id = FaultId(index as u32 + 1);
        }
        Self { faults, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const BOTH: Outside = Outside { broker: true, database: true, file: false };

    fn storm(seed: u64, count: u32, outside: Outside) -> Schedule {
        Schedule { seed: Some(seed), faults: Vec::new() }.with_outside(count, outside, 60_000)
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_each_kind_comes_before_one_comes_again() {
        let kinds = catalogue(BOTH, &mut Pcg64Mcg::seed_from_u64(1)).len() as u32;
        assert_eq!(storm(7, kinds, BOTH), storm(7, kinds, BOTH));
        assert_ne!(storm(7, kinds, BOTH), storm(8, kinds, BOTH));
        let drawn = storm(7, kinds, BOTH).faults;
        let names: BTreeSet<_> =
            drawn.iter().map(|fault| (fault.target.to_string(), fault.action.name())).collect();
        assert_eq!(names.len() as u32, kinds, "{names:?}");
        let ids: Vec<u32> = drawn.iter().map(|fault| fault.id.0).collect();
        assert_eq!(ids, (1..=kinds).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_drawn_can_land_and_strikes_only_what_is_there() {
        for fault in storm(3, 100, BOTH).faults {
            fault.check(&[]).unwrap();
            assert!(fault.target.is_outside() && !fault.is_fired_by_hook(), "{}", fault.describe());
            assert!(!fault.action.takes_records(), "no correct engine gets over that");
        }
        let only_broker = Outside { broker: true, ..Outside::default() };
        let strikes_database = |fault: &Fault| {
            matches!(fault.target, FaultTarget::Database | FaultTarget::DatabaseLink)
        };
        assert!(!storm(3, 100, only_broker).faults.iter().any(strikes_database));
        let with_file = Outside { file: true, ..only_broker };
        let struck = storm(3, 100, with_file).faults.into_iter().filter(strikes_database);
        let mut actions: Vec<_> = struck.map(|fault| fault.action.name()).collect();
        actions.dedup();
        assert_eq!(actions, ["lock-wait"], "a file can be locked, and nothing else");
    }

    #[test]
    fn an_action_on_the_wrong_target_is_refused_with_the_right_ones() {
        let when = FaultTrigger::AtMs(1);
        let fault = |action, target| Fault {
            id: FaultId(1),
            action,
            target,
            when: when.clone(),
            heal_after_ms: 0,
        };
        let error = fault(FaultAction::Reset, FaultTarget::Broker).check(&[]).unwrap_err();
        assert!(error.remedy.contains("broker-link"), "{error}");
        let error = fault(FaultAction::Panic, FaultTarget::Database).check(&[]).unwrap_err();
        assert!(error.problem.contains("panic does not strike"), "{error}");
        fault(FaultAction::Sigkill, FaultTarget::AnySubtask).check(&[]).unwrap();
        fault(FaultAction::Pause { ms: 5 }, FaultTarget::Database).check(&[]).unwrap();
    }
}
