//! The parent's side of an engine process: started, heard, signalled, reaped.
//!
//! Invariants: the child has a process group of its own, so that Ctrl-C reaches the parent alone;
//! it ends when its stdin does, when its parent dies, and when this value is dropped. Every report
//! the child flushed is delivered before its end is.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::protocol::{Command, Report, read_line, write_line};
use crate::error::{Result, engine};

/// Reports that wait for the parent, at most; then the child waits.
const QUEUED_REPORTS: usize = 10_000;

/// What comes from a child.
#[derive(Debug)]
pub enum Heard {
    /// A report.
    Report(Report),
    /// A line that is none: the child's own words, or a bug.
    Noise(String),
    /// The process has ended, and everything it said was delivered.
    Ended(ExitStatus),
    /// Nothing in the time given.
    Silence,
}

/// An engine process.
pub struct EngineChild {
    child: Child,
    stdin: Option<ChildStdin>,
    reports: Receiver<Result<Report, String>>,
    reader: Option<JoinHandle<()>>,
    has_ended: bool,
}

impl EngineChild {
    /// Starts this binary again, as the engine of `spec`; its stderr is appended to `log`.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(spec: &Path, log: &Path) -> Result<Self> {
        let refuse = |what: &str, error: &std::io::Error| {
            engine(format!("cannot start the engine process: {what}: {error}"))
                .at(log.display().to_string())
                .remedy("check the limits on processes and memory (ulimit -a)")
        };
        let binary = std::env::current_exe().map_err(|e| refuse("this binary", &e))?;
        let stderr: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|e| refuse("its log", &e))?;
        let mut child = std::process::Command::new(binary)
            .arg("engine")
            .arg("--spec")
            .arg(spec)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .map_err(|e| refuse("spawn", &e))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, reports) = sync_channel(QUEUED_REPORTS);
        let reader = std::thread::Builder::new()
            .name("engine-reports".to_owned())
            .spawn(move || read_reports(stdout, &sender))
            .map_err(|e| refuse("its reader", &e))?;
        Ok(Self { child, stdin, reports, reader: Some(reader), has_ended: false })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a command. A child that is gone hears nothing: its end is told by [`Self::hear`].
    pub fn send(&mut self, command: &Command) {
        if let Some(stdin) = &mut self.stdin {
            let _ = write_line(stdin, command);
        }
    }

    /// Signals the process.
    pub fn signal(&self, signal: Signal) {
        if !self.has_ended {
            let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
        }
    }

    /// Waits for the next thing from the child.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn hear(&mut self, limit: Duration) -> Result<Heard> {
        match self.reports.recv_timeout(limit) {
            Ok(Ok(report)) => Ok(Heard::Report(report)),
            Ok(Err(noise)) => Ok(Heard::Noise(noise)),
            Err(RecvTimeoutError::Timeout) => Ok(Heard::Silence),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().map_err(|error| {
                    engine(format!("cannot wait for the engine process: {error}"))
                })?;
                self.has_ended = true;
                self.join_reader();
                Ok(Heard::Ended(status))
            }
        }
    }

    /// Ends the process now and reaps it.
    pub fn end(&mut self) {
        if !self.has_ended {
            self.has_ended = true;
            self.stdin = None;
            let _ = self.child.kill();
            let _ = self.child.wait();
            // The reader may wait for room in the queue.
            while self.reports.recv().is_ok() {}
        }
        self.join_reader();
    }

    fn join_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for EngineChild {
    fn drop(&mut self) {
        self.end();
    }
}

fn read_reports(stdout: ChildStdout, to: &SyncSender<Result<Report, String>>) {
    for line in BufReader::new(stdout).split(b'\n') {
        let Ok(line) = line else { return };
        let line = String::from_utf8_lossy(&line);
        let message = read_line::<Report>(&line).map_err(|_| line.into_owned());
        if to.send(message).is_err() {
            return;
        }
    }
}

/// How a process ended, in words.
pub fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = Signal::try_from(signal).map_or("unknown", Signal::as_str);
            format!("killed by signal {signal} ({name})")
        }
        (None, Some(code)) => format!("exited with code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Whether SIGKILL ended it.
pub fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::SIGKILL as i32)
}

/// The state letter of a process in `/proc`: `T` is stopped. `None` when it is gone.
pub fn process_state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the state follows the last one.
    stat.rsplit_once(") ")?.1.chars().next()
}
