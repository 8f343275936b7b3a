//! Figures of every subtask: what shows that a few of thousands carry or delay the rest.

use serde::{Deserialize, Serialize};

/// One thing that was counted for each subtask of a vertex.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SubtaskFigures {
    /// What was counted, for example `effects written`.
    pub what: String,
    /// What the values belong to, for example `sink` or `partition`; value n is the n-th.
    pub of: String,
    /// The values' unit, for example `records` or `us`.
    pub unit: String,
    /// One value for each subtask, from the first one on.
    pub values: Vec<u64>,
}
