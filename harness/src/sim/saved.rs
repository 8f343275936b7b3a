//! A schedule that failed, as a file: the whole plan and what was wrong.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stormproof_chaos::sim::Plan;
use stormproof_engine::mutants;

use super::SimJudgement;
use crate::error::{ErrorKind, HarnessError, Result};
use crate::proof::case::{Case, Ran};

/// What is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// What kind of file this is.
    pub kind: String,
    /// The rules that were broken.
    pub broken: Vec<String>,
    /// Why.
    pub reasons: Vec<String>,
    /// A fingerprint of the whole run, if it was traced: a replay must give the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The seeded bug that was on; 0 is none.
    #[serde(default)]
    pub mutant: u32,
    /// The plan, complete: its seed alone drives only the scheduler.
    pub plan: Plan,
}

impl Saved {
    /// The name of such files.
    pub const KIND: &'static str = "stormproof-simulation";

    /// A judged plan.
    pub fn new(plan: &Plan, judged: &SimJudgement) -> Self {
        Self {
            kind: Self::KIND.to_owned(),
            broken: judged.broken.clone(),
            reasons: judged.reasons.clone(),
            fingerprint: None,
            mutant: mutants::active(),
            plan: plan.clone(),
        }
    }

    /// A case that was run with its trace.
    pub fn of(case: &Case, ran: &Ran) -> Self {
        Self {
            fingerprint: Some(ran.fingerprint()),
            mutant: case.mutant,
            ..Self::new(&case.plan, &ran.judged)
        }
    }

    /// Reads a file; `None` when it is of another kind.
    ///
    /// # Errors
    /// When it cannot be read, or is a simulation's and cannot be understood.
    pub fn load(file: &Path) -> Result<Option<Self>> {
        let refuse = |error: &dyn std::fmt::Display| {
            HarnessError::new(ErrorKind::Evidence, format!("cannot be read: {error}"))
                .at(file.display().to_string())
                .remedy("give a file that `stormproof sim`, `soak` or `shrink` has saved")
        };
        let text = std::fs::read_to_string(file).map_err(|error| refuse(&error))?;
        let kind = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|json| json.get("kind")?.as_str().map(str::to_owned));
        if kind.as_deref() != Some(Self::KIND) {
            return Ok(None);
        }
        serde_json::from_str(&text).map(Some).map_err(|error| refuse(&error))
    }

    /// Writes it into `folder`; returns the file.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf> {
        let file = folder.join(format!("seed-{}.json", self.plan.seed));
        let mut json = serde_json::to_string_pretty(self).expect("a plan is plain data");
        json.push('\n');
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, json)).map_err(
            |error| {
                HarnessError::new(ErrorKind::Folder, format!("cannot write: {error}"))
                    .at(file.display().to_string())
                    .remedy("choose another folder with --out, or make room")
            },
        )?;
        Ok(file)
    }
}
