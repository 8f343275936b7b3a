//! Checkpoint storage: the local disk and the simulated one.

use std::sync::Arc;

use bytes::Bytes;
use stormproof_chaos::sim::{Disturbance, SimServices};
use stormproof_engine::error::Result;
use stormproof_engine::seam::{ObjectStorage, SnapshotStorage, Ticket};

use super::{runtime, wait};

/// A storage and how to wait for its answers.
trait Subject {
    fn storage(&self) -> Arc<dyn SnapshotStorage>;
    fn done(&self, ticket: Ticket<Result<()>>);
    fn created(&self, ticket: Ticket<Result<bool>>) -> bool;
}

struct Disk {
    storage: Arc<ObjectStorage>,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
        let storage = ObjectStorage::folder(folder.path(), runtime.handle().clone());
        let storage = Arc::new(storage.expect("a storage"));
        Self { storage, _runtime: runtime, _folder: folder }
    }
}

impl Subject for Disk {
    fn storage(&self) -> Arc<dyn SnapshotStorage> {
        Arc::clone(&self.storage) as _
    }

    fn done(&self, ticket: Ticket<Result<()>>) {
        wait(&ticket).expect("the storage works");
    }

    fn created(&self, ticket: Ticket<Result<bool>>) -> bool {
        wait(&ticket).expect("the storage works")
    }
}

impl Subject for SimServices {
    fn storage(&self) -> Arc<dyn SnapshotStorage> {
        self.storage()
    }

    fn done(&self, ticket: Ticket<Result<()>>) {
        self.wait(&ticket).expect("it answers").expect("the storage works");
    }

    fn created(&self, ticket: Ticket<Result<bool>>) -> bool {
        self.wait(&ticket).expect("it answers").expect("the storage works")
    }
}

fn both(check: impl Fn(&dyn Subject)) {
    check(&Disk::new());
    for seed in 0..20 {
        check(&SimServices::new(seed, Vec::new()));
    }
}

#[test]
fn what_was_put_is_read_whole_and_listed() {
    both(|subject| {
        let storage = subject.storage();
        for (path, bytes) in [("chk-1/a", 0), ("chk-1/b", 1), ("chk-2/a", 100_000)] {
            subject.done(storage.put(path, Bytes::from(vec![7; bytes])));
            let read = storage.read(path).expect("it can be read").expect("it is there");
            assert_eq!(read, vec![7; bytes]);
        }
        subject.done(storage.put("chk-1/a", Bytes::from_static(b"newer")));
        assert_eq!(storage.read("chk-1/a").unwrap().unwrap(), "newer");
        assert_eq!(storage.list("").unwrap(), ["chk-1/a", "chk-1/b", "chk-2/a"]);
        assert_eq!(storage.read("chk-3/a").unwrap(), None, "a missing object is no error");
    });
}

#[test]
fn a_prefix_is_a_folder_and_not_the_beginning_of_a_name() {
    both(|subject| {
        let storage = subject.storage();
        for path in ["chk-1/a", "chk-10/a", "attempts/x"] {
            subject.done(storage.put(path, Bytes::from_static(b"x")));
        }
        assert_eq!(storage.list("chk-1").unwrap(), ["chk-1/a"]);
        assert_eq!(storage.list("attempts").unwrap(), ["attempts/x"]);
        assert_eq!(storage.list("nothing").unwrap(), [""; 0]);
    });
}

#[test]
fn of_two_that_create_an_object_one_wins_and_its_content_stays() {
    both(|subject| {
        let storage = subject.storage();
        let one = storage.put_new("m/manifest", Bytes::from_static(b"one"));
        let two = storage.put_new("m/manifest", Bytes::from_static(b"two"));
        let (one, two) = (subject.created(one), subject.created(two));
        assert!(one != two, "one creates it, the other is told that it exists");
        let content = if one { "one" } else { "two" };
        assert_eq!(storage.read("m/manifest").unwrap().unwrap(), content);
        assert!(!subject.created(storage.put_new("m/manifest", Bytes::from_static(b"three"))));
        assert_eq!(storage.read("m/manifest").unwrap().unwrap(), content);
    });
}

#[test]
fn a_deleted_object_is_gone_and_can_be_created_again() {
    both(|subject| {
        let storage = subject.storage();
        subject.done(storage.put("m/a", Bytes::from_static(b"x")));
        subject.done(storage.delete(vec!["m/a".to_owned()]));
        subject.done(storage.delete(vec!["m/a".to_owned()]));
        assert_eq!(storage.read("m/a").unwrap(), None);
        assert_eq!(storage.list("m").unwrap(), [""; 0]);
        assert!(subject.created(storage.put_new("m/a", Bytes::from_static(b"y"))));
    });
}

#[test]
fn objects_are_deleted_together_with_missing_ones_between_them() {
    both(|subject| {
        let storage = subject.storage();
        for path in ["m/a", "m/b", "m/c"] {
            subject.done(storage.put(path, Bytes::from_static(b"x")));
        }
        subject.done(storage.delete(["m/b", "m/none", "m/a"].map(str::to_owned).to_vec()));
        assert_eq!(storage.list("m").unwrap(), ["m/c"]);
        subject.done(storage.delete(Vec::new()));
    });
}

#[test]
fn a_deletion_that_is_refused_is_told_and_takes_nothing_away() {
    let services = SimServices::new(1, Vec::new());
    let storage = services.storage();
    for path in ["m/a", "m/b"] {
        services.wait(&storage.put(path, Bytes::from_static(b"x"))).expect("it answers").unwrap();
    }
    services.disturb(Disturbance::StoreWriteFails, true);
    let refused = storage.delete(vec!["m/b".to_owned(), "m/a".to_owned()]);
    services.wait(&refused).expect("it answers").expect_err("it fails");
    assert_eq!(storage.list("m").unwrap(), ["m/a", "m/b"]);
}

#[test]
fn the_disk_deletes_in_order_up_to_the_first_that_stays() {
    let disk = Disk::new();
    let storage = disk.storage();
    for path in ["m/first", "m/stays/x", "m/last"] {
        disk.done(storage.put(path, Bytes::from_static(b"x")));
    }
    // A folder cannot be deleted as an object can.
    let deleted = storage.delete(["m/first", "m/stays", "m/last"].map(str::to_owned).to_vec());
    let refused = wait(&deleted).expect_err("a folder is no object").to_string();
    assert!(refused.contains("m/stays"), "the error names what stays: {refused}");
    assert_eq!(storage.list("m").unwrap(), ["m/last", "m/stays/x"]);
}

#[test]
fn a_failed_write_leaves_nothing_and_one_in_doubt_leaves_all_of_it() {
    let services = SimServices::new(1, Vec::new());
    let storage = services.storage();
    services.disturb(Disturbance::StoreWriteFails, true);
    let failed = storage.put_new("m/a", Bytes::from_static(b"x"));
    services.wait(&failed).expect("it answers").expect_err("it fails");
    services.disturb(Disturbance::StoreWriteFails, false);
    assert_eq!(storage.read("m/a").unwrap(), None);
    services.disturb(Disturbance::StoreWriteInDoubt, true);
    let in_doubt = storage.put_new("m/a", Bytes::from_static(b"x"));
    services.wait(&in_doubt).expect("it answers").expect_err("nobody knows");
    assert_eq!(storage.read("m/a").unwrap().unwrap(), "x");
}

#[test]
fn the_disk_forgets_what_a_killed_process_had_not_renamed() {
    let folder = tempfile::tempdir().expect("a folder");
    let files =
        ["chk-1/whole.state", "chk-1/half.state#1", "chk-2/half.state#12", "chk-3/odd#name"];
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(path, b"x").expect("written");
    }
    let runtime = runtime();
    ObjectStorage::folder(folder.path(), runtime.handle().clone()).expect("a storage");
    let is_left = files.map(|file| folder.path().join(file).exists());
    assert_eq!(is_left, [true, false, false, true]);
    assert!(!folder.path().join("chk-2").exists(), "nothing else was in it");
}
