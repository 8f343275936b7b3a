//! A run from the first check to the written result.
//!
//! *Follow a run:* [`run`] makes the folder, starts the environment, the monitor and the engine
//! process ([`session`]), starts the load, lets the [`nemesis`] strike, waits until the committed
//! offsets are the log end offsets, stops the job with a savepoint, reads the ledger back, lets the
//! oracle judge ([`judgement`]), and writes what was found ([`result`]).
//!
//! Invariants: whatever happens, the engine process, the threads and the environment are gone when
//! [`run`] returns, and a result is written once the folder exists and the engine was started. What
//! could not be finished is unknown, never a pass.

mod beside;
mod engine;
mod events;
mod failures;
mod folder;
mod history;
mod interrupt;
pub mod judgement;
mod monitor;
mod nemesis;
mod not_tested;
mod origin;
mod passage;
mod phases;
mod recovery;
mod result;
mod sampler;
mod sawtooth;
mod service_logs;
mod session;
pub(crate) mod verdict;
mod vigil;

pub use folder::RunFolder;
pub(crate) use folder::cannot_write;
pub use interrupt::Interrupt;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stormproof_chaos::schedule::Schedule;
use stormproof_engine::runtime::{ExchangeConfig, JobConfig};
use stormproof_reports::schema::{RunResult, Verdict};

use crate::clock::{Utc, monotonic_us};
use crate::driver::metrics_http::free_port;
use crate::driver::protocol::EngineSpec;
use crate::environment::{
    Addresses, Environment, Host, Service, ServiceName, Stop, choose, machine_facts,
};
use crate::error::{ErrorKind, Result};
use crate::output::Console;
use crate::scenario::{Scenario, print};
use judgement::Recorded;
use monitor::Monitor;
use nemesis::Nemesis;
use phases::PhaseClock;
use result::Account;
use session::{Halt, Parts, Session};
use vigil::Vigil;

use crate::strike::Striker;

/// How a run is asked for.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The run's folder; `None` = a new one in `stormproof-runs/`.
    pub out: Option<PathBuf>,
    /// What the user wants to see.
    pub console: Console,
    /// The schedule of another run; `None` = the scenario's own.
    pub schedule: Option<Schedule>,
    /// Whether bare clients are measured on the same services, and the job beside them.
    pub beside_bare: bool,
}

/// Runs `scenario` and leaves the result in the run's folder.
///
/// # Errors
/// When the run cannot even begin: folder, environment, engine process. Later problems are part of
/// the result, whose verdict is then unknown.
pub fn run(
    scenario: &Scenario,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<(RunResult, RunFolder)> {
    let (started, origin_us) = (Utc::now(), monotonic_us());
    let schedule = match &options.schedule {
        Some(schedule) => schedule.clone(),
        None => scenario.schedule()?,
    };
    // Several may begin in the same second with the same seed, on the same services.
    let run_id = format!("{}-{}-{}", started.compact(), scenario.seed, std::process::id());
    // What needs no folder is checked before there is one.
    let host = host(&run_id, scenario, options.console, interrupt);
    choose(scenario, &host, std::path::Path::new(".")).check(&scenario.load)?;
    let folder = RunFolder::create(options.out.as_deref(), started, scenario.seed)?;
    let host = Host { logs: Some(folder.path().to_owned()), ..host };
    let mut environment = choose(scenario, &host, folder.path());
    folder.write(&folder.scenario(), print(&without_secrets(scenario)))?;
    folder.write(&folder.schedule(), schedule.to_json())?;
    options.console.remark(&format!(
        "stormproof run: seed {}, {}, parallelism {}, {} records, {} faults -> {}",
        scenario.seed,
        scenario.checkpoint.mode.name(),
        scenario.job.parallelism,
        scenario.load.records,
        schedule.faults.len(),
        folder.path().display()
    ));
    let mut account = Account::new(scenario, &schedule, started, origin_us);
    let started = environment.start(&scenario.load).and_then(|addresses| {
        let reached = environment.engine_addresses(&addresses);
        let at = (&addresses, &reached, environment.services());
        begin(scenario, &schedule, &folder, at, options, interrupt, origin_us)
            .map(|session| (addresses, session))
    });
    let (addresses, session) = started.inspect_err(|_| folder.discard())?;
    account.environment = machine_facts(&*environment);
    account.remarks = environment.remarks();
    let after_panic = service_logs::AfterPanic::new(environment.services(), &folder);
    let mut result = finish(scenario, &folder, &addresses, session, account);
    if !result.as_ref().is_ok_and(|result| result.verdict == Verdict::Proven) {
        service_logs::keep(&environment.services(), &folder, options.console);
    }
    keep_tables(&*environment, &folder, &addresses, options.console);
    if options.beside_bare
        && let Ok(result) = &mut result
    {
        measure_beside(scenario, &addresses, &folder, &host.stop, options.console, result);
    }
    drop(after_panic);
    environment.stop();
    Ok((result?, folder))
}

/// How the job of `scenario` is run.
fn job_config(scenario: &Scenario) -> JobConfig {
    JobConfig {
        restart: scenario.restart.clone(),
        max_parallelism: scenario.job.max_parallelism(),
        workers: scenario.job.workers,
        checkpoint: scenario.checkpoint.clone(),
        exchange: ExchangeConfig {
            credit_bytes: scenario.job.credit_bytes as usize,
            ..ExchangeConfig::default()
        },
        ..JobConfig::default()
    }
}

/// Starts everything that runs beside the engine, and writes down what the engine shall be.
fn begin(
    scenario: &Scenario,
    schedule: &Schedule,
    folder: &RunFolder,
    (addresses, reached, services): (&Addresses, &Addresses, Vec<Arc<Service>>),
    options: &RunOptions,
    interrupt: &Interrupt,
    origin_us: u64,
) -> Result<Session> {
    let mut spec = EngineSpec::new(
        reached.clone(),
        folder.checkpoints(),
        &scenario.job,
        job_config(scenario),
        scenario.mutant,
    );
    // One address for all lives of the engine process.
    spec.metrics_port = scenario.metrics_port.map(free_port).transpose()?;
    let spec = serde_json::to_vec_pretty(&spec).expect("a specification is plain data");
    folder.write_private(&folder.engine_spec(), spec)?;
    Session::new(Parts {
        origin_us,
        deadline_us: origin_us + scenario.time_limit_s * 1_000_000,
        folder: folder.clone(),
        nemesis: Nemesis::new(schedule),
        vigil: Vigil::keep(services.clone(), Duration::from_secs(scenario.ready_limit_s))?,
        striker: Striker::new(services, addresses),
        addresses: addresses.clone(),
        monitor: Monitor::start(addresses)?,
        interrupt: interrupt.clone(),
        rescale_to: scenario.job.rescale_to,
        progress: options.console.progress(),
    })
}

/// Runs the phases, judges, and writes everything down.
fn finish(
    scenario: &Scenario,
    folder: &RunFolder,
    addresses: &Addresses,
    mut session: Session,
    mut account: Account<'_>,
) -> Result<RunResult> {
    account.folder = folder.path().to_owned();
    let mut clock = PhaseClock::new(account.origin_us);
    let storm = phases::storm(scenario, addresses, &mut session, &mut clock);
    session.engine.end();
    if let Some(generator) = &mut session.generator {
        generator.figures().stop();
        // What it could not write is not in the ledger either.
        let _ = generator.join();
    }
    let committed = match &storm {
        Ok(committed) => Some(committed.clone()),
        Err(halt) => {
            if matches!(halt, Halt::Interrupted) {
                let what = "interrupted: what faults have changed is changed back before the end; \
                            a second interrupt ends at once";
                session.progress.remark(what);
            }
            let heard_out = session.hear_out();
            session.nemesis.give_up(match halt {
                Halt::Interrupted => "the run was interrupted",
                Halt::TimeLimit => "the run's time was over",
                Halt::Failed(_) => "the run failed before",
            });
            account.halt(halt);
            if let Err(error) = heard_out {
                account.halt(&Halt::Failed(error));
            }
            None
        }
    };
    if !matches!(storm, Err(Halt::Interrupted)) {
        account.remarks.extend(session.striker.unasked());
    }
    // What the engine was started with holds the database's password.
    let _ = std::fs::remove_file(folder.engine_spec());
    let recorded = Recorded::new(scenario, addresses, committed, session.nemesis.landed())
        .of_a_log_that_lost(std::mem::take(&mut session.log_lost));
    recorded.save(folder)?;
    if is_worth_judging(&storm) {
        session.phase = "judge";
        session.progress.remark("judging: reading the topic back, the checkpoints, the tables");
        let cut = (session.sampler.samples.clone(), account.origin_us);
        let (input, interrupt) = (std::mem::take(&mut session.input), &session.interrupt);
        let judged = judgement::judge_unless_interrupted(
            folder, &recorded, addresses, input, cut, interrupt,
        );
        match judged {
            Ok(judged) => {
                account.judged = Some(judged.judgement);
                account.passages = judged.passages;
                match judged.latencies {
                    Ok(latencies) => {
                        latencies.fill(&mut session.sampler.samples);
                        account.latency = latencies.summary();
                        account.latency_curve = latencies.curve();
                        account.subtasks = latencies.subtasks().to_vec();
                        let file = folder.latency();
                        latencies
                            .save(&file, account.started_wall)
                            .map_err(|error| cannot_write(&file, &error))?;
                    }
                    Err(why) => account.remarks.push(why),
                }
            }
            Err(halt) => account.halt(&halt),
        }
        session.sampler.note_own_memory();
        clock.mark("judge");
    }
    account.phases = clock.into_phases();
    let flushed = session.events.flush();
    session.progress.finish();
    let result = account.settle(&session);
    flushed
        .and_then(|()| result::write(folder, &result, scenario, &account))
        .map_err(|error| account.and_before(error))?;
    Ok(result)
}

/// An engine that gave up, or did not come to an end, has left evidence too: it may convict it,
/// though it can prove nothing.
fn is_worth_judging(storm: &Result<Vec<u64>, Halt>) -> bool {
    match storm {
        Ok(_) | Err(Halt::TimeLimit) => true,
        Err(Halt::Failed(error)) => error.kind == ErrorKind::Engine,
        Err(Halt::Interrupted) => false,
    }
}

/// The run, as its environment sees it.
fn host(run_id: &str, scenario: &Scenario, console: Console, interrupt: &Interrupt) -> Host {
    let interrupt = interrupt.clone();
    Host {
        run_id: run_id.to_owned(),
        console,
        stop: Stop::when(move || interrupt.is_raised()),
        ready_limit: Duration::from_secs(scenario.ready_limit_s),
        logs: None,
    }
}

/// Measures bare clients and the job side by side, and puts the figures into the result.
fn measure_beside(
    scenario: &Scenario,
    addresses: &Addresses,
    folder: &RunFolder,
    stop: &Stop,
    console: Console,
    result: &mut RunResult,
) {
    console.remark("measuring bare clients, and the job beside them");
    match beside::measure(scenario, addresses, folder, stop) {
        Ok(measured) => {
            result.beside_bare = Some(measured);
            if let Err(error) = result::save(folder, result) {
                console.error(&error);
            }
        }
        Err(error) => console.error(&error),
    }
}

/// Keeps the tables of a database that ends with the environment, once they were judged.
fn keep_tables(
    environment: &dyn Environment,
    folder: &RunFolder,
    addresses: &Addresses,
    console: Console,
) {
    let is_database = |service: &Arc<Service>| service.name() == ServiceName::Database;
    if !environment.services().iter().any(is_database) || !folder.ledger().is_file() {
        return;
    }
    if let Err(error) = judgement::keep_tables(folder, addresses) {
        console.error(&error);
    }
}

/// The scenario as it may be written down: without the database's password.
fn without_secrets(scenario: &Scenario) -> Scenario {
    use crate::scenario::EnvironmentChoice;
    let mut public = scenario.clone();
    let database = match &mut public.environment {
        EnvironmentChoice::Embedded { database } => database.as_mut(),
        EnvironmentChoice::External { database, .. } => Some(database),
        EnvironmentChoice::Local { .. } | EnvironmentChoice::Containers { .. } => None,
    };
    if let Some(database) = database {
        *database = crate::environment::without_password(database);
    }
    public
}
