//! Conservation: at every completed checkpoint nothing is missing and nothing is there twice.
//!
//! With respect to a cut c, the surviving effects plus the frames that c holds equal the records
//! below S_c, as multisets; in at-least-once mode orphans come on top. Effects are summed into
//! cells by (sink attempt, rank, slot) as they stream past; a cut is then compared by adding
//! cells, so its cost is the number of partitions, not of records.

use super::case::{Case, Finding, NotJudged};
use super::checkpoint_reader::Frame;
use super::cut::Cut;
use super::history::History;
use super::lineage::{Attempt, Lineage, Origin, Start};
use super::sum::Sum;
use super::sweep::Located;
use super::verdict::{Site, Verdict, Witnesses};
use crate::workload::ledger::{Ledger, Offset};

/// Sums of effects by sink attempt, rank and slot.
#[derive(Debug)]
pub(super) struct Cells {
    slots: usize,
    /// By attempt; inside, by rank and slot. The last rank is "after the last own cut".
    attempts: Vec<Vec<Sum>>,
    /// Effects that a cut holds although its source stood below them.
    pub(super) orphans: Witnesses,
}

/// A cut and a partition whose sums disagree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Imbalance {
    pub(super) cut: usize,
    pub(super) slot: usize,
    /// Records in surviving effects and in frames.
    pub(super) found: u64,
    /// Records of the ledger below S.
    pub(super) expected: u64,
}

/// The comparison of all cuts.
#[derive(Debug, Default)]
pub(super) struct Balance {
    /// By cut, then slot.
    pub(super) imbalances: Vec<Imbalance>,
    /// Cuts that were compared.
    pub(super) judged: u64,
    /// Cuts whose lineage is broken.
    pub(super) unjudged: u64,
}

impl Cells {
    pub(super) fn new(history: &History, ledger: &Ledger) -> Self {
        let slots = ledger.partitions().len();
        let cells = |attempt: &Attempt| vec![Sum::default(); (attempt.cuts.len() + 1) * slots];
        let attempts = history.lineage.attempts.iter().map(cells).collect();
        Self { slots, attempts, orphans: Witnesses::default() }
    }

    pub(super) fn observe(&mut self, located: &Located<'_>, history: &History) {
        let effect = located.effect;
        let rank = match located.origin {
            Origin::Own { canonical_rank } if canonical_rank > located.rank => {
                self.orphan(located, history);
                canonical_rank
            }
            Origin::Own { .. } | Origin::Canonical | Origin::Stray => located.rank,
            Origin::Orphan => return,
        };
        let at = rank * self.slots + located.slot;
        self.attempts[located.sink][at].add(effect.partition, effect.offset, effect.index);
    }

    /// An effect that lies before a cut whose source stood below it.
    fn orphan(&mut self, located: &Located<'_>, history: &History) {
        let (effect, slot) = (located.effect, located.slot);
        let attempt = &history.lineage.attempts[located.sink];
        let Some(cut) = attempt.cuts.get(located.rank).map(|cut| &history.cuts[*cut]) else {
            return;
        };
        let site = Site::record(effect.partition, effect.offset).at(cut.id());
        self.orphans.add(site.of(effect.sink_attempt), || {
            format!(
                "attempt {} wrote offset {} of partition {} (row {}, tag {}) before its \
                 snapshot of checkpoint {}, whose S is {}: a restore emits it again",
                effect.sink_attempt,
                effect.offset,
                effect.partition,
                effect.seq,
                effect.tag,
                cut.id(),
                cut.next[slot]
            )
        });
    }

    /// Compares every cut with the ledger.
    pub(super) fn balance(&self, history: &History, ledger: &Ledger) -> Balance {
        let (cuts, lineage) = (&history.cuts, &history.lineage);
        let expected = prefixes(cuts, ledger);
        let mut effects: Vec<Vec<Sum>> = vec![Vec::new(); cuts.len()];
        let mut balance = Balance::default();
        for (at, attempt) in lineage.attempts.iter().enumerate() {
            let mut sums = match attempt.start {
                Start::Restored { cut, .. } => effects[cut].clone(),
                _ => vec![Sum::default(); self.slots],
            };
            let judged = lineage.reaches_start(at);
            for (rank, cut) in attempt.cuts.iter().enumerate() {
                let cells = &self.attempts[at][rank * self.slots..][..self.slots];
                sums.iter_mut().zip(cells).for_each(|(sum, cell)| sum.merge(*cell));
                effects[*cut].clone_from(&sums);
                if judged {
                    balance.judged += 1;
                    let found = with_frames(&sums, &cuts[*cut], at, history, ledger);
                    balance.compare(*cut, &cuts[*cut], &found, &expected[*cut]);
                }
            }
        }
        balance.unjudged = cuts.len() as u64 - balance.judged;
        balance.imbalances.sort_unstable_by_key(|found| (found.cut, found.slot));
        balance
    }
}

impl Balance {
    fn compare(&mut self, at: usize, cut: &Cut, found: &[Sum], expected: &[Sum]) {
        for slot in (0..found.len()).filter(|slot| cut.covered[*slot]) {
            if found[slot] != expected[slot] {
                let (found, expected) = (found[slot].count, expected[slot].count);
                self.imbalances.push(Imbalance { cut: at, slot, found, expected });
            }
        }
    }
}

/// Adds the frames that a cut holds to the sums of the surviving effects.
fn with_frames(
    effects: &[Sum],
    cut: &Cut,
    attempt: usize,
    history: &History,
    ledger: &Ledger,
) -> Vec<Sum> {
    let mut sums = effects.to_vec();
    sums.iter_mut().zip(&cut.own).for_each(|(sum, own)| sum.merge(*own));
    for frame in &cut.inherited {
        let Some(slot) = ledger.slot(frame.partition) else {
            continue;
        };
        if frame_is_canonical(frame, slot, attempt, history, ledger) {
            sums[slot].add(frame.partition, frame.offset, frame.index);
        }
    }
    sums
}

/// Whether a frame that an earlier attempt read counts as that attempt's share of the input.
pub(super) fn frame_is_canonical(
    frame: &Frame,
    slot: usize,
    attempt: usize,
    history: &History,
    ledger: &Ledger,
) -> bool {
    let lineage: &Lineage = &history.lineage;
    let source = lineage.index(frame.source_attempt);
    let origin = lineage.origin((attempt, source), (slot, frame.offset), 0, &history.cuts, ledger);
    origin != Origin::Orphan
}

/// For each cut and slot, the sum of the ledger's records below S. One walk over the ledger.
fn prefixes(cuts: &[Cut], ledger: &Ledger) -> Vec<Vec<Sum>> {
    let mut prefixes = vec![vec![Sum::default(); ledger.partitions().len()]; cuts.len()];
    for (slot, partition) in ledger.partitions().iter().enumerate() {
        let mut ends: Vec<(Offset, usize)> =
            cuts.iter().enumerate().map(|(at, cut)| (cut.next[slot], at)).collect();
        ends.sort_unstable();
        let mut offsets = partition.offsets().peekable();
        let mut sum = Sum::default();
        for (end, at) in ends {
            while let Some(offset) = offsets.next_if(|offset| *offset < end) {
                sum.add(partition.id(), offset, 0);
            }
            prefixes[at][slot] = sum;
        }
    }
    prefixes
}

/// The rule `conservation`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let (history, sweep, balance) = (case.history()?, case.sweep()?, case.balance()?);
    if history.cuts.is_empty() {
        return Err(NotJudged::because("no checkpoint was completed"));
    }
    let exact = case.conditions.mode.has_exact_cuts();
    let orphans = if exact { sweep.cells.orphans.clone() } else { Witnesses::default() };
    let finding = Finding::from_cases(
        [&case.details.imbalances, &sweep.held.confirmed, &orphans],
        format!("nothing is missing or doubled at any of {} checkpoints", balance.judged),
        |cases| format!("{cases} partitions or records do not add up at some checkpoint"),
    );
    let finding = if finding.verdict == Verdict::Proven && balance.unjudged > 0 {
        finding.turned(
            Verdict::Unknown,
            format!("{} checkpoints have a broken lineage", balance.unjudged),
        )
    } else {
        finding
    };
    Ok(finding
        .figure("checkpoints", balance.judged)
        .figure("held_but_committed", sweep.held.count)
        .figure("unbalanced_partitions", balance.imbalances.len() as u64))
}
