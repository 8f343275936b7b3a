//! generator -> key by -> SQL sink against a bare loader that writes the same rows in the same
//! transactions: SQLite, and MySQL where `STORMPROOF_TEST_MYSQL_URL` names one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use stormproof_benches::BenchJob;
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory};
use stormproof_engine::connectors::sql::{SqlSinkConfig, SqlSinkFactory, WholeValue};
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::runtime::{CheckpointConfig, JobConfig};

use crate::bare_loader;

/// Where the tests' MySQL is.
pub(crate) const URL_VARIABLE: &str = "STORMPROOF_TEST_MYSQL_URL";
/// Subtasks of the job.
const PARALLELISM: u16 = 2000;
/// Different keys.
pub(crate) const KEYS: u64 = 100_000;

/// A database with tables of its own, which go with it.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) prefix: String,
    _folder: Option<tempfile::TempDir>,
    runtime: tokio::runtime::Runtime,
}

impl Database {
    fn over(url: String, folder: Option<tempfile::TempDir>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("the system gives a thread");
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let prefix = format!("bench{}", since.unwrap_or_default().as_nanos());
        Self { url, prefix, _folder: folder, runtime }
    }

    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let url = format!("sqlite:{}", folder.path().join("bench.sqlite").display());
        Self::over(url, Some(folder))
    }

    /// `None` when no MySQL is named.
    pub(crate) fn mysql() -> Option<Self> {
        std::env::var(URL_VARIABLE).ok().map(|url| Self::over(url, None))
    }

    /// The engine's rate, effects/s.
    pub(crate) fn engine(&self, records: u64, sink: &SqlSinkConfig) -> f64 {
        let generator =
            GeneratorConfig { keys: KEYS, records: Some(records), ..GeneratorConfig::default() };
        let generator = GeneratorFactory::new(generator).expect("the generator is valid");
        let config = SqlSinkConfig { table_prefix: self.prefix.clone(), ..sink.clone() };
        let handle = self.runtime.handle();
        let sink = SqlSinkFactory::new(&self.url, config, Arc::new(WholeValue), handle);
        let mut graph = JobGraph::builder();
        let source = graph.source("source", PARALLELISM, Arc::new(generator));
        let sink = graph.sink("sink", PARALLELISM, Arc::new(sink.expect("the sink is valid")));
        graph.connect(source, sink, Partitioner::KeyBy);
        let checkpoint = CheckpointConfig { interval_ms: 1000, ..CheckpointConfig::default() };
        let config = JobConfig { checkpoint, ..JobConfig::default() };
        let ran = BenchJob::new(graph.build().expect("the graph is valid"), config).run();
        rate(records, ran.elapsed)
    }

    /// The bare loader's rate, effects/s.
    pub(crate) fn bare(&self, records: u64) -> f64 {
        let started = Instant::now();
        match self.url.strip_prefix("sqlite:") {
            Some(path) => bare_loader::sqlite(path, &self.prefix, records),
            None => {
                self.runtime.block_on(bare_loader::mysql(&self.url, &self.prefix, records));
            }
        }
        rate(records, started.elapsed())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.url.starts_with("sqlite:") {
            return;
        }
        let tables = ["audit", "results", "fence", "owner"];
        let names = tables.map(|table| format!("{}_{table}", self.prefix)).join(", ");
        let dropped = self.runtime.block_on(async {
            let mut connection = mysql_async::Conn::from_url(&self.url).await?;
            connection.query_drop(format!("DROP TABLE IF EXISTS {names}")).await?;
            connection.disconnect().await
        });
        if let Err(error) = dropped {
            eprintln!("tables {names} were left behind: {error}");
        }
    }
}

fn rate(records: u64, elapsed: Duration) -> f64 {
    records as f64 / elapsed.as_secs_f64()
}
