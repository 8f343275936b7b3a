//! The article's claims as experiments: each can come out either way.
//!
//! *Follow a claim:* [`table`] holds it as data: what is said, where, what is known, and which
//! experiment tries it -> [`run`] carries the experiment out -> it returns facts with their figures
//! ([`stormproof_reports::claims::Shown`]) -> the answer follows from the facts, in `reports`.
//!
//! Where a claim is about semantics, the experiment runs in the simulation ([`simulated`]): virtual
//! time, exact. Where it is about performance, on the real engine in this process ([`bed`]). Where
//! it is about Kafka, against a broker ([`services`]).
//!
//! Invariants: an experiment states facts and never an answer; what cannot run here is told with
//! what it needs; sizes are those of [`Context`], so that a test can run all of them small.

mod barriers;
mod bed;
mod buffer;
mod duplicates;
mod first_barrier;
mod lag;
mod links;
mod modes;
mod order;
mod pause;
mod producer;
mod rescale;
mod sawtooth;
mod services;
mod simulated;
mod spread;
mod table;
mod upsert;

pub use table::{Entry, TABLE};

use std::path::PathBuf;
use std::time::Instant;

use stormproof_reports::claims::{Claim, Fact, Outcome, Shown};

use crate::error::{HarnessError, Result, scenario};

/// What experiments are told.
#[derive(Clone, Debug)]
pub struct Context {
    /// Drives what is drawn.
    pub seed: u64,
    /// Subtasks of every vertex where the claim is about many.
    pub parallelism: u16,
    /// Schedules of a comparison.
    pub schedules: u64,
    /// How many times less of everything that takes real time; 1 is the whole.
    pub smaller: u64,
    /// Threads for schedules.
    pub jobs: usize,
    /// Kafka's distribution folder, when claims about Kafka are to be tried on it, too.
    pub kafka_home: Option<PathBuf>,
}

impl Context {
    /// Whether the seeded bugs are compiled in.
    pub fn has_mutants() -> bool {
        cfg!(feature = "mutants")
    }
}

/// What an experiment is.
pub type Experiment = fn(&Context) -> Result<Outcome>;

/// The claims that are meant: by number or id, all when nothing is named.
///
/// # Errors
/// When there is no such claim.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Entry>> {
    if names.is_empty() {
        return Ok(TABLE.iter().collect());
    }
    let find = |name: &String| {
        let is_it = |entry: &&Entry| entry.id == name || entry.number.to_string() == *name;
        TABLE.iter().find(is_it).ok_or_else(|| {
            let nearest = TABLE
                .iter()
                .max_by(|a, b| {
                    let to = |entry: &Entry| strsim::jaro_winkler(entry.id, name);
                    to(a).total_cmp(&to(b))
                })
                .map_or("", |entry| entry.id);
            scenario(format!("there is no claim {name:?}")).at("stormproof claims").remedy(format!(
                "use a number from 1 to {} or an id, such as {nearest}; `stormproof claims \
                     --list` has them all",
                TABLE.len()
            ))
        })
    };
    names.iter().map(find).collect()
}

/// Carries out the experiment of a claim. What goes wrong in it is part of the answer.
pub fn run(entry: &Entry, context: &Context) -> Claim {
    let started = Instant::now();
    let outcome = match entry.needs.missing() {
        Some(needs) => Outcome::NotRun(needs),
        None => (entry.experiment)(context).unwrap_or_else(|error| Outcome::Failed(told(&error))),
    };
    Claim {
        number: entry.number,
        id: entry.id.to_owned(),
        text: entry.text.to_owned(),
        source: entry.source.to_owned(),
        truth: entry.truth.to_owned(),
        expected: entry.expected,
        outcome,
        seconds: started.elapsed().as_secs_f64(),
    }
}

fn told(error: &HarnessError) -> String {
    error.render().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A fact.
fn fact(text: impl Into<String>, holds: bool, measured: impl Into<String>) -> Fact {
    Fact { text: text.into(), holds, measured: measured.into() }
}

/// An experiment that ran.
fn ran(shown: Shown) -> Result<Outcome> {
    Ok(Outcome::Ran(Box::new(shown)))
}
