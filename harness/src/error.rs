//! What a user is told when something cannot be done: what, where, and the remedy.
//!
//! Invariant: no error reaches the terminal as a debug print; each names the thing, the place and
//! what to do about it. Verdicts are not errors.

use std::fmt;

use thiserror::Error;

/// Result of the harness.
pub type Result<T, E = HarnessError> = std::result::Result<T, E>;

/// What the user should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The scenario or an option: change what you asked for.
    Scenario,
    /// A broker or a database: change the address, or start the service.
    Environment,
    /// A service answers and does not let us in: correct the account.
    Refused,
    /// The folder of the run: choose another, or make room.
    Folder,
    /// The engine process ended in a way that nobody planned.
    Engine,
    /// What a run left behind cannot be read.
    Evidence,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scenario => "scenario",
            Self::Environment | Self::Refused => "environment",
            Self::Folder => "folder",
            Self::Engine => "engine",
            Self::Evidence => "evidence",
        })
    }
}

/// An error with its place and its remedy.
#[derive(Clone, Debug, Error)]
#[error("{kind}: {what}")]
pub struct HarnessError {
    /// What the user should look at.
    pub kind: ErrorKind,
    /// What is wrong.
    pub what: String,
    /// Where: a file and line, an option, an address.
    pub place: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl HarnessError {
    /// An error of `kind`.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), place: None, remedy: None }
    }

    /// With its place.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// With its remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// With more to its remedy.
    #[must_use]
    pub fn and_remedy(mut self, more: &str) -> Self {
        self.remedy = Some(match self.remedy {
            Some(remedy) => format!("{remedy}; {more}"),
            None => more.to_owned(),
        });
        self
    }

    /// The whole message, as the terminal shows it.
    pub fn render(&self) -> String {
        let mut text = format!("error: {self}\n");
        if let Some(place) = &self.place {
            text.push_str(&format!("  where:  {place}\n"));
        }
        if let Some(remedy) = &self.remedy {
            text.push_str(&format!("  remedy: {remedy}\n"));
        }
        text
    }
}

/// An error of the scenario.
pub fn scenario(what: impl Into<String>) -> HarnessError {
    HarnessError::new(ErrorKind::Scenario, what)
}

/// An error of the environment.
pub fn environment(what: impl Into<String>) -> HarnessError {
    HarnessError::new(ErrorKind::Environment, what)
}

/// An error of the run's folder.
pub fn folder(what: impl Into<String>) -> HarnessError {
    HarnessError::new(ErrorKind::Folder, what)
}

/// An error of the engine process.
pub fn engine(what: impl Into<String>) -> HarnessError {
    HarnessError::new(ErrorKind::Engine, what)
}

/// An error of what a run left behind.
pub fn evidence(what: impl Into<String>) -> HarnessError {
    HarnessError::new(ErrorKind::Evidence, what)
}
