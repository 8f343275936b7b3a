//! Duplicates, exactly: every effect either survives once or is explained by the lineage.
//!
//! Expected are the effects that a restore discarded (a later attempt makes them again), the
//! orphans that a cut let through, and in-doubt copies. What remains must be every record once.

use std::collections::HashMap;

use super::case::{Case, Finding, NotJudged};
use super::checkpoint_reader::Frame;
use super::cut::describe;
use super::evidence::Effect;
use super::history::History;
use super::ids::AttemptId;
use super::lineage::{Origin, Start};
use super::marks::{Layout, Marks};
use super::sweep::Located;
use super::verdict::{Site, Verdict, Witnesses};
use crate::workload::ledger::{Ledger, Offset, PartitionId};

/// An orphan that was restored: which record, and which attempt read it.
type Restored = (PartitionId, Offset, u32, AttemptId);

/// What became of each effect in the final history.
#[derive(Debug)]
pub(super) struct Fate {
    /// By attempt: effects that a restore discarded.
    pub(super) discarded: Vec<u64>,
    /// By attempt: effects that survived although the cut's source stood below them.
    pub(super) orphans: Vec<u64>,
    /// By attempt: orphans in the frames of the cut by which the final chain left it.
    pub(super) restored_orphans: Vec<u64>,
    /// Restored orphans minus the effects they had.
    unsettled: HashMap<Restored, i64>,
    /// The records that survive, each once.
    kept: Marks,
    over: Witnesses,
}

impl Fate {
    pub(super) fn new(history: &History, ledger: &Ledger) -> Self {
        let lineage = &history.lineage;
        let mut fate = Self {
            discarded: vec![0; lineage.attempts.len()],
            orphans: vec![0; lineage.attempts.len()],
            restored_orphans: vec![0; lineage.attempts.len()],
            unsettled: HashMap::new(),
            kept: Marks::new(&Layout::new(ledger)),
            over: Witnesses::default(),
        };
        for at in lineage.final_chain() {
            if let Start::Restored { cut, maker, .. } = lineage.attempts[at].start {
                let orphans = &history.cuts[cut].own_orphans;
                fate.restored_orphans[maker] = orphans.len() as u64;
                orphans.iter().for_each(|f| *fate.unsettled.entry(restored(f)).or_default() += 1);
            }
        }
        fate
    }

    pub(super) fn observe(&mut self, located: &Located<'_>, history: &History) {
        let effect = located.effect;
        let attempt = &history.lineage.attempts[located.sink];
        let Some(leaves) = attempt.final_rank.filter(|leaves| located.rank <= *leaves) else {
            self.discarded[located.sink] += 1;
            return;
        };
        match located.origin {
            Origin::Own { canonical_rank } if canonical_rank > leaves => {
                self.orphans[located.sink] += 1;
            }
            Origin::Own { .. } | Origin::Canonical => self.keep(located),
            Origin::Orphan => {
                let orphan = (effect.partition, effect.offset, effect.index, effect.source_attempt);
                *self.unsettled.entry(orphan).or_default() -= 1;
            }
            Origin::Stray => {
                self.over(effect, "was read outside of its source attempt's share of the input");
            }
        }
    }

    fn keep(&mut self, located: &Located<'_>) {
        let Some(position) = located.position else {
            return self.over(located.effect, "is no record of the input");
        };
        if !self.kept.insert(located.slot, position) {
            self.over(located.effect, "survives more than once");
        }
    }

    /// Counts a surviving effect that nothing explains.
    pub(super) fn over(&mut self, effect: &Effect, why: &str) {
        let site = Site::record(effect.partition, effect.offset).of(effect.sink_attempt);
        self.over.add(site, || {
            format!(
                "offset {} of partition {} {why}: row {} of attempt {} (read by attempt {}, tag \
                 {}, batch {}, try {})",
                effect.offset,
                effect.partition,
                effect.seq,
                effect.sink_attempt,
                effect.source_attempt,
                effect.tag,
                effect.batch,
                effect.batch_try
            )
        });
    }

    /// The duplicates that discarded effects and orphans explain.
    pub(super) fn explained(&self) -> u64 {
        let all = [&self.discarded, &self.orphans, &self.restored_orphans];
        all.into_iter().flatten().sum()
    }

    /// What the failure of one attempt explains.
    pub(super) fn explained_by(&self, attempt: usize) -> u64 {
        self.discarded[attempt] + self.orphans[attempt] + self.restored_orphans[attempt]
    }

    /// Surviving effects that nothing explains.
    pub(super) fn over_cases(&self) -> &Witnesses {
        &self.over
    }

    /// Records that do not survive.
    pub(super) fn under(&self, ledger: &Ledger) -> Witnesses {
        let mut under = Witnesses::default();
        for (slot, partition) in ledger.partitions().iter().enumerate() {
            for position in self.kept.missing(slot, partition.records()) {
                let (id, offset) = (partition.id(), partition.offset_at(position));
                under.add(Site::record(id, offset), || {
                    format!("offset {offset} of partition {id} has no surviving effect")
                });
            }
        }
        under
    }

    /// Restored orphans that had no effect, and effects of orphans that nothing restored.
    fn unsettled(&self) -> [Witnesses; 2] {
        let [mut lacking, mut beyond] = [Witnesses::default(), Witnesses::default()];
        for ((partition, offset, _, read_by), missing) in &self.unsettled {
            let cases = if *missing > 0 { &mut lacking } else { &mut beyond };
            if *missing != 0 {
                cases.add(Site::record(*partition, *offset).of(*read_by), || {
                    let what = if *missing > 0 { "lacks" } else { "has, beyond those held," };
                    format!(
                        "the restored copy of offset {offset} of partition {partition} that \
                         attempt {read_by} had read {what} {} effects",
                        missing.unsigned_abs()
                    )
                });
            }
        }
        [lacking, beyond]
    }
}

fn restored(frame: &Frame) -> Restored {
    (frame.partition, frame.offset, frame.index, frame.source_attempt)
}

/// The rule `duplicates-exact`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let (sweep, fate) = (case.sweep()?, &case.sweep()?.fate);
    let expected = case.expected_duplicates()?;
    let (mut over, mut under) = (fate.over.clone(), fate.under(case.ledger));
    let [lacking, beyond] = fate.unsettled();
    over.explain(|site| case.rows_of(site));
    under.explain(|site| case.rows_of(site));
    let actual = sweep.effects as i64 - case.ledger.records() as i64;
    let awaited = under.count() + lacking.count();
    let balanced = over.is_empty() && beyond.is_empty();
    let finding = if balanced && awaited > 0 && !case.conditions.drained {
        Finding::new(
            Verdict::Unknown,
            format!("{awaited} records have no effect yet: the job was not drained"),
        )
    } else {
        let finding = Finding::from_cases(
            [&over, &under, &lacking, &beyond],
            format!("all {expected} duplicates are explained, every record survives once"),
            |cases| format!("{cases} records do not survive exactly once"),
        );
        debug_assert!(
            finding.verdict != Verdict::Proven || actual == expected as i64,
            "when each record survives once, the counts agree"
        );
        finding
    };
    Ok(finding
        .signed("duplicates", actual)
        .figure("expected", expected)
        .figure("in_doubt_copies", sweep.in_doubt_copies))
}

/// The rule `no-orphans`, for modes with exact cuts.
pub(super) fn check_orphans(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let (history, sweep) = (case.history()?, case.sweep()?);
    let mut frames = Witnesses::default();
    for cut in &history.cuts {
        for frame in cut.own_orphans.iter().chain(&cut.foreign) {
            let site = Site::record(frame.partition, frame.offset).at(cut.id());
            frames.add(site.of(frame.source_attempt), || {
                format!(
                    "checkpoint {} holds offset {} of partition {} in {}, at or above its S: a \
                     restore emits it twice",
                    cut.id(),
                    frame.offset,
                    frame.partition,
                    describe(frame.place)
                )
            });
        }
    }
    Ok(Finding::from_cases(
        [&sweep.cells.orphans, &frames],
        format!("no checkpoint of {} holds a record above its offsets", history.cuts.len()),
        |cases| format!("{cases} records lie before a checkpoint that did not read them"),
    ))
}
