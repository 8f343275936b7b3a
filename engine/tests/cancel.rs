//! A job that is cancelled while no attempt of it runs.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stormproof_engine::api::{GroupContext, GroupState, Sink, SinkFactory};
use stormproof_engine::error::{EngineError, Result};
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::ids::{AttemptId, CheckpointId};
use stormproof_engine::runtime::{Job, JobConfig, JobEvent, JobOutcome, RestartStrategy};
use stormproof_engine::seam::{Probe, Ticket};
use support::{CollectSink, Effects, LogSource, seams};

/// A sink that no attempt can fence.
struct Away(CollectSink);

impl SinkFactory for Away {
    fn begin_attempt(&self, _: AttemptId, _: CheckpointId) -> Ticket<Result<()>> {
        Ticket::ready(Err(EngineError::service("sink", "it is away".to_owned())))
    }

    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Sink>> {
        self.0.open(context, state)
    }
}

#[test]
fn between_attempts_a_cancelled_job_ends_without_another() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let mut graph = JobGraph::builder();
    let log = LogSource { partitions: 1, records: 10, keys: 5, run: 4, is_bounded: false };
    let source = graph.source("source", 1, Arc::new(log));
    let sink = CollectSink { effects: Effects::default(), batch: 10, per_step: 0 };
    let sink = graph.sink("sink", 1, Arc::new(Away(sink)));
    graph.connect(source, sink, Partitioner::Forward);
    let restart = RestartStrategy::FixedDelay { delay_ms: 600_000, max_restarts: 1_000 };
    let config = JobConfig { workers: 1, restart, ..JobConfig::default() };
    let failed: Arc<Mutex<u32>> = Arc::default();
    let heard = Arc::clone(&failed);
    let (fails, first_failed) = std::sync::mpsc::channel();
    let seams = seams(&runtime, Probe::default(), move |event: &JobEvent| {
        if let JobEvent::AttemptFailed { .. } = event {
            *heard.lock().unwrap() += 1;
            let _ = fails.send(());
        }
    });
    let job = Job::new(graph.build().unwrap(), config, seams);
    let control = job.control();
    let (sender, over) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(job.run()));
    let patience = Duration::from_secs(60);
    first_failed.recv_timeout(patience).expect("the first attempt fails");
    control.cancel();
    let outcome = over.recv_timeout(patience).expect("the job ends");
    assert_eq!(outcome.expect("it was cancelled"), JobOutcome::Cancelled);
    assert_eq!(*failed.lock().unwrap(), 1, "no attempt was begun for it");
}
