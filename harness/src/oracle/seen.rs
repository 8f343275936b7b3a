//! Which records have effects, by sink attempt and source attempt, as bitmaps.
//!
//! Serves two rules: a record without any effect is lost, and within one sink attempt a record
//! that one source attempt read has one effect.

use roaring::RoaringBitmap;

use super::case::{Case, Finding, NotJudged};
use super::evidence::Effect;
use super::history::History;
use super::ids::AttemptId;
use super::sweep::Located;
use super::verdict::{Site, Witnesses};
use crate::workload::ledger::Ledger;

/// The records that one sink attempt wrote of those that one source attempt read, by slot.
#[derive(Debug)]
struct Pair {
    sink: usize,
    records: Vec<RoaringBitmap>,
}

/// A record, relative to the start offset, and an attempt that wrote it.
type Neighbour = (u32, AttemptId);

/// All pairs of sink and source attempt that have effects.
#[derive(Debug)]
pub(super) struct Seen {
    attempts: usize,
    slots: usize,
    /// For sink * attempts + source, the index of the pair plus one.
    index: Vec<u32>,
    pairs: Vec<Pair>,
    repeated: Witnesses,
}

impl Seen {
    pub(super) fn new(history: &History, ledger: &Ledger) -> Self {
        // One more source than attempts: the unknown ones.
        let attempts = history.lineage.attempts.len() + 1;
        Self {
            attempts,
            slots: ledger.partitions().len(),
            index: vec![0; attempts * attempts],
            pairs: Vec::new(),
            repeated: Witnesses::default(),
        }
    }

    pub(super) fn observe(&mut self, located: &Located<'_>, history: &History) {
        let Some(relative) = located.relative else {
            return;
        };
        let source = located.source.unwrap_or(history.lineage.attempts.len());
        let at = &mut self.index[located.sink * self.attempts + source];
        if *at == 0 {
            let records = vec![RoaringBitmap::new(); self.slots];
            self.pairs.push(Pair { sink: located.sink, records });
            *at = self.pairs.len() as u32;
        }
        let pair = &mut self.pairs[*at as usize - 1];
        if !pair.records[located.slot].insert(relative) {
            self.repeat(located.effect);
        }
    }

    fn repeat(&mut self, effect: &Effect) {
        let site = Site::record(effect.partition, effect.offset).of(effect.sink_attempt);
        self.repeated.add(site, || {
            format!(
                "attempt {} wrote offset {} of partition {} more than once, without an in-doubt \
                 retry: last as row {} (tag {}, batch {}, try {})",
                effect.sink_attempt,
                effect.offset,
                effect.partition,
                effect.seq,
                effect.tag,
                effect.batch,
                effect.batch_try
            )
        });
    }

    /// All records of a partition that have an effect.
    pub(super) fn any(&self, slot: usize) -> RoaringBitmap {
        self.pairs.iter().fold(RoaringBitmap::new(), |mut any, pair| {
            any |= &pair.records[slot];
            any
        })
    }

    /// The nearest offset below and above with an effect, and an attempt that wrote it.
    pub(super) fn neighbours(
        &self,
        (slot, relative): (usize, u32),
        history: &History,
    ) -> [Option<Neighbour>; 2] {
        let (mut below, mut above) = (None, None);
        for pair in &self.pairs {
            let attempt = history.lineage.attempts[pair.sink].id;
            let records = &pair.records[slot];
            let rank = records.rank(relative);
            let under = rank.checked_sub(1).and_then(|at| records.select(at as u32));
            let over = u32::try_from(rank).ok().and_then(|at| records.select(at));
            below = below.max(under.map(|at| (at, attempt)));
            let found = over.map(|at| (at, attempt));
            above = [above, found].into_iter().flatten().min();
        }
        [below, above]
    }

    /// The records that had more than one effect in one attempt.
    pub(super) fn repeated(&self) -> &Witnesses {
        &self.repeated
    }
}

/// The rule `single-effect-per-attempt`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let sweep = case.sweep()?;
    let mut repeated = sweep.seen.repeated.clone();
    repeated.explain(|site| case.rows_of(site));
    let finding = Finding::from_cases(
        [&repeated],
        "within each attempt every record has one effect, apart from in-doubt retries".to_owned(),
        |cases| format!("{cases} effects repeat a record within one attempt"),
    );
    Ok(finding.figure("in_doubt_copies", sweep.in_doubt_copies))
}
