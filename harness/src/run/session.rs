//! A session: one run while it runs. Hears the engine, lets the nemesis strike, samples, shows.
//!
//! Everything happens in [`Session::pump`], on one thread; generator and monitor have threads of
//! their own and are only read.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::events::{EventLog, Line};
use super::failures::Failures;
use super::folder::RunFolder;
use super::history::History;
use super::interrupt::Interrupt;
use super::judgement;
use super::monitor::Monitor;
use super::nemesis::{self, Moment, Nemesis, Order, Tracked};
use super::sampler::{Sampler, Totals};
use super::vigil::{Sighting, Vigil};
use crate::environment::Addresses;
use crate::strike::{self, News, Outcome, Quiet, Striker};
use stormproof_chaos::fault::{Fault, FaultAction, FaultTarget};
use stormproof_engine::runtime::{JobEvent, TimedEvent};

use crate::clock::monotonic_us;
use crate::driver::child::{Heard, describe, is_killed};
use crate::driver::protocol::{Command, Report};
use crate::error::{HarnessError, Result};
use crate::oracle::LostRange;
use crate::output::{Progress, Status};
use crate::workload::generator::{Generator, LoadFigures};
use crate::workload::ledger::LedgerBuilder;

/// The longest wait for the engine's next word.
const HEAR_LIMIT: Duration = Duration::from_millis(10);
/// Reports that are taken in before anything else gets its turn.
const REPORTS_AT_ONCE: usize = 200;

/// Why a run ends before its time.
#[derive(Clone, Debug)]
pub(super) enum Halt {
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// The time limit has passed.
    TimeLimit,
    /// Something does not work.
    Failed(HarnessError),
}

impl From<HarnessError> for Halt {
    fn from(error: HarnessError) -> Self {
        Self::Failed(error)
    }
}

/// A run while it runs.
pub(super) struct Session {
    pub(super) deadline_us: u64,
    pub(super) engine: Engine,
    pub(super) nemesis: Nemesis,
    /// Strikes beside the engine.
    pub(super) striker: Striker,
    addresses: Addresses,
    pub(super) history: History,
    pub(super) sampler: Sampler,
    pub(super) monitor: Monitor,
    pub(super) events: EventLog,
    pub(super) progress: Progress,
    pub(super) interrupt: Interrupt,
    pub(super) generator: Option<Generator>,
    /// When the load began.
    pub(super) load_since_us: Option<u64>,
    /// What is known of the input already: where it begins, and what a fault took away since.
    pub(super) input: LedgerBuilder,
    /// What the log itself lost of what it had acknowledged.
    pub(super) log_lost: Vec<LostRange>,
    /// Records that the topic held before the run.
    pub(super) records_before: u64,
    /// The phase, for the eyes.
    pub(super) phase: &'static str,
    /// How much of the load is done, for the eyes.
    pub(super) records_wanted: u64,
    /// Ends of the engine process that nobody planned.
    pub(super) unplanned: Vec<String>,
    /// The parallelism that the job was restored at, if it was another one.
    pub(super) rescaled_to: Option<u16>,
    /// Whether the job was told to end.
    pub(super) is_ending: bool,
    /// Whether the engine process ended after the job was told to.
    pub(super) has_ended: bool,
    folder: RunFolder,
    failures: Failures,
    vigil: Vigil,
    has_told_metrics: bool,
    rescale_to: Option<u16>,
}

/// What a session is made of.
pub(super) struct Parts {
    pub(super) origin_us: u64,
    pub(super) deadline_us: u64,
    pub(super) folder: RunFolder,
    pub(super) nemesis: Nemesis,
    pub(super) striker: Striker,
    /// Past the proxies.
    pub(super) addresses: Addresses,
    pub(super) monitor: Monitor,
    pub(super) vigil: Vigil,
    pub(super) interrupt: Interrupt,
    /// Subtasks from the first kill on.
    pub(super) rescale_to: Option<u16>,
    pub(super) progress: Progress,
}

impl Session {
    pub(super) fn new(parts: Parts) -> Result<Self> {
        let Parts {
            origin_us,
            deadline_us,
            folder,
            nemesis,
            striker,
            addresses,
            monitor,
            interrupt,
            ..
        } = parts;
        Ok(Self {
            deadline_us,
            engine: Engine::new(folder.engine_spec(), folder.engine_log()),
            nemesis,
            striker,
            addresses,
            history: History::default(),
            sampler: Sampler::new(origin_us),
            monitor,
            events: EventLog::create(&folder.events())?,
            progress: parts.progress,
            interrupt,
            rescale_to: parts.rescale_to,
            rescaled_to: None,
            generator: None,
            load_since_us: None,
            input: LedgerBuilder::new(),
            log_lost: Vec::new(),
            records_before: 0,
            phase: "start",
            records_wanted: 0,
            unplanned: Vec::new(),
            is_ending: false,
            has_ended: false,
            folder,
            failures: Failures::default(),
            vigil: parts.vigil,
            has_told_metrics: false,
        })
    }

    /// Goes on until `is_over` says so.
    pub(super) fn run_until(
        &mut self,
        phase: &'static str,
        mut is_over: impl FnMut(&Self) -> Result<bool, Halt>,
    ) -> Result<(), Halt> {
        self.phase = phase;
        while !is_over(self)? {
            if self.interrupt.is_raised() {
                return Err(Halt::Interrupted);
            }
            if monotonic_us() > self.deadline_us {
                return Err(Halt::TimeLimit);
            }
            self.pump()?;
        }
        Ok(())
    }

    /// One turn.
    fn pump(&mut self) -> Result<(), Halt> {
        if self.engine.is_due() {
            self.start_engine()?;
        }
        for turn in 0..REPORTS_AT_ONCE {
            let limit = if turn == 0 { HEAR_LIMIT } else { Duration::ZERO };
            match self.engine.hear(limit)? {
                Heard::Report(report) => self.on_report(&report)?,
                Heard::Noise(_) => {}
                Heard::Ended(status) => self.on_end(status)?,
                Heard::Silence => break,
            }
        }
        self.strike()?;
        while let Some(news) = self.striker.hear() {
            self.on_news(news)?;
        }
        self.heed_services()?;
        let now_us = monotonic_us();
        if self.sampler.is_due(now_us) {
            self.sampler.take(now_us, self.totals(), self.engine.pid());
        }
        self.show(now_us);
        Ok(())
    }

    /// What waits for a step goes along with the process: its recovery is over before any command
    /// could reach it.
    fn start_engine(&mut self) -> Result<()> {
        let moment = self.moment();
        let armed = self.nemesis.arm_with_start(&moment);
        for fault in &armed {
            self.note(&format!("starts with {} armed: {}", fault.id, fault.describe()))?;
        }
        self.engine.start(armed)
    }

    fn on_news(&mut self, news: News) -> Result<()> {
        self.note(&format!("{news:?}"))?;
        self.nemesis.on_outside(&news);
        if let News::Taken { lost, .. } = news {
            self.log_lost.extend(lost);
        }
        Ok(())
    }

    /// Hears out a strike that takes records away: the job may end of it before it is told.
    pub(super) fn hear_out(&mut self) -> Result<()> {
        if self.nemesis.is_taking() {
            self.striker.wait();
            while let Some(news) = self.striker.hear() {
                self.on_news(news)?;
            }
        }
        Ok(())
    }

    fn on_report(&mut self, report: &Report) -> Result<(), Halt> {
        let t_us = monotonic_us();
        if !matches!(report, Report::Event(timed) if is_figures(timed)) {
            self.events.write(&Line::Engine { t_us, heard: report })?;
        }
        match report {
            Report::Event(timed) => {
                self.history.on_event(&timed.event, timed.t_us);
                self.nemesis.on_event(&timed.event, timed.t_us);
                if self.history.is_running() {
                    self.engine.is_well();
                }
                // While a service is away, attempts may fail one after the other.
                let is_struck = self.nemesis.is_striking_outside();
                self.failures.count(&timed.event, is_struck, &self.folder)?;
                if let JobEvent::AttemptStarted { restored, .. } = timed.event {
                    self.folder.keep_restored(restored.0);
                }
                let is_running = matches!(timed.event, JobEvent::AttemptRunning { .. });
                if is_running && self.is_ending {
                    // A new process has not been told.
                    self.engine.send(&Command::StopDrain);
                }
            }
            Report::Metrics { url } => {
                if !std::mem::replace(&mut self.has_told_metrics, true) {
                    self.progress.remark(&format!("figures of the engine: {url}"));
                }
            }
            Report::Shot { t_us, shot } => {
                let was_triggered = self.history.was_triggered(shot.at.checkpoint.0);
                self.nemesis.on_shot(shot, *t_us, was_triggered);
            }
            Report::Disk { id, t_us, struck } => self.nemesis.on_outside(&match struck {
                0 => News::Missed { id: *id, why: "nothing was written meanwhile".to_owned() },
                struck => News::Healed {
                    id: *id,
                    t_us: *t_us,
                    effect: format!("{struck} writes under the checkpoint folder met it"),
                },
            }),
            Report::Refused { reason } => self.nemesis.on_refused(reason),
            Report::Failed { reason } => {
                let error = crate::error::engine(format!("the job cannot go on: {reason}"))
                    .at(self.folder.engine_log().display().to_string())
                    .remedy("change what the message names; the engine's log has the details");
                return Err(Halt::Failed(error));
            }
        }
        Ok(())
    }

    /// A service that ended by itself is told, and one that stays away ends the run.
    fn heed_services(&mut self) -> Result<(), Halt> {
        while let Some(sighting) = self.vigil.hear() {
            match sighting {
                Sighting::Unasked(what) => {
                    self.note(&what)?;
                    self.progress.remark(&what);
                }
                Sighting::Abandoned(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn on_end(&mut self, status: std::process::ExitStatus) -> Result<(), Halt> {
        let how = describe(status);
        let now_us = monotonic_us();
        self.note(&format!("engine process {how}"))?;
        self.history.on_exit(now_us, &format!("engine process {how}"));
        if self.is_ending && status.success() {
            self.has_ended = true;
            return Ok(());
        }
        let planned = self.nemesis.on_exit(is_killed(status));
        if let Some(fault) = self.nemesis.damage_due().cloned() {
            let damage = match fault.action {
                FaultAction::Truncate => self.take(strike::truncate),
                FaultAction::Retention => self.take(strike::expire),
                _ => strike::damage(&fault, &self.folder.checkpoints()),
            };
            self.note(&format!("damaged for {}: {damage:?}", fault.id))?;
            self.nemesis.on_damaged(fault.id, damage);
        }
        match planned {
            Some(down_ms) => {
                if let Some(to) = self.rescale_to.take() {
                    self.engine.rescale(to)?;
                    self.rescaled_to = Some(to);
                    self.note(&format!("the next engine process has parallelism {to}"))?;
                }
                self.engine.restart_after(down_ms);
            }
            None => {
                self.unplanned.push(format!("the engine process {how}, and no fault did it"));
                self.engine.restart_unplanned(status)?;
            }
        }
        Ok(())
    }

    /// The evidence first: what is taken away now, nobody can read back later.
    fn take(&mut self, how: fn(&Addresses, &[(u32, u64)]) -> Outcome) -> Outcome {
        let _quiet = Quiet::over(self.load_figures().as_ref())?;
        let known = std::mem::take(&mut self.input);
        self.input = judgement::read_back(&self.addresses, known).map_err(|error| error.what)?;
        let ends: Vec<_> = self.input.known().map(|(id, end)| (id.0, end.0)).collect();
        how(&self.addresses, &ends)
    }

    /// Lets the nemesis strike and look.
    fn strike(&mut self) -> Result<(), Halt> {
        if self.nemesis.watches_process_state()
            && let Some(is_stopped) = self.engine.is_stopped()
        {
            self.nemesis.on_process_state(is_stopped, monotonic_us());
        }
        let moment = self.moment();
        for order in self.nemesis.tick(&moment) {
            match order {
                Order::Arm(fault) => {
                    self.note(&format!("armed {}: {}", fault.id, fault.describe()))?;
                    self.engine.send(&Command::Arm { fault });
                }
                Order::Strike(fault) => {
                    self.note(&format!("strikes {}: {}", fault.id, fault.describe()))?;
                    self.strike_outside(fault);
                }
                Order::Signal(signal) => {
                    self.note(&format!("sent {signal}"))?;
                    self.engine.signal(signal);
                }
            }
        }
        Ok(())
    }

    /// Where things stand, for the nemesis.
    fn moment(&self) -> Moment {
        let now_us = monotonic_us();
        Moment {
            now_us,
            load_us: self.load_since_us.map(|since_us| now_us - since_us),
            records: self.produced(),
            is_running: self.history.is_running() && !self.is_ending,
            completed_in_attempt: self.history.completed_in_attempt(),
            completed_us: self.history.completed_us(),
        }
    }

    fn load_figures(&self) -> Option<Arc<LoadFigures>> {
        self.generator.as_ref().map(|generator| Arc::clone(generator.figures()))
    }

    /// The disk's trouble is the engine's own storage; everything else is the striker's.
    fn strike_outside(&mut self, fault: Fault) {
        match fault.target {
            FaultTarget::Disk => self.engine.send(&Command::Arm { fault }),
            _ => self.striker.strike(fault, self.load_figures()),
        }
    }

    /// Writes what the harness did into the event log.
    pub(super) fn note(&mut self, what: &str) -> Result<()> {
        self.events.write(&Line::Harness { t_us: monotonic_us(), what })
    }

    /// Records produced so far.
    pub(super) fn produced(&self) -> u64 {
        let acknowledged = self.generator.as_ref().map_or(0, |generator| {
            generator.figures().acknowledged.load(std::sync::atomic::Ordering::Relaxed)
        });
        self.records_before + acknowledged
    }

    /// The last sample: after it nothing changes any more.
    pub(super) fn take_last_sample(&mut self, now_us: u64) {
        self.sampler.take(now_us, self.totals(), self.engine.pid());
    }

    fn totals(&self) -> Totals {
        let (effects, committed_lag) = self.monitor.sums();
        Totals {
            produced: self.produced(),
            emitted: self.history.emitted(),
            effects,
            committed_lag,
            engine_lag: self.history.engine_lag(),
        }
    }

    fn show(&mut self, now_us: u64) {
        // The progress asks for a status only when it is time to show one.
        let mut progress = std::mem::take(&mut self.progress);
        progress.show(self.phase, || self.status(now_us));
        self.progress = progress;
    }

    fn status(&self, now_us: u64) -> Status {
        let (rate_in_per_s, rate_out_per_s) = self.sampler.rates();
        let faults = self.nemesis.faults();
        let count = |is: &dyn Fn(&Tracked) -> bool| faults.iter().filter(|t| is(t)).count() as u64;
        let last = self.sampler.samples.last();
        let completed_us = self.history.completed_us();
        let done = match self.records_wanted {
            0 => None,
            wanted => Some((self.produced() as f64 / wanted as f64).min(1.0)),
        };
        Status {
            phase: self.phase,
            done,
            rate_in_per_s,
            rate_out_per_s,
            produced: self.produced(),
            effects: last.map_or(0, |sample| sample.effects),
            true_lag_records: last.map_or(0, |sample| sample.lag_records),
            lag_records: last.map_or(0, |sample| sample.committed_lag_records),
            checkpoints: self.history.completed(),
            checkpoint_age_s: (completed_us > 0)
                .then(|| now_us.saturating_sub(completed_us) as f64 / 1e6),
            attempts: self.history.attempts.len() as u64,
            landed: self.nemesis.landed(),
            mid_checkpoint: count(&|t| t.has_landed() && t.mid_checkpoint),
            missed: count(&|t| matches!(t.progress, nemesis::Progress::Missed(_))),
            scheduled: faults.len() as u64,
            unplanned: self.unplanned.len() as u64,
        }
    }
}

/// Whether a failure says that there is no room: another attempt will not find any either.
/// Figures come every second and would drown the rest.
fn is_figures(timed: &TimedEvent) -> bool {
    matches!(timed.event, JobEvent::Metrics { .. })
}
