//! The rules for a job of which only its input and its effects are known.
//!
//! Invariants: pure; memory is two bitmaps and one number for each key; the worst answer counts;
//! what is not yet decided is unknown.

use std::collections::BTreeSet;

use roaring::RoaringBitmap;
use serde::Serialize;

use super::table::{Effect, ResultsSeen};
use super::{Asked, Order, Promise};
use crate::oracle::Verdict;
use crate::workload::ledger::{Ledger, Offset, PartitionId};

/// Witnesses kept for a rule.
const WITNESSES: usize = 5;

/// The answer of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The rule.
    pub rule: &'static str,
    /// What it says of this job.
    pub verdict: Verdict,
    /// Why.
    pub summary: String,
    /// The first few cases.
    pub witnesses: Vec<String>,
}

/// A judgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// The worst of the answers.
    pub verdict: Verdict,
    /// The rules that were asked.
    pub answers: Vec<Answer>,
    /// Records of the input.
    pub records: u64,
    /// Rows of the table that are effects of these records.
    pub effects: u64,
    /// Records without an effect.
    pub lost: u64,
    /// Effects beyond the first of each record.
    pub duplicates: u64,
    /// Executions that wrote, if the table knows.
    pub attempts: Option<u64>,
}

/// Effects as they stream past.
pub(super) struct Seen<'a> {
    ledger: &'a Ledger,
    order: Order,
    /// By slot: records with an effect.
    seen: Vec<RoaringBitmap>,
    /// By slot and lane: the highest offset so far; a whole partition is one lane.
    highest: Vec<Vec<Option<Offset>>>,
    effects: u64,
    duplicates: u64,
    attempts: BTreeSet<i64>,
    repeated: Vec<String>,
    phantom: (u64, Vec<String>),
    disorder: (u64, Vec<String>),
    /// Effects of records that came after the ledger was read, or that retention has removed.
    outside: u64,
}

fn name(partition: PartitionId, offset: Offset) -> String {
    format!("offset {offset} of partition {partition}")
}

fn note(cases: &mut (u64, Vec<String>), text: impl FnOnce() -> String) {
    cases.0 += 1;
    if cases.1.len() < WITNESSES {
        cases.1.push(text());
    }
}

impl<'a> Seen<'a> {
    pub(super) fn new(ledger: &'a Ledger, order: Order) -> Self {
        let lanes = |partition: &crate::workload::ledger::PartitionLedger| match order {
            Order::Key => vec![None; partition.lanes()],
            Order::Partition => vec![None; 1],
            Order::None => Vec::new(),
        };
        Self {
            order,
            seen: vec![RoaringBitmap::new(); ledger.partitions().len()],
            highest: ledger.partitions().iter().map(lanes).collect(),
            ledger,
            effects: 0,
            duplicates: 0,
            attempts: BTreeSet::new(),
            repeated: Vec::new(),
            phantom: (0, Vec::new()),
            disorder: (0, Vec::new()),
            outside: 0,
        }
    }

    pub(super) fn observe(&mut self, effect: &Effect) {
        let Effect { partition: id, offset, attempt } = *effect;
        let Some(slot) = self.ledger.slot(id) else {
            return note(&mut self.phantom, || format!("{}: no such partition", name(id, offset)));
        };
        let partition = &self.ledger.partitions()[slot];
        if offset >= partition.end() || offset < partition.start() {
            self.outside += 1;
            return;
        }
        let Some(position) = partition.position(offset) else {
            return note(&mut self.phantom, || format!("{}: no such record", name(id, offset)));
        };
        self.effects += 1;
        self.attempts.insert(attempt);
        let relative = partition.relative(offset).expect("it lies between start and end");
        if !self.seen[slot].insert(relative) {
            self.duplicates += 1;
            if self.repeated.len() < WITNESSES {
                self.repeated.push(format!("{} has another effect", name(id, offset)));
            }
            // Written again after a restart: that is what duplicates are, no matter of order.
            return;
        }
        let lane = match self.order {
            Order::None => None,
            Order::Partition => Some(0),
            Order::Key => partition.lane_at(position),
        };
        let Some(highest) = lane.map(|lane| &mut self.highest[slot][lane as usize]) else { return };
        match highest {
            Some(before) if *before > offset => {
                let before = *before;
                note(&mut self.disorder, || {
                    format!("{} has its first effect after offset {before}", name(id, offset))
                });
            }
            _ => *highest = Some(offset),
        }
    }

    pub(super) fn judged(self, asked: &Asked, grew: u64, results: Option<ResultsSeen>) -> Judged {
        let (lost, missing) = self.missing();
        let mut answers = vec![
            self.settled(asked, grew),
            self.at_stake(asked),
            self.no_loss(lost, missing, grew),
            self.no_phantom(),
            self.no_duplicates(asked),
        ];
        answers.extend(self.in_order(asked));
        answers.extend(results.map(|seen| final_values(&seen, grew)));
        let verdict = answers.iter().map(|answer| answer.verdict).max().unwrap_or_default();
        Judged {
            verdict,
            records: self.ledger.records(),
            effects: self.effects,
            lost,
            duplicates: self.duplicates,
            attempts: asked.columns.attempt.as_ref().map(|_| self.attempts.len() as u64),
            answers,
        }
    }

    fn missing(&self) -> (u64, Vec<String>) {
        let mut missing = (0, Vec::new());
        for (partition, seen) in self.ledger.partitions().iter().zip(&self.seen) {
            for relative in &(partition.present() - seen) {
                let offset = partition.absolute(relative);
                note(&mut missing, || format!("{} has no effect", name(partition.id(), offset)));
            }
        }
        missing
    }

    fn settled(&self, asked: &Asked, grew: u64) -> Answer {
        let s = asked.quiet.as_secs_f64();
        let (verdict, summary) = if grew > 0 {
            (
                Verdict::Unknown,
                format!("the table grew by {grew} rows in {s} s: the job still writes"),
            )
        } else if self.ledger.records() == 0 {
            (Verdict::Unknown, "the topic holds no records".to_owned())
        } else {
            let beyond = match self.outside {
                0 => String::new(),
                n => {
                    format!("; {n} effects of records that the topic did not hold when it was read")
                }
            };
            (Verdict::Proven, format!("the table did not grow for {s} s{beyond}"))
        };
        Answer { rule: "settled", verdict, summary, witnesses: Vec::new() }
    }

    /// A job that nothing has hit proves nothing about what happens when something does.
    fn at_stake(&self, asked: &Asked) -> Answer {
        let attempts = self.attempts.len();
        let (verdict, summary) = if self.duplicates > 0 {
            (Verdict::Proven, "something was written again, so something had failed".to_owned())
        } else if attempts > 1 {
            (Verdict::Proven, format!("{attempts} executions of the job have written"))
        } else {
            match asked.restarts {
                Some(n) if n > 0 => (Verdict::Proven, format!("told: the job was restarted {n} times")),
                _ => (
                    Verdict::Unknown,
                    "nothing shows that the job was ever hit by a fault: kill it while it runs, and \
                     tell how often with --restarts, or have an attempt column"
                        .to_owned(),
                ),
            }
        };
        Answer { rule: "at-stake", verdict, summary, witnesses: Vec::new() }
    }

    fn no_loss(&self, lost: u64, witnesses: Vec<String>, grew: u64) -> Answer {
        let records = self.ledger.records();
        let (verdict, summary) = match lost {
            0 => (Verdict::Proven, format!("each of {records} records has an effect")),
            n if grew > 0 => (Verdict::Unknown, format!("{n} of {records} have none yet")),
            n => (Verdict::Violated, format!("{n} of {records} records have no effect")),
        };
        Answer { rule: "no-loss", verdict, summary, witnesses }
    }

    fn no_phantom(&self) -> Answer {
        let (n, witnesses) = self.phantom.clone();
        let (verdict, summary) = match n {
            0 => (Verdict::Proven, "every effect is that of a record".to_owned()),
            n => (Verdict::Violated, format!("{n} effects are of no record")),
        };
        Answer { rule: "no-phantom", verdict, summary, witnesses }
    }

    fn no_duplicates(&self, asked: &Asked) -> Answer {
        let n = self.duplicates;
        let (is_broken, summary) = match (asked.promise, asked.max_duplicates) {
            (Promise::ExactlyOnce, _) => (n > 0, format!("{n} duplicates, 0 allowed")),
            (Promise::AtLeastOnce, Some(most)) => {
                (n > most, format!("{n} duplicates, {most} allowed"))
            }
            (Promise::AtLeastOnce, None) => (false, format!("{n} duplicates, any number allowed")),
        };
        let verdict = if is_broken { Verdict::Violated } else { Verdict::Proven };
        let witnesses = if is_broken { self.repeated.clone() } else { Vec::new() };
        Answer { rule: "duplicates", verdict, summary, witnesses }
    }

    fn in_order(&self, asked: &Asked) -> Option<Answer> {
        let what = match asked.order {
            Order::None => return None,
            Order::Key => "key",
            Order::Partition => "partition",
        };
        let (n, witnesses) = self.disorder.clone();
        let (verdict, summary) = match (&asked.columns.order, n) {
            (None, _) => (
                Verdict::Unknown,
                "the table does not say in which order rows were written: name a column, \
                 --columns order=NAME"
                    .to_owned(),
            ),
            (Some(_), 0) => (Verdict::Proven, format!("first effects keep the order by {what}")),
            (Some(_), n) => (
                Verdict::Violated,
                format!("{n} first effects come too late for the order by {what}"),
            ),
        };
        let witnesses = if verdict == Verdict::Violated { witnesses } else { Vec::new() };
        Some(Answer { rule: "order", verdict, summary, witnesses })
    }
}

fn final_values(seen: &ResultsSeen, grew: u64) -> Answer {
    let wrong = seen.keys.saturating_sub(seen.right);
    let (verdict, summary) = if wrong == 0 && seen.unknown == 0 {
        (Verdict::Proven, format!("each of {} keys has the value of its last record", seen.keys))
    } else if grew > 0 {
        (Verdict::Unknown, format!("{wrong} of {} keys are not there yet", seen.keys))
    } else {
        let unknown = seen.unknown;
        let summary = format!(
            "{wrong} of {} keys do not have the value of their last record; {unknown} rows are of \
             no key of the input",
            seen.keys
        );
        (Verdict::Violated, summary)
    };
    Answer { rule: "final-values", verdict, summary, witnesses: seen.wrong.clone() }
}
