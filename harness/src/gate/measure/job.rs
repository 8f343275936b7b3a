//! generator -> key by -> counting sink, as fast as it goes: a job of the real engine in this
//! process, with memory for checkpoints.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use stormproof_engine::connectors::generator::{GeneratorConfig, GeneratorFactory};
use stormproof_engine::error::EngineError;
use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::runtime::{
    CheckpointConfig, CheckpointMode, Job, JobConfig, JobSeams, RestartStrategy,
};
use stormproof_engine::seam::{MonotonicClock, ObjectStorage, Probe, Sight};

use super::sink::CountingFactory;
use crate::error::{HarnessError, Result, engine};

/// What runs.
#[derive(Clone, Debug)]
pub struct EngineJob {
    /// Subtasks of both vertices.
    pub parallelism: u16,
    /// Worker threads; 0 = one for each core.
    pub workers: u16,
    /// Bytes of a value.
    pub record_bytes: usize,
    /// Different keys.
    pub keys: u64,
    /// Checkpoint mode.
    pub mode: CheckpointMode,
    /// Checkpoint interval.
    pub checkpoint_interval_ms: u64,
    /// Records of the run.
    pub records: u64,
    /// Planted work: iterations for a thousand records.
    pub burn: u64,
}

/// What it took.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// From start to end.
    pub elapsed: Duration,
    /// Processor time of this process meanwhile.
    pub cpu: Duration,
    /// Bytes of the frames that arrived.
    pub bytes: u64,
}

fn refused(error: &EngineError) -> HarnessError {
    engine(error.to_string())
        .at("the measured job")
        .remedy("correct the bench; `stormproof bench` shows whether it runs")
}

/// Processor time of this process so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask about itself");
    let duration = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)
    };
    duration(usage.user_time()) + duration(usage.system_time())
}

impl EngineJob {
    /// Runs it to its end.
    ///
    /// # Errors
    /// When the job fails, or a record does not arrive.
    pub fn run(&self) -> Result<Ran> {
        let generator = GeneratorFactory::new(GeneratorConfig {
            record_bytes: self.record_bytes,
            keys: self.keys,
            records: Some(self.records),
            ..GeneratorConfig::default()
        });
        let sink = CountingFactory::new(self.burn);
        let counts = sink.counts();
        let mut graph = JobGraph::builder();
        let source =
            graph.source("source", self.parallelism, Arc::new(generator.map_err(|e| refused(&e))?));
        let sink = graph.sink("sink", self.parallelism, Arc::new(sink));
        graph.connect(source, sink, Partitioner::KeyBy);
        let graph = graph.build().map_err(|e| refused(&e))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| engine(format!("cannot start threads: {error}")))?;
        let memory = Arc::new(object_store::memory::InMemory::new());
        let storage = ObjectStorage::new(memory, runtime.handle().clone(), "memory".to_owned());
        let seams = JobSeams {
            clock: Arc::new(MonotonicClock::starting_at(0)),
            storage: Arc::new(storage),
            probe: Probe::default(),
            sight: Sight::default(),
            events: Arc::new(|_| ()),
        };
        let job = Job::new(graph, self.config(), seams);
        let (started, cpu_before) = (Instant::now(), cpu());
        job.run().map_err(|e| refused(&e))?;
        let ran = Ran {
            elapsed: started.elapsed(),
            cpu: cpu().saturating_sub(cpu_before),
            bytes: counts.bytes.load(Ordering::Relaxed),
        };
        let arrived = counts.records.load(Ordering::Relaxed);
        if arrived != self.records {
            return Err(engine(format!("{arrived} of {} records arrived", self.records))
                .at("the measured job")
                .remedy("this is a defect of the engine: `stormproof run` judges it"));
        }
        Ok(ran)
    }

    fn config(&self) -> JobConfig {
        JobConfig {
            workers: self.workers,
            checkpoint: CheckpointConfig {
                mode: self.mode,
                interval_ms: self.checkpoint_interval_ms,
                ..CheckpointConfig::default()
            },
            restart: RestartStrategy::None,
            ..JobConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_arrives_and_planted_work_costs_time() {
        let job = EngineJob {
            parallelism: 40,
            workers: 2,
            record_bytes: 100,
            keys: 100,
            mode: CheckpointMode::ExactlyOnce,
            checkpoint_interval_ms: 20,
            records: 100_000,
            burn: 0,
        };
        let plain = job.run().expect("it runs");
        assert!(plain.bytes > 100 * job.records);
        // A microsecond and more for each record.
        let planted = EngineJob { burn: 2_000_000, ..job }.run().expect("it runs");
        let extra = planted.cpu.saturating_sub(plain.cpu);
        assert!(extra > Duration::from_millis(50), "{extra:?}");
    }
}
