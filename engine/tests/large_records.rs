//! Records larger than a buffer: what is under way of them is bounded for all subtasks together, and
//! what was bounded goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use stormproof_engine::exchange::{Inbox, Item, Lane, OutputEdge, Outputs, Refunds, Wake};
use stormproof_engine::graph::{Partitioner, Placement, Selector};
use stormproof_engine::ids::*;
use stormproof_engine::record::{Payload, Provenance};
use stormproof_engine::seam::Sight;

#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

const SUBTASKS: u16 = 100;
const BUFFER_BYTES: usize = 64;
const LARGE_CREDIT: u64 = 1_000;

/// A hundred subtasks with plenty of credit each, their one lane, and its other end.
fn exchange() -> (Outputs, Inbox, Arc<Wakes>) {
    let sender = Arc::new(Wakes::default());
    let lane =
        Lane::new(0..SUBTASKS, BUFFER_BYTES, 1 << 20, Arc::<Wakes>::default(), sender.clone());
    let lane = Arc::new(lane.with_large_credit(LARGE_CREDIT));
    let selector = Selector::new(Partitioner::Rebalance, 0..SUBTASKS, SUBTASKS, 1, 128);
    let edge = OutputEdge::new(selector, Placement::new(1, 1), [Some(Arc::clone(&lane))]);
    let outputs = Outputs::new(vec![edge], 1_000, Sight::default());
    let inbox = Inbox::new([(0, lane)], SUBTASKS.into(), [].into());
    (outputs, inbox, sender)
}

/// Every subtask that has credit emits one record. Returns how many, and the bytes of the last.
fn each_emits(outputs: &mut Outputs, value: &[u8]) -> (u64, u64) {
    let provenance = Provenance {
        partition: PartitionId(0),
        offset: Offset(0),
        index: 0,
        source_attempt: AttemptId(1),
    };
    let payload = Payload { provenance, event_time_us: 0, key: None, value: Some(value) };
    let (mut emitted, mut bytes) = (0, 0);
    for subtask in (0..SUBTASKS).map(SubtaskIndex) {
        if outputs.has_credit(subtask) {
            bytes = outputs.emit(subtask, &payload, 0) as u64;
            emitted += 1;
        }
    }
    outputs.flush();
    (emitted, bytes)
}

fn under_way(outputs: &Outputs) -> u64 {
    outputs.open().map(|open| open.large_bytes).sum()
}

#[test]
fn all_subtasks_together_have_one_credit_for_them() {
    let (mut outputs, mut inbox, sender) = exchange();
    let (emitted, bytes) = each_emits(&mut outputs, &[7; 200]);
    assert_eq!(emitted, LARGE_CREDIT.div_ceil(bytes), "one more may pass");
    assert_eq!(under_way(&outputs), emitted * bytes);
    assert_eq!(each_emits(&mut outputs, &[7; 200]).0, 0, "nothing has come back");
    assert_eq!(each_emits(&mut outputs, &[]).0, 0, "small ones wait behind them, too");

    inbox.ingest(|_, _| ());
    let passed = inbox.take_run(1, |run| run.by_ref().count());
    assert_eq!(passed, Some(1));
    assert_eq!(sender.0.load(Ordering::Relaxed), 1, "who waits is woken");
    assert_eq!(each_emits(&mut outputs, &[7; 200]).0, 1, "one has come back");
}

#[test]
fn they_count_until_they_are_processed_whichever_way_they_take() {
    let (mut outputs, mut inbox, _) = exchange();
    let (emitted, bytes) = each_emits(&mut outputs, &[7; 200]);
    inbox.ingest(|_, _| ());
    let mut refunds = Refunds::default();
    for left in (0..emitted).rev() {
        let item = inbox.take(&mut { usize::MAX }).expect("it was sent");
        let Item::Record { lane, record, .. } = item else { panic!("no mark was sent") };
        assert_eq!(under_way(&outputs), (left + 1) * bytes, "taken is not processed");
        refunds.note(&inbox, lane, record.view());
        assert_eq!(under_way(&outputs), left * bytes);
    }
}

#[test]
fn small_ones_take_nothing_of_it() {
    let (mut outputs, _, _) = exchange();
    for _ in 0..50 {
        assert_eq!(each_emits(&mut outputs, &[]).0, u64::from(SUBTASKS));
    }
    assert_eq!(under_way(&outputs), 0);
}
