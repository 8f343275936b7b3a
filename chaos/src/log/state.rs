//! Everything a log knows, as a function of its entries: the same entries, the same state.
//!
//! Invariant: live and replayed go through the same [`State::apply`] and [`State::take_batch`], so
//! that what a restart finds is what was there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::batch::{BatchHeader, CONTROL_BYTES};
use super::change::Change;
use super::error::{LogError, Result};
use super::groups::Group;
use super::ids::{Outcome, ProducerId, TopicId, TopicPartition};
use super::journal::Position;
use super::partition::Partition;
use super::topics::{Names, Topic};
use super::transactions::Transactions;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) next_topic: u32,
    pub(super) next_producer: i64,
    pub(super) topics: BTreeMap<TopicId, Topic>,
    pub(super) transactions: Transactions,
    pub(super) groups: BTreeMap<String, Group>,
    #[serde(skip)]
    pub(super) names: Names,
}

impl State {
    /// The state of a snapshot, with the index that was rebuilt so far.
    pub(super) fn restore(json: &[u8], before: Self) -> serde_json::Result<Self> {
        let mut state: Self = serde_json::from_slice(json)?;
        let named = state.topics.iter().map(|(id, topic)| (topic.name.clone(), *id));
        state.names = named.collect();
        for (id, topic) in before.topics {
            let Some(same) = state.topics.get_mut(&id) else { continue };
            for (partition, before) in same.partitions.iter_mut().zip(topic.partitions) {
                partition.adopt_index(before);
            }
        }
        Ok(state)
    }

    pub(super) fn snapshot(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("the state is plain data")
    }

    pub(super) fn partition(&self, at: TopicPartition) -> Result<&Partition> {
        let topic = self.topics.get(&at.topic).ok_or(LogError::UnknownTopicOrPartition)?;
        topic.partitions.get(at.partition as usize).ok_or(LogError::UnknownTopicOrPartition)
    }

    fn partition_mut(&mut self, at: TopicPartition) -> Option<&mut Partition> {
        self.topics.get_mut(&at.topic)?.partitions.get_mut(at.partition as usize)
    }

    /// A batch was written at `position`.
    pub(super) fn take_batch(
        &mut self,
        at: TopicPartition,
        batch: &BatchHeader,
        position: Position,
        now_ms: i64,
    ) {
        if let Some(partition) = self.partition_mut(at) {
            partition.take(batch, position, now_ms);
        }
    }

    /// A change was written; `body` is what followed it, from `position` on.
    pub(super) fn apply(&mut self, change: &Change, body: &[u8], position: Position) -> Result<()> {
        self.transactions.apply(change);
        match change {
            Change::TopicCreated { topic, name, partitions, settings } => {
                self.next_topic = self.next_topic.max(topic.0 + 1);
                let new = Topic::new(name.clone(), settings.clone(), *partitions);
                self.topics.insert(*topic, new);
                self.names.insert(name.clone(), *topic);
            }
            Change::PartitionsAdded { topic, partitions } => {
                if let Some(found) = self.topics.get_mut(topic) {
                    found.partitions.resize(*partitions as usize, Partition::default());
                }
            }
            Change::TopicDeleted { topic } => self.delete_topic(*topic),
            Change::StartsMoved { starts } => {
                for (at, offset) in starts {
                    if let Some(partition) = self.partition_mut(*at) {
                        partition.move_start(*offset);
                    }
                }
            }
            Change::ProducerMade { producer } | Change::TransactionalIdTaken { producer, .. } => {
                self.next_producer = self.next_producer.max(producer.id.0 + 1);
            }
            Change::TransactionJoined { .. } => {}
            Change::TransactionEnded { producer, outcome, markers, now_ms, .. } => {
                self.take_markers(markers, *outcome, body, position, *now_ms)?;
                self.settle_offsets(producer.id, *outcome);
            }
            Change::OffsetsCommitted { group, offsets } => {
                self.groups.entry(group.clone()).or_default().commit(offsets.clone());
            }
            Change::OffsetsPending { group, producer, offsets } => {
                let group = self.groups.entry(group.clone()).or_default();
                group.commit_later(producer.id, offsets.clone());
            }
            Change::GroupDeleted { group } => drop(self.groups.remove(group)),
            Change::ProducersForgotten { before_ms } => self.forget_producers(*before_ms),
        }
        Ok(())
    }

    fn delete_topic(&mut self, topic: TopicId) {
        let Some(gone) = self.topics.remove(&topic) else { return };
        self.names.remove(&gone.name);
        self.groups.values_mut().for_each(|group| group.forget(&gone.name));
    }

    fn take_markers(
        &mut self,
        partitions: &[TopicPartition],
        outcome: Outcome,
        body: &[u8],
        position: Position,
        now_ms: i64,
    ) -> Result<()> {
        for (i, (at, marker)) in partitions.iter().zip(body.chunks(CONTROL_BYTES)).enumerate() {
            let header = BatchHeader::read(marker)?;
            let place = Position { at: position.at + (i * CONTROL_BYTES) as u32, ..position };
            if let Some(partition) = self.partition_mut(*at) {
                partition.take_marker(&header, outcome, place, now_ms);
            }
        }
        Ok(())
    }

    fn settle_offsets(&mut self, producer: ProducerId, outcome: Outcome) {
        for group in self.groups.values_mut() {
            let Some(offsets) = group.pending.remove(&producer) else { continue };
            if outcome == Outcome::Commit {
                group.commit(offsets);
            }
        }
        self.groups.retain(|_, group| !group.is_empty());
    }

    fn forget_producers(&mut self, before_ms: i64) {
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            partition
                .producers
                .retain(|_, state| state.open_since.is_some() || state.seen_ms >= before_ms);
        }
    }

    /// Segments that hold batches somebody may still read.
    pub(super) fn live_segments(&self) -> BTreeSet<u32> {
        let mut live = BTreeSet::new();
        let mut last = None;
        for partition in self.topics.values().flat_map(|topic| &topic.partitions) {
            for batch in partition.batches() {
                if last != Some(batch.position.segment) {
                    last = Some(batch.position.segment);
                    live.insert(batch.position.segment);
                }
            }
        }
        live
    }
}
