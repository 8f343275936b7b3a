//! Transactional ids: who has them, what is open, what follows for a request.
//!
//! Pure: requests in, changes or refusals out. Invariants: one incarnation of a transactional id
//! can write, every older one is fenced; an open transaction ends by its producer, by the next
//! incarnation, or by its timeout.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::error::{LogError, Result};
use super::ids::{Outcome, Producer, ProducerEpoch, ProducerId, TopicPartition};

/// The longest transaction: Kafka's default for `transaction.max.timeout.ms`.
pub const TIMEOUT_LIMIT_MS: i32 = 900_000;

/// What goes on under a transactional id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// Nothing yet.
    Empty,
    Open {
        since_ms: i64,
        partitions: BTreeSet<TopicPartition>,
        groups: BTreeSet<String>,
    },
    Ended(Outcome),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transaction {
    pub(super) producer: Producer,
    timeout_ms: i32,
    phase: Phase,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transactions {
    by_name: BTreeMap<String, Transaction>,
    names: BTreeMap<ProducerId, String>,
}

impl Transactions {
    /// The transactional id of a producer.
    pub(super) fn name_of(&self, producer: ProducerId) -> Option<&str> {
        self.names.get(&producer).map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Transaction> {
        self.by_name.get(name)
    }

    /// The transaction of `name`, if `producer` is its incarnation.
    pub(super) fn owned(&self, name: &str, producer: Producer) -> Result<&Transaction> {
        let found = self.get(name).ok_or(LogError::InvalidProducerIdMapping)?;
        if found.producer.id != producer.id {
            return Err(LogError::InvalidProducerIdMapping);
        }
        if found.producer.epoch != producer.epoch {
            return Err(LogError::ProducerFenced);
        }
        Ok(found)
    }

    /// Whether `producer` may write a transactional batch into `partition` now.
    pub(super) fn check_write(&self, producer: Producer, partition: TopicPartition) -> Result<()> {
        let name = self.name_of(producer.id).ok_or(LogError::InvalidProducerIdMapping)?;
        let found = self.owned(name, producer).map_err(|error| match error {
            LogError::ProducerFenced => LogError::InvalidProducerEpoch,
            other => other,
        })?;
        match &found.phase {
            Phase::Open { partitions, .. } if partitions.contains(&partition) => Ok(()),
            Phase::Open { .. } => {
                Err(LogError::InvalidTxnState("the partition is not part of the transaction"))
            }
            _ => Err(LogError::InvalidTxnState("no transaction is open")),
        }
    }

    /// The incarnation that follows; a new producer id when the epochs are used up.
    pub(super) fn successor(
        &self,
        name: &str,
        claimed: Option<Producer>,
        new_id: ProducerId,
    ) -> Result<Producer> {
        let fresh = Producer { id: new_id, epoch: ProducerEpoch(0) };
        let Some(found) = self.get(name) else {
            return if claimed.is_some() {
                Err(LogError::InvalidProducerIdMapping)
            } else {
                Ok(fresh)
            };
        };
        if claimed.is_some_and(|claimed| claimed.id != found.producer.id) {
            return Err(LogError::InvalidProducerIdMapping);
        }
        if claimed.is_some_and(|claimed| claimed.epoch != found.producer.epoch) {
            return Err(LogError::ProducerFenced);
        }
        let next = found.producer.epoch.next();
        Ok(next.map_or(fresh, |epoch| Producer { id: found.producer.id, epoch }))
    }

    /// Transactions that have been open for longer than they may.
    pub(super) fn expired(&self, now_ms: i64) -> Vec<String> {
        let is_expired = |transaction: &Transaction| match transaction.phase {
            Phase::Open { since_ms, .. } => now_ms - since_ms > i64::from(transaction.timeout_ms),
            _ => false,
        };
        let expired = self.by_name.iter().filter(|(_, transaction)| is_expired(transaction));
        expired.map(|(name, _)| name.clone()).collect()
    }

    /// Applies what concerns transactional ids.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::TransactionalIdTaken { transactional_id, producer, timeout_ms } => {
                self.take(transactional_id, *producer, *timeout_ms);
            }
            Change::TransactionJoined { transactional_id, partitions, groups, now_ms } => {
                let found = self.by_name.get_mut(transactional_id).expect("checked before");
                found.join(partitions, groups, *now_ms);
            }
            Change::TransactionEnded { transactional_id, producer, outcome, .. } => {
                let found = self.by_name.get_mut(transactional_id).expect("checked before");
                found.producer = *producer;
                found.phase = Phase::Ended(*outcome);
            }
            Change::TopicDeleted { topic } => {
                for transaction in self.by_name.values_mut() {
                    if let Phase::Open { partitions, .. } = &mut transaction.phase {
                        partitions.retain(|partition| partition.topic != *topic);
                    }
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, name: &str, producer: Producer, timeout_ms: i32) {
        let taken = Transaction { producer, timeout_ms, phase: Phase::Empty };
        if let Some(before) = self.by_name.insert(name.to_owned(), taken) {
            self.names.remove(&before.producer.id);
        }
        self.names.insert(producer.id, name.to_owned());
    }
}

impl Transaction {
    /// Partitions and groups of the open transaction.
    pub(super) fn open(&self) -> Option<(&BTreeSet<TopicPartition>, &BTreeSet<String>)> {
        match &self.phase {
            Phase::Open { partitions, groups, .. } => Some((partitions, groups)),
            _ => None,
        }
    }

    /// How the last one ended, if nothing has begun since.
    pub(super) fn ended(&self) -> Option<Outcome> {
        match self.phase {
            Phase::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    fn join(&mut self, new_partitions: &[TopicPartition], new_groups: &[String], now_ms: i64) {
        if !matches!(self.phase, Phase::Open { .. }) {
            self.phase = Phase::Open {
                since_ms: now_ms,
                partitions: BTreeSet::new(),
                groups: BTreeSet::new(),
            };
        }
        if let Phase::Open { partitions, groups, .. } = &mut self.phase {
            partitions.extend(new_partitions);
            groups.extend(new_groups.iter().cloned());
        }
    }
}
