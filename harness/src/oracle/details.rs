//! The second look: what exactly stands behind a disagreement.
//!
//! Only taken when a rule was broken. The audit table is read once more, and of the checkpoints
//! those that matter, to name rows, frames and records. It changes no verdict by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint_reader::{CheckpointSource, Frame};
use super::conservation::{Balance, Imbalance, frame_is_canonical};
use super::cut::describe;
use super::evidence::{AuditSource, Effect, EvidenceError};
use super::history::History;
use super::ids::CheckpointId;
use super::lineage::Origin;
use super::sweep::{Located, Sweep, locate};
use super::verdict::{Site, WITNESS_LIMIT, Witnesses};
use crate::workload::ledger::{Ledger, Offset, PartitionId};

/// A record of the input.
pub(super) type RecordId = (PartitionId, Offset);

/// At most so many rows of a record are kept.
const ROWS_OF_A_RECORD: usize = 8;

/// What the second look found.
#[derive(Debug, Default)]
pub(super) struct Details {
    rows: BTreeMap<RecordId, Vec<Effect>>,
    /// For each record of interest, the frames of it by checkpoint.
    pub(super) frames: BTreeMap<RecordId, Vec<(CheckpointId, Frame)>>,
    /// The imbalances, each with a record that is missing or doubled.
    pub(super) imbalances: Witnesses,
}

/// What one imbalance consists of.
struct Expansion {
    imbalance: Imbalance,
    /// The effects of the partition, each with whether the cut counts on it.
    effects: Vec<(Effect, bool)>,
    frames: Vec<Frame>,
}

impl Details {
    /// Looks again at the records of interest and at the first imbalances.
    pub(super) fn look(
        ledger: &Ledger,
        history: &History,
        balance: &Balance,
        records: &BTreeSet<RecordId>,
        (audit, checkpoints): (&mut dyn AuditSource, &mut dyn CheckpointSource),
    ) -> Result<Self, EvidenceError> {
        let mut details = Self::default();
        if records.is_empty() && balance.imbalances.is_empty() {
            return Ok(details);
        }
        let first = balance.imbalances.iter().take(WITNESS_LIMIT);
        let mut expansions: Vec<Expansion> = first
            .map(|at| Expansion { imbalance: *at, effects: Vec::new(), frames: Vec::new() })
            .collect();
        audit.effects(&mut |effect| {
            details.note_row(effect, records);
            if expansions.is_empty() {
                return;
            }
            if let Some(located) = locate(effect, ledger, history) {
                expansions.iter_mut().for_each(|e| e.take_effect(&located, history));
            }
        })?;
        details.read_frames(ledger, history, records, &mut expansions, checkpoints);
        for expansion in expansions {
            expansion.explain(ledger, history, &mut details.imbalances);
        }
        for at in balance.imbalances.iter().skip(WITNESS_LIMIT) {
            let id = ledger.partitions()[at.slot].id();
            let site = Site::partition(id).at(history.cuts[at.cut].id());
            details.imbalances.add(site, || format!("partition {id} does not add up"));
        }
        Ok(details)
    }

    /// "; its rows: ..." for a record of interest.
    pub(super) fn rows_of(&self, site: &Site) -> Option<String> {
        let rows = self.rows.get(&(site.partition?, site.offset?))?;
        Some(format!("; {}", list_rows(rows)))
    }

    fn note_row(&mut self, effect: &Effect, records: &BTreeSet<RecordId>) {
        let record = (effect.partition, effect.offset);
        if !records.is_empty() && records.contains(&record) {
            let rows = self.rows.entry(record).or_default();
            if rows.len() < ROWS_OF_A_RECORD {
                rows.push(*effect);
            }
        }
    }

    /// Reads the checkpoints that were restored or do not add up.
    fn read_frames(
        &mut self,
        ledger: &Ledger,
        history: &History,
        records: &BTreeSet<RecordId>,
        expansions: &mut [Expansion],
        checkpoints: &mut dyn CheckpointSource,
    ) {
        let restored: BTreeSet<CheckpointId> =
            history.lineage.attempts.iter().map(|attempt| attempt.restored).collect();
        for (at, cut) in history.cuts.iter().enumerate() {
            let expanded = expansions.iter().any(|e| e.imbalance.cut == at);
            if !expanded && !restored.contains(&cut.id()) {
                continue;
            }
            // It was readable a moment ago; if it is not now, the witness says less.
            let Ok(state) = checkpoints.state(&cut.manifest) else {
                continue;
            };
            for frame in &state.frames {
                let record = (frame.partition, frame.offset);
                if records.contains(&record) {
                    self.frames.entry(record).or_default().push((cut.id(), *frame));
                }
                for expansion in expansions.iter_mut().filter(|e| e.imbalance.cut == at) {
                    expansion.take_frame(frame, ledger, history);
                }
            }
        }
    }
}

/// The records that the sweep's witnesses speak of, and the smallest lost ones.
pub(super) fn records_of_interest(sweep: &Sweep, ledger: &Ledger) -> BTreeSet<RecordId> {
    let cases = [sweep.seen.repeated(), sweep.fate.over_cases()];
    let sites = cases.into_iter().flat_map(|cases| cases.smallest()).map(|case| case.site);
    let mut records: BTreeSet<RecordId> =
        sites.filter_map(|site| Some((site.partition?, site.offset?))).collect();
    let under = sweep.fate.under(ledger);
    records.extend(under.smallest().filter_map(|w| Some((w.site.partition?, w.site.offset?))));
    records.extend(super::loss::smallest(sweep, ledger));
    records
}

impl Expansion {
    /// Keeps an effect of the partition, and whether it survives with respect to the cut as
    /// canonical.
    fn take_effect(&mut self, located: &Located<'_>, history: &History) {
        if located.slot != self.imbalance.slot {
            return;
        }
        let leaves = history.lineage.rank_of(self.imbalance.cut, located.sink, &history.cuts);
        let counted = leaves.is_some_and(|leaves| {
            located.rank <= leaves
                && match located.origin {
                    Origin::Own { canonical_rank } => canonical_rank <= leaves,
                    Origin::Canonical | Origin::Stray => true,
                    Origin::Orphan => false,
                }
        });
        self.effects.push((*located.effect, counted));
    }

    fn take_frame(&mut self, frame: &Frame, ledger: &Ledger, history: &History) {
        let (slot, cut) = (self.imbalance.slot, &history.cuts[self.imbalance.cut]);
        if ledger.slot(frame.partition) != Some(slot) {
            return;
        }
        let counted = if frame.source_attempt == cut.attempt() {
            frame.offset < cut.next[slot]
        } else {
            history
                .lineage
                .index(cut.attempt())
                .is_some_and(|attempt| frame_is_canonical(frame, slot, attempt, history, ledger))
        };
        if counted {
            self.frames.push(*frame);
        }
    }

    /// Finds the first records that are missing or doubled.
    fn explain(mut self, ledger: &Ledger, history: &History, out: &mut Witnesses) {
        self.drop_in_doubt_copies();
        let cut = &history.cuts[self.imbalance.cut];
        let partition = &ledger.partitions()[self.imbalance.slot];
        let (id, next) = (partition.id(), cut.next[self.imbalance.slot]);
        let mut found: BTreeMap<(Offset, u32), (Vec<Effect>, Vec<Frame>)> = BTreeMap::new();
        for (effect, _) in self.effects.into_iter().filter(|(_, counted)| *counted) {
            found.entry((effect.offset, effect.index)).or_default().0.push(effect);
        }
        for frame in self.frames {
            found.entry((frame.offset, frame.index)).or_default().1.push(frame);
        }
        let missing = partition.offsets().take_while(|offset| *offset < next);
        if let Some(offset) = missing.into_iter().find(|offset| !found.contains_key(&(*offset, 0)))
        {
            out.add(Site::record(id, offset).at(cut.id()), || {
                format!(
                    "offset {offset} of partition {id} was below S = {next} of checkpoint {}, \
                     not in its buffers or channel state, and no surviving effect is tagged \
                     before it",
                    cut.id()
                )
            });
        }
        let expected = |(offset, index): (Offset, u32)| {
            offset < next && index == 0 && partition.position(offset).is_some()
        };
        let extra = found.iter().find(|(at, (effects, frames))| {
            effects.len() + frames.len() > usize::from(expected(**at))
        });
        if let Some(((offset, _), (effects, frames))) = extra {
            out.add(Site::record(id, *offset).at(cut.id()), || {
                let places: Vec<String> = frames.iter().map(|f| describe(f.place)).collect();
                format!(
                    "offset {offset} of partition {id} is there {} times before checkpoint {} \
                     (S = {next}): {}; in its state: {}",
                    effects.len() + frames.len(),
                    cut.id(),
                    list_rows(effects),
                    if places.is_empty() { "none".to_owned() } else { places.join(", ") }
                )
            });
        }
    }

    /// Of the rows that several tries of a batch left for a record, keeps the last try's, whether
    /// the cut counts on it or not: then it does not count on the earlier ones either.
    fn drop_in_doubt_copies(&mut self) {
        let write = |e: &Effect| (e.batch_id(), e.offset, e.index, e.source_attempt);
        self.effects.sort_by_key(|(e, _)| (write(e), std::cmp::Reverse(e.batch_try)));
        let mut last = None;
        self.effects.retain(|(effect, _)| {
            let earlier_try = last
                .filter(|(same, _)| *same == write(effect))
                .is_some_and(|(_, last_try)| effect.batch_try < last_try);
            if !earlier_try {
                last = Some((write(effect), effect.batch_try));
            }
            !earlier_try
        });
    }
}

fn list_rows(rows: &[Effect]) -> String {
    if rows.is_empty() {
        return "it has no rows".to_owned();
    }
    let row = |row: &Effect| {
        format!(
            "{} (attempt {}, read by {}, tag {}, batch {} try {})",
            row.seq, row.sink_attempt, row.source_attempt, row.tag, row.batch, row.batch_try
        )
    };
    format!("its rows: {}", rows.iter().map(row).collect::<Vec<_>>().join(", "))
}
