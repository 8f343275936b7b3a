//! Committed offsets of consumer groups, as requests. Who is a member of a group is not the log's
//! business.

use super::change::Change;
use super::error::{LogError, Result};
use super::groups::{Committed, Offsets};
use super::log::Log;
use super::storage::Storage;

impl<S: Storage> Log<S> {
    /// Commits offsets of a group.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn commit_offsets(&mut self, group: &str, offsets: Offsets) -> Result<()> {
        self.commit(&Change::OffsetsCommitted { group: group.to_owned(), offsets }, &[])
    }

    /// The committed offset of a group in a partition. With `stable`, it is refused while an open
    /// transaction may change it.
    ///
    /// # Errors
    /// [`LogError::UnstableOffsetCommit`].
    pub fn committed(
        &self,
        group: &str,
        topic: &str,
        partition: u32,
        stable: bool,
    ) -> Result<Option<&Committed>> {
        let Some(group) = self.state.groups.get(group) else { return Ok(None) };
        if stable && group.is_pending(topic, partition) {
            return Err(LogError::UnstableOffsetCommit);
        }
        Ok(group.committed.get(topic).and_then(|partitions| partitions.get(&partition)))
    }

    /// All committed offsets of a group.
    pub fn all_committed(&self, group: &str) -> Option<&Offsets> {
        self.state.groups.get(group).map(|group| &group.committed)
    }

    /// Groups that have offsets.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.state.groups.keys().map(String::as_str)
    }

    /// Deletes a group with its offsets.
    ///
    /// # Errors
    /// When there is none, or a transaction with its offsets is open.
    pub fn delete_group(&mut self, group: &str) -> Result<()> {
        let found = self.state.groups.get(group).ok_or(LogError::GroupIdNotFound)?;
        if !found.pending.is_empty() {
            return Err(LogError::UnstableOffsetCommit);
        }
        self.commit(&Change::GroupDeleted { group: group.to_owned() }, &[])
    }
}
