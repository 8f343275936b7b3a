//! The folder of a run: made once, never shared, never overwritten.
//!
//! Invariant: every file that a run writes is in here.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::clock::Utc;
use crate::error::{Result, folder};
use crate::oracle::CheckpointId;
use crate::oracle::checkpoint_reader::{Manifest, ManifestFile};

/// Where runs go unless told otherwise.
const RUNS: &str = "stormproof-runs";

/// What makes a checkpoint complete.
const MANIFEST: &str = "manifest.json";

/// What to do when a folder takes no more.
pub(super) const MAKE_ROOM: &str = "make room on that disk, or choose another place with --out";

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

/// What the names of services' logs, and of those of programs that prepare them, begin with.
const SERVICES: [&str; 3] = ["broker", "controller", "database"];

/// Whether it is the log of a service.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_service = |service: &str| name.starts_with(service);
    path.is_file() && name.ends_with(".log") && SERVICES.into_iter().any(is_service)
}

macro_rules! files {
    ($($(#[$doc:meta])* $name:ident = $file:literal,)*) => {
        impl RunFolder {
            $($(#[$doc])* pub fn $name(&self) -> PathBuf { self.path.join($file) })*
        }
    };
}

files! {
    /// The versioned result.
    result = "result.json",
    /// The page for people.
    report = "report.html",
    /// The effective scenario.
    scenario = "scenario.toml",
    /// The effective schedule.
    schedule = "schedule.json",
    /// What happened, line by line.
    events = "events.jsonl",
    /// Latency histograms over the run, in the HdrHistogram log format.
    latency = "latency.hlog",
    /// The input, read back from the topic.
    ledger = "ledger.bin",
    /// The tables of a database that went with the run.
    tables = "tables.sqlite",
    /// What the engine process wrote to stderr.
    engine_log = "engine.log",
    /// What the engine process is started with.
    engine_spec = "engine-spec.json",
    /// The checkpoints.
    checkpoints = "checkpoints",
    /// Those that were restored, kept from retention.
    restored = "restored",
    /// The circumstances of the run, for a second judgement.
    conditions = "conditions.json",
    /// All that is needed to run a failure again.
    failure = "FAILURE.json",
}

impl RunFolder {
    /// Makes the folder: `given`, or one named after the time and the seed.
    ///
    /// # Errors
    /// When it cannot be written, or holds something already, but for the logs of a run that did not
    /// begin: those are taken away.
    pub fn create(given: Option<&Path>, started: Utc, seed: u64) -> Result<Self> {
        let path = match given {
            Some(path) => path.to_owned(),
            None => unused(&Path::new(RUNS).join(format!("{}-{seed}", started.compact()))),
        };
        let shown = path.display().to_string();
        let refuse = |error: &std::io::Error| {
            folder(format!("the run's folder cannot be written: {error}"))
                .at(shown.clone())
                .remedy("choose a folder that can be written, with --out")
        };
        fs::create_dir_all(&path).map_err(|e| refuse(&e))?;
        let held: Vec<_> = fs::read_dir(&path).map_err(|e| refuse(&e))?.flatten().collect();
        if held.iter().all(|entry| is_log(&entry.path())) {
            for log in &held {
                fs::remove_file(log.path()).map_err(|e| refuse(&e))?;
            }
        } else {
            return Err(folder("the run's folder holds something already")
                .at(shown)
                .remedy("choose a new folder with --out: a run never overwrites another"));
        }
        let probe = path.join(".writable");
        fs::write(&probe, b"ok").and_then(|()| fs::remove_file(&probe)).map_err(|e| refuse(&e))?;
        Ok(Self { path })
    }

    /// The folder of a run that has been.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self { path: path.to_owned() });
        }
        Err(folder("there is no such folder")
            .at(path.display().to_string())
            .remedy("give the folder of a run (its --out, or one in stormproof-runs/)"))
    }

    /// Takes the folder of a run that did not begin away again, but for the logs in it: they tell
    /// why.
    pub(super) fn discard(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let path = entry.path();
            let _ = match is_log(&path) {
                true => Ok(()),
                false if path.is_dir() => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
        }
        // Only if there are no logs.
        let _ = fs::remove_dir(&self.path);
        if let Some(parent) = self.path.parent().filter(|parent| parent.ends_with(RUNS)) {
            // Only if no other run is in there.
            let _ = fs::remove_dir(parent);
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a checkpoint that was restored from retention, which may delete it before it is judged:
    /// its files get a second name, nothing is copied. What is gone already stays gone, and the
    /// oracle says what it could not judge without it.
    ///
    /// A copy has its manifest only when all is there that the manifest names.
    pub(super) fn keep_restored(&self, checkpoint: u64) {
        let name = format!("chk-{checkpoint:08}");
        let (from, to) = (self.checkpoints().join(&name), self.restored().join(&name));
        let Ok(files) = fs::read_dir(&from) else { return };
        if fs::create_dir_all(&to).is_ok() {
            let link = |name: &OsStr| fs::hard_link(from.join(name), to.join(name));
            for file in files.flatten().filter(|file| file.file_name() != MANIFEST) {
                let _ = link(&file.file_name());
            }
            let manifest = fs::read(from.join(MANIFEST)).ok();
            let manifest =
                manifest.and_then(|text| Manifest::parse(&text, CheckpointId(checkpoint)).ok());
            let is_linked = |file: &ManifestFile| self.restored().join(&file.path).exists();
            if manifest.is_some_and(|manifest| manifest.files.iter().all(is_linked)) {
                let _ = link(MANIFEST.as_ref());
            }
        }
    }

    /// Writes a file of this folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &Path, content: impl AsRef<[u8]>) -> Result<()> {
        fs::write(file, content).map_err(|error| cannot_write(file, &error))
    }

    /// Writes a new file of this folder that nobody else may read: it holds a password, and stays
    /// when this program is killed.
    ///
    /// # Errors
    /// When it cannot be written, or is there already.
    pub(super) fn write_private(&self, file: &Path, content: impl AsRef<[u8]>) -> Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        opened
            .and_then(|mut opened| opened.write_all(content.as_ref()))
            .map_err(|error| cannot_write(file, &error))
    }
}

/// A file that cannot be written.
pub(crate) fn cannot_write(
    file: &Path,
    error: &dyn std::fmt::Display,
) -> crate::error::HarnessError {
    folder(format!("cannot write: {error}")).at(file.display().to_string()).remedy(MAKE_ROOM)
}

fn unused(wanted: &Path) -> PathBuf {
    let numbered = |n: u32| match n {
        1 => wanted.to_owned(),
        n => PathBuf::from(format!("{}-{n}", wanted.display())),
    };
    (1..).map(numbered).find(|path| !path.exists()).expect("numbers do not run out")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_run_never_overwrites_another() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("new/run");
        let run = RunFolder::create(Some(&out), Utc::from_unix_s(0), 1).unwrap();
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
        run.write(&run.result(), "{}").unwrap();
        let error = RunFolder::create(Some(&out), Utc::from_unix_s(0), 1).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Folder);
        assert!(error.remedy.unwrap().contains("--out"));
    }

    #[test]
    fn of_a_run_that_did_not_begin_only_logs_stay() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("run");
        let run = RunFolder::create(Some(&out), Utc::from_unix_s(0), 1).unwrap();
        run.write(&run.schedule(), "{}").unwrap();
        fs::create_dir(run.checkpoints()).unwrap();
        let log = out.join("broker.log");
        run.write(&log, "it did not come up").unwrap();
        run.discard();
        assert!(log.is_file() && !run.schedule().exists() && !run.checkpoints().exists());
        fs::remove_file(&log).unwrap();
        run.discard();
        assert!(!out.exists());
    }

    #[test]
    fn what_holds_a_password_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::open(folder.path()).unwrap();
        let file = run.engine_spec();
        run.write_private(&file, "secret").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&file).unwrap(), "secret");
        assert!(run.write_private(&file, "again").is_err());
    }

    #[test]
    fn a_restored_checkpoint_is_kept_whole_or_without_a_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::open(folder.path()).unwrap();
        let from = run.checkpoints().join("chk-00000007");
        fs::create_dir_all(&from).unwrap();
        fs::write(from.join("worker-0.state"), "state").unwrap();
        let kept = run.restored().join("chk-00000007");
        run.keep_restored(7);
        assert!(!kept.join(MANIFEST).exists(), "retention had deleted it");
        let line = concat!(
            r#"{"format":1,"job":"storm","checkpoint":7,"attempt":1,"mode":"exactly-once","#,
            r#""kind":"checkpoint","vertices":[],"subtasks_expected":0,"#,
            r#""subtasks_acknowledged":0,"triggered_us":1,"completed_us":2,"files":["#,
            r#"{"path":"chk-00000007/worker-0.state","bytes":5,"crc32":0,"worker":0},"#,
            r#"{"path":"chk-00000007/worker-1.state","bytes":5,"crc32":0,"worker":1}]}"#
        );
        let manifest = format!("{line}\ncrc32:{:08x}\n", crc32fast::hash(line.as_bytes()));
        fs::write(from.join(MANIFEST), &manifest).unwrap();
        run.keep_restored(7);
        assert!(!kept.join(MANIFEST).exists(), "the state of a worker had been deleted");
        fs::write(from.join("worker-1.state"), "state").unwrap();
        run.keep_restored(7);
        fs::remove_dir_all(&from).unwrap();
        assert_eq!(fs::read_to_string(kept.join("worker-0.state")).unwrap(), "state");
        assert_eq!(fs::read_to_string(kept.join(MANIFEST)).unwrap(), manifest);
        run.keep_restored(8);
        assert!(!run.restored().join("chk-00000008").exists(), "there is none");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let error = RunFolder::create(Some(Path::new("/proc/none")), Utc::from_unix_s(0), 1);
        let error = error.unwrap_err();
        assert_eq!(error.place.as_deref(), Some("/proc/none"));
        assert!(RunFolder::open(Path::new("/proc/none")).is_err());
    }
}
