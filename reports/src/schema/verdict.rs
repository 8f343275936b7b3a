//! The oracle's three-valued verdict and its only combinator: the worst one wins.
//!
//! It does not decide anything; it orders what checks have decided.

use serde::{Deserialize, Serialize};

/// What the oracle can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The claim holds, on evidence.
    Proven,
    /// The claim is false, and there is a witness.
    Violated,
    /// The evidence does not suffice; never a pass.
    #[default]
    Unknown,
}

impl Verdict {
    /// The worse of two verdicts: violated > unknown > proven.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if other.severity() > self.severity() { other } else { self }
    }

    /// The worst of many verdicts. No verdict at all is unknown: no evidence proves nothing.
    #[must_use]
    pub fn worst_of(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().reduce(Self::worst).unwrap_or(Self::Unknown)
    }

    /// The process's exit code: 0 proven, 1 violated, 2 unknown.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Proven => 0,
            Self::Violated => 1,
            Self::Unknown => 2,
        }
    }

    /// The word used in `result.json` and in every report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Violated => "violated",
            Self::Unknown => "unknown",
        }
    }

    /// One character that tells the verdicts apart without colour.
    #[must_use]
    pub fn mark(self) -> &'static str {
        match self {
            Self::Proven => "✓",
            Self::Violated => "✗",
            Self::Unknown => "?",
        }
    }

    fn severity(self) -> u8 {
        match self {
            Self::Proven => 0,
            Self::Unknown => 1,
            Self::Violated => 2,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
