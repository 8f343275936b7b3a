//! The engine process of a run over all its lives: started, started again after a planned end,
//! given up when it keeps ending by itself.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use stormproof_chaos::fault::Fault;

use crate::clock::monotonic_us;
use crate::driver::child::{EngineChild, Heard, process_state};
use crate::driver::protocol::{Command, EngineSpec};
use crate::error::{HarnessError, Result, engine};

/// Ends in a row that nobody planned, before the run is given up.
const UNPLANNED_LIMIT: u32 = 3;
/// Lines of the engine's log that an error shows.
const LOG_LINES: usize = 6;

/// The engine process.
pub(super) struct Engine {
    spec: PathBuf,
    log: PathBuf,
    child: Option<EngineChild>,
    /// Whether the last process was given faults with its start.
    was_armed: bool,
    start_at_us: u64,
    unplanned_in_a_row: u32,
}

impl Engine {
    /// An engine of `spec`, due to be started.
    pub(super) fn new(spec: PathBuf, log: PathBuf) -> Self {
        let unplanned_in_a_row = 0;
        Self { spec, log, child: None, was_armed: false, start_at_us: 0, unplanned_in_a_row }
    }

    /// Whether there is no process, and it is time to start one.
    pub(super) fn is_due(&self) -> bool {
        self.child.is_none() && monotonic_us() >= self.start_at_us
    }

    /// Starts the process; these faults are armed before its job begins.
    pub(super) fn start(&mut self, armed: Vec<Fault>) -> Result<()> {
        assert!(self.child.is_none(), "one engine process at a time");
        let is_armed = !armed.is_empty();
        if std::mem::replace(&mut self.was_armed, is_armed) || is_armed {
            self.change_spec("faults cannot be armed", |spec| spec.armed = armed)?;
        }
        self.child = Some(EngineChild::spawn(&self.spec, &self.log)?);
        Ok(())
    }

    /// The process id, while there is a process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(EngineChild::pid)
    }

    /// Whether the process is stopped; `None` when there is none.
    pub(super) fn is_stopped(&self) -> Option<bool> {
        Some(matches!(process_state(self.pid()?)?, 'T' | 't'))
    }

    /// Sends a command to the process, if there is one.
    pub(super) fn send(&mut self, command: &Command) {
        if let Some(child) = &mut self.child {
            child.send(command);
        }
    }

    /// Signals the process, if there is one.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            child.signal(signal);
        }
    }

    /// Waits for the next thing from the process.
    pub(super) fn hear(&mut self, limit: Duration) -> Result<Heard> {
        let Some(child) = &mut self.child else {
            std::thread::sleep(limit.min(Duration::from_millis(5)));
            return Ok(Heard::Silence);
        };
        let heard = child.hear(limit)?;
        if matches!(heard, Heard::Ended(_)) {
            self.child = None;
            // Nothing starts again before the end was judged planned or not.
            self.start_at_us = u64::MAX;
        }
        Ok(heard)
    }

    /// The end was planned: a new process starts after so long.
    pub(super) fn restart_after(&mut self, down_ms: u64) {
        self.start_at_us = monotonic_us() + down_ms * 1_000;
    }

    /// The next process runs the job at another parallelism.
    pub(super) fn rescale(&self, parallelism: u16) -> Result<()> {
        self.change_spec("the job cannot be rescaled", |spec| spec.parallelism = parallelism)
    }

    /// Changes what the next process is started with; `otherwise` is what cannot be done then.
    fn change_spec(&self, otherwise: &str, change: impl FnOnce(&mut EngineSpec)) -> Result<()> {
        let refuse = |error: &dyn std::fmt::Display| {
            engine(format!("{otherwise}: {error}")).at(self.spec.display().to_string())
        };
        let json = std::fs::read(&self.spec).map_err(|e| refuse(&e))?;
        let mut spec: EngineSpec = serde_json::from_slice(&json).map_err(|e| refuse(&e))?;
        change(&mut spec);
        let json = serde_json::to_vec_pretty(&spec).map_err(|e| refuse(&e))?;
        std::fs::write(&self.spec, json).map_err(|e| super::cannot_write(&self.spec, &e))
    }

    /// The end was not planned: a new process, unless that happened too often.
    pub(super) fn restart_unplanned(&mut self, status: ExitStatus) -> Result<()> {
        self.unplanned_in_a_row += 1;
        if self.unplanned_in_a_row >= UNPLANNED_LIMIT {
            return Err(self.gave_up(status));
        }
        self.restart_after(200);
        Ok(())
    }

    /// Every subtask is running: the process works.
    pub(super) fn is_well(&mut self) {
        self.unplanned_in_a_row = 0;
    }

    /// Ends the process now.
    pub(super) fn end(&mut self) {
        self.child = None;
        self.start_at_us = u64::MAX;
    }

    fn gave_up(&self, status: ExitStatus) -> HarnessError {
        let how = crate::driver::child::describe(status);
        engine(format!(
            "the engine process ended {} times in a row without being told to: {how}{}",
            self.unplanned_in_a_row,
            last_lines(&self.log)
        ))
        .at(self.log.display().to_string())
        .remedy("read the log; if memory was short, lower --parallelism or --records")
    }
}

/// The last lines of a log, for an error.
pub(super) fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    lines[from..].iter().map(|line| format!("\n    | {line}")).collect()
}
