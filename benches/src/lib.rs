//! What the benches share.
//!
//! [`Exchange`] is a job of the real engine, [`BenchJob`] any other; [`Paired`] is what two
//! contestants that take turns have measured; [`Invocation`] is how Cargo has called a bench that
//! is not criterion's.

mod exchange;
mod invocation;
mod job;
mod paired;
mod stall;

pub use exchange::{Exchange, Measured};
pub use invocation::Invocation;
pub use job::{BenchJob, Ran};
pub use paired::{Estimate, Paired};
pub use stall::{disarmed, late_for_each};

/// `records` when measuring, a handful when a bench runs as a test.
pub fn scaled(records: u64) -> u64 {
    if Invocation::current().is_bench { records } else { records.min(20_000) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stormproof_engine::graph::Partitioner;
    use stormproof_engine::runtime::CheckpointMode;

    #[test]
    fn every_bench_also_runs_small() {
        for parallelism in [2, 40] {
            for partitioner in [Partitioner::KeyBy, Partitioner::Rebalance, Partitioner::Forward] {
                for mode in CheckpointMode::ALL {
                    let exchange = Exchange {
                        parallelism,
                        partitioner,
                        mode,
                        records: 20_000,
                        interval_ms: 10,
                        ..Exchange::default()
                    };
                    let measured = exchange.run();
                    assert!(!measured.checkpoints_us.is_empty(), "{exchange:?}");
                }
            }
        }
    }
}
