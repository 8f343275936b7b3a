//! The job of a trial, and the services around it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stormproof_engine::api::{SinkFactory, SourceFactory};
use stormproof_engine::connectors::blackhole::BlackholeFactory;
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory};
use stormproof_engine::connectors::kafka::{KafkaSourceConfig, KafkaSourceFactory};
use stormproof_engine::connectors::sql::{SqlSinkConfig, SqlSinkFactory, WholeValue};
use stormproof_engine::error::EngineError;
use stormproof_engine::graph::{JobGraph, Partitioner};
use tokio::runtime::Handle;

use super::BenchScenario;
use super::sink::{Intended, Watch, WatchedFactory};
use crate::environment::{Addresses, DatabaseAddress, Embedded, Environment, Host};
use crate::error::{HarnessError, Result, engine};
use crate::scenario::Load;
use crate::workload::generator::Generator;

/// A job that is ready to run, and what has to live as long as it runs.
pub(super) struct Pipeline {
    pub(super) graph: JobGraph,
    environment: Option<Embedded>,
    addresses: Option<Addresses>,
    load: Load,
    files: Vec<PathBuf>,
}

fn refused(error: &EngineError) -> HarnessError {
    engine(error.to_string())
        .at("the bench's job")
        .remedy("correct the scenario, or see whether the database answers")
}

/// The load of a trial.
fn load(scenario: &BenchScenario, rate_per_s: u64) -> Load {
    Load {
        records: rate_per_s.saturating_mul(scenario.trial_s),
        record_bytes: scenario.record_bytes,
        rate_per_s,
        keys: scenario.keys.max(u64::from(scenario.partitions)),
        partitions: scenario.partitions,
        run_length: 64,
    }
}

impl Pipeline {
    /// Starts the services of `scenario` and makes its job, with files in `folder`.
    pub(super) fn start(
        scenario: &BenchScenario,
        rate_per_s: u64,
        folder: &Path,
        watch: &Arc<Watch>,
        services: &Handle,
    ) -> Result<Self> {
        let load = load(scenario, rate_per_s);
        let run_id = format!("bench{}", crate::clock::monotonic_us());
        let mut environment = scenario
            .pipeline
            .reads_kafka()
            .then(|| Embedded::new(folder, scenario.database.as_deref(), Host::quiet(&run_id)));
        let addresses = match &mut environment {
            Some(environment) => {
                environment.check(&load)?;
                Some(environment.start(&load)?)
            }
            None => None,
        };
        let mut files = Vec::new();
        let mut graph = JobGraph::builder();
        let source = graph.source(
            "source",
            scenario.parallelism,
            source(scenario, &load, addresses.as_ref())?,
        );
        let inner: Arc<dyn SinkFactory> = if scenario.pipeline.writes_sql() {
            let (url, prefix) = match &addresses {
                Some(addresses) => (url(&addresses.database), addresses.table_prefix.clone()),
                None => match &scenario.database {
                    Some(url) => (url.clone(), run_id),
                    None => (url(&DatabaseAddress::Sqlite(folder.join("database.sqlite"))), run_id),
                },
            };
            if let Some(file) = url.strip_prefix("sqlite:") {
                files.extend(["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{file}{end}"))));
            }
            let config = SqlSinkConfig { table_prefix: prefix, ..SqlSinkConfig::default() };
            let sink = SqlSinkFactory::new(&url, config, Arc::new(WholeValue), services);
            Arc::new(sink.map_err(|e| refused(&e))?)
        } else {
            Arc::new(BlackholeFactory::new())
        };
        let intended = match scenario.pipeline.reads_kafka() {
            true => Intended::InValue,
            false => Intended::EventTime,
        };
        let watched = WatchedFactory { inner, watch: Arc::clone(watch), intended };
        let sink = graph.sink("sink", scenario.parallelism, Arc::new(watched));
        graph.connect(source, sink, Partitioner::KeyBy);
        let graph = graph.build().map_err(|e| refused(&e))?;
        Ok(Self { graph, environment, addresses, load, files })
    }

    /// Records of the load.
    pub(super) fn records(&self) -> u64 {
        self.load.records
    }

    /// Starts the load generator, where the load is not the job's own.
    pub(super) fn start_load(&self) -> Result<Option<Generator>> {
        let start = |addresses: &Addresses| {
            Generator::start(&addresses.brokers, &addresses.topic, &self.load, 1)
        };
        self.addresses.as_ref().map(start).transpose()
    }

    /// Ends the services and takes away their files.
    pub(super) fn stop(mut self) {
        if let Some(environment) = &mut self.environment {
            environment.stop();
        }
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
    }
}

fn url(database: &DatabaseAddress) -> String {
    match database {
        DatabaseAddress::Sqlite(path) => format!("sqlite:{}", path.display()),
        DatabaseAddress::Mysql(url) => url.clone(),
    }
}

fn source(
    scenario: &BenchScenario,
    load: &Load,
    addresses: Option<&Addresses>,
) -> Result<Arc<dyn SourceFactory>> {
    if let Some(addresses) = addresses {
        let config = KafkaSourceConfig {
            brokers: addresses.brokers.clone(),
            topic: addresses.topic.clone(),
            group: addresses.group.clone(),
            ..KafkaSourceConfig::default()
        };
        return Ok(Arc::new(KafkaSourceFactory::new(config).map_err(|e| refused(&e))?));
    }
    let config = GeneratorConfig {
        records_per_sec: load.rate_per_s,
        record_bytes: scenario.record_bytes as usize,
        keys: scenario.keys,
        records: Some(load.records),
        ..GeneratorConfig::default()
    };
    Ok(Arc::new(GeneratorFactory::new(config).map_err(|e| refused(&e))?))
}
