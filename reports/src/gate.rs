//! What a gate has found, and how it is shown: table, Markdown, JUnit.
//!
//! Invariants: a regression is the worst answer, then no verdict, then a pass; a gate that looked
//! at nothing has no verdict; foreign text is escaped in every format; a finding that is not a pass
//! says what to do.

mod junit;
mod markdown;
mod table;

use serde::{Deserialize, Serialize};

pub use junit::render as junit;
pub use markdown::render as markdown;
pub use table::render as table;

/// What a gate says, of one figure or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Not worse than the threshold.
    Pass,
    /// It cannot be said.
    NoVerdict,
    /// Worse.
    Regression,
}

impl Answer {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NoVerdict => "no verdict",
            Self::Regression => "regression",
        }
    }

    /// The gate's exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Regression => 1,
            Self::NoVerdict => 2,
        }
    }
}

/// What was found about one figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The figure.
    pub figure: String,
    /// Which part of the gate looked at it: `schedules`, `counts`, `wall`, `drift`.
    pub part: String,
    /// The answer.
    pub answer: Answer,
    /// What it was.
    #[serde(default)]
    pub base: Option<f64>,
    /// What it is.
    #[serde(default)]
    pub head: Option<f64>,
    /// How much worse, in percent; negative = better.
    #[serde(default)]
    pub worse_percent: Option<f64>,
    /// Lower and upper end of its interval.
    #[serde(default)]
    pub interval_percent: Option<(f64, f64)>,
    /// What was seen, and how sure that is.
    pub because: String,
    /// What to do about it; empty when there is nothing to do.
    #[serde(default)]
    pub remedy: String,
}

/// Everything a gate has found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GateReport {
    /// What head was held against.
    pub base: String,
    /// What was looked at.
    pub head: String,
    /// When, RFC 3339.
    pub at: String,
    /// How long it took.
    pub seconds: f64,
    /// Figure by figure.
    pub findings: Vec<Finding>,
    /// Parts that did not look, and why.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl GateReport {
    /// The answer of all findings together.
    #[must_use]
    pub fn answer(&self) -> Answer {
        self.findings.iter().map(|finding| finding.answer).max().unwrap_or(Answer::NoVerdict)
    }

    /// Findings with the worst first, otherwise in order.
    fn worst_first(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.findings.iter().collect();
        all.sort_by_key(|finding| std::cmp::Reverse(finding.answer));
        all
    }

    fn headline(&self) -> String {
        let of = |answer| self.findings.iter().filter(|f| f.answer == answer).count();
        match self.answer() {
            Answer::Pass => format!("{} figures, none is worse", self.findings.len()),
            Answer::NoVerdict if self.findings.is_empty() => "nothing was looked at".to_owned(),
            Answer::NoVerdict => {
                let open = of(Answer::NoVerdict);
                format!(
                    "{open} of {} figures without a verdict, none is worse",
                    self.findings.len()
                )
            }
            Answer::Regression => {
                format!("{} of {} figures are worse", of(Answer::Regression), self.findings.len())
            }
        }
    }
}

impl Finding {
    /// By how much, with its interval; empty when there is no number.
    fn size(&self) -> String {
        let Some(worse) = self.worse_percent else { return String::new() };
        let word = if worse < 0.0 { "better" } else { "worse" };
        match self.interval_percent {
            Some((low, high)) => {
                format!("{:.2} % {word} [{low:+.2}, {high:+.2}]", worse.abs())
            }
            None => format!("{:.2} % {word}", worse.abs()),
        }
    }

    /// Base and head.
    fn values(&self) -> String {
        match (self.base, self.head) {
            (Some(base), Some(head)) => format!("{} -> {}", number(base), number(head)),
            (None, Some(head)) => number(head),
            _ => String::new(),
        }
    }
}

/// A number with four digits that count, and no more zeros than needed.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => crate::figures::count(value.round() as u64),
        size if size >= 10.0 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.5}"),
    }
}

#[cfg(test)]
#[path = "gate/tests.rs"]
mod tests;
