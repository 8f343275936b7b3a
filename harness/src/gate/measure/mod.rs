//! What is measured inside of a process: `stormproof measure`, called by the gate on both binaries.
//!
//! *Follow a figure:* [`rate`] runs a bench's job as fast as it goes and looks at clock and
//! processor time; [`subject`] does a counted piece of work, for callgrind to count; [`schedules`]
//! simulates seeds and writes down what became of them. Each prints one line of JSON.
//!
//! Invariants: what is measured is the engine of this very binary; the only thing that a plant
//! (`--burn`) adds is work of its own in the sink, and no other command knows it.

mod job;
pub mod schedules;
mod sink;
pub mod subject;

use std::collections::BTreeMap;

use crate::bench::{BenchScenario, PipelineKind};
use crate::error::{Result, scenario};

pub use job::EngineJob;

/// Figures by name.
pub type Figures = BTreeMap<String, f64>;

/// Rate and processor time of `records` records through the job of `bench`.
///
/// # Errors
/// When the bench needs a service, or its job fails.
pub fn rate(bench: &BenchScenario, records: u64, burn: u64) -> Result<Figures> {
    if bench.pipeline != PipelineKind::Engine {
        return Err(scenario("the gate measures pipelines that need no service")
            .at(format!("{}: pipeline", bench.name))
            .remedy("set pipeline = 'engine', or let wall.arguments name what to run"));
    }
    let job = EngineJob {
        parallelism: bench.parallelism,
        workers: 0,
        record_bytes: bench.record_bytes as usize,
        keys: bench.keys,
        mode: bench.mode,
        checkpoint_interval_ms: bench.checkpoint_interval_ms,
        records,
        burn,
    };
    let ran = job.run()?;
    let figures = [
        ("records_per_s", records as f64 / ran.elapsed.as_secs_f64()),
        ("cpu_ns_per_record", ran.cpu.as_nanos() as f64 / records as f64),
    ];
    Ok(figures.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Work that does nothing: `iterations` multiplications that wait for each other.
pub(super) fn burn(iterations: u64) {
    let mut x = std::hint::black_box(iterations);
    for _ in 0..iterations {
        x = std::hint::black_box(x.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(5));
    }
    std::hint::black_box(x);
}
