//! The third value: what is not known is neither a pass nor a conviction.

use std::collections::BTreeSet;

use stormproof_harness::oracle::checkpoint_reader::{
    CheckpointSource, CheckpointState, Listed, Manifest, MemoryCheckpoints, Mode, Torn,
};
use stormproof_harness::oracle::evidence::{Effect, Fence, ResultRow};
use stormproof_harness::oracle::{
    AuditSource, BatchId, EvidenceError, Input, MemoryAudit, Verdict, judge,
};

use crate::simulation::{History, Plan, simulate};

fn history() -> History {
    simulate(&Plan { crashes: 4, ..Plan::new(5, Mode::ExactlyOnce) })
}

fn verdict(history: &mut History, id: &str) -> Verdict {
    history.judge().check(id).expect("the rule applies").verdict
}

#[test]
fn what_may_still_come_is_not_lost() {
    let mut history = history();
    let late = *history.audit.effects.last().unwrap();
    history.audit.effects.retain(|effect| effect.offset != late.offset);
    history.conditions.drained = false;
    let judgement = history.judge();
    for id in ["no-loss", "duplicates-exact"] {
        assert_eq!(judgement.check(id).unwrap().verdict, Verdict::Unknown, "{judgement:#?}");
    }
    let behind = history.audit.results.pop().unwrap();
    assert_eq!(verdict(&mut history, "final-values"), Verdict::Unknown);
    history.audit.results.push(behind);
    assert_eq!(verdict(&mut history, "final-values"), Verdict::Proven);
}

#[test]
fn a_run_in_which_nothing_happened_proves_nothing() {
    let mut calm = history();
    assert_eq!(calm.judge().verdict, Verdict::Proven);
    calm.conditions.faults_landed = 0;
    let judgement = calm.judge();
    assert_eq!(judgement.verdict, Verdict::Unknown);
    let vacuity = judgement.check("vacuity").unwrap();
    assert_eq!((vacuity.verdict, &*vacuity.summary), (Verdict::Unknown, "no fault landed"));
    calm.conditions.required.fault = false;
    assert_eq!(calm.judge().verdict, Verdict::Proven);
}

#[test]
fn a_held_record_that_is_committed_is_excused_only_when_the_sink_does_not_wait() {
    for (retries, pipelined) in [(true, false), (false, true)] {
        let (mut copies, mut held, mut convicted) = (0, 0, 0);
        for seed in 0..60 {
            let plan = Plan { retries, pipelined, ..Plan::new(seed, Mode::ExactlyOnce) };
            let mut history = simulate(&plan);
            let judgement = history.judge();
            assert_ne!(judgement.verdict, Verdict::Violated, "{judgement:#?}");
            let figure = |id: &str, name: &str| {
                let check = judgement.check(id).expect("the rule applies");
                check.figures.iter().find(|f| f.name == name).map_or(0, |f| f.value)
            };
            copies += figure("single-effect-per-attempt", "in_doubt_copies");
            held += figure("conservation", "held_but_committed");
            history.conditions.unconfirmed_at_snapshot = false;
            convicted += u32::from(verdict(&mut history, "conservation") == Verdict::Violated);
        }
        assert_eq!(copies > 50, retries, "{copies} in-doubt copies in 60 runs");
        assert_eq!(held > 100, pipelined, "{held} held and committed records in 60 runs");
        assert!(convicted > 2, "{convicted} of 60 runs hold a committed record");
    }
}

/// An audit source of which one table cannot be read, or panics.
struct Broken {
    inner: MemoryAudit,
    results_panic: bool,
}

impl AuditSource for Broken {
    fn effects(&mut self, _: &mut dyn FnMut(&Effect)) -> Result<(), EvidenceError> {
        Err(EvidenceError::new("table storm_audit", "connection refused"))
    }

    fn retried_batches(&mut self) -> Result<BTreeSet<BatchId>, EvidenceError> {
        self.inner.retried_batches()
    }

    fn fences(&mut self) -> Result<Vec<Fence>, EvidenceError> {
        self.inner.fences()
    }

    fn results(&mut self, visit: &mut dyn FnMut(&ResultRow<'_>)) -> Result<(), EvidenceError> {
        assert!(!self.results_panic, "a decoder stumbled");
        self.inner.results(visit)
    }
}

#[test]
fn evidence_that_cannot_be_read_is_unknown_with_the_reason() {
    for results_panic in [false, true] {
        let History { ledger, audit, mut checkpoints, conditions } = history();
        let mut broken = Broken { inner: audit, results_panic };
        let judgement = judge(Input {
            ledger: &ledger,
            checkpoints: &mut checkpoints,
            audit: &mut broken,
            conditions,
        });
        assert_eq!(judgement.verdict, Verdict::Unknown);
        assert_eq!((judgement.lost, judgement.effects, judgement.duplicates), (None, None, None));
        let check = judgement.check("no-loss").unwrap();
        assert!(check.summary.contains("connection refused"), "{check:#?}");
        assert_eq!(judgement.check("restore-newest").unwrap().verdict, Verdict::Proven);
        let values = judgement.check("final-values").unwrap();
        if results_panic {
            assert_eq!(values.verdict, Verdict::Unknown);
            assert!(values.summary.contains("a decoder stumbled"), "{values:#?}");
        } else {
            assert_eq!(values.verdict, Verdict::Proven);
        }
    }
}

/// A checkpoint folder that cannot be listed.
struct Gone;

impl CheckpointSource for Gone {
    fn list(&mut self) -> Result<Vec<Listed>, EvidenceError> {
        Err(EvidenceError::new("checkpoint folder", "no such folder"))
    }

    fn state(&mut self, _: &Manifest) -> Result<CheckpointState, Torn> {
        Err(Torn { reason: "no such folder".to_owned(), has_manifest: true })
    }
}

#[test]
fn without_checkpoints_or_fences_the_lineage_is_unknown() {
    let History { ledger, mut audit, conditions, .. } = history();
    let judgement = judge(Input {
        ledger: &ledger,
        checkpoints: &mut Gone,
        audit: &mut audit,
        conditions: conditions.clone(),
    });
    assert_eq!(judgement.verdict, Verdict::Unknown);
    assert_eq!(judgement.check("final-values").unwrap().verdict, Verdict::Proven);

    audit.fences.clear();
    audit.effects.clear();
    let judgement = judge(Input {
        ledger: &ledger,
        checkpoints: &mut MemoryCheckpoints::default(),
        audit: &mut audit,
        conditions,
    });
    for id in ["duplicates-exact", "attempt-order", "restore-newest", "conservation", "vacuity"] {
        assert_eq!(judgement.check(id).unwrap().verdict, Verdict::Unknown, "{id}");
    }
}
