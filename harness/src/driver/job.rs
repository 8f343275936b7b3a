//! The main job: Kafka -> key by (or another partitioner) -> count -> forward -> database.

use std::sync::Arc;

use stormproof_chaos::fault::VertexShape;
use stormproof_engine::connectors::kafka::{KafkaSourceConfig, KafkaSourceFactory};
use stormproof_engine::connectors::sql::{BufferDesign, SqlSinkConfig, SqlSinkFactory};
use stormproof_engine::error::Result;
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::operators::{CountFactory, CountedValue};
use tokio::runtime::Handle;

use super::protocol::EngineSpec;
use crate::environment::DatabaseAddress;
use crate::scenario::{Exchange, SinkDesign};

/// The vertices, in the order of their ids.
const VERTICES: [&str; 3] = ["source", "count", "sink"];

/// The vertices as faults see them.
pub(crate) fn vertices(parallelism: u16) -> Vec<VertexShape> {
    VERTICES.map(|name| VertexShape { name: name.to_owned(), parallelism }).to_vec()
}

/// The job graph of `spec`.
pub(super) fn graph(spec: &EngineSpec, services: &Handle) -> Result<JobGraph> {
    let [source_name, count_name, sink_name] = VERTICES;
    let source = Arc::new(KafkaSourceFactory::new(source_config(spec))?);
    let url = match &spec.addresses.database {
        DatabaseAddress::Sqlite(path) => format!("sqlite:{}", path.display()),
        DatabaseAddress::Mysql(url) => url.clone(),
    };
    let sink = SqlSinkFactory::new(&url, sink_config(spec), Arc::new(CountedValue), services)?;
    let mut graph = JobGraph::builder();
    let source = graph.source(source_name, spec.parallelism, source);
    let count = graph.operator(count_name, spec.parallelism, Arc::new(CountFactory));
    let sink = graph.sink(sink_name, spec.parallelism, Arc::new(sink));
    let exchange = match spec.partitioner {
        Exchange::KeyBy => Partitioner::KeyBy,
        Exchange::Rebalance => Partitioner::Rebalance,
        Exchange::Rescale => Partitioner::Rescale,
        Exchange::Shuffle => Partitioner::Shuffle,
        Exchange::Forward => Partitioner::Forward,
    };
    graph.connect(source, count, exchange);
    graph.connect(count, sink, Partitioner::Forward);
    graph.build()
}

fn source_config(spec: &EngineSpec) -> KafkaSourceConfig {
    KafkaSourceConfig {
        brokers: spec.addresses.brokers.clone(),
        topic: spec.addresses.topic.clone(),
        group: spec.addresses.group.clone(),
        ..KafkaSourceConfig::default()
    }
}

fn sink_config(spec: &EngineSpec) -> SqlSinkConfig {
    SqlSinkConfig {
        table_prefix: spec.addresses.table_prefix.clone(),
        batch_rows: spec.batch_rows as usize,
        batch_interval_ms: spec.batch_interval_ms,
        design: match spec.sink_design {
            SinkDesign::BufferInState => BufferDesign::BufferInState,
            SinkDesign::FlushOnBarrier => BufferDesign::FlushOnBarrier,
        },
        ..SqlSinkConfig::default()
    }
}

/// Turns a seeded bug on; 0 is none.
pub(super) fn activate_mutant(mutant: u8) {
    #[cfg(feature = "mutants")]
    stormproof_engine::mutants::activate(u32::from(mutant));
    #[cfg(not(feature = "mutants"))]
    assert_eq!(mutant, 0, "mutants are refused where they are not compiled in");
}
