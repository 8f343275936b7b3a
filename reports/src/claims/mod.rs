//! Claims put to the test: what somebody says about streaming, what was measured, what follows.
//!
//! *Follow a claim:* the harness runs an experiment and fills in a [`Claim`]; the answer is
//! computed here from its facts ([`Claim::answer`]), never written by hand; [`Claims::save`] keeps
//! it as JSON; [`terminal`], [`markdown`] and [`html`] show it, each with the claim's [`Figure`]
//! drawn by [`svg`].
//!
//! Invariants: a claim whose premises did not hold is *unknown*; one that was not run says why;
//! an answer other than the expected one is a contradiction and shown as such.
//!
//! What it does not do: measure, or know what is true.

pub mod html;
pub mod markdown;
mod scale;
pub mod svg;
pub mod terminal;

use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::schema::EnvironmentFacts;

/// The version of this format.
pub const FORMAT: u32 = 1;

/// What an experiment can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It is as the claim says.
    Confirmed,
    /// It is as the claim says, and that is not the whole truth.
    Refined,
    /// It is not as the claim says.
    Refuted,
}

impl Finding {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refined => "refined",
            Self::Refuted => "refuted",
        }
    }
}

/// Something that was found to hold, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What, in a sentence without its figures.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
    /// The figures.
    pub measured: String,
}

/// What an experiment has shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// What must have happened for the rest to say anything.
    pub premises: Vec<Fact>,
    /// What the claim says, as facts.
    pub says: Vec<Fact>,
    /// What is true beside it, or instead.
    pub beyond: Vec<Fact>,
    /// Why it is so.
    pub why: String,
    /// Where it was measured: the simulation, the engine, a service.
    pub measured_on: String,
    /// A schedule that shows it, event by event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<String>,
    /// The picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<Figure>,
}

/// What became of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It ran.
    Ran(Box<Shown>),
    /// It did not run here: what it needs.
    NotRun(String),
    /// It could not be carried to its end: why.
    Failed(String),
}

/// A claim and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Its number in the list.
    pub number: u32,
    /// Its short name.
    pub id: String,
    /// What is claimed.
    pub text: String,
    /// Where.
    pub source: String,
    /// What is true, as far as is known from other sources than the experiment.
    pub truth: String,
    /// What the experiment is expected to come to.
    pub expected: Finding,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub seconds: f64,
}

/// The answer to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The experiment says so.
    Found(Finding),
    /// A premise did not hold, or the experiment failed.
    Unknown,
    /// It was not run here.
    NotRun,
}

impl Answer {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Found(finding) => finding.word(),
            Self::Unknown => "unknown",
            Self::NotRun => "not run",
        }
    }
}

impl Shown {
    /// What follows from the facts; `None` when a premise did not hold.
    pub fn finding(&self) -> Option<Finding> {
        if self.premises.iter().any(|fact| !fact.holds) || self.says.is_empty() {
            return None;
        }
        Some(if self.says.iter().any(|fact| !fact.holds) {
            Finding::Refuted
        } else if self.beyond.iter().any(|fact| fact.holds) {
            Finding::Refined
        } else {
            Finding::Confirmed
        })
    }
}

impl Claim {
    /// What the experiment has come to.
    pub fn answer(&self) -> Answer {
        match &self.outcome {
            Outcome::Ran(shown) => shown.finding().map_or(Answer::Unknown, Answer::Found),
            Outcome::NotRun(_) => Answer::NotRun,
            Outcome::Failed(_) => Answer::Unknown,
        }
    }

    /// What was shown, if it ran.
    pub fn shown(&self) -> Option<&Shown> {
        match &self.outcome {
            Outcome::Ran(shown) => Some(shown),
            _ => None,
        }
    }

    /// What speaks against what is known: another answer than the expected one, or something that
    /// is true beside the claim and was not seen.
    pub fn contradiction(&self) -> Option<String> {
        let Answer::Found(found) = self.answer() else { return None };
        if found != self.expected {
            let (found, expected) = (found.word(), self.expected.word());
            return Some(format!("{found}, where {expected} was expected"));
        }
        let shown = self.shown()?;
        let missed = shown.beyond.iter().find(|fact| !fact.holds)?;
        Some(format!("not seen: {} ({})", missed.text, missed.measured))
    }
}

/// All claims of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// [`FORMAT`].
    pub format: u32,
    /// The command that ran them.
    pub command: String,
    /// Where.
    pub environment: EnvironmentFacts,
    /// The claims, by number.
    pub claims: Vec<Claim>,
    /// How long all of them took.
    pub seconds: f64,
}

impl Claims {
    /// The exit code: 1 when something contradicts what is known, 2 when something is unknown or
    /// nothing was found out, 0 otherwise. A claim that was not run is told, and fails nothing.
    pub fn exit_code(&self) -> u8 {
        let has = |answer: Answer| self.claims.iter().any(|claim| claim.answer() == answer);
        if self.claims.iter().any(|claim| claim.contradiction().is_some()) {
            1
        } else if has(Answer::Unknown)
            || self.claims.iter().all(|claim| claim.answer() == Answer::NotRun)
        {
            2
        } else {
            0
        }
    }

    /// How many claims have this answer.
    pub fn count(&self, answer: Answer) -> usize {
        self.claims.iter().filter(|claim| claim.answer() == answer).count()
    }

    /// Writes them as indented JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        fs::write(file, json)
    }

    /// Reads them.
    ///
    /// # Errors
    /// When the file cannot be read, is something else, or of another format.
    pub fn load(file: &Path) -> io::Result<Self> {
        let read: Self = serde_json::from_slice(&fs::read(file)?)?;
        if read.format != FORMAT {
            let what =
                format!("format {} where {FORMAT} is read; run the claims again", read.format);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(read)
    }
}

/// A picture of data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// Along the bottom.
    pub x: Axis,
    /// Up the side.
    pub y: Axis,
    /// How it is drawn.
    pub kind: Kind,
    /// What is drawn.
    pub series: Vec<Series>,
}

/// How a figure is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A line for each series.
    Lines,
    /// Dots for each series.
    Dots,
    /// A bar for each category and series; `x` of a point is the category's index.
    Bars(Vec<String>),
}

/// An axis.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// What it measures, with the unit.
    pub label: String,
    /// Whether it is logarithmic; only for positive values.
    #[serde(default)]
    pub is_log: bool,
}

impl Axis {
    /// A linear axis.
    pub fn of(label: &str) -> Self {
        Self { label: label.to_owned(), is_log: false }
    }

    /// A logarithmic axis.
    pub fn log(label: &str) -> Self {
        Self { label: label.to_owned(), is_log: true }
    }
}

/// Named points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// A series.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points }
    }

    /// A series with a value for each category.
    pub fn bars(name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let points = values.into_iter().enumerate().map(|(at, value)| (at as f64, value));
        Self { name: name.into(), points: points.collect() }
    }
}
