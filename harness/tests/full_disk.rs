//! A disk that fills up under a run: a clear error with the folder and the remedy, in time, and
//! nothing left behind but what was written.
//!
//! A small tmpfs is mounted for it, which takes root. Without, these tests say so and pass,
//! unless `STORMPROOF_REQUIRE_SERVICES=1`.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{engines_of, needs, said, stormproof};

/// A tmpfs on a folder of its own; unmounted when dropped.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` when this user must not mount.
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let option = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &option, "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { folder });
        }
        let why = "it takes root (and the right to mount) to make a small disk";
        needs::has("a full disk", needs::SERVICES, false, why);
        None
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Runs on a disk that is too small; expects an error that names the folder and the remedy.
fn fills_up(disk: &SmallDisk, extra: &[&str]) {
    let begun = Instant::now();
    let load = ["run", "--quiet", "--parallelism", "50", "--records", "400000", "--duration", "8"];
    let output =
        stormproof(&[&load, &["--seed", "3", "--out", "out"][..], extra].concat(), disk.path());
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(100), "{:?}", begun.elapsed());
    assert!(said.contains("No space left") || said.contains("full"), "{said}");
    assert!(said.contains("make room") || said.contains("free space"), "no remedy: {said}");
    assert!(said.contains("out"), "no folder: {said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(engines_of(disk.path()).is_empty());
}

#[test]
fn a_disk_that_fills_up_is_named_with_the_remedy() {
    for size in ["300k", "4m", "20m"] {
        let Some(disk) = SmallDisk::mount(size) else { return };
        fills_up(&disk, &[]);
    }
}

#[test]
fn so_is_one_that_holds_only_the_checkpoints() {
    let Some(url) = needs::mysql("a full disk of checkpoints") else { return };
    let Some(disk) = SmallDisk::mount("1m") else { return };
    fills_up(&disk, &["--database", &url]);
}
