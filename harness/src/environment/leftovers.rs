//! What a run owns outside its folder, written down so that it can be found and taken away: service
//! folders with their owner, pid files with start times, labels on containers.
//!
//! Invariants: nothing is taken away whose owner is alive; a process is ended only when its id *and*
//! its start time are those that were written down; only folders with this house's name and an
//! owner's file are removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::error::{Result, environment};

/// What the names of service folders begin with.
const PREFIX: &str = "stormproof-services-";
/// The file that names the program to which a service folder belongs.
const OWNER: &str = "owner";
/// Where memory is a file system.
const MEMORY: &str = "/dev/shm";
/// Free bytes below which memory is no place for a broker's log.
const MEMORY_NEEDED: u64 = 2 << 30;
/// Lines of a log that an error shows.
const LOG_LINES: usize = 8;

/// A process, told from others that had or will have the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessMark {
    pid: u32,
    /// In clock ticks after the host's start.
    start_ticks: u64,
}

impl ProcessMark {
    /// The mark of a running process.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; the rest begins with field 3.
        let rest = stat.rsplit_once(") ")?.1;
        let start_ticks = rest.split_whitespace().nth(19)?.parse().ok()?;
        Some(Self { pid, start_ticks })
    }

    /// This program's own.
    pub(crate) fn own() -> Self {
        Self::of(std::process::id()).unwrap_or(Self { pid: std::process::id(), start_ticks: 0 })
    }

    /// Whether this very process is running.
    pub(crate) fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
            && crate::driver::child::process_state(self.pid).is_some_and(|state| state != 'Z')
    }

    /// As it is written down: `pid:start`.
    pub(crate) fn to_text(self) -> String {
        format!("{}:{}", self.pid, self.start_ticks)
    }

    /// Reads what [`Self::to_text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (pid, start_ticks) = text.trim().split_once(':')?;
        Some(Self { pid: pid.parse().ok()?, start_ticks: start_ticks.parse().ok()? })
    }
}

/// The pid file of a service's process.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes down that `pid` is the process of `name`.
    pub(crate) fn write(folder: &Path, name: &str, pid: u32) -> Result<Self> {
        let file = folder.join(format!("{name}.pid"));
        if let Some(mark) = ProcessMark::of(pid) {
            fs::write(&file, mark.to_text())
                .map_err(|error| crate::run::cannot_write(&file, &error))?;
        }
        Ok(Self(file))
    }

    /// The process is gone.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A folder for the data of services: outside the run's folder, gone when dropped.
#[derive(Debug)]
pub(crate) struct ServiceFolder(PathBuf);

impl ServiceFolder {
    /// Makes one in `root`, or where there is room: in memory, for a broker of 2000 partitions
    /// flushes thousands of small files when it stops and reads them all when it starts.
    pub(crate) fn create(root: Option<&Path>, run_id: &str) -> Result<Self> {
        let root = root.map_or_else(usual_root, Path::to_owned);
        // Services run in folders of their own, and container engines mount nothing else.
        let root = std::path::absolute(&root).unwrap_or(root);
        let path = root.join(format!("{PREFIX}{run_id}-{}", std::process::id()));
        let refuse = |error: &std::io::Error| {
            environment(format!("cannot make a folder for the services: {error}"))
                .at(path.display().to_string())
                .remedy("name another place with --data")
        };
        fs::create_dir_all(&path).map_err(|error| refuse(&error))?;
        let folder = Self(path.clone());
        own_roots().push(root);
        fs::write(path.join(OWNER), ProcessMark::own().to_text()).map_err(|e| refuse(&e))?;
        Ok(folder)
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A new folder inside it.
    pub(crate) fn make(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir_all(&path).map_err(|error| crate::run::cannot_write(&path, &error))?;
        Ok(path)
    }
}

impl Drop for ServiceFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where this program has made service folders.
fn own_roots() -> MutexGuard<'static, Vec<PathBuf>> {
    static ROOTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    ROOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn usual_root() -> PathBuf {
    let room = nix::sys::statvfs::statvfs(MEMORY)
        .map_or(0, |fs| fs.blocks_available() * fs.fragment_size());
    if room >= MEMORY_NEEDED { PathBuf::from(MEMORY) } else { std::env::temp_dir() }
}

/// What was found of a run, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Its owner is alive: left alone.
    InUse(String),
    /// Taken away.
    Removed(String),
    /// Could not be taken away.
    Stuck(String),
}

/// Takes away the service folders in `roots` whose owner is gone, or is this program when
/// `own_too`, with the processes that belong to them.
pub(crate) fn sweep_folders(roots: &[PathBuf], own_too: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for entry in roots.iter().filter_map(|root| fs::read_dir(root).ok()).flatten().flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let owner = fs::read_to_string(path.join(OWNER)).ok();
        let Some(owner) = owner.as_deref().and_then(ProcessMark::parse) else { continue };
        if is_ours {
            findings.extend(sweep_folder(&path, owner, own_too));
        }
    }
    findings
}

fn sweep_folder(path: &Path, owner: ProcessMark, own_too: bool) -> Vec<Finding> {
    let shown = path.display().to_string();
    let is_own = owner == ProcessMark::own();
    if owner.is_alive() && !(is_own && own_too) {
        return vec![Finding::InUse(format!("folder {shown} (process {})", owner.pid))];
    }
    let mut findings = Vec::new();
    for file in fs::read_dir(path).into_iter().flatten().flatten() {
        let is_pid_file = file.path().extension().is_some_and(|ending| ending == "pid");
        let mark = fs::read_to_string(file.path()).ok();
        let mark = mark.filter(|_| is_pid_file).as_deref().and_then(ProcessMark::parse);
        if let Some(mark) = mark.filter(|mark| mark.is_alive()) {
            let pid = Pid::from_raw(mark.pid as i32);
            // The group first: a service may have children of its own.
            let ended = killpg(pid, Signal::SIGKILL).or_else(|_| kill(pid, Signal::SIGKILL));
            let what = format!("process {} ({})", mark.pid, file.file_name().to_string_lossy());
            findings.push(match ended {
                Ok(()) => Finding::Removed(what),
                Err(error) => Finding::Stuck(format!("{what}: {error}")),
            });
        }
    }
    findings.push(match fs::remove_dir_all(path) {
        Ok(()) => Finding::Removed(format!("folder {shown}")),
        Err(error) => Finding::Stuck(format!("folder {shown}: {error}")),
    });
    findings
}

/// Where service folders may be.
pub(crate) fn usual_roots() -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from(MEMORY), std::env::temp_dir()];
    roots.dedup();
    roots
}

/// Held by the thread that ends this program without ceremony, to the very end.
static ENDING: Mutex<()> = Mutex::new(());

/// Takes away at once what this program owns, and ends it.
pub(crate) fn sweep_own_and_exit(code: i32) -> ! {
    let _to_the_end = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
    // Containers first: they write into the folders.
    super::service::sweep_containers(true);
    sweep_folders(&every_root(), true);
    std::process::exit(code)
}

/// Where service folders of this program, or of any, may be.
fn every_root() -> Vec<PathBuf> {
    let mut roots = usual_roots();
    roots.extend(own_roots().iter().cloned());
    roots.sort();
    roots.dedup();
    roots
}

/// Returns unless this program is being swept away: it must not end before the sweep does.
pub(crate) fn let_sweep_end() {
    drop(ENDING.lock().unwrap_or_else(PoisonError::into_inner));
}

/// The last lines of a log, for an error.
pub(crate) fn end_of_log(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    lines[from..].iter().map(|line| format!("\n    | {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn abandoned(root: &Path, owner: &str) -> PathBuf {
        let folder = root.join(format!("{PREFIX}x-{}", owner.replace(':', "-")));
        fs::create_dir_all(folder.join("data")).unwrap();
        fs::write(folder.join(OWNER), owner).unwrap();
        folder
    }

    #[test]
    fn what_a_dead_owner_left_goes_with_its_processes_and_nothing_else_does() {
        let root = tempfile::tempdir().unwrap();
        let mut orphan = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
        let folder = abandoned(root.path(), "999999999:5");
        PidFile::write(&folder, "broker", orphan.id()).unwrap();
        // The same id with another start time is another process.
        fs::write(folder.join("database.pid"), format!("{}:1", stranger.id())).unwrap();
        let alive = abandoned(root.path(), &ProcessMark::own().to_text());
        let foreign = root.path().join("stormproof-services-without-owner");
        fs::create_dir_all(&foreign).unwrap();

        let findings = sweep_folders(&[root.path().to_owned()], false);
        assert_eq!(orphan.wait().unwrap().code(), None, "killed");
        assert!(stranger.try_wait().unwrap().is_none(), "a stranger was ended: {findings:?}");
        assert!(!folder.exists() && alive.exists() && foreign.exists(), "{findings:?}");
        let in_use = findings.iter().filter(|f| matches!(f, Finding::InUse(_))).count();
        assert_eq!((in_use, findings.len()), (1, 3), "{findings:?}");

        sweep_folders(&[root.path().to_owned()], true);
        assert!(!alive.exists() && foreign.exists());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[test]
    fn a_mark_tells_a_process_from_its_successor() {
        let own = ProcessMark::own();
        assert!(own.is_alive() && own.start_ticks > 0);
        assert_eq!(ProcessMark::parse(&own.to_text()), Some(own));
        assert!(!ProcessMark { start_ticks: own.start_ticks + 1, ..own }.is_alive());
        assert_eq!(ProcessMark::parse("12"), None);
    }

    #[test]
    fn a_service_folder_goes_when_it_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let folder = ServiceFolder::create(Some(root.path()), "r").unwrap();
        // Wherever it is, a second Ctrl-C finds it.
        assert!(every_root().iter().any(|known| known == root.path()));
        let inside = folder.make("kafka").unwrap();
        assert!(inside.is_dir() && folder.0.join(OWNER).is_file());
        drop(folder);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
