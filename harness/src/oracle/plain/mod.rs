//! The second opinion: the same rules, judged slowly and plainly.
//!
//! The whole history is held in memory, sorted, and walked record by record: no bitmaps, no
//! fingerprints, no ranks. It was written from `docs/formats.md` and the text of the rules and
//! imports nothing of the checker it checks but the evidence (rows, fences, checkpoints, ledger)
//! and the vocabulary (ids, verdicts, sites, circumstances). Where the two differ, one of them is
//! wrong: see [`compare`](super::compare()).
//!
//! What it does not do: explain. It names every case that breaks a rule, in no words. Time grows
//! with checkpoints times rows, memory with rows.

mod attempts;
mod cuts;
mod records;
mod run;
mod story;
mod table;
mod totals;

use std::collections::BTreeSet;

use super::evidence::EvidenceError;
use super::judge::Input;
use super::verdict::{Site, Verdict};
use run::Run;

/// What the plain checker says about one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The rule's id in the registry.
    pub id: &'static str,
    /// The answer.
    pub verdict: Verdict,
    /// Every case that breaks the rule, smallest first.
    pub cases: BTreeSet<Site>,
}

/// What the plain checker says about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// The worst verdict of all rules.
    pub verdict: Verdict,
    /// One answer for each rule that applies.
    pub answers: Vec<Answer>,
    /// Records without an effect.
    pub lost: u64,
    /// Effects beyond the first one of each record.
    pub duplicates: u64,
    /// The duplicates that restores, orphans and in-doubt batches explain; `None` when the
    /// lineage is broken.
    pub duplicates_expected: Option<u64>,
    /// The most duplicates that the failures allow; `None` when the lineage is broken.
    pub duplicates_bound: Option<u64>,
}

impl Opinion {
    /// The answer about the rule with this id.
    pub fn answer(&self, id: &str) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.id == id)
    }
}

impl Answer {
    /// Violated when there is a case, otherwise what is given.
    fn from_cases(id: &'static str, cases: BTreeSet<Site>, otherwise: Verdict) -> Self {
        let verdict = if cases.is_empty() { otherwise } else { Verdict::Violated };
        Self { id, verdict, cases }
    }

    fn unknown(id: &'static str) -> Self {
        Self { id, verdict: Verdict::Unknown, cases: BTreeSet::new() }
    }
}

/// Judges a run the slow way.
///
/// # Errors
/// When a table or the checkpoint folder cannot be read.
pub fn second_opinion(input: Input<'_>) -> Result<Opinion, EvidenceError> {
    let run = Run::gather(input)?;
    let totals = totals::count(&run);
    let mut answers = vec![
        records::no_loss(&run),
        records::no_phantom(&run),
        totals::exact(&run, &totals),
        totals::bound(&totals),
        cuts::conservation(&run),
        records::single_effect(&run),
        records::fencing(&run),
        attempts::order(&run),
        attempts::newest(&run),
        cuts::coverage(&run),
        table::final_values(&run),
        totals::vacuity(&run, &totals),
    ];
    if run.conditions.mode.has_exact_cuts() {
        answers.push(cuts::no_orphans(&run));
    }
    if run.conditions.ordered {
        answers.push(records::key_order(&run));
    }
    if !run.conditions.log_lost.is_empty() {
        let lost = run.conditions.log_lost.iter();
        let cases = lost.map(|range| Site::record(range.partition, range.from)).collect();
        answers.push(Answer { cases, ..Answer::unknown("input-kept") });
    }
    answers.extend(attempts::committed(&run));
    answers.extend(attempts::pace(&run));
    Ok(Opinion {
        verdict: answers.iter().map(|answer| answer.verdict).max().unwrap_or_default(),
        answers,
        lost: totals.lost,
        duplicates: totals.duplicates,
        duplicates_expected: totals.expected,
        duplicates_bound: totals.bound,
    })
}
