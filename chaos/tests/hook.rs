//! The hook fires each fault exactly once, at its step, announced before it acts.
//!
//! The `fail` crate's registry belongs to the process, so these tests take turns.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stormproof_chaos::fault::{
    CheckpointRef, Fault, FaultAction, FaultId, FaultTarget, FaultTrigger, VertexShape,
};
use stormproof_chaos::hook::{Armory, FailHook, FaultShot};
use stormproof_engine::ids::{AttemptId, CheckpointId, SubtaskIndex, VertexId};
use stormproof_engine::seam::{Step, StepAction, StepContext, StepHook};

static TURN: Mutex<()> = Mutex::new(());

struct Rig {
    hook: FailHook,
    armory: Armory,
    shots: Arc<Mutex<Vec<FaultShot>>>,
    _turn: MutexGuard<'static, ()>,
}

fn rig() -> Rig {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let shots = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&shots);
    let vertices = ["source", "count", "sink"]
        .map(|name| VertexShape { name: name.to_owned(), parallelism: 100 })
        .to_vec();
    let announce = Box::new(move |shot: &FaultShot| log.lock().unwrap().push(*shot));
    let (hook, armory) = FailHook::install(vertices, announce);
    Rig { hook, armory, shots, _turn: turn }
}

impl Rig {
    fn shots(&self) -> Vec<FaultShot> {
        self.shots.lock().unwrap().clone()
    }
}

fn at(vertex: u16, subtask: u16, checkpoint: u64) -> StepContext {
    StepContext {
        attempt: AttemptId(1),
        vertex: VertexId(vertex),
        subtask: SubtaskIndex(subtask),
        checkpoint: CheckpointId(checkpoint),
    }
}

fn fault(id: u32, action: FaultAction, step: Step, checkpoint: CheckpointRef) -> Fault {
    let when = FaultTrigger::AtStep { step, checkpoint, attempt: None, armed_at_ms: 0 };
    let target = FaultTarget::AnySubtask;
    Fault { id: FaultId(id), action, target, when, heal_after_ms: 0 }
}

#[test]
fn a_fault_fires_once_however_many_threads_reach_its_step() {
    let rig = rig();
    rig.armory.arm(fault(1, FaultAction::Error, Step::Upload, CheckpointRef::Nth(1))).unwrap();
    let failures: usize = std::thread::scope(|scope| {
        let hit = || {
            let hits = (0..500).map(|i| rig.hook.hit(Step::Upload, &at(1, i % 100, 3)));
            hits.filter(|action| matches!(action, StepAction::Fail(_))).count()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(hit)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((failures, rig.shots().len(), rig.armory.armed_count()), (1, 1, 0));
}

#[test]
fn a_panic_names_its_fault_and_is_announced_before() {
    let rig = rig();
    rig.armory.arm(fault(7, FaultAction::Panic, Step::Acked, CheckpointRef::Nth(1))).unwrap();
    assert_eq!(rig.hook.hit(Step::Upload, &at(0, 0, 5)), StepAction::Proceed);
    let panic = catch_unwind(AssertUnwindSafe(|| rig.hook.hit(Step::Acked, &at(2, 9, 5))));
    let message = panic.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*message, "injected fault-7: panic at acked of checkpoint 5");
    let expected = FaultShot { id: FaultId(7), step: Step::Acked, at: at(2, 9, 5) };
    assert_eq!(rig.shots(), [expected]);
    assert_eq!(rig.hook.hit(Step::Acked, &at(2, 9, 5)), StepAction::Proceed);
}

#[test]
fn only_the_wanted_subtask_checkpoint_and_attempt_are_struck() {
    let rig = rig();
    let mut wanted = fault(
        1,
        FaultAction::Stall { ms: 5 },
        Step::SnapshotSync,
        CheckpointRef::Exactly(CheckpointId(4)),
    );
    wanted.target = FaultTarget::Subtask { vertex: "sink".to_owned(), index: 3 };
    let FaultTrigger::AtStep { attempt, .. } = &mut wanted.when else { unreachable!() };
    *attempt = Some(AttemptId(1));
    rig.armory.arm(wanted).unwrap();
    let later_attempt = StepContext { attempt: AttemptId(2), ..at(2, 3, 4) };
    for elsewhere in [at(1, 3, 4), at(2, 4, 4), at(2, 3, 5), later_attempt] {
        assert_eq!(rig.hook.hit(Step::SnapshotSync, &elsewhere), StepAction::Proceed);
    }
    assert_eq!(rig.hook.hit(Step::SnapshotAsync, &at(2, 3, 4)), StepAction::Proceed);
    let struck = rig.hook.hit(Step::SnapshotSync, &at(2, 3, 4));
    assert_eq!(struck, StepAction::Stall { duration_us: 5_000 });
}

#[test]
fn the_nth_checkpoint_is_counted_from_the_first_one_seen_after_arming() {
    let rig = rig();
    rig.armory.arm(fault(1, FaultAction::Error, Step::Acked, CheckpointRef::Nth(3))).unwrap();
    for checkpoint in [11, 12] {
        assert_eq!(rig.hook.hit(Step::Acked, &at(0, 0, checkpoint)), StepAction::Proceed);
    }
    assert!(matches!(rig.hook.hit(Step::Acked, &at(0, 0, 13)), StepAction::Fail(_)));
}

#[test]
fn a_checkpoint_that_never_reaches_the_step_does_not_disarm_the_fault() {
    let rig = rig();
    rig.armory.arm(fault(1, FaultAction::Error, Step::AllAcked, CheckpointRef::Nth(1))).unwrap();
    assert_eq!(rig.hook.hit(Step::BarrierInjected, &at(0, 0, 6)), StepAction::Proceed);
    assert!(matches!(rig.hook.hit(Step::AllAcked, &at(0, 0, 8)), StepAction::Fail(_)));
}

#[test]
fn a_flush_belongs_to_no_checkpoint_under_way() {
    let rig = rig();
    let step = Step::SinkFlushSent;
    rig.armory.arm(fault(1, FaultAction::Error, step, CheckpointRef::Nth(1))).unwrap();
    assert!(matches!(rig.hook.hit(step, &at(2, 0, 0)), StepAction::Fail(_)));
}

#[test]
fn a_fault_of_a_moment_strikes_its_subtask_at_any_step() {
    let rig = rig();
    let mut moment = fault(1, FaultAction::Stall { ms: 1 }, Step::Acked, CheckpointRef::default());
    moment.when = FaultTrigger::AtMs(0);
    moment.target = FaultTarget::Subtask { vertex: "count".to_owned(), index: 0 };
    rig.armory.arm(moment).unwrap();
    assert_eq!(rig.hook.hit(Step::Aligned, &at(2, 0, 1)), StepAction::Proceed);
    assert_ne!(rig.hook.hit(Step::SinkFlushBegun, &at(1, 0, 1)), StepAction::Proceed);
}

#[test]
fn a_delay_sleeps_in_the_step_and_goes_on() {
    let rig = rig();
    let delay = FaultAction::Delay { ms: 30 };
    rig.armory.arm(fault(1, delay, Step::Upload, CheckpointRef::Nth(1))).unwrap();
    let begun = Instant::now();
    assert_eq!(rig.hook.hit(Step::Upload, &at(0, 0, 1)), StepAction::Proceed);
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[test]
fn arming_again_replaces_and_disarming_silences() {
    let rig = rig();
    let again = || fault(1, FaultAction::Error, Step::Upload, CheckpointRef::Nth(1));
    rig.armory.arm(again()).unwrap();
    rig.armory.arm(again()).unwrap();
    assert_eq!(rig.armory.armed_count(), 1);
    rig.armory.disarm_all();
    assert_eq!(rig.hook.hit(Step::Upload, &at(0, 0, 1)), StepAction::Proceed);
    let mut elsewhere = again();
    elsewhere.target = FaultTarget::Subtask { vertex: "snik".to_owned(), index: 0 };
    assert!(rig.armory.arm(elsewhere).is_err());
}

/// In the child that the next test starts: shoots this process. Does nothing otherwise.
#[test]
fn child_that_is_killed() {
    let Ok(file) = std::env::var("STORMPROOF_TEST_SHOT_FILE") else { return };
    let vertices = vec![VertexShape { name: "source".to_owned(), parallelism: 1 }];
    let announce = Box::new(move |shot: &FaultShot| {
        std::fs::write(&file, serde_json::to_string(shot).unwrap()).unwrap();
    });
    let (hook, armory) = FailHook::install(vertices, announce);
    armory
        .arm(fault(3, FaultAction::Sigkill, Step::MetadataDurable, CheckpointRef::Nth(1)))
        .unwrap();
    hook.hit(Step::MetadataDurable, &at(0, 0, 2));
    unreachable!("SIGKILL does not return");
}

#[test]
fn a_sigkill_is_announced_before_the_process_dies() {
    let file = std::env::temp_dir().join(format!("shot-{}.json", std::process::id()));
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_is_killed"])
        .env("STORMPROOF_TEST_SHOT_FILE", &file)
        .output()
        .unwrap()
        .status;
    let shot: FaultShot = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(status.signal(), Some(9));
    assert_eq!(shot, FaultShot { id: FaultId(3), step: Step::MetadataDurable, at: at(0, 0, 2) });
}
