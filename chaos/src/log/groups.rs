//! Committed offsets of consumer groups, and those of open transactions.
//!
//! Invariant: offsets of a transaction become visible with its commit, all at once, or never.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::ProducerId;

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The next one to read.
    pub offset: i64,
    /// The consumer's own words.
    pub metadata: String,
}

/// Offsets by topic's name and partition.
pub type Offsets = BTreeMap<String, BTreeMap<u32, Committed>>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) committed: Offsets,
    pub(super) pending: BTreeMap<ProducerId, Offsets>,
}

impl Group {
    pub(super) fn commit(&mut self, offsets: Offsets) {
        merge(&mut self.committed, offsets);
    }

    pub(super) fn commit_later(&mut self, producer: ProducerId, offsets: Offsets) {
        merge(self.pending.entry(producer).or_default(), offsets);
    }

    /// Whether an open transaction would change this offset.
    pub(super) fn is_pending(&self, topic: &str, partition: u32) -> bool {
        let has = |offsets: &Offsets| {
            offsets.get(topic).is_some_and(|partitions| partitions.contains_key(&partition))
        };
        self.pending.values().any(has)
    }

    /// A topic is gone, and its offsets with it.
    pub(super) fn forget(&mut self, topic: &str) {
        self.committed.remove(topic);
        self.pending.values_mut().for_each(|offsets| {
            offsets.remove(topic);
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }
}

fn merge(into: &mut Offsets, offsets: Offsets) {
    for (topic, partitions) in offsets {
        into.entry(topic).or_default().extend(partitions);
    }
}
