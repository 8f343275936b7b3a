//! What another machine needs to run a result's scenario again, without the run's folder.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a result comes from. Holds no secrets: passwords are taken out before it is filled in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The effective scenario, as `--scenario` reads it.
    pub scenario_toml: String,
    /// The effective schedule of faults, as `schedule.json` has it.
    #[serde(default)]
    pub schedule: Value,
    /// The planted bug that the engine ran with, if it did.
    #[serde(default)]
    pub mutant: Option<String>,
}
