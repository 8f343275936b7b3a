//! The inbox at work: runs end where they must, a held lane waits without being copied, order and
//! credit are kept whichever way a record takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use stormproof_engine::exchange::{
    Barrier, ChannelSet, Inbox, Item, Lane, LaneBuffer, MarkKind, Wake,
};
use stormproof_engine::ids::*;
use stormproof_engine::record::{EVERY_SUBTASK, Payload, Provenance, Route};

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

const BUFFER_BYTES: usize = 4096;
const CREDIT: u64 = 1 << 20;

/// Two lanes: channels 0 and 1 come on the first, channels 2 and 3 on the second.
fn two_lanes() -> ([Arc<Lane>; 2], Inbox) {
    let lane = |sources| {
        let nobody = Arc::new(Nobody);
        Arc::new(Lane::new(sources, BUFFER_BYTES, CREDIT, nobody.clone(), nobody))
    };
    let lanes = [lane(0..2), lane(2..4)];
    let inbox = Inbox::new(lanes.iter().map(|lane| (0, Arc::clone(lane))), 4, [].into());
    (lanes, inbox)
}

enum Sent {
    Record(u16, u64),
    Everywhere(u16, u64),
    Mark(u16),
}
use Sent::*;

fn barrier() -> MarkKind {
    MarkKind::Barrier(Barrier { checkpoint: CheckpointId(1), drain: false, triggered_us: 0 })
}

fn buffer(lane: &Lane, sent: &[Sent]) -> (LaneBuffer, u64) {
    let mut bytes = lane.buffer(1);
    bytes.clear();
    let mut marks = Vec::new();
    for item in sent {
        match item {
            Record(source, offset) => encode(&mut bytes, *source, SubtaskIndex(0), *offset),
            Everywhere(source, offset) => encode(&mut bytes, *source, EVERY_SUBTASK, *offset),
            Mark(source) => {
                let (at, source) = (bytes.len() as u32, SubtaskIndex(*source));
                marks.push(stormproof_engine::exchange::Mark { at, source, kind: barrier() });
            }
        }
    }
    let len = bytes.len() as u64;
    (LaneBuffer { bytes: bytes.freeze(), marks }, len)
}

fn encode(bytes: &mut BytesMut, source: u16, target: SubtaskIndex, offset: u64) {
    let provenance = Provenance {
        partition: PartitionId(u32::from(source)),
        offset: Offset(offset),
        index: 0,
        source_attempt: AttemptId(1),
    };
    let payload =
        Payload { provenance, event_time_us: 0, key: Some(b"key"), value: Some(b"value") };
    let route = Route { source: SubtaskIndex(source), target };
    payload.encode(route, bytes);
}

fn send(lane: &Lane, sent: &[Sent]) -> u64 {
    let (buffer, bytes) = buffer(lane, sent);
    lane.push(buffer);
    bytes
}

/// Offsets of the next run; `None` when the next item is no run.
fn run(inbox: &mut Inbox, budget: usize) -> Option<Vec<u64>> {
    inbox.take_run(budget, |run| run.map(|r| r.view().provenance().offset.0).collect())
}

/// The offset of the next item, `None` for a mark.
fn take(inbox: &mut Inbox) -> Option<u64> {
    match inbox.take(&mut { usize::MAX }).expect("there is an item") {
        Item::Record { record, .. } => Some(record.view().provenance().offset.0),
        Item::Mark { .. } => None,
    }
}

fn is_empty(inbox: &mut Inbox) -> bool {
    inbox.take(&mut { usize::MAX }).is_none()
}

#[test]
fn a_run_ends_at_a_mark_at_its_budget_and_at_the_end_of_its_buffer() {
    let (lanes, mut inbox) = two_lanes();
    send(&lanes[0], &[Record(0, 1), Record(1, 2), Record(0, 3), Mark(0), Record(1, 4)]);
    send(&lanes[0], &[Record(1, 5)]);
    inbox.ingest(|_, _| ());
    assert_eq!(run(&mut inbox, 2), Some(vec![1, 2]));
    assert_eq!(run(&mut inbox, 10), Some(vec![3]));
    assert_eq!(run(&mut inbox, 10), None, "a mark is next");
    assert_eq!(take(&mut inbox), None);
    assert_eq!(run(&mut inbox, 10), Some(vec![4]));
    assert_eq!(run(&mut inbox, 10), Some(vec![5]));
    assert_eq!(run(&mut inbox, 10), None);
    assert!(!inbox.has_ready());
}

#[test]
fn a_run_stops_before_a_record_for_everybody() {
    let (lanes, mut inbox) = two_lanes();
    send(&lanes[0], &[Record(0, 1), Everywhere(0, 2), Record(0, 3)]);
    inbox.ingest(|_, _| ());
    assert_eq!(run(&mut inbox, 10), Some(vec![1]));
    assert_eq!(run(&mut inbox, 10), Some(vec![]));
    assert_eq!(take(&mut inbox), Some(2));
    assert_eq!(run(&mut inbox, 10), Some(vec![3]));
}

#[test]
fn what_a_run_hands_out_is_refunded_to_its_sources() {
    let (lanes, mut inbox) = two_lanes();
    let bytes = send(&lanes[0], &[Record(0, 1), Record(1, 2), Record(1, 3), Record(0, 4)]);
    inbox.ingest(|_, _| ());
    assert_eq!((inbox.queued_bytes(), lanes[0].processed_bytes(SubtaskIndex(0))), (bytes, 0));
    run(&mut inbox, 10);
    let processed = |source| lanes[0].processed_bytes(SubtaskIndex(source));
    assert_eq!((processed(0), processed(1)), (bytes / 2, bytes / 2));
    assert_eq!((inbox.queued_bytes(), inbox.taken_bytes()), (0, bytes));
}

#[test]
fn a_processed_buffer_goes_back_unless_somebody_keeps_a_record() {
    let (lanes, mut inbox) = two_lanes();
    send(&lanes[0], &[Record(0, 1)]);
    inbox.ingest(|_, _| ());
    let kept = inbox.take_run(10, |run| run.next().map(|record| record.keep()));
    let kept = kept.flatten().expect("a record");
    let fresh = lanes[0].buffer(1);
    assert!(fresh.iter().all(|byte| *byte == 0), "a buffer with a kept record was handed out");
    assert_eq!(kept.view().provenance().offset, Offset(1));

    send(&lanes[0], &[Record(0, 2)]);
    inbox.ingest(|_, _| ());
    run(&mut inbox, 10);
    assert!(lanes[0].buffer(1).iter().any(|byte| *byte != 0), "it did not come back");
}

#[test]
fn a_lane_whose_channels_are_all_held_waits_and_the_other_goes_on() {
    let (lanes, mut inbox) = two_lanes();
    send(&lanes[0], &[Mark(0), Mark(1), Record(0, 1), Record(1, 2)]);
    send(&lanes[1], &[Record(2, 3), Record(3, 4)]);
    inbox.ingest(|_, _| ());
    assert_eq!((take(&mut inbox), take(&mut inbox)), (None, None));
    inbox.hold(0);
    inbox.hold(1);
    inbox.hold(1);
    assert!(inbox.held_bytes() > 0 && inbox.has_ready());
    assert_eq!(run(&mut inbox, 10), Some(vec![3, 4]));
    assert_eq!(run(&mut inbox, 10), None);
    assert!(is_empty(&mut inbox), "what follows the barrier was handed out");
    assert!(!inbox.has_ready());
    inbox.release();
    assert_eq!(inbox.held_bytes(), 0);
    assert_eq!(run(&mut inbox, 10), Some(vec![1, 2]));
}

#[test]
fn a_lane_that_is_held_in_part_keeps_the_order_of_each_channel() {
    let (lanes, mut inbox) = two_lanes();
    send(&lanes[0], &[Mark(0), Record(0, 1), Record(1, 2), Record(0, 3), Mark(1), Record(0, 4)]);
    inbox.ingest(|_, _| ());
    assert_eq!(take(&mut inbox), None);
    inbox.hold(0);
    assert_eq!(run(&mut inbox, 10), None, "a run would take held records");
    assert_eq!(take(&mut inbox), Some(2));
    assert_eq!(take(&mut inbox), None);
    inbox.hold(1);
    assert!(is_empty(&mut inbox));
    inbox.release();
    let rest: Vec<_> = (0..3).map(|_| take(&mut inbox)).collect();
    assert_eq!(rest, [Some(1), Some(3), Some(4)]);
}

#[test]
fn what_is_ready_is_found_behind_many_buffers_of_a_held_channel() {
    let (lanes, mut inbox) = two_lanes();
    send(&lanes[0], &[Mark(0)]);
    for offset in 0..50 {
        send(&lanes[0], &[Record(0, offset)]);
    }
    send(&lanes[0], &[Record(1, 99), Mark(1)]);
    inbox.ingest(|_, _| ());
    assert_eq!(take(&mut inbox), None);
    inbox.hold(0);
    // A worker parks when nothing is ready: an alignment would take a nap for each buffer.
    let mut budget = 30;
    assert!(inbox.take(&mut budget).is_none());
    assert_eq!(budget, 0, "no budget, and not nothing that is ready");
    budget = 30;
    let item = inbox.take(&mut budget);
    assert!(matches!(item, Some(Item::Record { channel: 1, .. })), "{item:?}");
    assert_eq!(budget, 10, "what is put aside counts");
    assert_eq!(take(&mut inbox), None);
    inbox.release();
    let rest: Vec<_> = (0..50).map(|_| take(&mut inbox)).collect();
    assert_eq!(rest, (0..50).map(Some).collect::<Vec<_>>());
}

#[test]
fn what_is_held_once_more_stays_before_what_was_left_of_the_last_alignment() {
    let (lanes, mut inbox) = two_lanes();
    send(&lanes[0], &[Mark(0), Record(0, 1)]);
    send(&lanes[0], &[Record(0, 3)]);
    send(&lanes[1], &[Mark(2), Record(2, 2)]);
    inbox.ingest(|_, _| ());
    assert_eq!(take(&mut inbox), None);
    inbox.hold(0);
    assert_eq!(take(&mut inbox), None);
    inbox.hold(2);
    assert!(is_empty(&mut inbox), "1, 2 and 3 are put aside");
    inbox.release();
    inbox.hold(0);
    assert_eq!(take(&mut inbox), Some(2), "1 is put aside again, 3 is still to come");
    inbox.release();
    assert_eq!((take(&mut inbox), take(&mut inbox)), (Some(1), Some(3)));
}

#[test]
fn a_capture_leaves_out_what_a_held_lane_keeps_behind_its_barriers() {
    let (lanes, mut inbox) = two_lanes();
    send(&lanes[0], &[Mark(0), Mark(1), Record(0, 1)]);
    send(&lanes[1], &[Record(2, 2), Record(3, 3), Mark(2), Record(2, 4)]);
    inbox.ingest(|_, _| ());
    take(&mut inbox);
    take(&mut inbox);
    let mut closed = ChannelSet::empty(4);
    for channel in [0, 1] {
        inbox.hold(channel);
        closed.insert(channel);
    }
    inbox.begin_capture(CheckpointId(1), [].into_iter(), &closed);
    send(&lanes[0], &[Record(1, 5)]);
    send(&lanes[1], &[Record(3, 6), Mark(3), Record(3, 7)]);
    inbox.ingest(|_, _| ());
    let logged = inbox.end_capture(CheckpointId(1));
    let offsets: Vec<_> = logged.iter().map(|r| r.view().provenance().offset.0).collect();
    assert_eq!(offsets, [2, 3, 6]);
}

/// A receiver that looks only when it was told that something arrived misses nothing: it sees each
/// buffer before the next one is sent.
#[test]
#[allow(clippy::disallowed_methods, reason = "two threads in real time")]
fn no_buffer_is_missed_while_another_one_arrives() {
    const BUFFERS: usize = 200_000;
    let lane = Lane::new(0..1, BUFFER_BYTES, CREDIT, Arc::new(Nobody), Arc::new(Nobody));
    let seen = AtomicUsize::new(0);
    let deadline = Instant::now() + Duration::from_secs(60);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for sent in 0..BUFFERS {
                lane.push(LaneBuffer { bytes: Bytes::new(), marks: Vec::new() });
                // Bursts of three: the last one of each is all that raises the flag.
                while sent % 3 == 2 && seen.load(Ordering::Relaxed) <= sent {
                    assert!(Instant::now() < deadline, "buffer {sent} was never seen");
                    std::hint::spin_loop();
                }
            }
        });
        let mut arrived = Vec::new();
        while arrived.len() < BUFFERS && Instant::now() < deadline {
            lane.drain_into(&mut arrived);
            seen.store(arrived.len(), Ordering::Relaxed);
        }
        assert_eq!(arrived.len(), BUFFERS);
    });
}
