//! Ratios: contestants that take turns in one process, so that the machine's mood meets both.
//!
//! `cargo bench --bench peers`; `cargo bench -- peers/timely` runs one. Each line is the geometric
//! mean of the ratios of rates with its 95 % interval, then both medians; the pairs follow as JSON.

mod timely_peer;

use stormproof_benches::{Exchange, Invocation, Paired};
use stormproof_engine::runtime::CheckpointMode;

/// A comparison: its name and what measures either side, in records/s.
struct Comparison {
    name: &'static str,
    ours: Box<dyn Fn(u64) -> f64>,
    theirs: Box<dyn Fn(u64) -> f64>,
}

fn exchange(change: impl Fn(&mut Exchange) + 'static) -> Box<dyn Fn(u64) -> f64> {
    Box::new(move |records| {
        let mut exchange = Exchange { records, ..Exchange::default() };
        change(&mut exchange);
        rate(records, exchange.run().elapsed)
    })
}

fn rate(records: u64, elapsed: std::time::Duration) -> f64 {
    records as f64 / elapsed.as_secs_f64()
}

fn comparisons() -> Vec<Comparison> {
    let at = |parallelism| exchange(move |e| e.parallelism = parallelism);
    let of = |mode| exchange(move |e| e.mode = mode);
    vec![
        Comparison {
            name: "peers/timely",
            ours: at(2000),
            theirs: Box::new(|records| rate(records, timely_peer::run(2, records, Exchange::KEYS))),
        },
        Comparison { name: "peers/2000-over-2", ours: at(2000), theirs: at(2) },
        Comparison { name: "peers/4000-over-2", ours: at(4000), theirs: at(2) },
        Comparison {
            name: "peers/aligned-over-at-least-once",
            ours: of(CheckpointMode::ExactlyOnce),
            theirs: of(CheckpointMode::AtLeastOnce),
        },
        Comparison {
            name: "peers/unaligned-over-at-least-once",
            ours: of(CheckpointMode::ExactlyOnceUnaligned),
            theirs: of(CheckpointMode::AtLeastOnce),
        },
    ]
}

#[allow(clippy::print_stdout, reason = "a bench reports to its user")]
fn main() {
    let invocation = Invocation::current();
    let (records, pairs) = if invocation.is_bench { (40_000_000, 6) } else { (20_000, 2) };
    for Comparison { name, ours, theirs } in comparisons() {
        if !invocation.wants(name) {
            continue;
        }
        let mut paired = Paired::default();
        for turn in 0..pairs {
            // Who goes first takes turns too.
            if turn % 2 == 0 {
                let first = ours(records);
                paired.push(first, theirs(records));
            } else {
                let first = theirs(records);
                paired.push(ours(records), first);
            }
        }
        let ratio = paired.ratio().expect("several pairs");
        let (ours, theirs) = paired.medians();
        println!("{name}: {ratio}  ({:.2} / {:.2} M records/s)", ours / 1e6, theirs / 1e6);
        println!("  {:?}", paired.pairs);
    }
}
