//! From an execution graph to workers: lanes, inboxes, outputs, groups.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::{CheckpointMode, ExchangeConfig, JobConfig};
use crate::api::GroupContext;
use crate::checkpoint::{BarrierHandler, JobState};
use crate::error::Result;
use crate::exchange::{Debloat, Inbox, Lane, OutputEdge, Outputs, Wake};
use crate::graph::{ExecutionGraph, ExecutionVertex, Selector, VertexKind};
use crate::ids::{AttemptId, CheckpointId, EdgeId, VertexId, WorkerIndex};
use crate::metrics::WorkerMetrics;
use crate::seam::{Clock, Probe, Sight, SnapshotStorage};
use crate::worker::{
    Control, GatedGroup, GatedTask, Group, Report, SourceGroup, Worker, WorkerLinks,
};

/// Every lane of an attempt, by edge and pair of workers.
pub struct Lanes {
    lanes: BTreeMap<(EdgeId, WorkerIndex, WorkerIndex), Arc<Lane>>,
}

impl Lanes {
    /// No lane yet.
    pub fn none() -> Self {
        Self { lanes: BTreeMap::new() }
    }

    /// One lane for each edge and pair of workers that host something at both ends.
    pub fn new(
        graph: &ExecutionGraph,
        config: &ExchangeConfig,
        wake: impl Fn(WorkerIndex) -> Arc<dyn Wake>,
    ) -> Self {
        let mut lanes = BTreeMap::new();
        for edge in &graph.edges {
            let (from, to) = (graph.vertex(edge.edge.from), graph.vertex(edge.edge.to));
            let credit = credit_bytes(config, from);
            for sender in hosts(graph, from) {
                for receiver in hosts(graph, to) {
                    let sources = from.placement.range(sender);
                    let (wake, wake_sender) = (wake(receiver), wake(sender));
                    let bytes = config.lane_buffer_bytes;
                    let lane = Lane::new(sources, bytes, credit, wake, wake_sender)
                        .with_large_credit(large_credit_bytes(config, graph.workers));
                    lanes.insert((edge.id, sender, receiver), Arc::new(lane));
                }
            }
        }
        Self { lanes }
    }

    fn get(&self, edge: EdgeId, from: WorkerIndex, to: WorkerIndex) -> Option<Arc<Lane>> {
        self.lanes.get(&(edge, from, to)).map(Arc::clone)
    }
}

/// What one upstream subtask may have under way to one worker: a share of 32 MiB at first, less
/// when the receiver falls behind.
fn credit_bytes(config: &ExchangeConfig, upstream: &ExecutionVertex) -> u64 {
    const SHARED_BYTES: u64 = 32 << 20;
    match config.credit_bytes as u64 {
        0 => (SHARED_BYTES / u64::from(upstream.parallelism)).clamp(16 << 10, 4 << 20),
        given => given,
    }
}

/// What large records of one worker may have under way to another: its share of 64 MiB.
fn large_credit_bytes(config: &ExchangeConfig, workers: u16) -> u64 {
    const SHARED_BYTES: u64 = 64 << 20;
    match config.large_credit_bytes as u64 {
        0 => SHARED_BYTES / u64::from(workers.max(1)),
        given => given,
    }
}

fn hosts(graph: &ExecutionGraph, vertex: &ExecutionVertex) -> Vec<WorkerIndex> {
    let workers = (0..graph.workers).map(WorkerIndex);
    workers.filter(|w| !vertex.placement.range(*w).is_empty()).collect()
}

/// Workers that host at least one subtask.
pub fn active_workers(graph: &ExecutionGraph) -> Vec<WorkerIndex> {
    let hosts_any = |w: &WorkerIndex| {
        graph.vertices.iter().any(|vertex| !vertex.placement.range(*w).is_empty())
    };
    (0..graph.workers).map(WorkerIndex).filter(hosts_any).collect()
}

/// What all groups of an attempt share.
#[derive(Clone)]
pub struct GroupBuilder {
    /// The graph.
    pub graph: Arc<ExecutionGraph>,
    /// The configuration.
    pub config: JobConfig,
    /// The attempt.
    pub attempt: AttemptId,
    /// The checkpoint it starts from.
    pub restored: CheckpointId,
    /// The state it starts from.
    pub state: Arc<JobState>,
    /// The lanes.
    pub lanes: Arc<Lanes>,
    /// Named steps.
    pub probe: Probe,
    /// What senders see of receivers.
    pub sight: Sight,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where state files go.
    pub storage: Arc<dyn SnapshotStorage>,
}

impl GroupBuilder {
    /// The workers of the attempt.
    pub fn workers(&self) -> Vec<WorkerIndex> {
        active_workers(&self.graph)
    }

    /// The same with lanes that wake their receivers by `wake`.
    #[must_use]
    pub fn connected(&self, wake: impl Fn(WorkerIndex) -> Arc<dyn Wake>) -> Self {
        let lanes = Arc::new(Lanes::new(&self.graph, &self.config.exchange, wake));
        Self { lanes, ..self.clone() }
    }

    /// Opens a worker: every group of it, and what is between them and the coordinator.
    ///
    /// # Errors
    /// When a source, operator or sink cannot be opened.
    pub fn worker(
        &self,
        index: WorkerIndex,
        control: Receiver<Control>,
        reports: Sender<Report>,
        metrics: Arc<WorkerMetrics>,
    ) -> Result<Worker> {
        let groups = self.open(index, &metrics)?;
        let storage = Arc::clone(&self.storage);
        let links = WorkerLinks { control, reports, storage, metrics };
        let upstream = |vertex| upstream_name(&self.graph, vertex);
        Ok(Worker::new(index, self.attempt, groups, upstream, links))
    }

    /// Opens every group of a worker, in topological order.
    ///
    /// # Errors
    /// When a source, operator or sink cannot be opened.
    pub fn open(&self, worker: WorkerIndex, metrics: &Arc<WorkerMetrics>) -> Result<Vec<Group>> {
        let local = self.graph.vertices.iter().filter(|v| !v.placement.range(worker).is_empty());
        local.map(|vertex| self.open_group(vertex, worker, metrics)).collect()
    }

    fn open_group(
        &self,
        vertex: &ExecutionVertex,
        worker: WorkerIndex,
        metrics: &Arc<WorkerMetrics>,
    ) -> Result<Group> {
        let subtasks = vertex.placement.range(worker);
        let (state, recovered) = self.state.group(vertex.id, &subtasks);
        let context = GroupContext {
            vertex: vertex.id,
            name: Arc::clone(&vertex.name),
            attempt: self.attempt,
            restored: self.restored,
            worker,
            subtasks,
            parallelism: vertex.parallelism,
            max_parallelism: self.graph.max_parallelism,
            probe: self.probe.clone(),
            metrics: Arc::clone(metrics),
            clock: Arc::clone(&self.clock),
        };
        let outputs = self.outputs(vertex, worker);
        let task = match &vertex.kind {
            VertexKind::Source(factory) => {
                let reader = factory.open(context.clone(), state)?;
                let source = SourceGroup::new(context, reader, outputs)
                    .stepping(self.config.exchange.records_per_step);
                return Ok(Group::Source(Box::new(source)));
            }
            VertexKind::Operator(factory) => {
                GatedTask::Operator(factory.open(context.clone(), state)?)
            }
            VertexKind::Sink(factory) => GatedTask::Sink(factory.open(context.clone(), state)?),
        };
        let inbox = self.inbox(vertex, worker, recovered.into());
        let checkpoint = &self.config.checkpoint;
        let timeout_ms = match checkpoint.mode {
            CheckpointMode::ExactlyOnce => checkpoint.alignment_timeout_ms,
            _ => None,
        };
        let timeout_us = timeout_ms.map(|ms| ms * 1000);
        let handler = BarrierHandler::new(checkpoint.mode, timeout_us, inbox.channels());
        let first_input = self.graph.edge(vertex.inputs[0]).edge.from;
        let credit = credit_bytes(&self.config.exchange, self.graph.vertex(first_input));
        let target_us = self.config.exchange.in_flight_target_ms * 1000;
        let debloat = Debloat::new(target_us, credit, inbox.channels() as u64);
        let gated = GatedGroup::new(context, task, inbox, handler, debloat, outputs)
            .stepping(self.config.exchange.records_per_step);
        Ok(Group::Gated(Box::new(gated)))
    }

    fn outputs(&self, vertex: &ExecutionVertex, worker: WorkerIndex) -> Outputs {
        let local = vertex.placement.range(worker);
        let open = |id: &EdgeId| {
            let edge = self.graph.edge(*id).edge;
            let to = self.graph.vertex(edge.to);
            let selector = Selector::new(
                edge.partitioner,
                local.clone(),
                vertex.parallelism,
                to.parallelism,
                self.graph.max_parallelism,
            );
            let workers = (0..self.graph.workers).map(WorkerIndex);
            OutputEdge::new(selector, to.placement, workers.map(|w| self.lanes.get(*id, worker, w)))
        };
        let edges = vertex.outputs.iter().map(open).collect();
        Outputs::new(edges, self.config.exchange.flush_interval_us, self.sight.clone())
    }

    fn inbox(
        &self,
        vertex: &ExecutionVertex,
        worker: WorkerIndex,
        recovered: VecDeque<crate::record::Record>,
    ) -> Inbox {
        let lanes_of = |id: &EdgeId| {
            let (id, first) = (*id, self.graph.edge(*id).first_channel as usize);
            let senders = (0..self.graph.workers).map(WorkerIndex);
            let lanes = senders.filter_map(move |from| self.lanes.get(id, from, worker));
            lanes.map(move |lane| (first, lane))
        };
        let lanes: Vec<_> = vertex.inputs.iter().flat_map(lanes_of).collect();
        Inbox::new(lanes, self.graph.channels_into(vertex), recovered)
    }
}

/// The name of what feeds a vertex: the first input's upstream vertex.
pub fn upstream_name(graph: &ExecutionGraph, vertex: VertexId) -> String {
    let first = graph.vertex(vertex).inputs.first();
    first.map_or_else(String::new, |e| graph.vertex(graph.edge(*e).edge.from).name.to_string())
}
