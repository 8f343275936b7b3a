//! The way of one record through the job, as the evidence shows it.
//!
//! Invariant: a hop says no more than was found in the topic, the checkpoints and the tables; what
//! nobody can know is [`Seen::Unknown`].

use serde::{Deserialize, Serialize};

/// Whether a record got past a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// It is known to have been here.
    Passed,
    /// A checkpoint held it here.
    Held,
    /// It should be here and is not.
    Missing,
    /// Nothing tells.
    #[default]
    Unknown,
}

/// One place on the way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hop {
    /// The kind of place: `partition`, `source`, `channel`, `operator`, `sink`, `row`.
    pub place: String,
    /// Its name, for example `source[417]`.
    pub name: String,
    /// Whether the record got there.
    pub seen: Seen,
    /// What was found there, in a few words.
    #[serde(default)]
    pub note: String,
}

/// The whole way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Passage {
    /// From the log to the database, in order.
    pub hops: Vec<Hop>,
    /// The checkpoint in which it was lost or doubled.
    #[serde(default)]
    pub checkpoint: Option<u64>,
    /// The attempt that restored that checkpoint.
    #[serde(default)]
    pub restored_by: Option<u32>,
    /// The fault that ended the attempt before, if it is known.
    #[serde(default)]
    pub fault: Option<String>,
}
