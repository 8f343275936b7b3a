//! Writes a history to disk as docs/formats.md says, byte by byte, without the oracle's help.

use std::path::Path;

use rusqlite::{Connection, params};
use stormproof_harness::oracle::checkpoint_reader::{CheckpointState, Frame, Manifest, Place};
use stormproof_harness::oracle::evidence::MemoryAudit;

use super::History;

/// Writes one state file per checkpoint and its manifest.
pub(crate) fn write_checkpoints(history: &History, root: &Path) {
    for (id, checkpoint) in &history.checkpoints.checkpoints {
        let folder = root.join(format!("chk-{:08}", id.0));
        std::fs::create_dir_all(&folder).expect("a folder");
        let Ok((manifest, state)) = checkpoint else {
            std::fs::write(folder.join("manifest.json"), "{\"format\":1,").expect("a torn one");
            continue;
        };
        let name = format!("a{}-worker-0.state", manifest.attempt.0);
        let bytes = state_file(state);
        std::fs::write(folder.join(&name), &bytes).expect("a state file");
        let path = format!("chk-{:08}/{name}", id.0);
        std::fs::write(folder.join("manifest.json"), manifest_text(manifest, &path, &bytes))
            .expect("a manifest");
    }
}

fn manifest_text(manifest: &Manifest, path: &str, bytes: &[u8]) -> String {
    let crc = u32::from_le_bytes(bytes[bytes.len() - 4..].try_into().expect("four bytes"));
    let vertices: Vec<String> = manifest
        .vertices
        .iter()
        .map(|v| {
            format!(
                r#"{{"id":{},"name":"{}","parallelism":{},"max_parallelism":{}}}"#,
                v.id, v.name, v.parallelism, v.max_parallelism
            )
        })
        .collect();
    let mode = serde_json::to_string(&manifest.mode).expect("a mode");
    let line = format!(
        concat!(
            r#"{{"format":1,"job":"storm","checkpoint":{},"attempt":{},"mode":{},"#,
            r#""kind":"checkpoint","vertices":[{}],"subtasks_expected":{},"#,
            r#""subtasks_acknowledged":{},"files":[{{"path":"{}","bytes":{},"crc32":{},"#,
            r#""worker":0}}],"triggered_us":{},"completed_us":{}}}"#
        ),
        manifest.checkpoint.0,
        manifest.attempt.0,
        mode,
        vertices.join(","),
        manifest.subtasks_expected,
        manifest.subtasks_acknowledged,
        path,
        bytes.len(),
        crc,
        manifest.triggered_us,
        manifest.completed_us
    );
    format!("{line}\ncrc32:{:08x}\n", crc32fast::hash(line.as_bytes()))
}

fn state_file(state: &CheckpointState) -> Vec<u8> {
    let mut out = b"SPSTATE2".to_vec();
    for split in &state.splits {
        let mut item = split.partition.0.to_le_bytes().to_vec();
        item.extend(split.next_offset.0.to_le_bytes());
        section(&mut out, (1, 0, split.subtask), "splits", &[item]);
    }
    section(&mut out, (2, 0, 0), "something-else", &[vec![1, 2, 3]]);
    for frame in &state.frames {
        match frame.place {
            Place::Buffer { subtask } => {
                let item = frame_bytes(frame, 0, subtask);
                section(&mut out, (1, 1, subtask), "buffer", &[item]);
            }
            Place::Held { vertex, subtask } => {
                let item = frame_bytes(frame, 0, subtask);
                section(&mut out, (1, vertex, subtask), "held", &[item]);
            }
            Place::Channel { source, target, vertex } => {
                let item = frame_bytes(frame, source, target);
                section(&mut out, (4, vertex, 0), "source", &[item]);
            }
        }
    }
    let entry = |n: u64| {
        let mut item = 7u16.to_le_bytes().to_vec();
        item.extend(8u32.to_le_bytes());
        item.extend(n.to_le_bytes());
        item
    };
    let entries: Vec<Vec<u8>> = (0..state.keyed_entries).map(entry).collect();
    section(&mut out, (3, 1, 0), "count", &entries);
    let crc = crc32fast::hash(&out);
    out.extend(crc.to_le_bytes());
    out
}

fn section(out: &mut Vec<u8>, at: (u8, u16, u16), name: &str, items: &[Vec<u8>]) {
    out.push(at.0);
    out.extend(at.1.to_le_bytes());
    out.extend(at.2.to_le_bytes());
    out.push(name.len() as u8);
    out.extend(name.as_bytes());
    out.extend((items.len() as u32).to_le_bytes());
    let body: usize = items.iter().map(|item| 4 + item.len()).sum();
    out.extend((body as u64).to_le_bytes());
    for item in items {
        out.extend((item.len() as u32).to_le_bytes());
        out.extend(item);
    }
}

/// A frame in either form; in the wide one, which holds everything, when the offset is odd.
fn frame_bytes(frame: &Frame, source: u16, target: u16) -> Vec<u8> {
    let (key, value) = (b"some key", b"some value");
    let is_wide = frame.index != 0 || frame.offset.0 % 2 == 1;
    let len = key.len() + value.len() + if is_wide { 44 } else { 24 };
    let mut out = if is_wide { vec![4, 0, 0, 0] } else { vec![0, 8, len as u8, 0] };
    out.extend(source.to_le_bytes());
    out.extend(target.to_le_bytes());
    let event_time_us = 1_700_000_000_000_000_i64;
    if is_wide {
        out.extend((len as u32).to_le_bytes());
        out.extend((key.len() as u32).to_le_bytes());
        out.extend(frame.partition.0.to_le_bytes());
        out.extend(frame.index.to_le_bytes());
        out.extend(frame.source_attempt.0.to_le_bytes());
        out.extend(frame.offset.0.to_le_bytes());
        out.extend(event_time_us.to_le_bytes());
    } else {
        out.extend((frame.partition.0 as u16).to_le_bytes());
        out.extend(&frame.offset.0.to_le_bytes()[..6]);
        out.push(frame.source_attempt.0 as u8);
        out.extend(&event_time_us.to_le_bytes()[..7]);
    }
    out.extend(key);
    out.extend(value);
    out
}

/// Writes the tables into a new SQLite file.
pub(crate) fn write_tables(audit: &MemoryAudit, path: &Path) {
    let mut connection = Connection::open(path).expect("a database");
    connection
        .execute_batch(
            "CREATE TABLE storm_audit (seq INTEGER PRIMARY KEY AUTOINCREMENT,
                 partition_id INTEGER, record_offset INTEGER, record_index INTEGER,
                 source_attempt INTEGER, sink_attempt INTEGER, subtask INTEGER,
                 checkpoint INTEGER, batch INTEGER, batch_try INTEGER, sent_us INTEGER);
             CREATE TABLE storm_results (key_hash BLOB PRIMARY KEY, record_key BLOB,
                 record_value BLOB, version INTEGER, record_count INTEGER);
             CREATE TABLE storm_fence (attempt INTEGER PRIMARY KEY, restored INTEGER,
                 after_seq INTEGER);
             CREATE TABLE storm_owner (id INTEGER PRIMARY KEY, attempt INTEGER);",
        )
        .expect("tables");
    let transaction = connection.transaction().expect("a transaction");
    for e in &audit.effects {
        let sql = "INSERT INTO storm_audit VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)";
        let row = params![
            e.seq as i64,
            e.partition.0,
            e.offset.0 as i64,
            e.index,
            e.source_attempt.0,
            e.sink_attempt.0,
            e.subtask,
            e.tag.0 as i64,
            e.batch as i64,
            e.batch_try,
            e.sent_us
        ];
        transaction.prepare_cached(sql).and_then(|mut s| s.execute(row)).expect("a row");
    }
    for fence in &audit.fences {
        let after = (fence.after_seq > 0).then_some(fence.after_seq as i64);
        let row = params![fence.attempt.0, fence.restored.0 as i64, after];
        transaction.execute("INSERT INTO storm_fence VALUES (?1,?2,?3)", row).expect("a row");
    }
    for result in &audit.results {
        let row = params![
            result.key_hash.to_be_bytes(),
            result.key,
            result.value,
            result.version as i64,
            result.record_count as i64
        ];
        let sql = "INSERT INTO storm_results VALUES (?1,?2,?3,?4,?5)";
        transaction.execute(sql, row).expect("a row");
    }
    transaction.commit().expect("a commit");
}
