//! Producers and their transactions, as requests.

use super::batch::control_batch;
use super::change::Change;
use super::error::{LogError, Result};
use super::groups::Offsets;
use super::ids::{Outcome, Producer, TopicPartition};
use super::log::Log;
use super::storage::Storage;
use super::transactions::TIMEOUT_LIMIT_MS;

impl<S: Storage> Log<S> {
    /// A producer id for an idempotent producer without transactions.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn new_producer(&mut self) -> Result<Producer> {
        let producer = Producer { id: self.new_producer_id(), epoch: Self::first_epoch() };
        self.commit(&Change::ProducerMade { producer }, &[])?;
        Ok(producer)
    }

    /// Takes a transactional id: fences its old incarnation, aborts what that left open. Returns
    /// the new incarnation and the partitions that got markers.
    ///
    /// # Errors
    /// When the timeout is impossible, or `claimed` (the incarnation that the producer says it
    /// has) is not the current one.
    pub fn take_transactional_id(
        &mut self,
        name: &str,
        timeout_ms: i32,
        claimed: Option<Producer>,
        now_ms: i64,
    ) -> Result<(Producer, Vec<TopicPartition>)> {
        if !(1..=TIMEOUT_LIMIT_MS).contains(&timeout_ms) {
            return Err(LogError::InvalidTransactionTimeout { limit_ms: TIMEOUT_LIMIT_MS });
        }
        let new_id = self.new_producer_id();
        let producer = self.state.transactions.successor(name, claimed, new_id)?;
        let touched = self.abort_open(name, now_ms)?;
        let transactional_id = name.to_owned();
        self.commit(&Change::TransactionalIdTaken { transactional_id, producer, timeout_ms }, &[])?;
        Ok((producer, touched))
    }

    /// Takes partitions into the transaction, which begins with the first.
    ///
    /// # Errors
    /// When the producer is not the current incarnation.
    pub fn add_partitions_to_transaction(
        &mut self,
        name: &str,
        producer: Producer,
        partitions: Vec<TopicPartition>,
        now_ms: i64,
    ) -> Result<()> {
        self.join(name, producer, partitions, Vec::new(), now_ms)
    }

    /// Takes the offsets of a group into the transaction.
    ///
    /// # Errors
    /// When the producer is not the current incarnation.
    pub fn add_group_to_transaction(
        &mut self,
        name: &str,
        producer: Producer,
        group: &str,
        now_ms: i64,
    ) -> Result<()> {
        self.join(name, producer, Vec::new(), vec![group.to_owned()], now_ms)
    }

    fn join(
        &mut self,
        name: &str,
        producer: Producer,
        mut partitions: Vec<TopicPartition>,
        mut groups: Vec<String>,
        now_ms: i64,
    ) -> Result<()> {
        let transaction = self.state.transactions.owned(name, producer)?;
        let open = transaction.open();
        if let Some((has_partitions, has_groups)) = open {
            partitions.retain(|partition| !has_partitions.contains(partition));
            groups.retain(|group| !has_groups.contains(group));
        }
        if partitions.is_empty() && groups.is_empty() && open.is_some() {
            return Ok(());
        }
        for partition in &partitions {
            self.state.partition(*partition)?;
        }
        let transactional_id = name.to_owned();
        let change = Change::TransactionJoined { transactional_id, partitions, groups, now_ms };
        self.commit(&change, &[])
    }

    /// Keeps offsets of a group until the transaction is committed.
    ///
    /// # Errors
    /// When the producer is not the current incarnation, or the group not in its transaction.
    pub fn commit_offsets_in_transaction(
        &mut self,
        name: &str,
        producer: Producer,
        group: &str,
        offsets: Offsets,
    ) -> Result<()> {
        let transaction = self.state.transactions.owned(name, producer)?;
        if !transaction.open().is_some_and(|(_, groups)| groups.contains(group)) {
            return Err(LogError::InvalidTxnState("the group is not part of the transaction"));
        }
        let group = group.to_owned();
        self.commit(&Change::OffsetsPending { group, producer, offsets }, &[])
    }

    /// Ends the transaction: its records and offsets become visible, or never do. Asking for the
    /// same end again is fine. Returns the partitions that got markers.
    ///
    /// # Errors
    /// When the producer is not the current incarnation, or nothing is open.
    pub fn end_transaction(
        &mut self,
        name: &str,
        producer: Producer,
        outcome: Outcome,
        now_ms: i64,
    ) -> Result<Vec<TopicPartition>> {
        let transaction = self.state.transactions.owned(name, producer)?;
        if transaction.open().is_some() {
            return self.write_markers(name, producer, outcome, now_ms);
        }
        match transaction.ended() {
            Some(ended) if ended == outcome => Ok(Vec::new()),
            Some(_) => Err(LogError::InvalidTxnState("the transaction has ended otherwise")),
            None => Err(LogError::InvalidTxnState("no transaction is open")),
        }
    }

    pub(super) fn expire_transactions(&mut self, now_ms: i64) -> Result<Vec<TopicPartition>> {
        let mut touched = Vec::new();
        for name in self.state.transactions.expired(now_ms) {
            touched.extend(self.abort_open(&name, now_ms)?);
        }
        Ok(touched)
    }

    /// Aborts what is open under a transactional id, and fences its producer.
    fn abort_open(&mut self, name: &str, now_ms: i64) -> Result<Vec<TopicPartition>> {
        let Some(transaction) = self.state.transactions.get(name) else { return Ok(Vec::new()) };
        if transaction.open().is_none() {
            return Ok(Vec::new());
        }
        let old = transaction.producer;
        let fencing = old.epoch.next().map_or(old, |epoch| Producer { epoch, ..old });
        self.write_markers(name, fencing, Outcome::Abort, now_ms)
    }

    fn write_markers(
        &mut self,
        name: &str,
        producer: Producer,
        outcome: Outcome,
        now_ms: i64,
    ) -> Result<Vec<TopicPartition>> {
        let transaction = self.state.transactions.get(name).expect("asked for before");
        let (partitions, _) = transaction.open().expect("asked for before");
        let markers: Vec<TopicPartition> = partitions.iter().copied().collect();
        let mut body = Vec::new();
        for at in &markers {
            let offset = self.state.partition(*at)?.end_offset;
            body.extend_from_slice(&control_batch(producer, outcome, offset, now_ms));
        }
        let change = Change::TransactionEnded {
            transactional_id: name.to_owned(),
            producer,
            outcome,
            markers: markers.clone(),
            now_ms,
        };
        self.commit(&change, &body)?;
        Ok(markers)
    }
}
