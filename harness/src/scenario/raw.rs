//! A scenario as it is written: TOML and options, nothing checked but names and types.
//!
//! Invariant: an unknown field is an error that names file, line, field and the nearest known name.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use stormproof_chaos::fault::Fault;
use stormproof_engine::runtime::{CheckpointMode, RestartStrategy};

use super::{Exchange, SinkDesign};
use crate::error::{HarnessError, Result, scenario};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawScenario {
    /// See [`super::Scenario::name`].
    pub name: Option<String>,
    /// See [`super::Scenario::seed`].
    pub seed: Option<u64>,
    /// See [`super::Scenario::time_limit_s`].
    pub time_limit_s: Option<u64>,
    /// See [`super::Scenario::metrics_port`].
    pub metrics_port: Option<u16>,
    /// See [`super::Scenario::mutant`].
    pub mutant: Option<u8>,
    /// The load.
    pub load: RawLoad,
    /// The job.
    pub job: RawJob,
    /// Checkpointing.
    pub checkpoint: RawCheckpoint,
    /// What happens after a failure inside the engine process.
    pub restart: Option<RestartStrategy>,
    /// The faults.
    pub faults: RawFaults,
    /// Where.
    pub environment: RawEnvironment,
}

/// `[load]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLoad {
    pub(super) records: Option<u64>,
    pub(super) record_bytes: Option<u32>,
    pub(super) rate_per_s: Option<u64>,
    pub(super) keys: Option<u64>,
    pub(super) partitions: Option<u32>,
    pub(super) run_length: Option<u32>,
}

/// `[job]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawJob {
    pub(super) parallelism: Option<u64>,
    pub(super) rescale_to: Option<u64>,
    pub(super) workers: Option<u64>,
    pub(super) partitioner: Option<Exchange>,
    pub(super) sink_design: Option<SinkDesign>,
    pub(super) batch_rows: Option<u32>,
    pub(super) batch_interval_ms: Option<u64>,
    pub(super) credit_bytes: Option<u64>,
}

/// `[checkpoint]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawCheckpoint {
    pub(super) mode: Option<CheckpointMode>,
    pub(super) interval_ms: Option<u64>,
    pub(super) min_pause_ms: Option<u64>,
    pub(super) timeout_ms: Option<u64>,
    pub(super) max_concurrent: Option<usize>,
    pub(super) tolerable_failures: Option<u32>,
    pub(super) alignment_timeout_ms: Option<u64>,
    pub(super) retained: Option<usize>,
}

/// `[faults]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawFaults {
    pub(super) count: Option<u32>,
    pub(super) services: Option<u32>,
    pub(super) schedule: Option<Vec<Fault>>,
}

/// `[environment]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawEnvironment {
    pub(super) kind: Option<EnvironmentKind>,
    pub(super) brokers: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) database: Option<String>,
    pub(super) kafka_home: Option<PathBuf>,
    pub(super) kafka_brokers: Option<u32>,
    pub(super) min_insync_replicas: Option<u32>,
    pub(super) kafka_image: Option<String>,
    pub(super) database_image: Option<String>,
    pub(super) data: Option<PathBuf>,
    pub(super) ready_limit_s: Option<u64>,
}

/// `environment.kind`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentKind {
    /// Everything in this process and the run's folder.
    #[default]
    Embedded,
    /// Installed Kafka and MariaDB (or MySQL), as child processes.
    Local,
    /// Kafka and MySQL (or MariaDB) in containers.
    Containers,
    /// Services that run already.
    External,
}

/// Options of the command line: they win over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--seed`
    pub seed: Option<u64>,
    /// `--parallelism`
    pub parallelism: Option<u64>,
    /// `--rescale-to`
    pub rescale_to: Option<u64>,
    /// `--workers`
    pub workers: Option<u64>,
    /// `--mode`
    pub mode: Option<CheckpointMode>,
    /// `--records`
    pub records: Option<u64>,
    /// `--duration`, in seconds.
    pub duration_s: Option<u64>,
    /// `--partitioner`
    pub partitioner: Option<Exchange>,
    /// `--sink-design`
    pub sink_design: Option<SinkDesign>,
    /// `--env`
    pub environment: Option<EnvironmentKind>,
    /// `--brokers`
    pub brokers: Option<String>,
    /// `--topic`
    pub topic: Option<String>,
    /// `--database`
    pub database: Option<String>,
    /// `--kafka-home`
    pub kafka_home: Option<PathBuf>,
    /// `--kafka-brokers`
    pub kafka_brokers: Option<u32>,
    /// `--kafka-image`
    pub kafka_image: Option<String>,
    /// `--database-image`
    pub database_image: Option<String>,
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--metrics-port`
    pub metrics_port: Option<u16>,
    /// `--service-faults`
    pub service_faults: Option<u32>,
    /// `--mutant`
    pub mutant: Option<u8>,
}

impl Overrides {
    /// Whether the options make sense before they meet a file.
    ///
    /// # Errors
    /// When a load is asked for that takes no time.
    pub fn check(&self) -> Result<()> {
        if self.duration_s == Some(0) {
            return Err(scenario("a load cannot take 0 seconds")
                .at("--duration")
                .remedy("choose at least 1 second, or leave it out: 25 s at the default rate"));
        }
        Ok(())
    }
}

impl RawScenario {
    /// The first fault that was written by hand.
    pub(super) fn first_fault(&self) -> Option<Fault> {
        self.faults.schedule.as_ref()?.first().cloned()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is no scenario.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            scenario(format!("cannot read the scenario: {error}"))
                .at(path.display().to_string())
                .remedy(
                    "give the path of a TOML file; `stormproof run --print-scenario` writes one",
                )
        })?;
        parse(&text, &path.display().to_string())
    }

    /// Lets options win over the file.
    pub fn override_with(&mut self, options: &Overrides) {
        fn over<T: Clone>(field: &mut Option<T>, option: &Option<T>) {
            if option.is_some() {
                field.clone_from(option);
            }
        }
        over(&mut self.seed, &options.seed);
        over(&mut self.mutant, &options.mutant);
        over(&mut self.metrics_port, &options.metrics_port);
        over(&mut self.job.parallelism, &options.parallelism);
        over(&mut self.job.rescale_to, &options.rescale_to);
        over(&mut self.job.workers, &options.workers);
        over(&mut self.job.partitioner, &options.partitioner);
        over(&mut self.job.sink_design, &options.sink_design);
        over(&mut self.environment.kind, &options.environment);
        over(&mut self.environment.brokers, &options.brokers);
        over(&mut self.environment.topic, &options.topic);
        over(&mut self.environment.database, &options.database);
        over(&mut self.environment.kafka_home, &options.kafka_home);
        over(&mut self.environment.kafka_brokers, &options.kafka_brokers);
        over(&mut self.environment.kafka_image, &options.kafka_image);
        over(&mut self.environment.database_image, &options.database_image);
        over(&mut self.environment.data, &options.data);
        over(&mut self.faults.services, &options.service_faults);
        over(&mut self.checkpoint.mode, &options.mode);
        self.override_load(options);
    }

    /// `--records` and `--duration` together give the rate; `--duration` alone keeps the rate.
    fn override_load(&mut self, options: &Overrides) {
        let rate_per_s = self.load.rate_per_s.unwrap_or(super::validate::DEFAULT_RATE_PER_S);
        match (options.records, options.duration_s) {
            (Some(records), Some(seconds)) => {
                self.load.records = Some(records);
                self.load.rate_per_s = Some(records.div_ceil(seconds.max(1)).max(1));
            }
            (Some(records), None) => self.load.records = Some(records),
            (None, Some(seconds)) => {
                self.load.records = Some(rate_per_s.saturating_mul(seconds.max(1)));
            }
            (None, None) => {}
        }
    }
}

/// Parses `text`, which came from `file`.
///
/// # Errors
/// When it is no scenario: with file, line and the nearest known name.
pub fn parse(text: &str, file: &str) -> Result<RawScenario> {
    const REMEDY: &str = "`stormproof run --print-scenario` shows every value with its type";
    toml::from_str(text).map_err(|error| explain_toml(&error, text, file, REMEDY))
}

/// What is wrong in a TOML file, where, and the nearest known name; `remedy` if it is no name.
pub(crate) fn explain_toml(
    error: &toml::de::Error,
    text: &str,
    file: &str,
    remedy: &str,
) -> HarnessError {
    let place = match error.span() {
        Some(span) => {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
            format!("{file}:{line}:{column}")
        }
        None => file.to_owned(),
    };
    let message = error.message().trim();
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let is_unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let problem = scenario(message.lines().next().unwrap_or_default()).at(place);
    match names.split_first() {
        Some((unknown, known)) if is_unknown => {
            let kind = if message.starts_with("unknown field") { "field" } else { "value" };
            let problem = HarnessError { what: format!("unknown {kind} `{unknown}`"), ..problem };
            problem.remedy(match nearest(unknown, known) {
                Some(name) => format!("did you mean `{name}`? known here: {}", known.join(", ")),
                None => format!("known here: {}", known.join(", ")),
            })
        }
        _ => problem.remedy(remedy),
    }
}

/// The known name that `written` was probably meant to be.
pub(super) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let score = |name: &&str| strsim::jaro_winkler(written, name);
    let best = known.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(&best) >= 0.7).then_some(best)
}
