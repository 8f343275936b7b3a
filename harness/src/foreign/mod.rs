//! Judging a job that is not ours, from what anybody's job can leave behind: a topic that was its
//! input, and a table with a row for each effect.
//!
//! *Follow a judgement:* [`judge`] looks whether the job still writes ([`table`]), reads the topic
//! back into a ledger, and lets [`rules`] compare the two.
//!
//! Invariants: nothing is written and nothing is committed; verdicts are those of the oracle
//! (proven, violated, unknown); a table that grows, or a job that was never hit by anything, is
//! unknown. What it cannot do is what needs more than a table: conservation at each checkpoint,
//! exact duplicates, fencing. Those take the columns of docs/formats.md and an engine that writes
//! its checkpoints as told there.

pub mod rules;
mod table;

use std::time::Duration;

use crate::error::{HarnessError, Result, environment, evidence};
use crate::workload::ledger::{Ledger, read_topic};

pub use rules::{Answer, Judged};
pub use table::{Columns, DatabaseAt, Results};

/// What effects must keep the order of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// Records of one key, within a partition.
    Key,
    /// Records of one partition.
    Partition,
    /// Nothing.
    None,
}

/// What the job promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Promise {
    /// Each record has one effect.
    ExactlyOnce,
    /// Each record has at least one.
    AtLeastOnce,
}

/// What is to be judged.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Kafka's bootstrap servers.
    pub brokers: String,
    /// The job's input.
    pub topic: String,
    /// Where its effects are.
    pub database: DatabaseAt,
    /// The table of effects and its columns.
    pub columns: Columns,
    /// A table with the last value of each key, if there is one.
    pub results: Option<Results>,
    /// What the job promises.
    pub promise: Promise,
    /// What must be in order; needs a column of order.
    pub order: Order,
    /// The most duplicates that are allowed, if there is a bound.
    pub max_duplicates: Option<u64>,
    /// How often the job was restarted while it ran, as whoever ran it knows.
    pub restarts: Option<u32>,
    /// So long the table must not grow.
    pub quiet: Duration,
    /// How long reading may take.
    pub limit: Duration,
}

/// Judges.
///
/// # Errors
/// When topic or table cannot be read, or a row makes no sense.
pub fn judge(asked: &Asked) -> Result<Judged> {
    let before = table::count(asked)?;
    std::thread::sleep(asked.quiet);
    let grew = table::count(asked)?.saturating_sub(before);
    let ledger = ledger(asked)?;
    let mut seen = rules::Seen::new(&ledger, asked.order);
    table::effects(asked, &mut |effect| seen.observe(effect))?;
    let results = match &asked.results {
        Some(results) => Some(table::results(asked, results, &ledger)?),
        None => None,
    };
    Ok(seen.judged(asked, grew, results))
}

fn ledger(asked: &Asked) -> Result<Ledger> {
    read_topic(&asked.brokers, &asked.topic, asked.limit, |_| {}).map_err(|error| {
        environment(format!("the input cannot be read back: {error}"))
            .at(format!("topic {} at {}", asked.topic, asked.brokers))
            .remedy("check --brokers and --topic, and that the topic still holds the job's input")
    })
}

/// An error of the table.
fn unreadable(asked: &Asked, what: &dyn std::fmt::Display) -> HarnessError {
    evidence(format!("the effects cannot be read: {what}"))
        .at(format!("table {} of {}", asked.columns.table, asked.database))
        .remedy("check --database, --table and --columns: partition and offset are integers, never null")
}
