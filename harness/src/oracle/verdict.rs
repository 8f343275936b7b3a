//! What the oracle answers: verdicts, checks, witnesses, the judgement.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ids::{AttemptId, CheckpointId};
use crate::workload::ledger::{Offset, PartitionId};

/// At most so many witnesses are kept for a check: the smallest ones.
pub const WITNESS_LIMIT: usize = 5;

/// The three-valued answer; of several, the worst counts, and the order is from good to bad.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The evidence is complete and shows that the rule held.
    Proven,
    /// The evidence does not suffice.
    #[default]
    Unknown,
    /// The evidence shows that the rule was broken.
    Violated,
}

/// What a witness is about. Ordered so that the earliest and smallest comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Site {
    /// The checkpoint it concerns.
    pub checkpoint: Option<CheckpointId>,
    /// The execution attempt it concerns.
    pub attempt: Option<AttemptId>,
    /// The partition of the record.
    pub partition: Option<PartitionId>,
    /// The offset of the record.
    pub offset: Option<Offset>,
}

impl Site {
    /// A site that is one partition.
    pub fn partition(partition: PartitionId) -> Self {
        Self { partition: Some(partition), ..Self::default() }
    }

    /// A site that is one record.
    pub fn record(partition: PartitionId, offset: Offset) -> Self {
        Self { offset: Some(offset), ..Self::partition(partition) }
    }

    /// Names the checkpoint.
    #[must_use]
    pub fn at(self, checkpoint: CheckpointId) -> Self {
        Self { checkpoint: Some(checkpoint), ..self }
    }

    /// Names the attempt.
    #[must_use]
    pub fn of(self, attempt: AttemptId) -> Self {
        Self { attempt: Some(attempt), ..self }
    }
}

/// A concrete case that breaks a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Witness {
    /// What it is about.
    #[serde(flatten)]
    pub site: Site,
    /// What is wrong, in one sentence.
    pub text: String,
}

/// Counts cases and keeps the smallest few as witnesses.
#[derive(Debug, Clone, Default)]
pub struct Witnesses {
    count: u64,
    smallest: BTreeSet<Witness>,
}

impl Witnesses {
    /// Counts a case; its text is made only when it is among the smallest.
    pub fn add(&mut self, site: Site, text: impl FnOnce() -> String) {
        self.count += 1;
        if self.smallest.len() >= WITNESS_LIMIT {
            if self.smallest.last().is_some_and(|last| last.site <= site) {
                return;
            }
            self.smallest.pop_last();
        }
        self.smallest.insert(Witness { site, text: text() });
    }

    /// How many cases there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there was no case.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The smallest cases, smallest first.
    pub fn smallest(&self) -> impl Iterator<Item = &Witness> {
        self.smallest.iter()
    }

    /// Appends what a later look found about a case.
    pub fn explain(&mut self, more: impl Fn(&Site) -> Option<String>) {
        let explained = std::mem::take(&mut self.smallest).into_iter().map(|mut witness| {
            if let Some(more) = more(&witness.site) {
                witness.text.push_str(&more);
            }
            witness
        });
        self.smallest = explained.collect();
    }
}

/// A number that a check measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured; the unit is part of the name.
    pub name: String,
    /// How much.
    pub value: i64,
}

/// The outcome of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The rule's id in the registry.
    pub id: String,
    /// The rule's title.
    pub title: String,
    /// The answer.
    pub verdict: Verdict,
    /// The answer in one sentence.
    pub summary: String,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// The smallest cases that break the rule.
    pub witnesses: Vec<Witness>,
}

/// What one failure did: the attempt that failed and the checkpoint restored after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The attempt that failed.
    pub attempt: AttemptId,
    /// The checkpoint that the next attempt restored.
    pub restored: CheckpointId,
    /// Effects of this attempt that a later attempt made again.
    pub duplicates: u64,
    /// The most that theory allows for this failure.
    pub bound: u64,
    /// Records that the next attempt had to read or emit again, as far as effects show.
    pub replayed: u64,
}

/// The oracle's answer about a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The worst verdict of all checks.
    pub verdict: Verdict,
    /// The checks in the order of the registry; a rule that does not apply to the job is left out.
    pub checks: Vec<Check>,
    /// Records of the input.
    pub records: u64,
    /// Rows of the audit table; like the figures below, `None` when the evidence is missing.
    pub effects: Option<u64>,
    /// Records without an effect.
    pub lost: Option<u64>,
    /// Effects beyond the first one of each record.
    pub duplicates: Option<u64>,
    /// The duplicates that the lineage of attempts explains, exactly.
    pub duplicates_expected: Option<u64>,
    /// The most duplicates that the failures allow.
    pub duplicates_bound: Option<u64>,
    /// Each failure with its share of the duplicates.
    pub failures: Vec<Failure>,
}

impl Judgement {
    /// The check with this id.
    pub fn check(&self, id: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.id == id)
    }
}
