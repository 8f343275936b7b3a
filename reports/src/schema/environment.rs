//! Where a run happened, and what it spent its time on.
//!
//! These are facts for the reader and for comparisons; nothing here changes a verdict.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::number;

/// The machine, the software and the commit behind a result.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EnvironmentFacts {
    /// The environment's name, for example `embedded` or `containers`.
    pub name: String,
    /// Operating system and release.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor model.
    pub cpu_model: String,
    /// Logical cores that the run could use.
    pub cores: u32,
    /// Memory that the run could use.
    pub memory_bytes: u64,
    /// Version of each service and library that matters.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// Commit of the code under test, if it is known.
    #[serde(default)]
    pub git_commit: Option<String>,
    /// Version of Stormproof.
    pub stormproof_version: String,
}

/// A phase of the run and how long it took.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Phase {
    /// The phase's name, for example `load` or `judge`.
    pub name: String,
    /// Its duration.
    #[serde(deserialize_with = "number::or_nan")]
    pub seconds: f64,
}
