//! What a job looks like (job graph) and where it runs (execution graph).
//!
//! Pure data and arithmetic: nothing here touches a thread, a clock or a service.

mod execution_graph;
mod job_graph;
mod partitioner;

pub use execution_graph::{ExecutionEdge, ExecutionGraph, ExecutionVertex, Placement};
pub use job_graph::{Edge, JobGraph, JobGraphBuilder, MAX_PARALLELISM, Vertex, VertexKind};
pub use partitioner::{Partitioner, Selector, key_group_of, subtask_of_key_group};
