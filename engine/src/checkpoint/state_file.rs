//! The state file: everything the subtasks of one worker know at a checkpoint.
//!
//! One file for each worker and checkpoint; thousands of tiny files are a known disease at this
//! parallelism. Layout: docs/formats.md. Invariant: a file that reads back is whole (checksum).

use bytes::{BufMut, Bytes, BytesMut};

use crate::api::{KeyedSnapshot, ListKind, StateSnapshot};
use crate::ids::{SubtaskIndex, VertexId};
use crate::mutants;
use crate::record::Record;

const MAGIC: &[u8; 8] = b"SPSTATE2";
const LIST_EVEN_SPLIT: u8 = 1;
const LIST_UNION: u8 = 2;
const KEYED: u8 = 3;
const CHANNEL: u8 = 4;

/// One section, as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Section {
    /// A list state.
    List {
        /// Owner.
        vertex: VertexId,
        /// Owner.
        subtask: SubtaskIndex,
        /// The state's name.
        name: String,
        /// How it is redistributed.
        is_union: bool,
        /// The elements.
        items: Vec<Bytes>,
    },
    /// A keyed state.
    Keyed {
        /// Owner.
        vertex: VertexId,
        /// The state's name.
        name: String,
        /// The entries.
        entries: KeyedSnapshot,
    },
    /// In-flight records into a vertex.
    Channel {
        /// The downstream vertex.
        vertex: VertexId,
        /// The records.
        records: Vec<Record>,
    },
}

/// Writes a state file.
#[derive(Debug)]
pub struct StateFileWriter {
    buffer: BytesMut,
}

impl Default for StateFileWriter {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl StateFileWriter {
    /// Has room for about so many bytes of state; grows if there are more.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut buffer = BytesMut::with_capacity(bytes + 64 * 1024);
        buffer.put_slice(MAGIC);
        Self { buffer }
    }

    /// Adds what one subtask wrote. Empty states are left out.
    pub fn put(&mut self, vertex: VertexId, subtask: SubtaskIndex, state: &StateSnapshot) {
        for (name, kind, items) in &state.lists {
            let kind = match kind {
                ListKind::EvenSplit => LIST_EVEN_SPLIT,
                ListKind::Union => LIST_UNION,
            };
            self.section(kind, vertex, subtask, name, items.len(), |body| {
                for item in items {
                    put_item(body, item);
                }
            });
        }
        for (name, keyed) in &state.keyed {
            self.section(KEYED, vertex, subtask, name, keyed.len(), |body| {
                body.put_slice(keyed.items());
            });
        }
    }

    /// Adds the in-flight records into a vertex.
    pub fn put_channel(
        &mut self,
        vertex: VertexId,
        first_subtask: SubtaskIndex,
        upstream: &str,
        records: &[Record],
    ) {
        self.section(CHANNEL, vertex, first_subtask, upstream, records.len(), |body| {
            for record in records {
                put_item(body, record.frame());
            }
        });
    }

    fn section(
        &mut self,
        kind: u8,
        vertex: VertexId,
        subtask: SubtaskIndex,
        name: &str,
        items: usize,
        write_body: impl FnOnce(&mut BytesMut),
    ) {
        if items == 0 {
            return;
        }
        assert!(name.len() <= 255, "state names are short");
        self.buffer.put_u8(kind);
        self.buffer.put_u16_le(vertex.0);
        self.buffer.put_u16_le(subtask.0);
        self.buffer.put_u8(name.len() as u8);
        self.buffer.put_slice(name.as_bytes());
        self.buffer.put_u32_le(items as u32);
        let length_at = self.buffer.len();
        self.buffer.put_u64_le(0);
        write_body(&mut self.buffer);
        let body_len = (self.buffer.len() - length_at - 8) as u64;
        self.buffer[length_at..length_at + 8].copy_from_slice(&body_len.to_le_bytes());
    }

    /// The whole file and its checksum.
    pub fn finish(mut self) -> (Bytes, u32) {
        let crc32 = crc32fast::hash(&self.buffer);
        self.buffer.put_u32_le(crc32);
        (self.buffer.freeze(), crc32)
    }
}

fn put_item(body: &mut BytesMut, item: &[u8]) {
    body.put_u32_le(item.len() as u32);
    body.put_slice(item);
}

/// Reads a state file.
///
/// # Errors
/// Says in words what is wrong with it.
pub fn read_state_file(file: &Bytes, crc32: u32) -> Result<Vec<Section>, String> {
    if file.len() < MAGIC.len() + 4 || &file[..8] != MAGIC {
        return Err("it is cut off or not a state file".to_owned());
    }
    let (content, trailer) = file.split_at(file.len() - 4);
    let written = u32::from_le_bytes(trailer.try_into().expect("four bytes"));
    let is_whole = written == crc32 && crc32fast::hash(content) == crc32;
    if !is_whole && !mutants::is_active(mutants::STATE_CHECKSUM_UNREAD) {
        return Err("its checksum does not match".to_owned());
    }
    let mut reader = Reader { file, at: MAGIC.len(), end: content.len() };
    let mut sections = Vec::new();
    while reader.at < reader.end {
        sections.push(reader.section()?);
    }
    Ok(sections)
}

struct Reader<'a> {
    file: &'a Bytes,
    at: usize,
    end: usize,
}

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Result<Bytes, String> {
        let after = self.at.checked_add(len).filter(|after| *after <= self.end);
        let after =
            after.ok_or_else(|| format!("it ends inside a section, at byte {}", self.at))?;
        let bytes = self.file.slice(self.at..after);
        self.at = after;
        Ok(bytes)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.as_ref().try_into().expect("take gives N bytes"))
    }

    fn section(&mut self) -> Result<Section, String> {
        let [kind] = self.number()?;
        let vertex = VertexId(u16::from_le_bytes(self.number()?));
        let subtask = SubtaskIndex(u16::from_le_bytes(self.number()?));
        let [name_len] = self.number()?;
        let name = self.take(name_len as usize)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| "a state name is not text")?;
        let count = u32::from_le_bytes(self.number()?);
        let body_len = u64::from_le_bytes(self.number()?);
        if kind == KEYED {
            let body = self.take(body_len as usize)?.to_vec();
            let entries = KeyedSnapshot::read(body, count as usize);
            let entries = entries.ok_or("a keyed entry is cut off")?;
            return Ok(Section::Keyed { vertex, name, entries });
        }
        let items = self.items(count as usize)?;
        match kind {
            LIST_EVEN_SPLIT | LIST_UNION => {
                Ok(Section::List { vertex, subtask, name, is_union: kind == LIST_UNION, items })
            }
            CHANNEL => {
                let records: Option<Vec<_>> = items.into_iter().map(Record::from_state).collect();
                let records = records.ok_or("a record in channel state is cut off")?;
                Ok(Section::Channel { vertex, records })
            }
            other => Err(format!("it has a section of unknown kind {other}")),
        }
    }

    fn items(&mut self, count: usize) -> Result<Vec<Bytes>, String> {
        let mut items = Vec::with_capacity(count.min(self.end - self.at));
        for _ in 0..count {
            let len = u32::from_le_bytes(self.number()?);
            items.push(self.take(len as usize)?);
        }
        Ok(items)
    }
}
