//! A schedule that failed, as a file: the whole plan and what was wrong.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stormproof_chaos::sim::Plan;

use super::SimJudgement;
use crate::error::{ErrorKind, HarnessError, Result};

/// What is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// What kind of file this is.
    pub kind: String,
    /// The rules that were broken.
    pub broken: Vec<String>,
    /// Why.
    pub reasons: Vec<String>,
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
            plan: plan.clone(),
        }
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
