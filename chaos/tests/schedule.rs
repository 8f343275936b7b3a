//! Schedules: determinism, the shape of a storm, and what is refused.

use std::collections::BTreeSet;

use proptest::prelude::*;
use stormproof_chaos::coverage::Coverage;
use stormproof_chaos::fault::{
    Confirmation, Fault, FaultAction, FaultId, FaultTarget, FaultTrigger, VertexShape,
};
use stormproof_chaos::schedule::{Schedule, Skew, StormParameters, StormStep};
use stormproof_engine::seam::Step;

fn shape(name: &str, parallelism: u16) -> VertexShape {
    VertexShape { name: name.to_owned(), parallelism }
}

fn job() -> Vec<VertexShape> {
    vec![shape("source", 40), shape("count", 40), shape("sink", 40)]
}

fn storm(faults: u32, duration_ms: u64) -> StormParameters {
    let of = |step, vertices: &[VertexShape]| StormStep { step, vertices: vertices.to_vec() };
    let job = job();
    let steps = vec![
        of(Step::BarrierInjected, &job[..1]),
        of(Step::BarrierReceived, &job[1..]),
        of(Step::Aligned, &job[1..]),
        of(Step::SnapshotSync, &job),
        of(Step::SnapshotAsync, &[]),
        of(Step::Upload, &[]),
        of(Step::Acked, &[]),
        of(Step::AllAcked, &[]),
        of(Step::MetadataDurable, &[]),
        of(Step::Notified, &[]),
    ];
    StormParameters { faults, duration_ms, steps, skew: None }
}

fn armed_at_ms(fault: &Fault) -> u64 {
    match fault.when {
        FaultTrigger::AtMs(ms) | FaultTrigger::AtStep { armed_at_ms: ms, .. } => ms,
        FaultTrigger::AtRecords(_) => panic!("a storm does not count records"),
    }
}

proptest! {
    #[test]
    fn same_seed_same_schedule_byte_for_byte(
        seed in any::<u64>(), faults in 0_u32..40, duration_ms in 1_000_u64..600_000,
    ) {
        let parameters = storm(faults, duration_ms);
        let first = Schedule::storm(seed, &parameters).to_json();
        let second = Schedule::storm(seed, &parameters.clone()).to_json();
        prop_assert_eq!(first, second);
    }

    #[test]
    fn a_storm_survives_json_and_fits_its_job(
        seed in any::<u64>(), faults in 0_u32..40, duration_ms in 1_000_u64..600_000,
    ) {
        let schedule = Schedule::storm(seed, &storm(faults, duration_ms));
        let again: Schedule = serde_json::from_str(&schedule.to_json()).unwrap();
        prop_assert_eq!(&again, &schedule);
        prop_assert_eq!(schedule.faults.len(), faults as usize);
        for fault in &schedule.faults {
            prop_assert!(fault.check(&job()).is_ok());
            prop_assert!(armed_at_ms(fault) < duration_ms);
        }
        let mut sorted = schedule.faults.clone();
        sorted.sort_by_key(armed_at_ms);
        prop_assert_eq!(sorted, schedule.faults);
    }

    #[test]
    fn the_default_storm_kills_both_ways_at_eight_different_steps(seed in any::<u64>()) {
        let schedule = Schedule::storm(seed, &storm(12, 25_000));
        let kills: Vec<&Fault> =
            schedule.faults.iter().filter(|fault| fault.action.ends_attempt()).collect();
        let steps: BTreeSet<_> = kills.iter().filter_map(|fault| fault.step()).collect();
        let count = |action| kills.iter().filter(|fault| fault.action == action).count();
        prop_assert!(steps.iter().all(|step| step.is_mid_checkpoint()));
        prop_assert_eq!((steps.len(), kills.len()), (8, 8));
        let early: Vec<_> = kills[..4].iter().filter_map(|fault| fault.step()).collect();
        prop_assert!(early.contains(&Step::MetadataDurable), "a kill on the commit point");
        prop_assert_eq!((count(FaultAction::Panic), count(FaultAction::Sigkill)), (4, 4));
        let pauses = |f: &&Fault| matches!(f.action, FaultAction::Pause { .. });
        prop_assert_eq!(schedule.faults.iter().filter(pauses).count(), 1);
    }

    #[test]
    fn kills_are_a_recovery_apart(seed in any::<u64>()) {
        let schedule = Schedule::storm(seed, &storm(12, 25_000));
        for pair in schedule.faults.windows(2) {
            if pair[0].action.ends_attempt() {
                prop_assert!(armed_at_ms(&pair[1]) - armed_at_ms(&pair[0]) >= 1_500);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_storm_makes_one_source_late_and_declines_one_checkpoint(seed in any::<u64>()) {
        let step = StormStep { step: Step::Notified, vertices: job()[..1].to_vec() };
        let skew = Some(Skew { step, until_trigger_ms: 1_000 });
        let schedule = Schedule::storm(seed, &StormParameters { skew, ..storm(12, 25_000) });
        let late: Vec<&Fault> = schedule
            .faults
            .iter()
            .filter(|f| matches!(f.action, FaultAction::Stall { ms } if ms >= 1_200))
            .collect();
        prop_assert_eq!(late.len(), 1);
        prop_assert_eq!(late[0].step(), Some(Step::Notified));
        let is_source =
            matches!(&late[0].target, FaultTarget::Subtask { vertex, .. } if vertex == "source");
        prop_assert!(is_source);
        let parked = schedule.faults.iter().filter(|f| {
            matches!(f.action, FaultAction::Stall { ms: 300..=600 })
                && matches!(&f.target, FaultTarget::Subtask { vertex, .. } if vertex != "source")
        });
        prop_assert_eq!(parked.count(), 1);
        let declines = schedule.faults.iter().filter(|f| f.action == FaultAction::Error);
        prop_assert_eq!(declines.filter_map(Fault::step).collect::<Vec<_>>(), [Step::SnapshotAsync]);
        let kills = schedule.faults.iter().filter(|f| f.action.ends_attempt()).count();
        prop_assert_eq!((kills, schedule.faults.len()), (8, 12));
    }
}

#[test]
fn different_seeds_differ() {
    let parameters = storm(12, 25_000);
    let all: BTreeSet<String> =
        (0..50).map(|seed| Schedule::storm(seed, &parameters).to_json()).collect();
    assert_eq!(all.len(), 50);
}

#[test]
fn the_storm_of_seed_7_is_the_one_it_always_was() {
    let schedule = Schedule::storm(7, &storm(4, 10_000));
    let said: Vec<String> = schedule.faults.iter().map(Fault::describe).collect();
    assert_eq!(said, EXPECTED_STORM_OF_SEED_7);
}

const EXPECTED_STORM_OF_SEED_7: [&str; 4] = [
    "stall 165 ms source[9] at barrier_injected after 108 ms",
    "panic at acked after 1114 ms",
    "panic at all_acked after 4644 ms",
    "sigkill count[8] at aligned after 7190 ms",
];

#[test]
fn handwritten_faults_are_numbered_and_checked() {
    let strike = |vertex: &str, index| Fault {
        id: FaultId(99),
        action: FaultAction::Panic,
        target: FaultTarget::Subtask { vertex: vertex.to_owned(), index },
        when: FaultTrigger::AtMs(10),
        heal_after_ms: 0,
    };
    let fine = Schedule::by_hand(vec![strike("sink", 39), strike("count", 0)], &job()).unwrap();
    assert_eq!(fine.faults[1].id, FaultId(2));
    let error = Schedule::by_hand(vec![strike("sink", 40)], &job()).unwrap_err().to_string();
    assert_eq!(error, "fault-1: sink has no subtask 40; its subtasks are 0 to 39");
    let error = Schedule::by_hand(vec![strike("snk", 0)], &job()).unwrap_err().to_string();
    assert!(error.contains("its vertices are source, count, sink"), "{error}");
    let mut endless = strike("sink", 0);
    endless.action = FaultAction::Pause { ms: 0 };
    let error = Schedule::by_hand(vec![endless], &job()).unwrap_err().to_string();
    assert!(error.contains("choose between 1 and 60000 ms"), "{error}");
}

#[test]
fn unknown_fields_of_a_fault_are_refused() {
    let typo = r#"{"action":"panic","when":{"at_step":{"step":"upload","armd_at_ms":5}}}"#;
    let error = serde_json::from_str::<Fault>(typo).unwrap_err().to_string();
    assert!(error.contains("armd_at_ms") && error.contains("armed_at_ms"), "{error}");
}

#[test]
fn every_action_has_a_healer_and_a_confirmation() {
    let actions = [
        (FaultAction::Panic, Confirmation::LaterAttempt),
        (FaultAction::Sigkill, Confirmation::KilledBySignal),
        (FaultAction::Pause { ms: 5 }, Confirmation::StoppedAndContinued),
        (FaultAction::Stall { ms: 5 }, Confirmation::Announced),
        (FaultAction::Error, Confirmation::Announced),
        (FaultAction::Delay { ms: 5 }, Confirmation::Announced),
    ];
    for (action, confirmation) in actions {
        assert_eq!(action.confirmation(), confirmation, "{action}");
    }
}

#[test]
fn coverage_counts_what_was_planned_and_what_landed() {
    let schedule = Schedule::storm(1, &storm(12, 25_000));
    let landed = |fault: &Fault| fault.id.0.is_multiple_of(2);
    let coverage = Coverage::of(schedule.faults.iter().map(|fault| (fault, landed(fault))));
    let rows = coverage.rows();
    assert_eq!(rows.iter().map(|row| row.scheduled).sum::<u64>(), 12);
    assert_eq!(rows.iter().map(|row| row.landed).sum::<u64>(), 6);
    assert!(rows.iter().any(|row| row.place == "any moment" && row.action == "pause"));
}
