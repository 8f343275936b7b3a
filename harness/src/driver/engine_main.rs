//! The engine process: builds the job of its specification and runs it, obeying its parent.
//!
//! Invariants: stdout carries reports and nothing else, stderr is the log; a fault's shot is
//! flushed before it strikes; the process ends when its stdin does or its parent dies, so that
//! nothing outlives a run.

use std::io::{BufRead as _, Stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};
use stormproof_chaos::fault::{Fault, FaultAction};
use stormproof_chaos::hook::{Armory, FailHook, FaultShot, INJECTED_PREFIX};
use stormproof_chaos::storage::{DiskSwitch, DiskTrouble, TroubledStorage};
use stormproof_engine::runtime::{Job, JobControl, JobSeams};
use stormproof_engine::seam::{MonotonicClock, ObjectStorage, Probe, Sight};

use super::job;
use super::metrics_http;
use super::protocol::{Command, EngineSpec, Report, read_line, write_line};
use crate::clock::monotonic_us;
use crate::error::{Result, engine};
use crate::output::Console;

/// Threads for storage and database calls.
const SERVICE_THREADS: usize = 2;
/// A disk's trouble that no write has met lasts at most so much longer than it was told to.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks whether a write has met it.
const WRITE_LOOK: Duration = Duration::from_millis(100);

/// Runs the engine of the specification in `spec`, for the process `parent`, to its end.
pub fn main(spec: &Path, parent: i32) -> ExitCode {
    let _ = set_pdeathsig(Signal::SIGKILL);
    if getppid() != Pid::from_raw(parent) {
        // It died before it could be watched.
        die();
    }
    say_panics_briefly();
    let reports = Reports::default();
    match run(spec, &reports) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Console::default().error(&error);
            reports.send(&Report::Failed { reason: error.what });
            ExitCode::FAILURE
        }
    }
}

fn run(spec: &Path, reports: &Reports) -> Result<()> {
    let spec = read_spec(spec)?;
    job::activate_mutant(spec.mutant);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SERVICE_THREADS)
        .thread_name("service")
        .enable_all()
        .build()
        .map_err(|error| engine(format!("cannot start a runtime: {error}")))?;
    let (hook, armory) = FailHook::install(job::vertices(spec.parallelism), {
        let reports = reports.clone();
        Box::new(move |shot: &FaultShot| {
            reports.send(&Report::Shot { t_us: monotonic_us(), shot: *shot });
        })
    });
    let probe = Probe::new(hook);
    let refuse = |error: stormproof_engine::error::EngineError| engine(error.to_string());
    let storage =
        ObjectStorage::folder(&spec.checkpoints, runtime.handle().clone()).map_err(refuse)?;
    let disk = DiskSwitch::default();
    let storage = TroubledStorage::new(storage, disk.clone());
    let graph = job::graph(&spec, runtime.handle()).map_err(refuse)?;
    let events = reports.clone();
    let job = Job::new(
        graph,
        spec.config,
        JobSeams {
            clock: Arc::new(MonotonicClock::starting_at(monotonic_us())),
            storage: Arc::new(storage),
            probe: probe.clone(),
            sight: Sight::default(),
            events: Arc::new(move |event| events.send(&Report::Event(event))),
        },
    );
    if let Some(port) = spec.metrics_port {
        let address = metrics_http::serve(port, job.control(), runtime.handle())?;
        reports.send(&Report::Metrics { url: format!("http://{address}/metrics") });
    }
    let parent = Parent { control: job.control(), armory, probe, reports: reports.clone(), disk };
    for fault in spec.armed {
        parent.arm(fault);
    }
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(move || parent.obey())
        .map_err(|error| engine(format!("cannot start a thread: {error}")))?;
    let outcome = job.run().map_err(refuse);
    runtime.shutdown_background();
    outcome.map(drop)
}

fn read_spec(file: &Path) -> Result<EngineSpec> {
    let refuse = |error: &dyn std::fmt::Display| {
        engine(format!("the specification cannot be read: {error}"))
            .at(file.display().to_string())
            .remedy("the engine process is started by `stormproof run`, not by hand")
    };
    let json = std::fs::read(file).map_err(|e| refuse(&e))?;
    serde_json::from_slice(&json).map_err(|e| refuse(&e))
}

/// Where reports go.
#[derive(Clone)]
struct Reports(Arc<Mutex<Stdout>>);

impl Default for Reports {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(std::io::stdout())))
    }
}

impl Reports {
    fn send(&self, report: &Report) {
        let mut to = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if write_line(&mut *to, report).is_err() {
            die();
        }
    }
}

/// The thread that listens to the parent.
struct Parent {
    control: JobControl,
    armory: Armory,
    probe: Probe,
    reports: Reports,
    disk: DiskSwitch,
}

impl Parent {
    fn obey(self) {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            match read_line::<Command>(&line) {
                Ok(command) => self.carry_out(command),
                Err(error) => self.reports.send(&Report::Refused { reason: error.to_string() }),
            }
        }
        // Nobody is there any more who would want the outcome.
        die();
    }

    fn arm(&self, fault: Fault) {
        match self.armory.arm(fault) {
            Ok(()) => self.probe.set_armed(true),
            Err(error) => self.reports.send(&Report::Refused { reason: error.to_string() }),
        }
    }

    /// The disk is in trouble for a while; then its effect is told.
    fn trouble(&self, fault: &Fault) {
        let (trouble, ms) = match fault.action {
            FaultAction::DiskFull { ms } => (DiskTrouble::Full, ms),
            FaultAction::DiskSlow { ms, for_ms } => (DiskTrouble::Slow(ms), for_ms),
            _ => {
                let reason = format!("{} is not the engine's to carry out", fault.describe());
                return self.reports.send(&Report::Refused { reason });
            }
        };
        let (disk, reports, id) = (self.disk.clone(), self.reports.clone(), fault.id);
        let (before, lasts) = (disk.struck(), Duration::from_millis(ms));
        disk.strike(trouble, lasts);
        // Without the thread nothing is told, and the fault has not landed.
        let _ = std::thread::Builder::new().name("disk".to_owned()).spawn(move || {
            std::thread::sleep(lasts);
            let begun = Instant::now();
            // On a slow machine the next checkpoint may begin later.
            while disk.struck() == before && begun.elapsed() < WRITE_LIMIT {
                disk.strike(trouble, 2 * WRITE_LOOK);
                std::thread::sleep(WRITE_LOOK);
            }
            let struck = disk.struck() - before;
            reports.send(&Report::Disk { id, t_us: monotonic_us(), struck });
        });
    }

    fn carry_out(&self, command: Command) {
        match command {
            Command::Arm { fault } if fault.target.is_outside() => self.trouble(&fault),
            Command::Arm { fault } => self.arm(fault),
            Command::StopDrain => self.control.stop_with_drain(),
            Command::Cancel => self.control.cancel(),
        }
    }
}

/// An injected panic is part of the plan: one line in the log, not a backtrace each time.
fn say_panics_briefly() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>();
        match message.filter(|message| message.starts_with(INJECTED_PREFIX)) {
            Some(message) => Console::default().remark(message),
            None => usual(panic),
        }
    }));
}

/// Ends this process at once, without running anything of its own any more.
fn die() -> ! {
    let _ = kill(getpid(), Signal::SIGKILL);
    std::process::abort()
}
