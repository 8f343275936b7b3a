//! Options and their help.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use stormproof_engine::runtime::CheckpointMode;

use super::broker::BrokerArgs;
use crate::output::Console;
use crate::scenario::{EnvironmentKind, Exchange, Overrides, SinkDesign};

const EXAMPLES: &str = "\
Examples:
  stormproof                                   the main job: parallelism 2000, 12 faults, 25 s of load
  stormproof run --mode at-least-once --seed 7 the same with duplicates that can be predicted
  stormproof run --parallelism 100 --records 200000 --duration 10
  stormproof run --print-scenario > storm.toml write down what would be run, to change it
  stormproof run --scenario storm.toml
  stormproof run --env external --brokers 127.0.0.1:9092 --database mysql://root@127.0.0.1/storm
  stormproof run --env local --kafka-home /opt/kafka         real Kafka and MariaDB as child processes
  stormproof run --env containers --database-image mariadb:11
  stormproof clean                             take away what a killed run left behind
  stormproof verify stormproof-runs/20250131T120000Z-7
  stormproof replay stormproof-runs/20250131T120000Z-7

Exit codes:
  0  proven: nothing was lost, and the duplicates are exactly those that theory allows
  1  violated: something was lost, or duplicated beyond explanation; there is a witness
  2  unknown: the evidence does not suffice (a fault did not land, the run was interrupted),
     or the scenario, the environment or an option is invalid";

/// Proof that a stream survives the storm: runs a streaming job while faults kill it in the
/// middle of its checkpoints, and proves from outside that no record is lost and that duplicates
/// are exactly what theory allows.
#[derive(Debug, Parser)]
#[command(
    name = "stormproof",
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    allow_negative_numbers = true
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a scenario through its storm and judge it (the default).
    #[command(after_help = EXAMPLES, allow_negative_numbers = true)]
    Run(Box<RunArgs>),
    /// Judge again what a run left behind: its ledger, its checkpoints, its database.
    Verify(VerifyArgs),
    /// Run again what a run has run: same scenario, same seed, same schedule.
    Replay(ReplayArgs),
    /// Render results again: one, two side by side with intervals, or many over time.
    #[command(after_help = super::report::EXAMPLES)]
    Report(super::report::ReportArgs),
    /// Search for the load that pipelines sustain, and measure latency and recovery at it.
    Bench(BenchArgs),
    /// Run the embedded broker by itself: a Kafka node on loopback, for kcat or any client.
    Broker(BrokerArgs),
    /// Run simulated schedules: the same engine and oracle, virtual time, one seed each.
    Sim(super::sim::SimArgs),
    /// Judge a job that is not ours: its input topic against the table that it writes.
    Judge(super::judge::JudgeArgs),
    /// Check scenario files, or print the reference of everything they can say.
    Scenario(super::scenario::ScenarioArgs),
    /// Try the article's claims about Flink at parallelism 2000, each by an experiment.
    Claims(super::claims::ClaimsArgs),
    /// Take away what runs that were killed left behind: containers, processes, folders.
    Clean(CleanArgs),
    /// Becomes the program of a service. Started by `run`, not by people.
    #[command(hide = true)]
    Keep(KeepArgs),
    /// What an invariant says, who checks it, and which seeded bugs exercise it.
    Explain(ExplainArgs),
    /// Convict every seeded bug by simulated schedules, and the sound engine by none.
    Mutants(super::mutants::MutantsArgs),
    /// Strike every named step with every action, in every mode, with every sink design.
    Matrix(super::matrix::MatrixArgs),
    /// Make a failing simulated schedule as small as it gets.
    Shrink(super::shrink::ShrinkArgs),
    /// Run simulated schedules from fresh seeds for hours; save and shrink what fails.
    Soak(super::soak::SoakArgs),
    /// Is this binary worse than another, or than a baseline? Counts, times, drift.
    #[command(after_help = super::gate::HELP)]
    Gate(Box<super::gate::GateArgs>),
    /// Measure this very binary. Called by `gate`, not by people.
    #[command(hide = true)]
    Measure(super::measure::MeasureArgs),
    /// Which environments can run here, what is missing, and the remedy.
    #[command(after_help = super::doctor::HELP)]
    Doctor(super::doctor::DoctorArgs),
    /// Completions for a shell: source <(stormproof completions bash)
    Completions(super::completions::CompletionsArgs),
    /// The manual page: stormproof man | man -l -
    Man(super::completions::ManArgs),
    /// The engine process of a run. Started by `run`, not by people.
    #[command(hide = true)]
    Engine {
        /// What to run.
        #[arg(long)]
        spec: PathBuf,
        /// The process that started it, and without which it has no business.
        #[arg(long)]
        parent: i32,
    },
}

#[derive(Clone, Debug, Default, Args)]
pub(super) struct OutputArgs {
    /// Print the result as JSON on stdout instead of the table.
    #[arg(long)]
    pub(super) json: bool,
    /// No progress and no remarks.
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl OutputArgs {
    pub(super) fn console(&self) -> Console {
        Console { quiet: self.quiet, json: self.json }
    }
}

#[derive(Clone, Debug, Args)]
pub(super) struct RunArgs {
    /// The scenario, a TOML file. Options win over it.
    #[arg(long, value_name = "FILE.toml")]
    pub(super) scenario: Option<PathBuf>,
    /// Print the effective scenario with its comments, and do nothing else.
    #[arg(long)]
    pub(super) print_scenario: bool,
    /// Where to run [default: embedded].
    #[arg(long, value_name = "WHERE", value_enum)]
    env: Option<EnvironmentKind>,
    /// Kafka's bootstrap servers (--env external).
    #[arg(long, value_name = "HOST:PORT,...")]
    brokers: Option<String>,
    /// The topic (--env external) [default: a new one].
    #[arg(long)]
    topic: Option<String>,
    /// The database: needed by --env external, instead of SQLite in the embedded one.
    #[arg(long, value_name = "mysql://USER:PASSWORD@HOST:PORT/NAME")]
    database: Option<String>,
    /// Faults of services, links and the checkpoint disk in the storm [default: 0].
    #[arg(long, value_name = "FAULTS")]
    service_faults: Option<u32>,
    /// Kafka's distribution folder (--env local) [default: KAFKA_HOME].
    #[arg(long, value_name = "DIR")]
    kafka_home: Option<PathBuf>,
    /// Brokers of the cluster (--env local): 3 have three replicas of each partition [default: 1].
    #[arg(long, value_name = "BROKERS")]
    kafka_brokers: Option<u32>,
    /// Kafka's image (--env containers) [default: apache/kafka:4.1.1].
    #[arg(long, value_name = "NAME:TAG")]
    kafka_image: Option<String>,
    /// The database's image (--env containers) [default: mysql:8.4].
    #[arg(long, value_name = "NAME:TAG")]
    database_image: Option<String>,
    /// Where services keep their data (--env local, containers) [default: memory, if there is room].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seed of load and storm [default: random, printed].
    #[arg(long)]
    seed: Option<u64>,
    /// Subtasks of every vertex [default: 2000].
    #[arg(long, value_name = "SUBTASKS")]
    parallelism: Option<u64>,
    /// Subtasks of every vertex after the first SIGKILL: the job is restored at another parallelism.
    #[arg(long, value_name = "SUBTASKS")]
    rescale_to: Option<u64>,
    /// Worker threads [default: 0 = one for each core].
    #[arg(long, value_name = "THREADS")]
    workers: Option<u64>,
    /// Checkpoint mode [default: exactly-once].
    #[arg(long, value_parser = mode_parser())]
    mode: Option<CheckpointMode>,
    /// Records to write [default: 1000000]; 0 = judge the topic as it is.
    #[arg(long)]
    records: Option<u64>,
    /// Length of the load, at least 1; with --records it gives the rate, alone it gives the records.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u64>,
    /// From the sources to the operator [default: key-by].
    #[arg(long, value_parser = exchange_parser())]
    partitioner: Option<Exchange>,
    /// The sink at a barrier: buffer-in-state (default) or flush-on-barrier.
    #[arg(long, value_parser = design_parser())]
    sink_design: Option<SinkDesign>,
    /// Serve the engine's figures as Prometheus text at http://127.0.0.1:PORT/metrics; 0 = any port.
    #[arg(long, value_name = "PORT")]
    metrics_port: Option<u16>,
    /// After the verdict, measure a bare consumer and a bare loader on the same services, and the
    /// job without faults beside them.
    #[arg(long)]
    pub(super) beside_bare: bool,
    /// The run's folder; must be new [default: stormproof-runs/TIME-SEED].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// A seeded bug of the engine, which the oracle must convict; `stormproof explain mutants` lists them.
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "N")]
    mutant: Option<u8>,
    #[command(flatten)]
    output: OutputArgs,
}

impl RunArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }

    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            seed: self.seed,
            parallelism: self.parallelism,
            rescale_to: self.rescale_to,
            workers: self.workers,
            mode: self.mode,
            records: self.records,
            duration_s: self.duration,
            partitioner: self.partitioner,
            sink_design: self.sink_design,
            environment: self.env,
            brokers: self.brokers.clone(),
            topic: self.topic.clone(),
            database: self.database.clone(),
            service_faults: self.service_faults,
            kafka_home: self.kafka_home.clone(),
            kafka_brokers: self.kafka_brokers,
            kafka_image: self.kafka_image.clone(),
            database_image: self.database_image.clone(),
            data: self.data.clone(),
            metrics_port: self.metrics_port,
            #[cfg(feature = "mutants")]
            mutant: self.mutant,
            #[cfg(not(feature = "mutants"))]
            mutant: None,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(super) struct BenchArgs {
    /// What to run; benches/scenarios has some.
    #[arg(value_name = "SCENARIO.toml")]
    pub(super) scenarios: Vec<PathBuf>,
    /// Trials at the rate that was found [default: as the scenario says].
    #[arg(long, value_name = "TIMES")]
    pub(super) repetitions: Option<std::num::NonZeroU32>,
    /// The database of pipelines that write to one [default: SQLite in a temporary folder].
    #[arg(long, value_name = "mysql://USER:PASSWORD@HOST:PORT/NAME")]
    pub(super) database: Option<String>,
    /// Where results are kept [default: stormproof-runs].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl BenchArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }
}

#[derive(Clone, Debug, Args)]
pub(super) struct CleanArgs {
    /// Where a run was told to keep its services' data.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl CleanArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }
}

#[derive(Clone, Debug, Args)]
pub(super) struct KeepArgs {
    /// The process that started this one.
    #[arg(long)]
    pub(super) parent: u32,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub(super) command: Vec<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct VerifyArgs {
    /// The folder of a run.
    pub(super) folder: PathBuf,
    /// Ask a second, independent checker, too; slow. Exit code 2 when the two disagree.
    #[arg(long)]
    pub(super) second_opinion: bool,
    /// The database's address, if it needs a password or has moved.
    #[arg(long, value_name = "mysql://USER:PASSWORD@HOST:PORT/NAME")]
    pub(super) database: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl VerifyArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }
}

#[derive(Clone, Debug, Args)]
pub(super) struct ExplainArgs {
    /// An invariant's id, a mutant's number, or `mutants`; without it all invariants are listed.
    #[arg(value_name = "ID")]
    pub(super) what: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ReplayArgs {
    /// A run's folder, its result.json, a FAILURE.json, or a simulated schedule that was saved.
    pub(super) what: PathBuf,
    /// Run it so often, and say how often it was violated.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) tries: u32,
    /// The database's address, if it needs a password.
    #[arg(long, value_name = "mysql://USER:PASSWORD@HOST:PORT/NAME")]
    pub(super) database: Option<String>,
    /// The new run's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl ReplayArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }
}

/// A parser of values that have names; the help lists them, a typo is told the nearest.
fn by_name<T: Copy + Send + Sync + 'static>(
    values: impl IntoIterator<Item = T>,
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let values: Vec<T> = values.into_iter().collect();
    let names: Vec<&'static str> = values.iter().map(|value| name(*value)).collect();
    PossibleValuesParser::new(names).map(move |given| {
        let found = values.iter().find(|value| name(**value) == given);
        *found.expect("clap lets only the names through")
    })
}

fn mode_parser() -> impl TypedValueParser<Value = CheckpointMode> {
    by_name(CheckpointMode::ALL, CheckpointMode::name)
}

fn exchange_parser() -> impl TypedValueParser<Value = Exchange> {
    by_name(Exchange::ALL, Exchange::name)
}

fn design_parser() -> impl TypedValueParser<Value = SinkDesign> {
    by_name([SinkDesign::BufferInState, SinkDesign::FlushOnBarrier], SinkDesign::name)
}
