//! The nemesis told a story, step by step.

use super::*;
use stormproof_chaos::fault::{CheckpointRef, FaultId, FaultTarget};
use stormproof_engine::ids::{AttemptId, CheckpointId, SubtaskIndex, VertexId};
use stormproof_engine::seam::{Step, StepContext};

fn fault(id: u32, action: FaultAction, when: FaultTrigger) -> Fault {
    Fault { id: FaultId(id), action, target: FaultTarget::AnySubtask, when, heal_after_ms: 40 }
}

fn at_step(armed_at_ms: u64) -> FaultTrigger {
    let checkpoint = CheckpointRef::default();
    FaultTrigger::AtStep { step: Step::Upload, checkpoint, attempt: None, armed_at_ms }
}

fn storm(faults: Vec<Fault>) -> Nemesis {
    Nemesis::new(&Schedule { seed: Some(1), faults })
}

fn shot(id: u32) -> FaultShot {
    let at = StepContext {
        attempt: AttemptId(3),
        vertex: VertexId(1),
        subtask: SubtaskIndex(0),
        checkpoint: CheckpointId(9),
    };
    FaultShot { id: FaultId(id), step: Step::Upload, at }
}

fn at_ms(ms: u64) -> Moment {
    Moment {
        now_us: 1_000_000 + ms * 1_000,
        load_us: Some(ms * 1_000),
        records: ms * 10,
        is_running: true,
        completed_in_attempt: 1,
        completed_us: 1_000_000 + ms * 1_000,
    }
}

#[test]
fn a_panic_lands_when_a_later_attempt_starts() {
    let panic = fault(1, FaultAction::Panic, at_step(50));
    let mut nemesis = storm(vec![panic.clone()]);
    assert_eq!(nemesis.tick(&at_ms(49)), []);
    assert_eq!(nemesis.tick(&at_ms(50)), [Order::Arm(panic)]);
    assert_eq!(nemesis.tick(&at_ms(51)), [], "armed once");
    nemesis.on_shot(&shot(1), 5, true);
    let started =
        |id| JobEvent::AttemptStarted { attempt: AttemptId(id), restored: CheckpointId(8) };
    nemesis.on_event(&started(3), 6);
    assert_eq!(nemesis.landed(), 0, "the same attempt proves nothing");
    nemesis.on_event(&started(4), 7);
    assert_eq!((nemesis.landed(), nemesis.is_settled()), (1, true));
    assert!(nemesis.faults()[0].mid_checkpoint);
    nemesis.on_event(&JobEvent::AttemptRunning { attempt: AttemptId(4), restore_us: 1 }, 9);
    assert_eq!(nemesis.faults()[0].healed_us, Some(9));
}

#[test]
fn a_sigkill_lands_only_by_the_wait_status() {
    let kill = fault(1, FaultAction::Sigkill, at_step(0));
    for (is_killed, landed) in [(true, 1), (false, 0)] {
        let mut nemesis = storm(vec![kill.clone()]);
        nemesis.tick(&at_ms(1));
        nemesis.on_shot(&shot(1), 5, true);
        let down_ms = nemesis.on_exit(is_killed);
        assert_eq!((nemesis.landed(), down_ms), (landed, is_killed.then_some(40)));
        assert!(nemesis.is_settled());
    }
}

#[test]
fn an_unplanned_end_arms_a_waiting_fault_again() {
    let kill = fault(1, FaultAction::Sigkill, at_step(0));
    let mut nemesis = storm(vec![kill]);
    assert_eq!(nemesis.tick(&at_ms(1)).len(), 1);
    assert_eq!(nemesis.on_exit(true), None, "nobody announced that shot");
    assert_eq!(nemesis.tick(&at_ms(2)).len(), 1);
}

#[test]
fn what_waits_for_a_step_starts_with_the_process() {
    let checkpoint = CheckpointRef::default();
    let (step, armed_at_ms) = (Step::RestoreDone, 10);
    let recovery = FaultTrigger::AtStep { step, checkpoint, attempt: None, armed_at_ms };
    let faults = vec![
        fault(1, FaultAction::Panic, recovery),
        fault(2, FaultAction::Sigkill, FaultTrigger::AtMs(11)),
        fault(3, FaultAction::Panic, at_step(5_000)),
    ];
    let mut nemesis = Nemesis::new(&Schedule { seed: None, faults: faults.clone() });
    let down = |ms| Moment { is_running: false, ..at_ms(ms) };
    assert_eq!(nemesis.arm_with_start(&Moment { load_us: None, ..down(0) }), [], "no load yet");
    assert_eq!(nemesis.tick(&at_ms(10)), [Order::Arm(faults[0].clone())]);
    assert_eq!(nemesis.tick(&at_ms(11)), [Order::Signal(Signal::SIGKILL)]);
    assert_eq!(nemesis.on_exit(true), Some(40));
    assert_eq!(nemesis.arm_with_start(&down(60)), [faults[0].clone()], "the third is not due");
    assert_eq!(nemesis.tick(&at_ms(70)), [], "it is armed already");
    nemesis.on_shot(&shot(1), 5, false);
    assert_eq!(nemesis.arm_with_start(&down(80)), [], "it has fired");

    let mut storm = storm(faults);
    assert_eq!(storm.arm_with_start(&down(60)), [], "a storm's faults come one at a time");
}

#[test]
fn a_pause_lands_when_the_process_was_seen_stopped_and_running_again() {
    let pause = fault(1, FaultAction::Pause { ms: 100 }, FaultTrigger::AtMs(10));
    let mut nemesis = storm(vec![pause]);
    assert_eq!(nemesis.tick(&at_ms(10)), [Order::Signal(Signal::SIGSTOP)]);
    assert!(nemesis.watches_process_state());
    nemesis.on_process_state(true, at_ms(20).now_us);
    nemesis.on_process_state(false, at_ms(30).now_us);
    assert_eq!(nemesis.landed(), 0, "somebody else continued it");
    assert_eq!(nemesis.tick(&at_ms(109)), []);
    assert_eq!(nemesis.tick(&at_ms(110)), [Order::Signal(Signal::SIGCONT)]);
    nemesis.on_process_state(false, at_ms(111).now_us);
    assert_eq!(nemesis.landed(), 1);
    assert_eq!(nemesis.tick(&at_ms(112)), []);
}

#[test]
fn a_pause_that_was_never_seen_is_missed() {
    let pause = fault(1, FaultAction::Pause { ms: 100 }, FaultTrigger::AtMs(10));
    let mut nemesis = storm(vec![pause]);
    nemesis.tick(&at_ms(10));
    nemesis.tick(&at_ms(40_000));
    assert!(matches!(nemesis.faults()[0].progress, Progress::Missed(_)));
}

#[test]
fn a_storm_waits_for_the_fault_before_and_for_a_checkpoint() {
    let first = fault(1, FaultAction::Panic, at_step(0));
    let second = fault(2, FaultAction::Stall { ms: 5 }, at_step(0));
    let mut nemesis = storm(vec![first.clone(), second.clone()]);
    let unproven = Moment { completed_in_attempt: 0, ..at_ms(5) };
    assert_eq!(nemesis.tick(&unproven), []);
    assert_eq!(nemesis.tick(&at_ms(5)), [Order::Arm(first)]);
    nemesis.on_shot(&shot(1), 5, true);
    assert_eq!(nemesis.tick(&at_ms(6)), []);
    let started = JobEvent::AttemptStarted { attempt: AttemptId(4), restored: CheckpointId(8) };
    nemesis.on_event(&started, 7);
    assert_eq!(nemesis.tick(&Moment { is_running: false, ..at_ms(7) }), []);
    assert_eq!(nemesis.tick(&at_ms(8)), [Order::Arm(second)]);
    nemesis.on_shot(&shot(2), 9, false);
    assert_eq!((nemesis.landed(), nemesis.faults()[1].mid_checkpoint), (2, false));
}

#[test]
fn a_storm_lets_a_checkpoint_complete_after_a_stall() {
    let stall = fault(1, FaultAction::Stall { ms: 400 }, at_step(0));
    let next = fault(2, FaultAction::Panic, at_step(0));
    let mut nemesis = storm(vec![stall.clone(), next.clone()]);
    assert_eq!(nemesis.tick(&at_ms(5)), [Order::Arm(stall)]);
    nemesis.on_shot(&shot(1), 1_000_000 + 6_000, false);
    let before = Moment { completed_us: 1_000_000 + 405_000, ..at_ms(900) };
    assert_eq!(nemesis.tick(&before), [], "what it did to a checkpoint is not known yet");
    let after = Moment { completed_us: 1_000_000 + 406_000, ..at_ms(900) };
    assert_eq!(nemesis.tick(&after), [Order::Arm(next)]);
}

#[test]
fn faults_by_hand_do_not_wait_for_each_other() {
    let faults = vec![
        fault(1, FaultAction::Panic, at_step(9_000)),
        fault(2, FaultAction::Sigkill, FaultTrigger::AtRecords(70)),
        fault(3, FaultAction::Error, at_step(7)),
    ];
    let mut nemesis = Nemesis::new(&Schedule { seed: None, faults: faults.clone() });
    let orders = nemesis.tick(&Moment { completed_in_attempt: 0, ..at_ms(7) });
    assert_eq!(orders, [Order::Signal(Signal::SIGKILL), Order::Arm(faults[2].clone())]);
}

#[test]
fn what_is_never_reached_is_missed_with_a_reason() {
    let mut nemesis = storm(vec![fault(1, FaultAction::Error, at_step(0))]);
    nemesis.tick(&at_ms(0));
    nemesis.tick(&at_ms(30_001));
    assert_eq!(nemesis.faults()[0].effect, "not reached in 30 s");
    let mut nemesis = storm(vec![fault(1, FaultAction::Error, at_step(0))]);
    nemesis.give_up("the run was interrupted");
    assert!(nemesis.is_settled() && nemesis.landed() == 0);
}

fn outside(id: u32, action: FaultAction, target: FaultTarget, ms: u64) -> Fault {
    Fault { target, ..fault(id, action, FaultTrigger::AtMs(ms)) }
}

fn triggered(id: u64) -> JobEvent {
    let (checkpoint, attempt) = (CheckpointId(id), AttemptId(1));
    JobEvent::CheckpointTriggered { checkpoint, attempt }
}

fn completed(id: u64) -> JobEvent {
    let (checkpoint, attempt) = (CheckpointId(id), AttemptId(1));
    JobEvent::CheckpointCompleted { checkpoint, attempt, stats: Default::default() }
}

#[test]
fn a_fault_of_a_service_is_over_when_a_checkpoint_completed_that_began_after_its_healing() {
    let first = outside(1, FaultAction::Sigkill, FaultTarget::Broker, 10);
    let second = outside(2, FaultAction::Reset, FaultTarget::DatabaseLink, 20);
    let mut nemesis = storm(vec![first.clone(), second.clone()]);
    assert_eq!(nemesis.tick(&at_ms(10)), [Order::Strike(first)]);
    assert!(nemesis.is_striking_outside());
    nemesis.on_event(&triggered(3), 30);
    assert_eq!(nemesis.on_exit(true), None, "nobody planned an end of the engine");
    let healed = News::Healed { id: FaultId(1), t_us: 50, effect: "refused".to_owned() };
    nemesis.on_outside(&healed);
    assert_eq!(nemesis.landed(), 1);
    nemesis.on_event(&completed(3), 60);
    assert_eq!(nemesis.tick(&at_ms(21)), [], "checkpoint 3 began before the healing");
    nemesis.on_event(&triggered(4), 70);
    nemesis.on_event(&completed(4), 80);
    assert_eq!(nemesis.faults()[0].recovered_us, Some(80));
    assert_eq!(nemesis.tick(&at_ms(22)), [Order::Strike(second)]);
    let why = "nothing was struck".to_owned();
    nemesis.on_outside(&News::Missed { id: FaultId(2), why });
    assert!(nemesis.is_settled() && nemesis.landed() == 1);
}

#[test]
fn damage_is_done_while_the_engine_is_down_and_lands_when_it_is_passed_over() {
    let torn = outside(1, FaultAction::TornCheckpoint, FaultTarget::Disk, 10);
    let mut nemesis = storm(vec![torn]);
    assert_eq!(nemesis.tick(&at_ms(10)), [Order::Signal(Signal::SIGKILL)]);
    assert_eq!(nemesis.on_exit(true), Some(40));
    let due = nemesis.damage_due().expect("the engine is down").id;
    nemesis.on_damaged(due, Ok("cut".to_owned()));
    assert_eq!((nemesis.damage_due(), nemesis.landed()), (None, 0));
    let skipped = JobEvent::CheckpointSkipped { checkpoint: CheckpointId(8), reason: "it".into() };
    nemesis.on_event(&skipped, 90);
    assert_eq!(nemesis.landed(), 1);
    assert_eq!(nemesis.faults()[0].effect, "cut; checkpoint 8: it");
    nemesis.on_event(&JobEvent::AttemptRunning { attempt: AttemptId(2), restore_us: 1 }, 99);
    assert_eq!(nemesis.faults()[0].healed_us, Some(99));
}

#[test]
fn records_that_were_taken_are_told_at_once_and_waited_for_until_the_rest_is_undone() {
    let unclean = FaultAction::UncleanElection { ms: 500 };
    let fault = outside(1, unclean, FaultTarget::Broker, 10);
    let mut nemesis = storm(vec![fault.clone()]);
    assert!(!nemesis.is_taking(), "it has not begun");
    assert_eq!(nemesis.tick(&at_ms(10)), [Order::Strike(fault)]);
    assert!(nemesis.is_taking());
    let effect = "7 records are gone".to_owned();
    nemesis.on_outside(&News::Taken { id: FaultId(1), effect, lost: Vec::new() });
    assert_eq!((nemesis.landed(), nemesis.is_settled(), nemesis.is_taking()), (1, false, true));
    let mut ended = Nemesis { faults: nemesis.faults.clone(), ..storm(Vec::new()) };
    ended.give_up("the run failed before");
    assert_eq!(ended.faults()[0].effect, "7 records are gone", "what landed stays so");
    let effect = "undone".to_owned();
    nemesis.on_outside(&News::Healed { id: FaultId(1), t_us: 50, effect });
    assert!(nemesis.is_settled() && !nemesis.is_taking());
    assert_eq!(nemesis.faults()[0].healed_us, Some(50));
}
