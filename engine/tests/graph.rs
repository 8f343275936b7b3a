//! What a job graph may be, and what is said of one that it may not.

mod support;

use std::sync::Arc;

use stormproof_engine::error::EngineError;
use stormproof_engine::graph::{JobGraph, JobGraphBuilder, Partitioner};
use stormproof_engine::ids::VertexId;
use stormproof_engine::operators::CountFactory;
use support::{CollectSink, Effects, LogSource};

fn source(graph: &mut JobGraphBuilder, name: &str, parallelism: u16) -> VertexId {
    let log = LogSource { partitions: 1, records: 1, keys: 1, run: 1, is_bounded: true };
    graph.source(name, parallelism, Arc::new(log))
}

fn sink(graph: &mut JobGraphBuilder, name: &str) -> VertexId {
    let sink = CollectSink { effects: Effects::default(), batch: 1, per_step: 0 };
    graph.sink(name, 2, Arc::new(sink))
}

/// What is said of the graph that `change` makes of `source -> count -> sink`.
fn refused(change: impl FnOnce(&mut JobGraphBuilder, [VertexId; 3])) -> String {
    let mut graph = JobGraph::builder();
    let from = source(&mut graph, "source", 2);
    let count = graph.operator("count", 2, Arc::new(CountFactory));
    let to = sink(&mut graph, "sink");
    graph.connect(from, count, Partitioner::KeyBy);
    graph.connect(count, to, Partitioner::Forward);
    change(&mut graph, [from, count, to]);
    match graph.build() {
        Err(EngineError::Config(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_graph_that_cannot_run_is_refused_with_the_vertex_and_the_remedy() {
    let said = [
        (refused(|g, _| _ = source(g, "more", 0)), "'more': parallelism 0 is out of range"),
        (refused(|g, _| _ = source(g, "count", 1)), "two vertices are named 'count'"),
        (refused(|g, _| _ = source(g, "more", 1)), "'more' has no output; mend its edges"),
        (refused(|g, _| _ = sink(g, "more")), "'more' has no input; mend its edges"),
        (
            refused(|g, [from, ..]| {
                let more = sink(g, "more");
                g.connect(from, more, Partitioner::KeyBy);
            }),
            "'source' has more than one output",
        ),
        (
            refused(|g, [from, _, to]| g.connect(from, to, Partitioner::KeyBy)),
            "'source' has more than one output",
        ),
        (
            refused(|g, _| {
                let more = source(g, "more", 1);
                let end = sink(g, "end");
                let other = source(g, "other", 1);
                g.connect(more, end, Partitioner::KeyBy);
                g.connect(other, end, Partitioner::KeyBy);
            }),
            "'end' has more than one input",
        ),
        (
            refused(|g, [_, count, _]| {
                let more = source(g, "more", 1);
                g.connect(more, count, Partitioner::KeyBy);
            }),
            "'count' has more than one input",
        ),
        (
            refused(|g, _| {
                let more = source(g, "more", 3);
                let end = sink(g, "end");
                g.connect(more, end, Partitioner::Forward);
            }),
            "needs the same parallelism on both sides; use rescale",
        ),
    ];
    for (what, expected) in said {
        assert!(what.contains(expected), "{what:?} does not say {expected:?}");
    }
}
