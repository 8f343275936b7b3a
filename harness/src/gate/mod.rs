//! Gates: whether head is worse than base, in figures that people can trust.
//!
//! *Follow a figure:* [`config`] has the thresholds -> a [`binary`] measures itself (what it does
//! then is in [`measure`]) -> deterministic figures go through [`baseline`] into [`compare`], times
//! of two binaries that take turns through [`wall`] into a [`trial`], stored ones into [`drift`] ->
//! each comes back as a finding -> `stormproof_reports::gate` shows them.
//!
//! Invariants: three answers, never two: a pass is a proof that nothing is worse than its
//! threshold, a regression was counted or confirmed, everything else has no verdict. All statistics
//! ([`interval`], [`trial`], [`drift::energy`], [`compare`]) are pure, and give the same answer to
//! the same figures.
//!
//! What it does not do: judge consistency (that is the oracle), or fetch and build commits
//! (`ci/gate` does).

pub mod baseline;
mod binary;
pub mod build;
pub mod callgrind;
mod compare;
pub mod config;
pub mod drift;
pub mod interval;
pub mod measure;
pub mod self_test;
pub mod trial;
pub mod wall;

use std::path::PathBuf;

use stormproof_reports::gate::GateReport;

use crate::clock::{Utc, monotonic_us};
use crate::environment::{Embedded, Host, machine_facts};
use crate::error::Result;
use crate::output::Console;
use baseline::Baseline;
pub use binary::Binary;
use config::Thresholds;
use drift::history::{self, Entry};
use measure::Figures;

/// Which parts look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Simulated schedules.
    pub schedules: bool,
    /// Instructions, allocations, bytes.
    pub counts: bool,
    /// Times of two binaries.
    pub wall: bool,
    /// The stored history.
    pub drift: bool,
}

/// What head is held against.
#[derive(Clone, Debug)]
pub enum Base {
    /// A file.
    File(PathBuf),
    /// A binary, on this host.
    Binary(Binary),
}

/// One gate.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The thresholds.
    pub thresholds: Thresholds,
    /// Which parts look.
    pub parts: Parts,
    /// What head is held against.
    pub base: Base,
    /// What is looked at.
    pub head: Binary,
    /// Where this run is appended to the history, and under which name.
    pub record: Option<(PathBuf, String)>,
}

impl Gate {
    /// Looks, and says what was found.
    ///
    /// # Errors
    /// When something cannot be measured; noise is no error.
    pub fn run(&self, console: Console) -> Result<GateReport> {
        let began_us = monotonic_us();
        let mut report = GateReport {
            base: match &self.base {
                Base::File(file) => file.display().to_string(),
                Base::Binary(binary) => binary.path.display().to_string(),
            },
            head: self.head.path.display().to_string(),
            at: Utc::now().rfc3339(),
            ..GateReport::default()
        };
        let mut figures = Figures::new();
        if self.parts.schedules || self.parts.counts {
            self.hard(&mut report, &mut figures, console)?;
        }
        match (&self.base, self.parts.wall) {
            (Base::Binary(base), true) => self.wall(base, &mut report, &mut figures, console)?,
            (Base::File(_), true) => report.notes.push(
                "Times were not compared: they need two binaries on one host, --base and --head."
                    .to_owned(),
            ),
            (_, false) => {}
        }
        if let Some((folder, commit)) = &self.record {
            history::append(folder, &self.entry(&report.at, commit, figures))?;
        }
        if self.parts.drift {
            self.drift(&mut report)?;
        }
        report.seconds = (monotonic_us() - began_us) as f64 / 1e6;
        Ok(report)
    }

    fn hard(&self, report: &mut GateReport, figures: &mut Figures, console: Console) -> Result<()> {
        let take = |binary| Baseline::measure(binary, &self.thresholds, self.parts, 0, console);
        let base = match &self.base {
            Base::File(file) if !file.exists() => None,
            Base::File(file) => Some(Baseline::read(file)?),
            Base::Binary(binary) => Some(take(binary)?),
        };
        let head = take(&self.head)?;
        let Some(base) = base else {
            report.findings.extend(compare::alone(&head, &report.base));
            figures.extend(head.counts);
            return Ok(());
        };
        if let (Some(base), Some(head)) = (&base.schedules, &head.schedules) {
            report.findings.extend(compare::schedules(base, head, &self.thresholds.schedules));
        } else if self.parts.schedules {
            report.notes.push(format!(
                "Schedules were not compared: {} has none. Write it anew: stormproof gate --update",
                report.base
            ));
        }
        if self.parts.counts {
            report.findings.extend(compare::counts(&base, &head, &self.thresholds.counts));
        }
        figures.extend(head.counts);
        Ok(())
    }

    fn wall(
        &self,
        base: &Binary,
        report: &mut GateReport,
        figures: &mut Figures,
        console: Console,
    ) -> Result<()> {
        let limits = &self.thresholds.wall;
        let mut measure = |side| match side {
            wall::Side::Base => base.times(limits, 0),
            wall::Side::Head => self.head.times(limits, 0),
        };
        let mut told = |pairs: usize, all: &_| wall::tell(console, pairs, all);
        let all = wall::compare(limits.rule(), &mut measure, &mut told)?;
        for (name, figure) in &all {
            figures.insert(name.clone(), interval::trimmed_mean(&figure.head));
        }
        report.findings.extend(wall::findings(limits, &all));
        Ok(())
    }

    fn drift(&self, report: &mut GateReport) -> Result<()> {
        let limits = &self.thresholds.drift;
        let entries = history::read(&limits.history)?;
        if entries.is_empty() {
            report.notes.push(format!(
                "Drift was not looked for: {} has no run yet; --record {0} adds this one.",
                limits.history.display()
            ));
        }
        report.findings.extend(drift::judge(&entries, limits));
        Ok(())
    }

    fn entry(&self, at: &str, commit: &str, figures: Figures) -> Entry {
        // A program of somebody else's does not know its build.
        let compiler = self.head.build().map_or_else(|_| String::new(), |build| build.compiler);
        let machine = format!("{}, {compiler}", machine());
        Entry { at: at.to_owned(), commit: commit.to_owned(), machine, figures }
    }
}

/// This machine in a few words: processor and cores.
pub fn machine() -> String {
    let quiet = Host::quiet("gate");
    let facts = machine_facts(&Embedded::new(std::path::Path::new("."), None, quiet));
    format!("{}, {} cores", facts.cpu_model, facts.cores)
}
