//! The doctor: which environments can run on this machine, what is missing, and its remedy.
//!
//! *Follow a question:* [`environments`] asks the very rooms that would run (the same search for
//! Kafka, the same call to the container engine), [`limits`] reads what the system gives; both come
//! back as [`Finding`]s.
//!
//! Invariants: it starts no service and leaves nothing behind; every problem has a remedy that can
//! be typed or done; what it did not try it does not call ready.

mod environments;
mod limits;

use std::path::PathBuf;

use serde::Serialize;

use crate::error::HarnessError;

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It can run, or there is enough of it.
    Ready,
    /// It runs, and not well.
    Poor,
    /// Something is missing.
    Missing,
    /// It was not tried.
    Untried,
}

impl State {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Poor => "poor",
            Self::Missing => "missing",
            Self::Untried => "untried",
        }
    }
}

/// Something that is missing or too little, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub what: String,
    /// The remedy.
    pub remedy: String,
}

impl From<HarnessError> for Problem {
    fn from(error: HarnessError) -> Self {
        let what = match &error.place {
            Some(place) => format!("{} ({place})", error.what),
            None => error.what.clone(),
        };
        Self { what, remedy: error.remedy.unwrap_or_default() }
    }
}

/// One environment, tool or limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name.
    pub name: &'static str,
    /// What it comes to.
    pub state: State,
    /// What was found.
    pub facts: Vec<String>,
    /// What is missing.
    pub problems: Vec<Problem>,
}

impl Finding {
    /// Ready unless there is a problem.
    fn new(name: &'static str, facts: Vec<String>, problems: Vec<Problem>) -> Self {
        let state = if problems.is_empty() { State::Ready } else { State::Missing };
        Self { name, state, facts, problems }
    }
}

/// What is known beforehand.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `--kafka-home`
    pub kafka_home: Option<PathBuf>,
    /// `--kafka-image`
    pub kafka_image: String,
    /// `--database-image`
    pub database_image: String,
    /// `--brokers`
    pub brokers: Option<String>,
    /// `--database`
    pub database: Option<String>,
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Examination {
    /// The four environments.
    pub environments: Vec<Finding>,
    /// What parts of the program need beyond them.
    pub tools: Vec<Finding>,
    /// What the system gives.
    pub limits: Vec<Finding>,
}

/// Looks at this machine.
pub fn examine(asked: &Asked) -> Examination {
    Examination {
        environments: environments::all(asked),
        tools: environments::tools(),
        limits: limits::all(),
    }
}
