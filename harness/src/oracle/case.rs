//! The case before the oracle: the evidence, digested, and what a rule answers about it.

use super::conditions::Conditions;
use super::conservation::Balance;
use super::details::Details;
use super::history::History;
use super::sweep::Sweep;
use super::values::Values;
use super::verdict::{Figure, Site, Verdict, WITNESS_LIMIT, Witness, Witnesses};
use crate::workload::ledger::Ledger;

/// Everything a rule may look at. Evidence that could not be had is a reason instead.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) conditions: &'a Conditions,
    pub(super) history: Result<History, NotJudged>,
    pub(super) sweep: Result<Sweep, NotJudged>,
    pub(super) balance: Result<Balance, NotJudged>,
    pub(super) values: Result<Values, NotJudged>,
    pub(super) details: Details,
}

/// Why a rule could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotJudged(pub(super) String);

impl NotJudged {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl Case<'_> {
    pub(super) fn history(&self) -> Result<&History, NotJudged> {
        self.history.as_ref().map_err(NotJudged::clone)
    }

    pub(super) fn sweep(&self) -> Result<&Sweep, NotJudged> {
        self.sweep.as_ref().map_err(NotJudged::clone)
    }

    pub(super) fn balance(&self) -> Result<&Balance, NotJudged> {
        self.balance.as_ref().map_err(NotJudged::clone)
    }

    pub(super) fn values(&self) -> Result<&Values, NotJudged> {
        self.values.as_ref().map_err(NotJudged::clone)
    }

    /// Fails when the final history cannot be told.
    pub(super) fn unbroken(&self) -> Result<(), NotJudged> {
        self.history()?.lineage.broken().map_or(Ok(()), |why| Err(NotJudged::because(why)))
    }

    /// Records without any effect.
    pub(super) fn lost(&self) -> Result<u64, NotJudged> {
        Ok(self.ledger.records() - self.sweep()?.seen.any().count())
    }

    /// Effects of input records beyond the first one of each.
    pub(super) fn duplicates(&self) -> Result<u64, NotJudged> {
        let sweep = self.sweep()?;
        let of_records = sweep.effects - sweep.phantoms.count();
        Ok(of_records.saturating_sub(self.ledger.records() - self.lost()?))
    }

    /// The duplicates that the lineage explains.
    pub(super) fn expected_duplicates(&self) -> Result<u64, NotJudged> {
        self.unbroken()?;
        let sweep = self.sweep()?;
        Ok(sweep.fate.explained() + sweep.in_doubt_copies)
    }

    /// The rows of a record, as the second look found them.
    pub(super) fn rows_of(&self, site: &Site) -> Option<String> {
        self.details.rows_of(site)
    }
}

/// What a rule answers.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) summary: String,
    pub(super) figures: Vec<Figure>,
    pub(super) witnesses: Vec<Witness>,
}

impl Finding {
    pub(super) fn new(verdict: Verdict, summary: impl Into<String>) -> Self {
        Self { verdict, summary: summary.into(), figures: Vec::new(), witnesses: Vec::new() }
    }

    /// Proven when there is no case, violated when there is one.
    pub(super) fn from_cases<const N: usize>(
        cases: [&Witnesses; N],
        good: String,
        bad: impl FnOnce(u64) -> String,
    ) -> Self {
        let count: u64 = cases.iter().map(|cases| cases.count()).sum();
        if count == 0 {
            return Self::new(Verdict::Proven, good);
        }
        let mut finding = Self::new(Verdict::Violated, bad(count));
        finding.witnesses = cases.iter().flat_map(|cases| cases.smallest()).cloned().collect();
        finding.witnesses.sort();
        finding.witnesses.truncate(WITNESS_LIMIT);
        finding
    }

    pub(super) fn figure(self, name: &str, value: u64) -> Self {
        self.signed(name, i64::try_from(value).unwrap_or(i64::MAX))
    }

    pub(super) fn signed(mut self, name: &str, value: i64) -> Self {
        self.figures.push(Figure { name: name.to_owned(), value });
        self
    }

    pub(super) fn turned(mut self, verdict: Verdict, summary: String) -> Self {
        (self.verdict, self.summary) = (verdict, summary);
        self
    }
}
