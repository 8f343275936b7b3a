//! A service as a process of this host, in a process group of its own; also a program that prepares
//! one, and is run to its end.
//!
//! Invariants: it dies with this program, even by SIGKILL (parent-death signal, set by
//! [`keep`](crate::cli) before the service's own program takes over); while it lives there is a pid
//! file with its start time, so that `stormproof clean` never ends a stranger's process; each call
//! has a time limit.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Backend, ServiceState, spawner};
use crate::driver::child::process_state;
use crate::environment::Stop;
use crate::environment::leftovers::{PidFile, end_of_log};
use crate::error::{HarnessError, Result, environment};

/// The longest wait for the end of a killed process.
const GONE_LIMIT: Duration = Duration::from_secs(10);
/// The longest wait for a process to be seen stopped or running again.
const STOPPED_LIMIT: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How a process is started, each time alike.
#[derive(Clone, Debug)]
pub(crate) struct ProcessPlan {
    /// What people call it.
    pub(crate) name: String,
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Variables of its environment, beside this program's own.
    pub(crate) variables: Vec<(String, String)>,
    /// The folder of log and pid file; exists.
    pub(crate) folder: PathBuf,
}

impl ProcessPlan {
    /// Runs it to its end, for at most `limit`; `None` = it had to be killed.
    ///
    /// # Errors
    /// When it cannot be started, or `stop` says so: it is killed then.
    pub(crate) fn run_to_end(&self, limit: Duration, stop: &Stop) -> Result<Option<ExitStatus>> {
        let program = ProcessBackend::new(self.clone());
        let begun = Instant::now();
        program.start()?;
        loop {
            if let Some(status) = program.ended()? {
                return Ok(Some(status));
            }
            if begun.elapsed() > limit || stop.check().is_err() {
                program.remove();
                return stop.check().map(|()| None);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Where it writes what it says, over all its lives.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn refuse(&self, what: &str, error: &dyn std::fmt::Display) -> HarnessError {
        environment(format!("cannot {what} the {}: {error}", self.name))
            .at(self.program.display().to_string())
            .remedy("check that the program runs by hand, and the limits on processes (ulimit -a)")
    }
}

struct Life {
    child: Child,
    pid_file: PidFile,
    /// Whether we have asked it to end.
    is_ending: bool,
}

/// The backend.
pub(crate) struct ProcessBackend {
    plan: ProcessPlan,
    life: Mutex<Option<Life>>,
    /// Ends that were not ours.
    unasked: Mutex<Vec<String>>,
}

impl ProcessBackend {
    /// A service that is not started yet.
    pub(crate) fn new(plan: ProcessPlan) -> Self {
        Self { plan, life: Mutex::new(None), unasked: Mutex::default() }
    }

    fn life(&self) -> MutexGuard<'_, Option<Life>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let life = self.life();
        let Some(life) = life.as_ref() else {
            return Err(self.plan.refuse(&format!("send {signal} to"), &"it is not running"));
        };
        match killpg(Pid::from_raw(life.child.id() as i32), signal) {
            // Gone already: whoever waits for its end will find it.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(self.plan.refuse(&format!("send {signal} to"), &error)),
        }
    }

    /// How the process ended, if it has; it is forgotten then.
    fn ended(&self) -> Result<Option<ExitStatus>> {
        self.ended_if(|_| true)
    }

    fn ended_if(&self, counts: impl Fn(&Life) -> bool) -> Result<Option<ExitStatus>> {
        let mut life = self.life();
        let Some(alive) = life.as_mut().filter(|life| counts(life)) else { return Ok(None) };
        let ended = alive.child.try_wait().map_err(|e| self.plan.refuse("wait for", &e))?;
        if ended.is_some()
            && let Some(life) = life.take()
        {
            life.pid_file.remove();
        }
        Ok(ended)
    }

    fn is_known(&self) -> bool {
        self.life().is_some()
    }

    /// Waits until the process has ended, and forgets it.
    fn wait_gone(&self, limit: Duration) -> Result<bool> {
        let begun = Instant::now();
        loop {
            if !self.is_known() || self.ended()?.is_some() {
                return Ok(true);
            }
            if begun.elapsed() > limit {
                return Ok(false);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// It will end because of us.
    fn note_end(&self) -> Result<()> {
        self.look_for_others()?;
        if let Some(life) = self.life().as_mut() {
            life.is_ending = true;
        }
        Ok(())
    }

    fn end_now(&self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        match self.wait_gone(GONE_LIMIT)? {
            true => Ok(()),
            false => Err(self.plan.refuse("kill", &"it did not end after SIGKILL")),
        }
    }

    fn unasked_ends(&self) -> MutexGuard<'_, Vec<String>> {
        self.unasked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether it has ended by itself, or others have ended it.
    fn look_for_others(&self) -> Result<()> {
        if self.ended_if(|life| !life.is_ending)?.is_some() {
            let what = format!("the {} ended, and no fault did it", self.plan.name);
            self.unasked_ends().push(what);
        }
        Ok(())
    }

    fn wait_state(&self, wanted: ServiceState) -> Result<()> {
        let begun = Instant::now();
        while self.state() != wanted {
            if begun.elapsed() > STOPPED_LIMIT {
                let what = format!("it is {:?}, not {wanted:?}", self.state());
                return Err(self.plan.refuse("pause or resume", &what));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl Backend for ProcessBackend {
    fn start(&self) -> Result<()> {
        let plan = &self.plan;
        let refuse = |error: &dyn std::fmt::Display| plan.refuse("start", error);
        if self.state() != ServiceState::Down {
            return Err(refuse(&"it is running already"));
        }
        // Somebody else may have ended it: nobody has waited for it yet.
        self.look_for_others()?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(plan.log())
            .map_err(|error| refuse(&format!("its log: {error}")))?;
        let errors = log.try_clone().map_err(|error| refuse(&error))?;
        let this = std::env::current_exe().map_err(|error| refuse(&error))?;
        let mut command = Command::new(this);
        command
            .arg("keep")
            .arg("--parent")
            .arg(std::process::id().to_string())
            .arg("--")
            .arg(&plan.program)
            .args(&plan.arguments)
            .envs(plan.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        let child = spawner::spawn(command).map_err(|error| refuse(&error))?;
        let pid_file = PidFile::write(&plan.folder, &plan.name, child.id())?;
        *self.life() = Some(Life { child, pid_file, is_ending: false });
        Ok(())
    }

    fn kill(&self) -> Result<()> {
        self.note_end()?;
        self.end_now()
    }

    fn stop(&self, limit: Duration) -> Result<()> {
        self.note_end()?;
        self.signal(Signal::SIGTERM)?;
        match self.wait_gone(limit)? {
            true => Ok(()),
            false => self.end_now(),
        }
    }

    fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        // One that was not seen to stop in time may do so later.
        self.wait_state(ServiceState::Paused).inspect_err(|_| {
            let _ = self.signal(Signal::SIGCONT);
        })
    }

    fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)?;
        self.wait_state(ServiceState::Running)
    }

    fn state(&self) -> ServiceState {
        let life = self.life();
        let Some(life) = life.as_ref() else { return ServiceState::Down };
        match process_state(life.child.id()) {
            Some('T' | 't') => ServiceState::Paused,
            Some('Z' | 'X') | None => ServiceState::Down,
            Some(_) => ServiceState::Running,
        }
    }

    fn save_log(&self, file: &Path) -> Result<()> {
        std::fs::copy(self.plan.log(), file)
            .map(drop)
            .map_err(|error| crate::run::cannot_write(file, &error))
    }

    fn last_words(&self) -> String {
        end_of_log(&std::fs::read(self.plan.log()).unwrap_or_default())
    }

    fn unasked(&self) -> Vec<String> {
        // One that cannot be waited for is told by whoever starts or ends it.
        let _ = self.look_for_others();
        self.unasked_ends().clone()
    }

    fn remove(&self) {
        if self.life().is_some() && self.signal(Signal::SIGKILL).is_ok() {
            let _ = self.wait_gone(GONE_LIMIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_told_by_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let backend = ProcessBackend::new(ProcessPlan {
            name: "nothing".to_owned(),
            program: "/nowhere/nothing".into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            folder: folder.path().to_owned(),
        });
        assert_eq!(backend.state(), ServiceState::Down);
        assert!(backend.pause().unwrap_err().what.contains("not running"));
        assert!(backend.kill().is_err());
        backend.remove();
    }
}
