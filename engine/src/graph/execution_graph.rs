//! The execution graph: the job graph on a given number of workers.
//!
//! Subtasks of every vertex are spread over the workers in contiguous shares, so that forward
//! edges stay on one worker and a share is a range.

use std::ops::Range;
use std::sync::Arc;

use super::job_graph::{Edge, JobGraph, MAX_PARALLELISM, VertexKind};
use crate::error::{EngineError, Result};
use crate::ids::{EdgeId, SubtaskIndex, VertexId, WorkerIndex};

/// Which worker hosts which subtask of a vertex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    parallelism: u16,
    workers: u16,
}

impl Placement {
    /// `parallelism` subtasks over `workers`.
    pub fn new(parallelism: u16, workers: u16) -> Self {
        assert!(parallelism > 0 && workers > 0, "a placement needs subtasks and workers");
        Self { parallelism, workers }
    }

    /// Subtasks over all workers.
    pub fn parallelism(self) -> u16 {
        self.parallelism
    }

    /// The subtasks of `worker`; may be empty.
    pub fn range(self, worker: WorkerIndex) -> Range<u16> {
        let bound = |w: u32| (w * u32::from(self.parallelism) / u32::from(self.workers)) as u16;
        bound(u32::from(worker.0))..bound(u32::from(worker.0) + 1)
    }

    /// The worker of `subtask`.
    #[inline]
    pub fn worker_of(self, subtask: SubtaskIndex) -> WorkerIndex {
        let after = (u32::from(subtask.0) + 1) * u32::from(self.workers) - 1;
        WorkerIndex((after / u32::from(self.parallelism)) as u16)
    }
}

/// A vertex of the execution graph.
#[derive(Clone, Debug)]
pub struct ExecutionVertex {
    /// Its id.
    pub id: VertexId,
    /// Its name.
    pub name: Arc<str>,
    /// Its subtasks.
    pub parallelism: u16,
    /// What it does.
    pub kind: VertexKind,
    /// Where its subtasks live.
    pub placement: Placement,
    /// Edges that end here.
    pub inputs: Vec<EdgeId>,
    /// Edges that start here.
    pub outputs: Vec<EdgeId>,
}

/// An edge of the execution graph.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionEdge {
    /// Its id.
    pub id: EdgeId,
    /// The edge of the job graph.
    pub edge: Edge,
    /// First channel of this edge in the downstream gate: its upstream subtask `s` is channel
    /// `first_channel + s`.
    pub first_channel: u32,
}

/// A job graph placed on workers.
#[derive(Clone, Debug)]
pub struct ExecutionGraph {
    /// Vertices in topological order.
    pub vertices: Vec<ExecutionVertex>,
    /// Edges.
    pub edges: Vec<ExecutionEdge>,
    /// Number of workers.
    pub workers: u16,
    /// Number of key groups.
    pub max_parallelism: u16,
}

impl ExecutionGraph {
    /// Places `job` on `workers`. `max_parallelism` 0 = Flink's default rule.
    ///
    /// # Errors
    /// [`EngineError::Config`] when `max_parallelism` is smaller than a vertex.
    pub fn new(job: &JobGraph, workers: u16, max_parallelism: u16) -> Result<Self> {
        let largest = job.vertices.iter().map(|v| v.parallelism).max().unwrap_or(1);
        let max_parallelism = match max_parallelism {
            0 => default_max_parallelism(largest),
            given if given >= largest && given <= MAX_PARALLELISM => given,
            given => {
                return Err(EngineError::Config(format!(
                    "max_parallelism {given} must lie between the largest parallelism {largest} \
                     and {MAX_PARALLELISM}"
                )));
            }
        };
        let vertices = job.vertices.iter().map(|vertex| ExecutionVertex {
            id: vertex.id,
            name: Arc::clone(&vertex.name),
            parallelism: vertex.parallelism,
            kind: vertex.kind.clone(),
            placement: Placement::new(vertex.parallelism, workers),
            inputs: edges_where(&job.edges, |e| e.to == vertex.id),
            outputs: edges_where(&job.edges, |e| e.from == vertex.id),
        });
        let edges = job.edges.iter().enumerate().map(|(i, edge)| ExecutionEdge {
            id: EdgeId(i as u16),
            edge: *edge,
            first_channel: job.edges[..i]
                .iter()
                .filter(|e| e.to == edge.to)
                .map(|e| u32::from(job.vertices[e.from.index()].parallelism))
                .sum(),
        });
        Ok(Self { vertices: vertices.collect(), edges: edges.collect(), workers, max_parallelism })
    }

    /// The vertex of an id.
    pub fn vertex(&self, id: VertexId) -> &ExecutionVertex {
        &self.vertices[id.index()]
    }

    /// The edge of an id.
    pub fn edge(&self, id: EdgeId) -> &ExecutionEdge {
        &self.edges[id.index()]
    }

    /// Logical channels into each subtask of a vertex.
    pub fn channels_into(&self, vertex: &ExecutionVertex) -> usize {
        let upstream = |e: &EdgeId| self.vertex(self.edge(*e).edge.from).parallelism as usize;
        vertex.inputs.iter().map(upstream).sum()
    }

    /// All subtasks of all vertices.
    pub fn subtasks(&self) -> u64 {
        self.vertices.iter().map(|v| u64::from(v.parallelism)).sum()
    }
}

fn edges_where(edges: &[Edge], wanted: impl Fn(&Edge) -> bool) -> Vec<EdgeId> {
    let ids = edges.iter().enumerate().filter(|(_, e)| wanted(e)).map(|(i, _)| EdgeId(i as u16));
    ids.collect()
}

/// Flink's rule: the next power of two of 1.5 times the parallelism, between 128 and 32768
/// (`KeyGroupRangeAssignment.computeDefaultMaxParallelism`).
fn default_max_parallelism(parallelism: u16) -> u16 {
    let wanted = u32::from(parallelism) + u32::from(parallelism) / 2;
    wanted.next_power_of_two().clamp(128, u32::from(MAX_PARALLELISM)) as u16
}
