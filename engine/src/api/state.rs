//! State on its way in and out of a snapshot.

use bytes::Bytes;

use super::KeyedSnapshot;
use crate::ids::SubtaskIndex;

/// How list state is redistributed when the parallelism changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Every element goes to exactly one subtask.
    EvenSplit,
    /// Every subtask gets all elements.
    Union,
}

/// What one subtask writes at a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct StateSnapshot {
    pub(crate) lists: Vec<(&'static str, ListKind, Vec<Bytes>)>,
    pub(crate) keyed: Vec<(&'static str, KeyedSnapshot)>,
}

impl StateSnapshot {
    /// Writes a list state.
    pub fn put_list(&mut self, name: &'static str, kind: ListKind, items: Vec<Bytes>) {
        self.lists.push((name, kind, items));
    }

    /// The items of list state `name`, if it was written.
    pub fn list(&self, name: &str) -> Option<&[Bytes]> {
        self.lists.iter().find(|(n, _, _)| *n == name).map(|(_, _, items)| items.as_slice())
    }

    /// Bytes of all items, each behind its length, and of all entries.
    pub(crate) fn bytes(&self) -> usize {
        let items = self.lists.iter().flat_map(|(_, _, items)| items).map(|item| item.len() + 4);
        items.chain(self.keyed.iter().map(|(_, keyed)| keyed.items().len())).sum()
    }

    /// Writes a keyed state.
    pub fn put_keyed(&mut self, name: &'static str, keyed: KeyedSnapshot) {
        self.keyed.push((name, keyed));
    }
}

/// What a group gets back at a restore, already redistributed to its subtasks.
#[derive(Clone, Debug, Default)]
pub struct GroupState {
    pub(crate) is_restored: bool,
    pub(crate) lists: Vec<(SubtaskIndex, String, Vec<Bytes>)>,
    pub(crate) keyed: Vec<(SubtaskIndex, String, KeyedSnapshot)>,
}

impl GroupState {
    /// The state of a checkpoint, empty so far.
    pub fn restored() -> Self {
        Self { is_restored: true, ..Self::default() }
    }

    /// Adds items of list state `name` to `subtask`.
    #[must_use]
    pub fn with_list(mut self, subtask: SubtaskIndex, name: &str, items: Vec<Bytes>) -> Self {
        self.lists.push((subtask, name.to_owned(), items));
        self
    }

    /// Whether there was a checkpoint at all; without one, sources choose their start themselves.
    pub fn is_restored(&self) -> bool {
        self.is_restored
    }

    /// The elements of list state `name`, subtask by subtask.
    pub fn lists<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (SubtaskIndex, &'a [Bytes])> + 'a {
        self.lists
            .iter()
            .filter(move |(_, n, _)| n == name)
            .map(|(subtask, _, items)| (*subtask, items.as_slice()))
    }

    /// The entries of keyed state `name`, subtask by subtask.
    pub fn keyed<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (SubtaskIndex, &'a KeyedSnapshot)> + 'a {
        self.keyed.iter().filter(move |(_, n, _)| n == name).map(|(subtask, _, k)| (*subtask, k))
    }
}
