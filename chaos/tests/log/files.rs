//! The log on files.

use std::io;

use stormproof_chaos::log::{FileStorage, Isolation, Log, LogConfig, Storage as _, TopicSettings};

use crate::support::Batch;

#[test]
fn what_was_written_is_there_again_and_a_torn_tail_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Log::open(FileStorage::open(folder.path()).unwrap(), LogConfig::default());
    let (mut log, _) = open().unwrap();
    log.create_topic("t", 1, TopicSettings::default()).unwrap();
    let at = log.find("t", 0).unwrap();
    log.append(at, &Batch::of(&["a"]).bytes(), 0).unwrap();
    drop(log);
    let file = folder.path().join("00000001.log");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(&[77; 5]);
    std::fs::write(&file, &bytes).unwrap();
    let (mut log, recovery) = open().unwrap();
    assert_eq!((recovery.batches, recovery.torn_bytes), (1, 5));
    assert_eq!(log.append(at, &Batch::of(&["b"]).bytes(), 0).unwrap().base_offset, 1);
    let found = log.read(at, 0, 1_000, true, Isolation::ReadUncommitted).unwrap();
    let mut read = Vec::new();
    log.load(&found, &mut read).unwrap();
    assert_eq!(read.len(), found.bytes);
}

#[test]
fn a_folder_has_one_user() {
    let folder = tempfile::tempdir().unwrap();
    let first = FileStorage::open(folder.path()).unwrap();
    let second = FileStorage::open(folder.path()).err().map(|error| error.kind());
    assert_eq!(second, Some(io::ErrorKind::ResourceBusy));
    drop(first);
    assert!(FileStorage::open(folder.path()).unwrap().segments().unwrap().is_empty());
}
