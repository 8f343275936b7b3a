//! What one check of the oracle found, with witnesses.
//!
//! Invariant: a violated check carries at least one witness; [`super::RunResult::contradictions`]
//! reports one that does not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Passage, Verdict, number};

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CheckResult {
    /// Stable id from the registry of invariants, for example `no-loss`.
    pub id: String,
    /// The invariant in a few words.
    pub title: String,
    /// What the check decided.
    pub verdict: Verdict,
    /// What it saw, in one plain sentence.
    pub summary: String,
    /// The figures behind the sentence, units at the end of names.
    #[serde(default, deserialize_with = "number::map_or_nan")]
    pub figures: BTreeMap<String, f64>,
    /// The smallest evidence against the invariant; empty unless violated.
    #[serde(default)]
    pub witnesses: Vec<Witness>,
}

/// One concrete anomaly, and what caused it as far as the oracle can tell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Witness {
    /// What is wrong, for example `offset 812 of partition 417 has no effect`.
    pub what: String,
    /// Where it went wrong, for example `in flight on source 417 -> sink 88 at checkpoint 12`.
    pub attribution: String,
    /// Machine-readable coordinates: partition, offset, subtask, checkpoint and the like.
    #[serde(default)]
    pub details: BTreeMap<String, Value>,
    /// The way of the record that it is about, as far as the evidence shows it.
    #[serde(default)]
    pub passage: Option<Passage>,
}
