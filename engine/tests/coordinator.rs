//! The coordinator: when checkpoints begin, complete and are given up.

use std::collections::VecDeque;

use stormproof_engine::checkpoint::{
    Acknowledgement, Command, Coordinator, JobFacts, StateFileRef,
};
use stormproof_engine::ids::{AttemptId, CheckpointId, WorkerIndex};
use stormproof_engine::runtime::{CheckpointConfig, CheckpointStats};

const ATTEMPT: AttemptId = AttemptId(3);

fn coordinator(config: CheckpointConfig) -> Coordinator {
    let facts = JobFacts {
        job: "test".to_owned(),
        attempt: ATTEMPT,
        workers: 2,
        subtasks: 10,
        vertices: Vec::new(),
    };
    Coordinator::new(config, facts, CheckpointId(1), VecDeque::new(), 0)
}

fn config() -> CheckpointConfig {
    CheckpointConfig { interval_ms: 10, timeout_ms: 100, retained: 2, ..Default::default() }
}

fn ack(checkpoint: u64, worker: u16, subtasks: u64) -> Acknowledgement {
    let worker = WorkerIndex(worker);
    let file = StateFileRef { path: String::new(), bytes: 0, crc32: 0, worker };
    let checkpoint = CheckpointId(checkpoint);
    let stats = CheckpointStats::default();
    Acknowledgement { attempt: ATTEMPT, checkpoint, worker, subtasks, file, stats }
}

fn words(commands: &[Command]) -> Vec<String> {
    commands
        .iter()
        .map(|command| match command {
            Command::Trigger { checkpoint, drain: false } => format!("trigger {checkpoint}"),
            Command::Trigger { checkpoint, drain: true } => format!("drain {checkpoint}"),
            Command::WriteManifest(manifest) => format!("write {}", manifest.checkpoint),
            Command::Notify { checkpoint, .. } => format!("notify {checkpoint}"),
            Command::Abort { checkpoint, reason } => format!("abort {checkpoint}: {reason}"),
            Command::Delete(checkpoint) => format!("delete {checkpoint}"),
            Command::Discard(checkpoint) => format!("discard {checkpoint}"),
            Command::FailJob(_) => "fail job".to_owned(),
        })
        .collect()
}

/// Triggers, acknowledges and completes the next checkpoint at `now`.
fn complete(c: &mut Coordinator, id: u64, now: u64) -> Vec<String> {
    c.on_time(now);
    c.on_acknowledged(ack(id, 0, 5), now);
    assert_eq!(words(&c.on_acknowledged(ack(id, 1, 5), now)), [format!("write {id}")]);
    words(&c.on_manifest_durable(CheckpointId(id), now))
}

#[test]
fn completes_only_with_every_subtasks_acknowledgement() {
    let mut c = coordinator(config());
    assert!(c.on_time(9_999).is_empty());
    assert_eq!(words(&c.on_time(10_000)), ["trigger 1"]);
    assert!(c.on_acknowledged(ack(1, 0, 5), 11_000).is_empty());
    assert!(c.on_acknowledged(ack(1, 1, 4), 11_000).is_empty(), "one subtask is missing");
    assert!(c.on_time(100_000).is_empty(), "one at a time");
    let late = words(&c.on_time(110_000));
    assert_eq!(late, ["abort 1: expired after 100 ms", "discard 1", "trigger 2"]);
}

#[test]
fn refuses_acknowledgements_of_another_attempt_and_of_given_up_checkpoints() {
    let mut c = coordinator(config());
    c.on_time(10_000);
    let stale = Acknowledgement { attempt: AttemptId(2), ..ack(1, 0, 5) };
    assert!(c.on_acknowledged(stale, 11_000).is_empty());
    assert_eq!(words(&c.on_declined(CheckpointId(1), "disk")), ["abort 1: disk", "discard 1"]);
    // Its file has landed after the others were discarded.
    assert_eq!(words(&c.on_acknowledged(ack(1, 0, 5), 12_000)), ["discard 1"]);
    assert_eq!(words(&c.on_acknowledged(ack(1, 1, 5), 12_000)), ["discard 1"]);
}

#[test]
fn the_minimum_pause_counts_from_the_end_of_the_last_completed_checkpoint() {
    let mut c = coordinator(CheckpointConfig { min_pause_ms: 50, ..config() });
    assert_eq!(complete(&mut c, 1, 10_000), ["notify 1"]);
    assert!(c.on_time(59_999).is_empty());
    assert_eq!(words(&c.on_time(60_000)), ["trigger 2"]);
}

#[test]
fn a_completed_checkpoint_subsumes_the_older_pending_ones() {
    let mut c = coordinator(CheckpointConfig { max_concurrent: 3, ..config() });
    assert_eq!(words(&c.on_time(10_000)), ["trigger 1"]);
    assert_eq!(
        complete(&mut c, 2, 20_000),
        ["abort 1: subsumed by checkpoint 2", "discard 1", "notify 2"]
    );
}

#[test]
fn old_checkpoints_are_deleted_only_after_the_new_one_is_durable() {
    let mut c = coordinator(config());
    assert_eq!(complete(&mut c, 1, 10_000), ["notify 1"]);
    assert_eq!(complete(&mut c, 2, 20_000), ["notify 2"]);
    assert_eq!(complete(&mut c, 3, 30_000), ["notify 3", "delete 1"]);
}

#[test]
fn too_many_failures_in_a_row_fail_the_job_and_a_success_starts_over() {
    let mut c = coordinator(CheckpointConfig { tolerable_failures: 1, ..config() });
    c.on_time(10_000);
    assert_eq!(words(&c.on_declined(CheckpointId(1), "x")).len(), 2);
    assert_eq!(complete(&mut c, 2, 20_000), ["notify 2"]);
    c.on_time(30_000);
    assert!(!words(&c.on_declined(CheckpointId(3), "x")).contains(&"fail job".to_owned()));
    c.on_time(40_000);
    assert!(words(&c.on_declined(CheckpointId(4), "x")).contains(&"fail job".to_owned()));
}

#[test]
fn a_manifest_whose_write_failed_may_exist_so_nothing_is_deleted() {
    let mut c = coordinator(config());
    c.on_time(10_000);
    c.on_acknowledged(ack(1, 0, 5), 11_000);
    c.on_acknowledged(ack(1, 1, 5), 11_000);
    let failed = words(&c.on_manifest_failed(CheckpointId(1), "timeout"));
    assert_eq!(failed, ["abort 1: timeout"]);
}

#[test]
fn a_drain_is_the_last_checkpoint_and_its_failure_fails_the_attempt() {
    let mut c = coordinator(config());
    c.request_drain();
    assert_eq!(words(&c.on_time(1)), ["drain 1"]);
    assert!(c.on_time(50_000).is_empty(), "nothing after the drain");
    assert!(words(&c.on_declined(CheckpointId(1), "x")).contains(&"fail job".to_owned()));
}

/// Found by the simulation: two manifests under way, the younger one is durable first.
#[test]
fn a_manifest_that_is_durable_after_a_younger_one_is_deleted_without_a_panic() {
    let mut c = coordinator(CheckpointConfig { max_concurrent: 2, min_pause_ms: 0, ..config() });
    for id in 1..=2 {
        c.on_time(id * 10_000);
        c.on_acknowledged(ack(id, 0, 5), id * 10_000);
        let whole = c.on_acknowledged(ack(id, 1, 5), id * 10_000);
        assert_eq!(words(&whole), [format!("write {id}")]);
    }
    let younger = words(&c.on_manifest_durable(CheckpointId(2), 30_000));
    assert_eq!(younger, ["abort 1: subsumed by checkpoint 2", "notify 2"], "1 keeps its state");
    assert_eq!(words(&c.on_manifest_durable(CheckpointId(1), 31_000)), ["delete 1"]);
    // Or it is there and nobody knows.
    assert_eq!(words(&c.on_manifest_failed(CheckpointId(1), "timeout")), ["delete 1"]);
}
