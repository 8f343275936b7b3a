//! Claim 17: rebalance instead of keyBy.
//!
//! The same records with a hot key, keyed and rebalanced: the rate and the busiest subtask on the
//! real engine; the order by key and the counts by key, exact, in the simulation.

use std::collections::BTreeMap;

use stormproof_chaos::sim::{self, Plan, SimRun};
use stormproof_engine::connectors::generator::KeySkew;
use stormproof_engine::graph::Partitioner;
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::bed::{Bed, ENGINE, best};
use super::simulated::{SIMULATION, calm};
use super::{Context, fact, ran};
use crate::error::Result;

const HOT_PERCENT: u8 = 30;

/// The best rate and the largest share of a sink subtask.
#[derive(Clone, Debug, Default)]
struct Measure {
    rates: Vec<f64>,
    share: f64,
}

impl Measure {
    fn add(&mut self, context: &Context, partitioner: Partitioner, skew: KeySkew) -> Result<()> {
        let bed = Bed {
            parallelism: context.parallelism,
            partitioner,
            skew,
            records: Some(12_000_000 / context.smaller),
            interval_ms: 500,
            ..Bed::default()
        };
        let measured = bed.run()?;
        self.rates.push(measured.records_per_s());
        let busiest = measured.counts.busiest_subtask_records.get() as f64;
        self.share = busiest / measured.counts.records.get() as f64;
        Ok(())
    }
}

/// In turns, and the best rate of each counts: what else the machine does only takes away.
fn measure<const N: usize>(
    context: &Context,
    contestants: [(Partitioner, KeySkew); N],
) -> Result<[(f64, f64); N]> {
    let mut all = [(); N].map(|()| Measure::default());
    for _ in 0..(6 / context.smaller).max(1) {
        for ((partitioner, skew), measure) in contestants.iter().zip(&mut all) {
            measure.add(context, *partitioner, *skew)?;
        }
    }
    Ok(all.map(|measure| (best(&measure.rates), measure.share)))
}

/// What a simulated job did to its keys.
#[derive(Clone, Copy, Debug, Default)]
struct Keys {
    writes: u64,
    /// Writes of a value that is older than one of its key that was written before.
    stale: u64,
    keys: u64,
    /// Keys whose last count is not the number of their records.
    miscounted: u64,
    /// The longest that an older value stood over a newer one, in milliseconds.
    longest_ms: f64,
}

fn plan(context: &Context, into_count: Partitioner) -> Plan {
    let mut plan = calm(context.seed);
    plan.topology.into_count = into_count;
    plan.load.records = 4_000;
    plan.load.keys = 40;
    plan.load.hot_per_mille = u32::from(HOT_PERCENT) * 10;
    plan.load.over_us = 400_000;
    plan.load.burst = 5;
    plan.safety_us = 450_000;
    plan.sink.versions_guarded = false;
    plan
}

fn look(run: &SimRun) -> Keys {
    let mut key_of = BTreeMap::new();
    let mut records: BTreeMap<&[u8], u64> = BTreeMap::new();
    for record in &run.evidence.input {
        if let Some(key) = &record.key {
            key_of.insert((record.partition.0, record.offset.0), key.as_ref());
            *records.entry(key.as_ref()).or_default() += 1;
        }
    }
    let mut keys = Keys { keys: records.len() as u64, ..Keys::default() };
    // By key: the newest offset written, and since when an older one stands over it.
    let mut newest: BTreeMap<&[u8], (u64, Option<u64>)> = BTreeMap::new();
    for row in &run.evidence.audit {
        let Some(key) = key_of.get(&(row.partition.0, row.offset.0)) else { continue };
        keys.writes += 1;
        let (high, stale_since) = newest.entry(key).or_insert((row.offset.0, None));
        if row.offset.0 < *high {
            keys.stale += 1;
            stale_since.get_or_insert(row.sent_us);
            continue;
        }
        *high = row.offset.0;
        if let Some(since) = stale_since.take() {
            // What lands later may have been sent earlier.
            keys.longest_ms = keys.longest_ms.max(row.sent_us.saturating_sub(since) as f64 / 1e3);
        }
    }
    let counted = run.evidence.results.iter();
    keys.miscounted = counted
        .filter(|row| records.get(row.key.as_ref()) != Some(&row.record_count))
        .count() as u64;
    keys
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let hot = KeySkew::HotKey { percent: HOT_PERCENT };
    let contestants = [
        (Partitioner::KeyBy, hot),
        (Partitioner::Rebalance, hot),
        (Partitioner::KeyBy, KeySkew::Uniform),
    ];
    let [(keyed, keyed_share), (even, even_share), (uniform, _)] = measure(context, contestants)?;
    let [by_key, spread] = [Partitioner::KeyBy, Partitioner::Rebalance]
        .map(|partitioner| look(&sim::watch(&plan(context, partitioner))));
    let fair = 1.0 / f64::from(context.parallelism);
    let percent = |share: f64| format!("{:.3} %", share * 100.0);
    let m = |rate: f64| format!("{:.1} M/s", rate / 1e6);
    let stale = |keys: &Keys| {
        format!(
            "{} of {} writes were older than what stood there, for up to {:.1} ms",
            keys.stale, keys.writes, keys.longest_ms
        )
    };
    ran(Shown {
        premises: vec![
            fact(
                "a hot key made one subtask busy",
                keyed_share > 0.8 * f64::from(HOT_PERCENT) / 100.0,
                format!("{} of all records by keyBy", percent(keyed_share)),
            ),
            fact("writes of both jobs were seen", by_key.writes > 0 && spread.writes > 0, ""),
        ],
        says: vec![fact(
            "rebalance spreads the hot key over all subtasks",
            even_share < 2.0 * fair,
            format!("the busiest has {} ({} is even)", percent(even_share), percent(fair)),
        )],
        beyond: vec![
            fact(
                "the hash is not what costs: keyBy without a hot key keeps more than half of the rate",
                uniform > 0.5 * even,
                format!(
                    "rebalance {}, keyBy {}, keyBy with the hot key {}",
                    m(even),
                    m(uniform),
                    m(keyed)
                ),
            ),
            fact(
                "the order by key is lost",
                spread.stale > 0 && by_key.stale == 0,
                format!("rebalance: {}; keyBy: {}", stale(&spread), by_key.stale),
            ),
            fact(
                "and keyed state: counts by key are wrong",
                spread.miscounted > 0 && by_key.miscounted == 0,
                format!(
                    "{} of {} keys; keyBy: {}",
                    spread.miscounted, spread.keys, by_key.miscounted
                ),
            ),
        ],
        why: "keyBy brings a key's records together, which is what makes order and state by key \
              possible, and what makes a hot key hot."
            .to_owned(),
        measured_on: format!("{ENGINE}; order and counts in {SIMULATION}"),
        schedule: Vec::new(),
        figure: Some(picture([keyed_share, even_share], &by_key, &spread)),
    })
}

fn picture(shares: [f64; 2], by_key: &Keys, spread: &Keys) -> Figure {
    Figure {
        title: format!("{HOT_PERCENT} % of the records have one key"),
        x: Axis::of("partitioner"),
        y: Axis::log("percent"),
        kind: Kind::Bars(["keyBy", "rebalance"].map(str::to_owned).to_vec()),
        series: vec![
            Series::bars("share of the busiest subtask", shares.map(|s| s * 100.0)),
            Series::bars(
                "stale writes",
                [by_key, spread].map(|k| k.stale as f64 / k.writes.max(1) as f64 * 100.0),
            ),
            Series::bars(
                "keys with a wrong count",
                [by_key, spread].map(|k| k.miscounted as f64 / k.keys.max(1) as f64 * 100.0),
            ),
        ],
    }
}
