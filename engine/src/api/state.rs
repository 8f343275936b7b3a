//! State on its way in and out of a snapshot.

use bytes::Bytes;

use crate::ids::{KeyGroup, SubtaskIndex};

/// How list state is redistributed when the parallelism changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Every element goes to exactly one subtask.
    EvenSplit,
    /// Every subtask gets all elements.
    Union,
}

/// Keyed state of one subtask: entries of (key group, key, value), back to back as a state file has
/// them (docs/formats.md). So the subtask stands still for one copy of each entry, without an allocation for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyedSnapshot {
    items: Vec<u8>,
    entries: usize,
}

/// Bytes of an entry before its key: length, key group, length of the key.
const HEAD_BYTES: usize = 10;

impl KeyedSnapshot {
    /// Adds an entry.
    ///
    /// # Panics
    /// When the entry has more than 4 GiB.
    pub fn push(&mut self, group: KeyGroup, key: &[u8], value: &[u8]) {
        let bytes = u32::try_from(HEAD_BYTES - 4 + key.len() + value.len());
        self.items.extend_from_slice(&bytes.expect("an entry has a length").to_le_bytes());
        self.items.extend_from_slice(&group.0.to_le_bytes());
        self.items.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.items.extend_from_slice(key);
        self.items.extend_from_slice(value);
        self.entries += 1;
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = (KeyGroup, &[u8], &[u8])> {
        let mut rest = self.items.as_slice();
        std::iter::from_fn(move || {
            let (head, after) = rest.split_first_chunk::<HEAD_BYTES>()?;
            let [a, b, c, d, e, f, g, h, i, j] = *head;
            let bytes = u32::from_le_bytes([a, b, c, d]) as usize;
            let key_bytes = u32::from_le_bytes([g, h, i, j]) as usize;
            let (entry, others) = after.split_at(bytes + 4 - HEAD_BYTES);
            let (key, value) = entry.split_at(key_bytes);
            rest = others;
            Some((KeyGroup(u16::from_le_bytes([e, f])), key, value))
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// All entries as a state file has them.
    pub(crate) fn items(&self) -> &[u8] {
        &self.items
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(KeyGroup, K, V)> for KeyedSnapshot {
    fn from_iter<I: IntoIterator<Item = (KeyGroup, K, V)>>(entries: I) -> Self {
        let mut snapshot = Self::default();
        for (group, key, value) in entries {
            snapshot.push(group, key.as_ref(), value.as_ref());
        }
        snapshot
    }
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
