//! What the benches share.
//!
//! [`Exchange`] is a job of the real engine; [`Paired`] is what two contestants that take turns
//! have measured; [`Invocation`] is how Cargo has called a bench that is not criterion's.

mod exchange;
mod invocation;
mod paired;

pub use exchange::{Exchange, Measured};
pub use invocation::Invocation;
pub use paired::{Estimate, Paired};

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
