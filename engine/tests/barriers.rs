//! The barrier handler, mode by mode: what is decided when, with nothing but barriers going in.

use stormproof_engine::checkpoint::{BarrierHandler, Decision};
use stormproof_engine::exchange::Barrier;
use stormproof_engine::ids::CheckpointId;
use stormproof_engine::runtime::CheckpointMode;

fn barrier(checkpoint: u64) -> Barrier {
    Barrier { checkpoint: CheckpointId(checkpoint), drain: false, triggered_us: 0 }
}

/// A decision in one word, so that a test reads as a story.
fn words(decisions: &[Decision]) -> Vec<String> {
    decisions
        .iter()
        .map(|decision| match decision {
            Decision::Begun(b) => format!("begun {}", b.checkpoint),
            Decision::Hold(channel) => format!("hold {channel}"),
            Decision::Snapshot { barrier, closed: None } => {
                format!("snapshot {}", barrier.checkpoint)
            }
            Decision::Snapshot { barrier, closed: Some(closed) } => {
                format!("snapshot {} logging all but {}", barrier.checkpoint, closed.len())
            }
            Decision::Release => "release".to_owned(),
            Decision::Complete(id) => format!("complete {id}"),
            Decision::Decline(id, _) => format!("decline {id}"),
        })
        .collect()
}

fn handler(mode: CheckpointMode) -> BarrierHandler {
    BarrierHandler::new(mode, None, 3)
}

#[test]
fn aligned_holds_each_channel_and_snapshots_with_the_last() {
    let mut h = handler(CheckpointMode::ExactlyOnce);
    assert_eq!(words(&h.on_ingested(0, barrier(1), 0)), ["begun 1"]);
    assert_eq!(words(&h.on_processed(0, barrier(1))), ["hold 0"]);
    assert!(h.on_ingested(1, barrier(1), 0).is_empty());
    assert!(h.on_ingested(2, barrier(1), 0).is_empty());
    assert_eq!(words(&h.on_processed(2, barrier(1))), ["hold 2"]);
    assert!(h.is_aligning());
    let last = words(&h.on_processed(1, barrier(1)));
    assert_eq!(last, ["snapshot 1", "release", "complete 1"]);
    assert!(!h.is_aligning());
}

#[test]
fn unaligned_snapshots_with_the_first_and_completes_with_the_last_ingested() {
    let mut h = handler(CheckpointMode::ExactlyOnceUnaligned);
    let first = words(&h.on_ingested(1, barrier(4), 0));
    assert_eq!(first, ["begun 4", "snapshot 4 logging all but 0"]);
    assert!(h.on_processed(1, barrier(4)).is_empty());
    assert!(h.on_ingested(0, barrier(4), 0).is_empty());
    assert_eq!(words(&h.on_ingested(2, barrier(4), 0)), ["complete 4"]);
    assert!(h.on_processed(0, barrier(4)).is_empty(), "a barrier that is over says nothing");
}

#[test]
fn at_least_once_is_flinks_last_barrier_and_holds_nothing() {
    let mut h = handler(CheckpointMode::AtLeastOnce);
    for channel in [2, 0] {
        h.on_ingested(channel, barrier(1), 0);
        assert!(h.on_processed(channel, barrier(1)).is_empty());
    }
    h.on_ingested(1, barrier(1), 0);
    assert_eq!(words(&h.on_processed(1, barrier(1))), ["snapshot 1", "release", "complete 1"]);
}

#[test]
fn first_barrier_is_safe_because_it_logs_the_other_channels() {
    let mut h = handler(CheckpointMode::AtLeastOnceFirstBarrier);
    for channel in 0..3 {
        h.on_ingested(channel, barrier(1), 0);
    }
    let first = words(&h.on_processed(0, barrier(1)));
    assert_eq!(first, ["snapshot 1 logging all but 1", "complete 1"]);
}

#[test]
fn an_alignment_that_times_out_goes_on_unaligned() {
    let mut h = BarrierHandler::new(CheckpointMode::ExactlyOnce, Some(100), 3);
    h.on_ingested(0, barrier(1), 10);
    assert_eq!(words(&h.on_processed(0, barrier(1))), ["hold 0"]);
    assert_eq!(h.alignment_deadline(), Some(110));
    assert!(h.on_time(109).is_empty());
    let late = words(&h.on_time(110));
    assert_eq!(late, ["snapshot 1 logging all but 1", "release"]);
    h.on_ingested(1, barrier(1), 120);
    assert_eq!(words(&h.on_ingested(2, barrier(1), 130)), ["complete 1"]);
    assert!(h.on_processed(1, barrier(1)).is_empty());
}

#[test]
fn a_late_barrier_does_not_revive_an_aborted_checkpoint() {
    let mut h = handler(CheckpointMode::ExactlyOnce);
    h.on_ingested(0, barrier(1), 0);
    h.on_processed(0, barrier(1));
    assert_eq!(words(&h.on_aborted(CheckpointId(1))), ["release"]);
    for channel in 1..3 {
        assert!(h.on_ingested(channel, barrier(1), 0).is_empty());
        assert!(h.on_processed(channel, barrier(1)).is_empty());
    }
    assert_eq!(words(&h.on_ingested(0, barrier(2), 0)), ["begun 2"]);
}

#[test]
fn a_checkpoint_outlives_a_younger_one_that_is_given_up() {
    for mode in [CheckpointMode::ExactlyOnce, CheckpointMode::ExactlyOnceUnaligned] {
        let mut h = handler(mode);
        h.on_ingested(0, barrier(1), 0);
        h.on_processed(0, barrier(1));
        h.on_ingested(0, barrier(2), 0);
        let released = words(&h.on_aborted(CheckpointId(2)));
        assert!(released.is_empty(), "what is held is held for checkpoint 1: {released:?}");
        let last: Vec<_> = [1, 2]
            .into_iter()
            .flat_map(|channel| {
                let ingested = h.on_ingested(channel, barrier(1), 0);
                ingested.into_iter().chain(h.on_processed(channel, barrier(1)))
            })
            .collect();
        assert_eq!(words(&last).last().map(String::as_str), Some("complete 1"), "{mode:?}");
        assert!(h.on_ingested(1, barrier(2), 0).is_empty(), "2 is over");
    }
}

#[test]
fn a_checkpoint_does_not_begin_behind_a_younger_one() {
    for mode in CheckpointMode::ALL {
        let mut h = handler(mode);
        h.on_ingested(0, barrier(4), 0);
        h.on_processed(0, barrier(4));
        // Given up before it reached channel 0, and nobody here has been told.
        assert!(h.on_ingested(1, barrier(3), 0).is_empty(), "{mode:?}");
        assert!(h.on_processed(1, barrier(3)).is_empty(), "{mode:?}");
        let rest: Vec<_> = (1..3)
            .flat_map(|channel| {
                let mut all = h.on_ingested(channel, barrier(4), 0);
                all.extend(h.on_processed(channel, barrier(4)));
                words(&all)
            })
            .collect();
        assert_eq!(rest.last().map(String::as_str), Some("complete 4"), "{mode:?}: {rest:?}");
    }
}

#[test]
fn a_checkpoint_that_missed_a_channel_is_declined_when_the_next_one_arrives_there() {
    let mut h = handler(CheckpointMode::ExactlyOnce);
    h.on_ingested(0, barrier(1), 0);
    h.on_processed(0, barrier(1));
    h.on_ingested(1, barrier(2), 0);
    let next = words(&h.on_processed(1, barrier(2)));
    assert_eq!(next, ["release", "decline 1", "hold 1"]);
}

#[test]
fn an_ended_channel_counts_as_its_barrier() {
    for mode in [CheckpointMode::ExactlyOnce, CheckpointMode::AtLeastOnce] {
        let mut h = handler(mode);
        h.on_end_ingested(2);
        h.on_end_processed(2);
        for channel in 0..2 {
            h.on_ingested(channel, barrier(1), 0);
        }
        h.on_processed(0, barrier(1));
        let last = words(&h.on_processed(1, barrier(1)));
        assert_eq!(last, ["snapshot 1", "release", "complete 1"], "{mode:?}");
    }
    let mut h = handler(CheckpointMode::ExactlyOnce);
    h.on_ingested(0, barrier(1), 0);
    h.on_ingested(1, barrier(1), 0);
    h.on_processed(0, barrier(1));
    h.on_processed(1, barrier(1));
    h.on_end_ingested(2);
    let end = words(&h.on_end_processed(2));
    assert_eq!(end, ["snapshot 1", "release", "complete 1"], "the end completes an alignment");
}

#[test]
fn a_gate_whose_inputs_all_ended_snapshots_when_it_is_told() {
    let mut h = handler(CheckpointMode::ExactlyOnceUnaligned);
    assert!(h.on_announced(barrier(1)).is_empty(), "barriers are still to come");
    for channel in 0..3 {
        h.on_end_ingested(channel);
        let decided = words(&h.on_end_processed(channel));
        let expected: &[&str] =
            if channel == 2 { &["begun 1", "snapshot 1", "complete 1"] } else { &[] };
        assert_eq!(decided, expected);
    }
    let next = words(&h.on_announced(barrier(2)));
    assert_eq!(next, ["begun 2", "snapshot 2", "complete 2"]);
}

#[test]
fn a_barrier_that_follows_an_end_of_input_does_not_snapshot_again() {
    let mut h = BarrierHandler::new(CheckpointMode::ExactlyOnce, Some(1_000), 3);
    for channel in 0..3 {
        h.on_end_ingested(channel);
        h.on_end_processed(channel);
    }
    assert_eq!(words(&h.on_ingested(0, barrier(2), 0)), ["begun 2"]);
    assert_eq!(words(&h.on_announced(barrier(2))), ["begun 2", "snapshot 2", "complete 2"]);
    assert!(h.on_processed(0, barrier(2)).is_empty(), "it is over");
    assert_eq!(h.alignment_deadline(), None);
    assert!(h.on_time(5_000).is_empty(), "nothing is left to time out");
}

#[test]
fn what_the_next_alignment_holds_outlives_one_that_is_given_up() {
    let next_holds = || {
        let mut h = BarrierHandler::new(CheckpointMode::ExactlyOnce, Some(100), 3);
        h.on_ingested(0, barrier(1), 10);
        h.on_processed(0, barrier(1));
        assert_eq!(words(&h.on_time(110)), ["snapshot 1 logging all but 1", "release"]);
        h.on_ingested(0, barrier(2), 115);
        assert_eq!(words(&h.on_processed(0, barrier(2))), ["hold 0"], "1 waits, 2 aligns");
        h
    };
    let mut h = next_holds();
    assert!(h.on_aborted(CheckpointId(1)).is_empty(), "channel 0 is held for checkpoint 2");
    let mut h = next_holds();
    h.on_ingested(1, barrier(2), 120);
    assert_eq!(words(&h.on_processed(1, barrier(2))), ["decline 1", "hold 1"]);
}

#[test]
fn a_checkpoint_is_overtaken_behind_an_older_one_that_still_logs() {
    let mut h = BarrierHandler::new(CheckpointMode::ExactlyOnce, Some(100), 3);
    for channel in 0..2 {
        h.on_ingested(channel, barrier(1), 0);
        h.on_processed(channel, barrier(1));
    }
    assert_eq!(words(&h.on_time(100)), ["snapshot 1 logging all but 2", "release"]);
    h.on_ingested(0, barrier(2), 110);
    assert_eq!(words(&h.on_processed(0, barrier(2))), ["hold 0"]);
    h.on_ingested(1, barrier(3), 120);
    let next = words(&h.on_processed(1, barrier(3)));
    assert_eq!(next, ["release", "decline 2", "hold 1"], "channel 1 never had 2; 1 goes on");
    assert_eq!(words(&h.on_ingested(2, barrier(1), 130)), ["complete 1"]);
    assert!(h.on_aborted(CheckpointId(2)).is_empty(), "channel 1 is held for 3");
}

#[test]
fn an_alignment_times_out_behind_a_checkpoint_that_still_logs() {
    let mut h = BarrierHandler::new(CheckpointMode::ExactlyOnce, Some(100), 3);
    for channel in [0, 1] {
        h.on_ingested(channel, barrier(1), 0);
        h.on_processed(channel, barrier(1));
    }
    assert_eq!(words(&h.on_time(100)), ["snapshot 1 logging all but 2", "release"]);
    h.on_ingested(0, barrier(2), 150);
    assert_eq!(words(&h.on_processed(0, barrier(2))), ["hold 0"]);
    assert_eq!(h.alignment_deadline(), Some(250));
    assert_eq!(words(&h.on_time(250)), ["snapshot 2 logging all but 1", "release"]);
    assert_eq!(h.alignment_deadline(), None, "both log");
    assert_eq!(words(&h.on_ingested(2, barrier(1), 260)), ["complete 1"]);
    h.on_ingested(1, barrier(2), 260);
    assert_eq!(words(&h.on_ingested(2, barrier(2), 270)), ["complete 2"]);
}
