use std::collections::BTreeSet;

use super::super::evidence::{Fence, MemoryAudit, StoredResult};
use super::super::ids::{AttemptId, BatchId, CheckpointId};
use super::super::sqlite::SqliteAudit;
use super::*;
use crate::workload::ledger::{Offset, PartitionId};

fn tables() -> MemoryAudit {
    let effect = |seq: u64| Effect {
        seq,
        partition: PartitionId(7),
        offset: Offset(1 << 40),
        index: 1,
        source_attempt: AttemptId(1),
        sink_attempt: AttemptId(2),
        subtask: 1_999,
        tag: CheckpointId(3),
        batch: seq / 2,
        batch_try: u32::from(seq == 4),
        sent_us: -5,
    };
    let result = |key: &str, value: Option<&str>| StoredResult {
        key_hash: u128::MAX - key.len() as u128,
        key: key.as_bytes().to_vec(),
        value: value.map(|value| value.as_bytes().to_vec()),
        version: 9 << 16,
        record_count: 2,
    };
    let fence = Fence { attempt: AttemptId(2), restored: CheckpointId(3), after_seq: 2 };
    MemoryAudit {
        effects: [1, 2, 4].map(effect).to_vec(),
        fences: vec![fence],
        results: vec![result("a", Some("value")), result("bb", None)],
    }
}

#[test]
fn the_copy_says_what_the_source_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tables.sqlite");
    let mut source = tables();
    assert_eq!(copy_tables(&mut source, &file, "storm").unwrap(), 6);
    let mut copy = SqliteAudit::open(&file, "storm").unwrap();
    let mut effects = Vec::new();
    copy.effects(&mut |effect| effects.push(*effect)).unwrap();
    assert_eq!(effects, source.effects);
    assert_eq!(copy.fences().unwrap(), source.fences);
    let retried = BTreeSet::from([BatchId { attempt: AttemptId(2), number: 2 }]);
    assert_eq!(copy.retried_batches().unwrap(), retried);
    let mut results = Vec::new();
    copy.results(&mut |row| {
        results.push((row.key_hash, row.key.to_vec(), row.value.map(<[u8]>::to_vec), row.version));
    })
    .unwrap();
    let expected: Vec<_> = source
        .results
        .iter()
        .map(|row| (row.key_hash, row.key.clone(), row.value.clone(), row.version))
        .collect();
    assert_eq!(results, expected);
}

#[test]
fn a_copy_that_fails_leaves_no_half_of_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tables.sqlite");
    let mut source = tables();
    // The same sequence number twice: the copy's primary key refuses it.
    source.effects[2].seq = 1;
    let error = copy_tables(&mut source, &file, "storm").unwrap_err();
    assert!(error.to_string().contains("tables.sqlite"), "{error}");
    assert!(!file.exists());
}
