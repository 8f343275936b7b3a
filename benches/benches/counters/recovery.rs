//! A subtask is killed, again and again, under load: from the panic to the first record that a
//! sink takes in the next attempt, after the restore.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use stormproof_benches::{BenchJob, Invocation};
use stormproof_engine::api::{GroupContext, GroupState, Sink, SinkFactory};
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory};
use stormproof_engine::connectors::immediate::{Immediate, Take};
use stormproof_engine::error::Result;
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::ids::SubtaskIndex;
use stormproof_engine::record::RecordView;
use stormproof_engine::runtime::{CheckpointConfig, JobConfig, RestartStrategy};
use stormproof_engine::seam::{Clock, Probe, Step, StepAction, StepContext, StepHook, TimeUs};

const PARALLELISM: u16 = 2000;

/// What the killer and the sinks share. Times are the job's clock.
struct Shared {
    clock: Arc<dyn Clock>,
    is_due: AtomicBool,
    killed_us: AtomicU64,
    /// The first output after the kill; 0 = none yet.
    output_us: AtomicU64,
}

/// Panics in the middle of a checkpoint, in whichever subtask comes first, when it is due.
struct Killer(Arc<Shared>);

impl StepHook for Killer {
    fn hit(&self, step: Step, _at: &StepContext) -> StepAction {
        if step == Step::SnapshotAsync && self.0.is_due.swap(false, Ordering::AcqRel) {
            self.0.output_us.store(0, Ordering::Release);
            self.0.killed_us.store(self.0.clock.now_us(), Ordering::Release);
            // Without the panic hook: printing a backtrace would be measured, too.
            std::panic::resume_unwind(Box::new("killed"));
        }
        StepAction::Proceed
    }
}

struct FirstOutputs(Arc<Shared>);

/// A sink of one attempt: notes when it takes its first record, and forgets all of them.
struct FirstOutput {
    shared: Arc<Shared>,
    is_first: bool,
    is_replacement: bool,
}

impl SinkFactory for FirstOutputs {
    fn open(&self, context: GroupContext, _state: GroupState) -> Result<Box<dyn Sink>> {
        let is_replacement = context.attempt.0 > 1;
        let shared = Arc::clone(&self.0);
        let first = FirstOutput { shared, is_first: true, is_replacement };
        Ok(Box::new(Immediate::new(context.metrics, first)))
    }
}

impl Take for FirstOutput {
    fn take(&mut self, _subtask: SubtaskIndex, _record: RecordView<'_>, _now_us: TimeUs) {
        if std::mem::take(&mut self.is_first) && self.is_replacement {
            let now_us = self.shared.clock.now_us();
            let output = &self.shared.output_us;
            let _ = output.compare_exchange(0, now_us, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

fn job(shared: &Arc<Shared>) -> BenchJob {
    let generator = GeneratorFactory::new(GeneratorConfig::default()).expect("it is valid");
    let mut graph = JobGraph::builder();
    let source = graph.source("source", PARALLELISM, Arc::new(generator));
    let sink = graph.sink("sink", PARALLELISM, Arc::new(FirstOutputs(Arc::clone(shared))));
    graph.connect(source, sink, Partitioner::KeyBy);
    let config = JobConfig {
        checkpoint: CheckpointConfig { interval_ms: 20, ..CheckpointConfig::default() },
        restart: RestartStrategy::FixedDelay { delay_ms: 0, max_restarts: 100_000 },
        ..JobConfig::default()
    };
    let mut job = BenchJob::new(graph.build().expect("the graph is valid"), config);
    job.clock = Arc::clone(&shared.clock);
    job.probe = Probe::new(Killer(Arc::clone(shared)));
    job.probe.set_armed(true);
    job
}

/// Kills and measures.
#[allow(clippy::print_stdout, reason = "a bench reports to its user")]
pub(crate) fn recovery(invocation: &Invocation) {
    const LIMIT: Duration = Duration::from_secs(10);
    let kills = if invocation.is_bench { 200 } else { 3 };
    let clock = Arc::new(stormproof_engine::seam::MonotonicClock::starting_at(1));
    let shared = Arc::new(Shared {
        clock,
        is_due: AtomicBool::new(false),
        killed_us: AtomicU64::new(0),
        output_us: AtomicU64::new(0),
    });
    let mut histogram: Histogram<u64> =
        Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are a range");
    job(&shared).run_with(|control, _| {
        std::thread::sleep(Duration::from_millis(300));
        for _ in 0..kills {
            let before = shared.killed_us.load(Ordering::Acquire);
            shared.is_due.store(true, Ordering::Release);
            let asked = std::time::Instant::now();
            let recovered = || {
                shared.killed_us.load(Ordering::Acquire) > before
                    && shared.output_us.load(Ordering::Acquire) > 0
            };
            while !recovered() && asked.elapsed() < LIMIT {
                std::thread::sleep(Duration::from_millis(1));
            }
            if !recovered() {
                break;
            }
            let killed_us = shared.killed_us.load(Ordering::Acquire);
            histogram.saturating_record(shared.output_us.load(Ordering::Acquire) - killed_us);
            std::thread::sleep(Duration::from_millis(60));
        }
        control.cancel();
    });
    assert_eq!(histogram.len(), kills, "every kill lands and is recovered from");
    println!(
        "counters/recovery: kill to first output p50 {} us, p90 {} us, p99 {} us, max {} us of {} \
         kills",
        histogram.value_at_quantile(0.5),
        histogram.value_at_quantile(0.9),
        histogram.value_at_quantile(0.99),
        histogram.max(),
        histogram.len()
    );
}
