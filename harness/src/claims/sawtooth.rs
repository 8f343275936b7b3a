//! Claim 7: committed lag is a sawtooth between r d and r (T + d).
//!
//! In virtual time every moment is exact: when a record arrived, when a barrier was injected, when
//! the group's offsets were committed. So the formula is held against each tooth by itself. Then a
//! monitor asks a broker, and sees the same as far as it can see ([`outside`]).

mod outside;

use stormproof_chaos::sim::{self, Plan, SimRun};
use stormproof_engine::seam::Step;
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::services::{NOT_REAL, on_each};
use super::simulated::{Arrived, SIMULATION, calm, passed, records_before, span};
use super::{Context, fact, ran};
use crate::error::Result;

const RATE_PER_S: u64 = 200;
const INTERVAL_MS: u64 = 15_000;
const LOAD_S: u64 = 95;
/// A source reads a record a little after it has arrived: so many records off is exact.
const OFF_BY_RECORDS: f64 = 5.0;

/// One tooth: from the commit of a checkpoint to that of the next.
#[derive(Clone, Copy, Debug)]
struct Tooth {
    committed_us: u64,
    next_committed_us: u64,
    /// Records below the committed offsets.
    records: u64,
    low: f64,
    high: f64,
    low_by_formula: f64,
    high_by_formula: f64,
    interval_s: f64,
}

fn plan(context: &Context) -> Plan {
    let mut plan = calm(context.seed);
    plan.load.records = (RATE_PER_S * LOAD_S) as u32;
    plan.load.over_us = LOAD_S * 1_000_000;
    plan.safety_us = plan.load.over_us + 1_000_000;
    plan.checkpoint.interval_ms = INTERVAL_MS;
    plan.sink.batch_interval_ms = 1_000;
    plan.sink.batch_rows = 100;
    plan.pace.poll_us = 5_000;
    // Acknowledgements, metadata and the commit take their time, so that d is not nothing.
    plan.services.store = span(300_000, 600_000);
    plan.services.log_commit = span(50_000, 100_000);
    plan
}

fn teeth(plan: &Plan, run: &SimRun, arrived: &Arrived) -> Vec<Tooth> {
    let (barriers, commits) =
        (passed(run, Step::BarrierInjected), passed(run, Step::OffsetCommitted));
    let records = records_before(run);
    let known: Vec<_> = commits
        .iter()
        .filter_map(|(id, (_, committed))| {
            Some((*committed, barriers.get(id)?.0, *records.get(id)?))
        })
        .filter(|(committed, ..)| *committed < plan.load.over_us)
        .collect();
    let rate = RATE_PER_S as f64;
    known
        .windows(2)
        .map(|pair| {
            let [(committed, barrier, records), (next_committed, next_barrier, _)] = pair else {
                unreachable!("windows of two");
            };
            let s = |from: u64, to: u64| (to - from) as f64 / 1e6;
            let (d, next_d) = (s(*barrier, *committed), s(*next_barrier, *next_committed));
            let interval_s = s(*barrier, *next_barrier);
            Tooth {
                committed_us: *committed,
                next_committed_us: *next_committed,
                records: *records,
                low: arrived.by(*committed) as f64 - *records as f64,
                high: arrived.by(next_committed - 1) as f64 - *records as f64,
                low_by_formula: rate * d,
                high_by_formula: rate * (interval_s + next_d),
                interval_s,
            }
        })
        .collect()
}

/// Records that have arrived and have no effect, over time.
fn true_lag(run: &SimRun, arrived: &Arrived, until_us: u64) -> Vec<(f64, f64)> {
    let mut sent: Vec<u64> = run.evidence.audit.iter().map(|row| row.sent_us).collect();
    sent.sort_unstable();
    let at = |t: u64| arrived.by(t) as f64 - sent.partition_point(|sent| *sent <= t) as f64;
    (0..until_us).step_by(250_000).map(|t| (t as f64 / 1e6, at(t))).collect()
}

fn committed_lag(teeth: &[Tooth], arrived: &Arrived) -> Vec<(f64, f64)> {
    let of = |tooth: &Tooth| {
        let ends = [tooth.committed_us, tooth.next_committed_us - 1];
        let records = tooth.records as f64;
        ends.map(|t| (t as f64 / 1e6, arrived.by(t) as f64 - records))
    };
    teeth.iter().flat_map(of).collect()
}

/// The largest distance of what was seen from a formula, in records.
fn off(teeth: &[Tooth], of: impl Fn(&Tooth) -> (f64, f64)) -> f64 {
    teeth.iter().map(|tooth| of(tooth).0 - of(tooth).1).map(f64::abs).fold(0.0, f64::max)
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let plan = plan(context);
    let run = sim::watch(&plan);
    let arrived = Arrived::of(&plan);
    let teeth = teeth(&plan, &run, &arrived);
    let lag = true_lag(&run, &arrived, plan.load.over_us);
    let most = lag.iter().map(|(_, lag)| *lag).fold(0.0, f64::max);
    let tip = teeth.iter().map(|tooth| tooth.high).fold(0.0, f64::max);
    let (low_off, high_off) =
        (off(&teeth, |t| (t.low, t.low_by_formula)), off(&teeth, |t| (t.high, t.high_by_formula)));
    let interval_s = INTERVAL_MS as f64 / 1e3;
    let is_periodic = teeth.iter().all(|t| (t.interval_s - interval_s).abs() < 0.05 * interval_s);
    let each = |of: fn(&Tooth) -> (f64, f64)| {
        let told = teeth.iter().map(of).map(|(seen, by)| format!("{seen:.0} ({by:.0})"));
        told.collect::<Vec<_>>().join(", ")
    };
    let (lows, highs) =
        (each(|t| (t.low, t.low_by_formula)), each(|t| (t.high, t.high_by_formula)));
    let (mut premises, mut says) = (
        vec![fact("at least four whole teeth", teeth.len() >= 4, teeth.len().to_string())],
        vec![
            fact("its period is that of the checkpoints", is_periodic, format!("{INTERVAL_MS} ms")),
            fact("low = r d", low_off <= OFF_BY_RECORDS, format!("records, by formula: {lows}")),
            fact("high = r (T + d)", high_off <= OFF_BY_RECORDS, format!("the same: {highs}")),
            fact(
                "the records are long processed",
                most * 4.0 < tip,
                format!("at most {most:.0} records were without an effect, {tip:.0} uncommitted"),
            ),
        ],
    );
    let seen = on_each(context, outside::PARTITIONS, outside::watch)?;
    let remark = if seen.len() == 1 { format!("; {NOT_REAL}") } else { String::new() };
    let names: Vec<&str> = seen.iter().map(|(name, _)| *name).collect();
    let measured_on = format!("{SIMULATION}; the engine reading {}{remark}", names.join(" and "));
    for (_, (premise, facts)) in seen {
        premises.push(premise);
        says.extend(facts);
    }
    ran(Shown {
        premises,
        says,
        beyond: Vec::new(),
        why: "Offsets are committed after a checkpoint is complete, so the group's lag counts \
              everything since the barrier of the last one, processed or not."
            .to_owned(),
        measured_on,
        schedule: Vec::new(),
        figure: Some(Figure {
            title: format!("Lag at {RATE_PER_S} records/s, a checkpoint every 15 s"),
            x: Axis::of("time, s"),
            y: Axis::of("records"),
            kind: Kind::Lines,
            series: vec![
                Series::new("committed lag", committed_lag(&teeth, &arrived)),
                Series::new("records without an effect", lag),
            ],
        }),
    })
}
