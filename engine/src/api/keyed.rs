//! Keyed state: what a subtask knows about each of its keys, and the copy that a snapshot takes.

use std::ops::Range;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

use crate::ids::KeyGroup;

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

    /// The entry that begins at `at`: its key, and where its value is.
    fn entry_at(&self, at: usize) -> (&[u8], Range<usize>) {
        let number = |at: usize| {
            let bytes = self.items[at..at + 4].try_into().expect("four bytes are four bytes");
            u32::from_le_bytes(bytes) as usize
        };
        let key = at + HEAD_BYTES..at + HEAD_BYTES + number(at + 6);
        (&self.items[key.clone()], key.end..at + 4 + number(at))
    }

    /// What [`Self::items`] gave; `None` when it is not `entries` whole entries.
    pub(crate) fn read(items: Vec<u8>, entries: usize) -> Option<Self> {
        let mut rest = items.as_slice();
        for _ in 0..entries {
            let (bytes, after) = rest.split_first_chunk()?;
            let (entry, others) = after.split_at_checked(u32::from_le_bytes(*bytes) as usize)?;
            let (_group, keyed) = entry.split_first_chunk::<2>()?;
            let (key_bytes, keyed) = keyed.split_first_chunk()?;
            keyed.get(..u32::from_le_bytes(*key_bytes) as usize)?;
            rest = others;
        }
        rest.is_empty().then_some(Self { items, entries })
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

/// Keyed state of one subtask while it runs: `N` bytes for each key, kept as a state file has
/// them. So a snapshot is one copy of memory, whatever the number of keys, and a known key's value
/// is changed where it lies.
#[derive(Clone, Debug, Default)]
pub struct KeyedTable<const N: usize> {
    /// In the order in which keys were first seen.
    entries: KeyedSnapshot,
    /// Where in it each key's entry begins.
    index: HashTable<usize>,
}

impl<const N: usize> KeyedTable<N> {
    /// The value of `key`; `N` zeros when it was never seen. A key has one group, always the same.
    ///
    /// # Panics
    /// When the key has more than 4 GiB.
    #[inline]
    pub fn value_mut(&mut self, group: KeyGroup, key: &[u8]) -> &mut [u8; N] {
        let Self { entries, index } = self;
        let is_it = |at: &usize| entries.entry_at(*at).0 == key;
        let at = match index.entry(slot_hash(key), is_it, |at| slot_hash(entries.entry_at(*at).0)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let at = entries.items().len();
                entries.push(group, key, &[0; N]);
                place.insert(at);
                at
            }
        };
        let value = entries.entry_at(at).1;
        entries.items[value].first_chunk_mut().expect("a value has N bytes")
    }

    /// A copy of everything, in the order in which keys were first seen.
    pub fn snapshot(&self) -> KeyedSnapshot {
        self.entries.clone()
    }
}

/// The hash that finds a key's slot. The keys of one subtask share the low bits of theirs, which
/// chose the key group, and a table goes by the low bits.
fn slot_hash(key: &[u8]) -> u64 {
    xxh3_64(key).rotate_left(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(table: &mut KeyedTable<8>, key: &str) -> u64 {
        let value = table.value_mut(KeyGroup(7), key.as_bytes());
        let count = u64::from_le_bytes(*value) + 1;
        *value = count.to_le_bytes();
        count
    }

    #[test]
    fn values_stay_with_their_keys_while_the_table_grows() {
        let mut table = KeyedTable::default();
        let keys: Vec<_> = (0..5_000).map(|n| "k".repeat(n % 300) + &n.to_string()).collect();
        for round in 1..=3 {
            for key in &keys {
                assert_eq!(count(&mut table, key), round, "{key}");
            }
        }
        let snapshot = table.snapshot();
        assert_eq!(snapshot.len(), keys.len());
        let written: Vec<_> = snapshot.iter().collect();
        let expected: Vec<_> =
            keys.iter().map(|k| (KeyGroup(7), k.as_bytes(), 3_u64.to_le_bytes())).collect();
        let expected: Vec<_> = expected.iter().map(|(g, k, v)| (*g, *k, v.as_slice())).collect();
        assert_eq!(written, expected, "in the order in which they came");
    }

    #[test]
    fn what_is_no_list_of_entries_is_not_read() {
        let mut table = KeyedTable::<8>::default();
        table.value_mut(KeyGroup(1), b"a");
        table.value_mut(KeyGroup(2), b"");
        let whole = table.snapshot();
        let items = whole.items().to_vec();
        assert_eq!(KeyedSnapshot::read(items.clone(), 2), Some(whole));
        for entries in [0, 1, 3, usize::MAX] {
            assert_eq!(KeyedSnapshot::read(items.clone(), entries), None, "{entries} entries");
        }
        for bytes in 0..items.len() {
            assert_eq!(KeyedSnapshot::read(items[..bytes].to_vec(), 2), None, "{bytes} bytes");
        }
        // The lengths of the first entry and of its key.
        for at in [0, 6] {
            let mut damaged = items.clone();
            damaged[at..at + 4].fill(0xff);
            assert_eq!(KeyedSnapshot::read(damaged, 2), None, "at {at}");
        }
    }

    #[test]
    fn a_snapshot_keeps_what_it_holds() {
        let mut table = KeyedTable::default();
        count(&mut table, "");
        let snapshot = table.snapshot();
        count(&mut table, "");
        count(&mut table, "later");
        let held: Vec<_> = snapshot.iter().collect();
        assert_eq!(held, [(KeyGroup(7), b"".as_slice(), 1_u64.to_le_bytes().as_slice())]);
    }
}
