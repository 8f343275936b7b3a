//! Ratios: contestants that take turns in one process, so that the machine's mood meets both.
//!
//! `cargo bench --bench peers`; `cargo bench -- peers/timely` runs one. Each line is the geometric
//! mean of the ratios of rates with its 95 % interval, then both medians; the pairs follow.
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

/// Measures a rate over so many records, in records/s.
type Contestant = Box<dyn Fn(u64) -> f64>;

/// A comparison: its name, the records of a run, and both sides.
struct Comparison {
    name: &'static str,
    records: u64,
    ours: Contestant,
    theirs: Contestant,
}

const EXCHANGE_RECORDS: u64 = 40_000_000;
const KAFKA_RECORDS: u64 = 600_000;
const DATABASE_RECORDS: u64 = 300_000;

fn exchange(change: impl Fn(&mut Exchange) + 'static) -> Contestant {
    Box::new(move |records| {
        let mut exchange = Exchange { records, ..Exchange::default() };
        change(&mut exchange);
        rate(records, exchange.run().elapsed)
    })
}

fn rate(records: u64, elapsed: Duration) -> f64 {
    records as f64 / elapsed.as_secs_f64()
}

fn between(name: &'static str, ours: Contestant, theirs: Contestant) -> Comparison {
    Comparison { name, records: EXCHANGE_RECORDS, ours, theirs }
}

fn exchanges() -> Vec<Comparison> {
    let at = |parallelism| exchange(move |e| e.parallelism = parallelism);
    let of = |mode| exchange(move |e| e.mode = mode);
    let by = |partitioner| exchange(move |e| e.partitioner = partitioner);
    let skewed = |skew| exchange(move |e| e.skew = skew);
    let stalling = |mode| {
        exchange(move |e| {
            e.mode = mode;
            e.stall_ms = 50;
        })
    };
    let timely = |run: fn(usize, u64, u64) -> Duration| -> Contestant {
        Box::new(move |records| rate(records, run(2, records, Exchange::KEYS)))
    };
    let (aligned, unaligned, last) = (
        CheckpointMode::ExactlyOnce,
        CheckpointMode::ExactlyOnceUnaligned,
        CheckpointMode::AtLeastOnce,
    );
    vec![
        between("peers/timely", at(2000), timely(timely_peer::run::<Same>)),
        between("peers/timely-number-key", at(2000), timely(timely_peer::run::<Numbered>)),
        between("peers/2000-over-2", at(2000), at(2)),
        between("peers/4000-over-2", at(4000), at(2)),
        between("peers/aligned-over-at-least-once", of(aligned), of(last)),
        between("peers/stall/aligned-over-at-least-once", stalling(aligned), stalling(last)),
        between("peers/stall/unaligned-over-at-least-once", stalling(unaligned), stalling(last)),
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
            records,
            ours: Box::new(move |_| topic.engine()),
            theirs: Box::new(move |_| same.bare()),
        });
    }
    services.push(Comparison {
        name: "peers/sqlite-over-bare-loader",
        records: DATABASE_RECORDS,
        ours: Box::new(|records| Database::sqlite().engine(records, &SqlSinkConfig::default())),
        theirs: Box::new(|records| Database::sqlite().bare(records)),
    });
    let mysql = "peers/mysql-over-bare-loader";
    if Database::mysql().is_some() {
        let named = || Database::mysql().expect("it was there");
        services.push(Comparison {
            name: mysql,
            records: DATABASE_RECORDS,
            ours: Box::new(move |records| named().engine(records, &SqlSinkConfig::default())),
            theirs: Box::new(move |records| named().bare(records)),
        });
    } else if invocation.wants(mysql) {
        eprintln!("{mysql}: skipped, {} names no database", database::URL_VARIABLE);
    }
    services
}

#[allow(clippy::print_stdout, reason = "a bench reports to its user")]
fn compare(comparison: &Comparison, invocation: &Invocation) {
    let Comparison { name, records, ours, theirs } = comparison;
    let pairs = if invocation.is_bench { 6 } else { 2 };
    let records = if invocation.is_bench { *records } else { (*records).min(20_000) };
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
    println!("{name}: {ratio}  ({:.3} / {:.3} M records/s)", ours / 1e6, theirs / 1e6);
    println!("  {:.0?}", paired.pairs);
}

/// Quantiles of whole checkpoints at 2000 under full load.
#[allow(clippy::print_stdout, reason = "a bench reports to its user")]
fn checkpoints(invocation: &Invocation) {
    let records = if invocation.is_bench { 4 * EXCHANGE_RECORDS } else { 50_000 };
    let interval_ms = if invocation.is_bench { 50 } else { 2 };
    for mode in CheckpointMode::ALL {
        let exchange = Exchange { mode, records, interval_ms, ..Exchange::default() };
        let mut durations_us = exchange.run().checkpoints_us;
        durations_us.sort_unstable();
        let quantile = |q: f64| {
            let at = (durations_us.len() as f64 * q) as usize;
            durations_us.get(at.min(durations_us.len().saturating_sub(1))).copied().unwrap_or(0)
        };
        println!(
            "peers/checkpoint/{}: p50 {} us, p99 {} us, max {} us of {} checkpoints",
            mode.name(),
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
