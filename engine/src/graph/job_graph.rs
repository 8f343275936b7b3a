//! The job graph: vertices with a parallelism, edges with a partitioner.

use std::fmt;
use std::sync::Arc;

use super::Partitioner;
use crate::api::{OperatorFactory, SinkFactory, SourceFactory};
use crate::error::{EngineError, Result};
use crate::ids::VertexId;

/// The largest parallelism: Flink's own bound on key groups, 2^15.
pub const MAX_PARALLELISM: u16 = 32_768;

/// What a vertex does.
#[derive(Clone)]
pub enum VertexKind {
    /// Reads a log.
    Source(Arc<dyn SourceFactory>),
    /// Transforms records.
    Operator(Arc<dyn OperatorFactory>),
    /// Writes effects.
    Sink(Arc<dyn SinkFactory>),
}

impl fmt::Debug for VertexKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source(_) => "Source",
            Self::Operator(_) => "Operator",
            Self::Sink(_) => "Sink",
        })
    }
}

/// A vertex.
#[derive(Clone, Debug)]
pub struct Vertex {
    /// Its id: the position in the graph, topologically ordered.
    pub id: VertexId,
    /// Its name, unique in the job; state is matched by it at restore.
    pub name: Arc<str>,
    /// Its subtasks.
    pub parallelism: u16,
    /// What it does.
    pub kind: VertexKind,
}

/// An edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Upstream vertex.
    pub from: VertexId,
    /// Downstream vertex.
    pub to: VertexId,
    /// How records are spread.
    pub partitioner: Partitioner,
}

/// A validated job graph: a chain. A vertex with two inputs or outputs would need nothing new of
/// barriers and channels, but no simulated job has one, so nothing would vouch for it.
#[derive(Clone, Debug)]
pub struct JobGraph {
    pub(crate) vertices: Vec<Vertex>,
    pub(crate) edges: Vec<Edge>,
}

impl JobGraph {
    /// Starts a graph. Vertices are added upstream first.
    pub fn builder() -> JobGraphBuilder {
        JobGraphBuilder::default()
    }

    /// The vertices, in topological order.
    pub fn vertices(&self) -> &[Vertex] {
        &self.vertices
    }

    /// The edges.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// All subtasks of all vertices.
    pub fn subtasks(&self) -> u64 {
        self.vertices.iter().map(|v| u64::from(v.parallelism)).sum()
    }
}

/// Builds a [`JobGraph`].
#[derive(Debug, Default)]
pub struct JobGraphBuilder {
    vertices: Vec<Vertex>,
    edges: Vec<Edge>,
}

impl JobGraphBuilder {
    fn add(&mut self, name: &str, parallelism: u16, kind: VertexKind) -> VertexId {
        let id = VertexId(self.vertices.len() as u16);
        self.vertices.push(Vertex { id, name: name.into(), parallelism, kind });
        id
    }

    /// Adds a source.
    pub fn source(
        &mut self,
        name: &str,
        parallelism: u16,
        factory: Arc<dyn SourceFactory>,
    ) -> VertexId {
        self.add(name, parallelism, VertexKind::Source(factory))
    }

    /// Adds an operator.
    pub fn operator(
        &mut self,
        name: &str,
        parallelism: u16,
        factory: Arc<dyn OperatorFactory>,
    ) -> VertexId {
        self.add(name, parallelism, VertexKind::Operator(factory))
    }

    /// Adds a sink.
    pub fn sink(
        &mut self,
        name: &str,
        parallelism: u16,
        factory: Arc<dyn SinkFactory>,
    ) -> VertexId {
        self.add(name, parallelism, VertexKind::Sink(factory))
    }

    /// Connects two vertices.
    pub fn connect(&mut self, from: VertexId, to: VertexId, partitioner: Partitioner) {
        self.edges.push(Edge { from, to, partitioner });
    }

    /// Checks the graph.
    ///
    /// # Errors
    /// [`EngineError::Config`] that names the vertex or the edge and the remedy.
    pub fn build(self) -> Result<JobGraph> {
        let refuse = |what: String| Err(EngineError::Config(what));
        for vertex in &self.vertices {
            if vertex.parallelism == 0 || vertex.parallelism > MAX_PARALLELISM {
                return refuse(format!(
                    "vertex '{}': parallelism {} is out of range; choose 1 to {MAX_PARALLELISM}",
                    vertex.name, vertex.parallelism
                ));
            }
            if self.vertices.iter().any(|v| v.id != vertex.id && v.name == vertex.name) {
                return refuse(format!(
                    "two vertices are named '{}'; state is matched by name, so give each its own",
                    vertex.name
                ));
            }
            self.check_degree(vertex)?;
        }
        for edge in &self.edges {
            self.check_edge(edge)?;
        }
        Ok(JobGraph { vertices: self.vertices, edges: self.edges })
    }

    fn check_degree(&self, vertex: &Vertex) -> Result<()> {
        let inputs = self.edges.iter().filter(|e| e.to == vertex.id).count();
        let outputs = self.edges.iter().filter(|e| e.from == vertex.id).count();
        let fault = match vertex.kind {
            VertexKind::Source(_) if inputs > 0 => "is a source and has an input",
            VertexKind::Source(_) | VertexKind::Operator(_) if outputs == 0 => "has no output",
            VertexKind::Operator(_) | VertexKind::Sink(_) if inputs == 0 => "has no input",
            VertexKind::Sink(_) if outputs > 0 => "is a sink and has an output",
            _ if inputs > 1 => "has more than one input, and a job here is a chain",
            _ if outputs > 1 => "has more than one output, and a job here is a chain",
            _ => return Ok(()),
        };
        Err(EngineError::Config(format!("vertex '{}' {fault}; mend its edges", vertex.name)))
    }

    fn check_edge(&self, edge: &Edge) -> Result<()> {
        let vertex = |id: VertexId| {
            self.vertices.get(id.index()).ok_or_else(|| {
                EngineError::Config(format!("an edge names vertex {id}, which does not exist"))
            })
        };
        let (from, to) = (vertex(edge.from)?, vertex(edge.to)?);
        if edge.from >= edge.to {
            return Err(EngineError::Config(format!(
                "edge '{}' -> '{}' goes backwards; add vertices upstream first (no cycles)",
                from.name, to.name
            )));
        }
        if edge.partitioner == Partitioner::Forward && from.parallelism != to.parallelism {
            return Err(EngineError::Config(format!(
                "forward edge '{}' ({}) -> '{}' ({}) needs the same parallelism on both sides; \
                 use rescale",
                from.name, from.parallelism, to.name, to.parallelism
            )));
        }
        Ok(())
    }
}
