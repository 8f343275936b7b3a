//! Ratios: contestants that take turns in one process, so that the machine's mood meets both.
//!
//! `cargo bench --bench peers`; `cargo bench -- peers/timely` runs one. Each line is the geometric
//! mean of the ratios of rates with its 95 % interval, then both medians; the pairs follow, and how
//! many checkpoints a run of either side has completed under load.
//! `peers/checkpoint` is no ratio: quantiles of whole checkpoints under full load, by mode.

mod bare_loader;
mod database;
mod kafka;
mod timely_peer;

use std::time::Duration;

use database::Database;
use kafka::Topic;
use stormproof_benches::{Exchange, Invocation, Paired};
use stormproof_engine::connectors::generator::KeySkew;
use stormproof_engine::connectors::sql::SqlSinkConfig;
use stormproof_engine::graph::Partitioner;
use stormproof_engine::runtime::CheckpointMode;
use timely_peer::{Numbered, Same};

/// What a contestant has done in a run.
struct Turn {
    records_per_s: f64,
    /// Completed while records arrived.
    checkpoints: usize,
}

impl From<f64> for Turn {
    fn from(records_per_s: f64) -> Self {
        Self { records_per_s, checkpoints: 0 }
    }
}

/// Runs so many records.
type Contestant = Box<dyn Fn(u64) -> Turn>;

/// How long a run is.
#[derive(Clone, Copy)]
enum Length {
    Records(u64),
    /// As many records as our side does in this time, found before the first pair: enough for
    /// several checkpoints.
    Seconds(f64),
}

/// A comparison: its name, the length of a run, and both sides.
struct Comparison {
    name: &'static str,
    length: Length,
    ours: Contestant,
    theirs: Contestant,
}

const EXCHANGE_RECORDS: u64 = 40_000_000;
/// With a checkpoint every second: two under load.
const SECONDS: f64 = 2.4;
const LATE_MS: u64 = 50;
const KAFKA_RECORDS: u64 = 2_000_000;
const DATABASE_RECORDS: u64 = 300_000;

fn exchange(change: impl Fn(&mut Exchange) + 'static) -> Contestant {
    Box::new(move |records| {
        let mut exchange = Exchange { records, ..Exchange::default() };
        change(&mut exchange);
        let measured = exchange.run();
        let records_per_s = match exchange.late_ms {
            0 => rate(records, measured.elapsed),
            // Who is late has its share left when the others are done.
            _ => measured.steady_records_per_s,
        };
        Turn { records_per_s, checkpoints: measured.checkpoints_under_load }
    })
}

fn rate(records: u64, elapsed: Duration) -> f64 {
    records as f64 / elapsed.as_secs_f64()
}

fn between(name: &'static str, ours: Contestant, theirs: Contestant) -> Comparison {
    Comparison { name, length: Length::Records(EXCHANGE_RECORDS), ours, theirs }
}

/// A comparison in which checkpoints count.
fn lasting(name: &'static str, ours: Contestant, theirs: Contestant) -> Comparison {
    Comparison { length: Length::Seconds(SECONDS), ..between(name, ours, theirs) }
}

fn exchanges() -> Vec<Comparison> {
    let at = |parallelism| exchange(move |e| e.parallelism = parallelism);
    let of = |mode| exchange(move |e| e.mode = mode);
    let by = |partitioner| exchange(move |e| e.partitioner = partitioner);
    let skewed = |skew| exchange(move |e| e.skew = skew);
    let stalling = |mode| {
        exchange(move |e| {
            e.mode = mode;
            e.late_ms = LATE_MS;
        })
    };
    let timely = |run: fn(usize, u64, u64) -> Duration| -> Contestant {
        Box::new(move |records| rate(records, run(2, records, Exchange::KEYS)).into())
    };
    let (aligned, unaligned, last) = (
        CheckpointMode::ExactlyOnce,
        CheckpointMode::ExactlyOnceUnaligned,
        CheckpointMode::AtLeastOnce,
    );
    vec![
        lasting("peers/timely", at(2000), timely(timely_peer::run::<Same>)),
        lasting("peers/timely-number-key", at(2000), timely(timely_peer::run::<Numbered>)),
        lasting("peers/2000-over-2", at(2000), at(2)),
        lasting("peers/4000-over-2", at(4000), at(2)),
        lasting("peers/aligned-over-at-least-once", of(aligned), of(last)),
        lasting("peers/stall/aligned-over-at-least-once", stalling(aligned), stalling(last)),
        lasting("peers/stall/unaligned-over-at-least-once", stalling(unaligned), stalling(last)),
        between("peers/rebalance-over-key-by", by(Partitioner::Rebalance), by(Partitioner::KeyBy)),
        between(
            "peers/zipf-over-uniform",
            skewed(KeySkew::Zipf { exponent: 1.0 }),
            skewed(KeySkew::Uniform),
        ),
        between(
            "peers/one-hot-key-over-uniform",
            skewed(KeySkew::HotKey { percent: 100 }),
            skewed(KeySkew::Uniform),
        ),
    ]
}

fn services(invocation: &Invocation) -> Vec<Comparison> {
    let mut services = Vec::new();
    let kafka = "peers/kafka-over-bare-consumer";
    if invocation.wants(kafka) {
        let records = if invocation.is_bench { KAFKA_RECORDS } else { 5_000 };
        let partitions = if invocation.is_bench { 2000 } else { 20 };
        let topic = std::rc::Rc::new(Topic::filled(partitions, records));
        let same = std::rc::Rc::clone(&topic);
        services.push(Comparison {
            name: kafka,
            length: Length::Records(records),
            ours: Box::new(move |_| topic.engine().into()),
            theirs: Box::new(move |_| same.bare().into()),
        });
    }
    services.push(Comparison {
        name: "peers/sqlite-over-bare-loader",
        length: Length::Records(DATABASE_RECORDS),
        ours: Box::new(|records| {
            Database::sqlite().engine(records, &SqlSinkConfig::default()).into()
        }),
        theirs: Box::new(|records| Database::sqlite().bare(records).into()),
    });
    let mysql = "peers/mysql-over-bare-loader";
    if Database::mysql().is_some() {
        let named = || Database::mysql().expect("it was there");
        services.push(Comparison {
            name: mysql,
            length: Length::Records(DATABASE_RECORDS),
            ours: Box::new(move |records| {
                named().engine(records, &SqlSinkConfig::default()).into()
            }),
            theirs: Box::new(move |records| named().bare(records).into()),
        });
    } else if invocation.wants(mysql) {
        eprintln!("{mysql}: skipped, {} names no database", database::URL_VARIABLE);
    }
    services
}

#[allow(clippy::print_stdout, reason = "a bench reports to its user")]
fn compare(comparison: &Comparison, invocation: &Invocation) {
    let Comparison { name, length, ours, theirs } = comparison;
    let pairs = if invocation.is_bench { 6 } else { 2 };
    let records = match length {
        _ if !invocation.is_bench => 20_000,
        Length::Records(records) => *records,
        Length::Seconds(seconds) => (ours(EXCHANGE_RECORDS).records_per_s * seconds) as u64,
    };
    let mut paired = Paired::default();
    let mut checkpoints = Vec::new();
    for turn in 0..pairs {
        // Who goes first takes turns too.
        let (first, second) = if turn % 2 == 0 { (ours, theirs) } else { (theirs, ours) };
        let (first, second) = (first(records), second(records));
        let (ours, theirs) = if turn % 2 == 0 { (first, second) } else { (second, first) };
        paired.push(ours.records_per_s, theirs.records_per_s);
        checkpoints.push((ours.checkpoints, theirs.checkpoints));
    }
    let ratio = paired.ratio().expect("several pairs");
    let (ours, theirs) = paired.medians();
    println!("{name}: {ratio}  ({:.3} / {:.3} M records/s)", ours / 1e6, theirs / 1e6);
    println!("  {:.0?}", paired.pairs);
    println!("  checkpoints under load {checkpoints:?}");
}

/// Keys that are counted between source and sink, so that a checkpoint holds as many counts, and how
/// much longer a record takes then.
const STATES: [(u64, u64); 3] = [(0, 1), (100_000, 4), (1_000_000, 8)];

/// Quantiles of whole checkpoints at 2000 under full load: of every mode, and of the two that are
/// exactly-once with state of each size.
#[allow(clippy::print_stdout, reason = "a bench reports to its user")]
fn checkpoints(invocation: &Invocation) {
    let records = if invocation.is_bench { 4 * EXCHANGE_RECORDS } else { 50_000 };
    let interval_ms = if invocation.is_bench { 50 } else { 2 };
    let of_mode = |(keys, slower)| CheckpointMode::ALL.map(|mode| (mode, keys, slower));
    let is_shown = |(mode, keys, _): &(CheckpointMode, u64, u64)| {
        *keys == 0
            || matches!(mode, CheckpointMode::ExactlyOnce | CheckpointMode::ExactlyOnceUnaligned)
    };
    for (mode, keys, slower) in STATES.into_iter().flat_map(of_mode).filter(is_shown) {
        let (records, counts) = (records / slower, keys > 0);
        let keys = if counts { keys } else { Exchange::KEYS };
        let exchange = Exchange { mode, records, interval_ms, counts, keys, ..Exchange::default() };
        let mut durations_us = exchange.run().checkpoints_us;
        durations_us.sort_unstable();
        let quantile = |q: f64| {
            let at = (durations_us.len() as f64 * q) as usize;
            durations_us.get(at.min(durations_us.len().saturating_sub(1))).copied().unwrap_or(0)
        };
        println!(
            "peers/checkpoint/{}/{}: p50 {} us, p99 {} us, max {} us of {} checkpoints",
            mode.name(),
            if counts { format!("{keys} keys") } else { "no state".to_owned() },
            quantile(0.5),
            quantile(0.99),
            quantile(1.0),
            durations_us.len()
        );
    }
}

fn main() {
    let invocation = Invocation::current();
    for comparison in exchanges().into_iter().chain(services(&invocation)) {
        if invocation.wants(comparison.name) {
            compare(&comparison, &invocation);
        }
    }
    if invocation.wants("peers/checkpoint") {
        checkpoints(&invocation);
    }
}
