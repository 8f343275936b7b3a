//! What does not depend on the hour: schedules and counts, kept in a file or taken from a binary.
//!
//! Invariant: a baseline says which build its counts come from.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::binary::Binary;
use super::build::Build;
use super::callgrind;
use super::config::Thresholds;
use super::measure::Figures;
use super::measure::schedules::Outcomes;
use super::measure::subject::Subject;
use crate::error::{Result, evidence, folder};
use crate::output::Console;

/// Version of the file's form.
const FORMAT: u32 = 1;

/// Figures that a build always has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Version of this form.
    pub format: u32,
    /// The build that was counted.
    pub build: Build,
    /// Counts by name; bytes alone where there is no valgrind.
    pub counts: Figures,
    /// Simulated schedules, where they were run.
    #[serde(default)]
    pub schedules: Option<Outcomes>,
}

impl Baseline {
    /// Takes the figures of `binary`.
    ///
    /// # Errors
    /// When it cannot measure itself.
    pub fn measure(
        binary: &Binary,
        thresholds: &Thresholds,
        parts: super::Parts,
        planted: u64,
        console: Console,
    ) -> Result<Self> {
        let build = binary.build()?;
        let schedules = match parts.schedules {
            true => {
                let asked = &thresholds.schedules;
                console.remark(&format!(
                    "{}: {} simulated schedules",
                    binary.path.display(),
                    asked.seeds
                ));
                Some(binary.schedules(asked.first_seed, asked.seeds)?)
            }
            false => None,
        };
        let limit = Duration::from_secs(thresholds.counts.time_limit_s);
        let counts = match (parts.counts, build.valgrind.is_empty()) {
            (true, false) => {
                console.remark(&format!("{}: counting under valgrind", binary.path.display()));
                counts(&|subject| callgrind::count(&binary.path, subject, planted, limit))?
            }
            (true, true) => counts(&|subject| callgrind::bytes(&binary.path, subject, limit))?,
            (false, _) => Figures::new(),
        };
        Ok(Self { format: FORMAT, build, counts, schedules })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When there is none, or it is no baseline of this version.
    pub fn read(file: &Path) -> Result<Self> {
        let place = file.display().to_string();
        const REMEDY: &str = "write one with `stormproof gate --update`, or compare two binaries \
                              with --base and --head";
        let text = std::fs::read_to_string(file).map_err(|error| {
            evidence(format!("cannot read the baseline: {error}")).at(place.clone()).remedy(REMEDY)
        })?;
        let read: Self = serde_json::from_str(&text).map_err(|error| {
            evidence(format!("it is no baseline: {error}")).at(place.clone()).remedy(REMEDY)
        })?;
        if read.format != FORMAT {
            let what = format!("its format is {}, this program reads {FORMAT}", read.format);
            return Err(evidence(what).at(place).remedy(REMEDY));
        }
        Ok(read)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, file: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).expect("a baseline is plain data");
        text.push('\n');
        std::fs::write(file, text).map_err(|error| {
            folder(format!("cannot write the baseline: {error}"))
                .at(file.display().to_string())
                .remedy("name another file with --baseline, or make room")
        })
    }
}

/// Counts of all subjects, two at a time: valgrind runs on one core.
fn counts(count: &(dyn Fn(Subject) -> Result<Figures> + Sync)) -> Result<Figures> {
    let open = Mutex::new(Subject::ALL.to_vec());
    let found: Mutex<Result<Figures>> = Mutex::new(Ok(Figures::new()));
    let work = || {
        loop {
            let Some(subject) = open.lock().expect("no thread panics here").pop() else { break };
            let counted = count(subject);
            let mut found = found.lock().expect("no thread panics here");
            match (&mut *found, counted) {
                (Ok(all), Ok(more)) => all.extend(more),
                (Ok(_), Err(error)) => *found = Err(error),
                (Err(_), _) => {}
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    found.into_inner().expect("no thread panics here")
}
