//! Topics: made, listed, enlarged, deleted, truncated.

use super::change::Change;
use super::error::{LogError, Result};
use super::ids::{TopicId, TopicPartition};
use super::log::Log;
use super::storage::Storage;
use super::topics::{TopicSettings, check_name, check_partitions};

/// A topic as others see it.
#[derive(Clone, Copy, Debug)]
pub struct TopicView<'a> {
    /// Its number.
    pub id: TopicId,
    /// Its name.
    pub name: &'a str,
    /// How many partitions it has.
    pub partitions: u32,
    /// What it was told.
    pub settings: &'a TopicSettings,
}

impl<S: Storage> Log<S> {
    /// All topics, by number.
    pub fn topics(&self) -> impl Iterator<Item = TopicView<'_>> {
        self.state.topics.iter().map(|(id, topic)| TopicView {
            id: *id,
            name: &topic.name,
            partitions: topic.partitions.len() as u32,
            settings: &topic.settings,
        })
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<TopicView<'_>> {
        let id = *self.state.names.get(name)?;
        let topic = self.state.topics.get(&id)?;
        let partitions = topic.partitions.len() as u32;
        Some(TopicView { id, name: &topic.name, partitions, settings: &topic.settings })
    }

    /// The partition of a topic by its name.
    ///
    /// # Errors
    /// [`LogError::UnknownTopicOrPartition`].
    pub fn find(&self, topic: &str, partition: i32) -> Result<TopicPartition> {
        let found = self.topic(topic).ok_or(LogError::UnknownTopicOrPartition)?;
        let partition = u32::try_from(partition).ok().filter(|index| *index < found.partitions);
        let partition = partition.ok_or(LogError::UnknownTopicOrPartition)?;
        Ok(TopicPartition { topic: found.id, partition })
    }

    /// Checks what [`Log::create_topic`] would refuse.
    ///
    /// # Errors
    /// See there.
    pub fn check_topic(&self, name: &str, partitions: u32) -> Result<()> {
        check_name(name)?;
        check_partitions(partitions)?;
        match self.topic(name) {
            Some(_) => Err(LogError::TopicAlreadyExists),
            None => Ok(()),
        }
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// When the name is taken or none, or the number impossible.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: u32,
        settings: TopicSettings,
    ) -> Result<TopicId> {
        self.check_topic(name, partitions)?;
        let topic = TopicId(self.state.next_topic);
        let name = name.to_owned();
        self.commit(&Change::TopicCreated { topic, name, partitions, settings }, &[])?;
        Ok(topic)
    }

    /// Enlarges a topic to `partitions`.
    ///
    /// # Errors
    /// When there is no such topic, or it has as many already.
    pub fn add_partitions(&mut self, name: &str, partitions: u32) -> Result<()> {
        let found = self.topic(name).ok_or(LogError::UnknownTopicOrPartition)?;
        check_partitions(partitions)?;
        if partitions <= found.partitions {
            let has = found.partitions;
            let what = format!("the topic has {has} already, {partitions} is not more");
            return Err(LogError::InvalidPartitions(what));
        }
        let topic = found.id;
        self.commit(&Change::PartitionsAdded { topic, partitions }, &[])
    }

    /// Deletes a topic with everything in it.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete_topic(&mut self, name: &str) -> Result<()> {
        let topic = self.topic(name).ok_or(LogError::UnknownTopicOrPartition)?.id;
        self.commit(&Change::TopicDeleted { topic }, &[])?;
        self.reclaim();
        Ok(())
    }

    /// Deletes the records before `offset` (`None`: all there are); returns the new log start
    /// offset.
    ///
    /// # Errors
    /// When the offset is beyond the end.
    pub fn delete_records(&mut self, at: TopicPartition, offset: Option<i64>) -> Result<i64> {
        let partition = self.state.partition(at)?;
        let (start, end) = (partition.start_offset, partition.end_offset);
        let offset = offset.unwrap_or(end);
        if offset < 0 || offset > end {
            return Err(LogError::OffsetOutOfRange { offset, start, end });
        }
        if offset > start {
            self.move_starts(vec![(at, offset)])?;
        }
        Ok(offset.max(start))
    }
}
