//! Order: within one attempt a key's records take effect in the order of the log.
//!
//! For keyed jobs the unit is the lane (one key in one partition); for jobs without a key by it
//! is what one sink subtask got of one partition. A version may go back only inside a replay
//! window, that is, with another sink attempt or another source attempt, so each pair of those
//! is watched by itself. Retried batches are not watched: their rows come when they come.

use std::collections::HashMap;

use super::case::{Case, Finding, NotJudged};
use super::sweep::Located;
use super::verdict::{Site, Witnesses};
use crate::workload::ledger::Ledger;

/// The last effect of a lane in the attempt that wrote and read it.
#[derive(Debug, Clone, Copy)]
struct Last {
    attempt: u32,
    position: u32,
}

const NO_ATTEMPT: u32 = u32::MAX;

/// Watches the order of effects.
#[derive(Debug)]
pub(super) struct OrderTracker {
    keyed: bool,
    /// Whether the parallelism changed: rows that were restored may then stand in the buffer of
    /// another subtask than the rows before them, and are flushed when they are. They are not
    /// watched; the version guard holds for them.
    rescaled: bool,
    /// The first lane of each slot in `lanes`.
    first_lane: Vec<usize>,
    /// By lane: records that the writing attempt itself read.
    lanes: Vec<Last>,
    /// Everything else, by sink, source and unit.
    others: HashMap<(u32, u32, u64), u32>,
    backward: Witnesses,
    /// Effects whose order was watched.
    watched: u64,
}

impl OrderTracker {
    pub(super) fn new(ledger: &Ledger, keyed: bool, rescaled: bool) -> Self {
        let mut lane_count = 0;
        let first_lane = ledger.partitions().iter().map(|partition| {
            let first = lane_count;
            lane_count += partition.lanes();
            first
        });
        let first_lane = first_lane.collect();
        let none = Last { attempt: NO_ATTEMPT, position: 0 };
        let lanes = if keyed { vec![none; lane_count] } else { Vec::new() };
        Self {
            keyed,
            rescaled,
            first_lane,
            lanes,
            others: HashMap::new(),
            backward: Witnesses::default(),
            watched: 0,
        }
    }

    pub(super) fn observe(&mut self, located: &Located<'_>, ledger: &Ledger) {
        let (Some(position), Some(source)) = (located.position, located.source) else {
            return;
        };
        let (sink, source) = (located.sink as u32, source as u32);
        if self.rescaled && sink != source {
            return;
        }
        let partition = &ledger.partitions()[located.slot];
        let unit = if self.keyed {
            let Some(lane) = partition.lane_at(position) else {
                return;
            };
            let lane = self.first_lane[located.slot] + lane as usize;
            let last = self.lanes[lane];
            // A fenced attempt's rows may come in between: they must not wipe out the later one.
            if sink == source && (last.attempt == NO_ATTEMPT || last.attempt <= sink) {
                self.lanes[lane] = Last { attempt: sink, position: position as u32 };
                let before = (last.attempt == sink).then_some(last.position);
                return self.compare(located, before, position as u32, ledger);
            }
            lane as u64
        } else {
            (located.slot as u64) << 32 | u64::from(located.effect.subtask)
        };
        let before = self.others.insert((sink, source, unit), position as u32);
        self.compare(located, before, position as u32, ledger);
    }

    fn compare(
        &mut self,
        located: &Located<'_>,
        before: Option<u32>,
        position: u32,
        ledger: &Ledger,
    ) {
        self.watched += 1;
        let Some(before) = before.filter(|before| *before > position) else {
            return;
        };
        let effect = located.effect;
        let partition = &ledger.partitions()[located.slot];
        let site = Site::record(effect.partition, effect.offset).of(effect.sink_attempt);
        let of = if self.keyed { "the same key" } else { "the same sink subtask" };
        self.backward.add(site, || {
            format!(
                "attempt {} wrote offset {} of partition {} as row {}, after offset {} of {of}: \
                 the version went back outside a replay",
                effect.sink_attempt,
                effect.offset,
                effect.partition,
                effect.seq,
                partition.offset_at(before as usize)
            )
        });
    }
}

/// The rule `per-key-order`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let order = &case.sweep()?.order;
    let finding = Finding::from_cases(
        [&order.backward],
        format!("{} effects came in the order of the log", order.watched),
        |cases| format!("{cases} effects came out of order"),
    );
    Ok(finding.figure("watched_effects", order.watched))
}
