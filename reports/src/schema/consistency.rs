//! Whether a result's verdict agrees with its own figures and checks.
//!
//! A report must never look better than its evidence. This module decides nothing new: it compares
//! what the result states in one place with what it states in another.

use super::{RunResult, Verdict};

impl RunResult {
    /// Every way in which the result contradicts itself, one plain sentence each.
    #[must_use]
    pub fn contradictions(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .checks
            .iter()
            .filter(|c| self.verdict.worst(c.verdict) != self.verdict)
            .map(|c| {
                format!("The run is called {}, its check {} {}.", self.verdict, c.id, c.verdict)
            })
            .collect();
        for check in &self.checks {
            if check.verdict == Verdict::Violated && check.witnesses.is_empty() {
                found.push(format!("The check {} is violated without a witness.", check.id));
            }
        }
        if self.verdict == Verdict::Proven {
            found.extend(
                self.unearned().into_iter().map(|why| format!("Called proven, but {why}.")),
            );
        }
        found
    }

    /// The verdict that a report may show: proven only if nothing in the result speaks against it.
    #[must_use]
    pub fn shown_verdict(&self) -> Verdict {
        if self.verdict == Verdict::Proven && !self.contradictions().is_empty() {
            return Verdict::Unknown;
        }
        self.verdict
    }

    /// The figures with which no run can be proven.
    fn unearned(&self) -> Vec<String> {
        let Self { lost, duplicates, duplicates_expected, duplicates_bound, .. } = *self;
        let mut why = Vec::new();
        match lost {
            None => why.push("nobody counted what is lost".to_owned()),
            Some(0) => {}
            Some(lost) => why.push(format!("{lost} records are lost")),
        }
        match (duplicates, duplicates_expected, duplicates_bound) {
            (Some(seen), Some(expected), Some(bound)) => {
                if seen != expected {
                    why.push(format!("{seen} duplicates are not the {expected} expected"));
                }
                if seen > bound {
                    why.push(format!("{seen} duplicates exceed the bound of {bound}"));
                }
            }
            _ => why.push("nobody counted the duplicates, or what they should be".to_owned()),
        }
        if self.checks.is_empty() {
            why.push("no check was made".to_owned());
        }
        if self.checkpoints_completed == 0 {
            why.push("no checkpoint completed".to_owned());
        }
        if self.faults_landed == 0 {
            why.push("no fault landed".to_owned());
        }
        why
    }
}
