//! Which records have effects, by sink attempt and source attempt, as sets.
//!
//! Serves two rules: a record without any effect is lost, and within one sink attempt a record
//! that one source attempt read has one effect.

use super::case::{Case, Finding, NotJudged};
use super::evidence::Effect;
use super::history::History;
use super::ids::AttemptId;
use super::marks::{Layout, Marks};
use super::sweep::Located;
use super::verdict::{Site, Witnesses};
use crate::workload::ledger::Ledger;

/// The records that one sink attempt wrote of those that one source attempt read.
#[derive(Debug)]
struct Pair {
    sink: usize,
    records: Marks,
}

/// The position of a record in its partition, and an attempt that wrote it.
type Neighbour = (usize, AttemptId);

/// All pairs of sink and source attempt that have effects.
#[derive(Debug)]
pub(super) struct Seen {
    attempts: usize,
    layout: Layout,
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
            layout: Layout::new(ledger),
            index: vec![0; attempts * attempts],
            pairs: Vec::new(),
            repeated: Witnesses::default(),
        }
    }

    pub(super) fn observe(&mut self, located: &Located<'_>, history: &History) {
        let Some(position) = located.position else {
            return;
        };
        let source = located.source.unwrap_or(history.lineage.attempts.len());
        let at = &mut self.index[located.sink * self.attempts + source];
        if *at == 0 {
            let records = Marks::new(&self.layout);
            self.pairs.push(Pair { sink: located.sink, records });
            *at = self.pairs.len() as u32;
        }
        let pair = &mut self.pairs[*at as usize - 1];
        if !pair.records.insert(located.slot, position) {
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

    /// All records that have an effect.
    pub(super) fn any(&self) -> Marks {
        let mut any = Marks::new(&self.layout);
        self.pairs.iter().for_each(|pair| any.merge(&pair.records));
        any
    }

    /// The nearest record below and above with an effect, and an attempt that wrote it.
    pub(super) fn neighbours(
        &self,
        (slot, position): (usize, usize),
        history: &History,
    ) -> [Option<Neighbour>; 2] {
        let (mut below, mut above) = (None, None);
        for pair in &self.pairs {
            let attempt = history.lineage.attempts[pair.sink].id;
            let near = pair.records.nearest(slot, position);
            let [under, over] = near.map(|found| found.map(|at| (at, attempt)));
            below = below.max(under);
            above = [above, over].into_iter().flatten().min();
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
    let copies = if case.conditions.resolves_doubt { sweep.copies.clone() } else { <_>::default() };
    let finding = Finding::from_cases(
        [&repeated, &copies],
        "within each attempt every record has one effect, apart from in-doubt retries".to_owned(),
        |cases| format!("{cases} effects repeat a record within one attempt"),
    );
    Ok(finding.figure("in_doubt_copies", sweep.in_doubt_copies))
}
