//! Claim 8: watch currentFetchEventTimeLag.
//!
//! A job in virtual time whose database is slow for ten seconds. The figures are the engine's own
//! (FLIP-33's names); what the records really waited is known from their effects.

use stormproof_chaos::sim::{self, Disturbance, Plan, SimRun, Window};
use stormproof_engine::runtime::JobEvent;
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::simulated::{Arrived, SIMULATION, calm, span};
use super::{Context, fact, ran};
use crate::error::Result;

const RATE_PER_S: u64 = 400;
const LOAD_S: u64 = 40;
/// The database is slow in this time, in seconds.
const SLOW_S: (u64, u64) = (15, 25);

fn plan(context: &Context) -> Plan {
    let mut plan = calm(context.seed);
    // One worker: the engine adds gauges up over workers.
    plan.topology.workers = 1;
    plan.load.records = (RATE_PER_S * LOAD_S) as u32;
    plan.load.over_us = LOAD_S * 1_000_000;
    plan.safety_us = plan.load.over_us + 5_000_000;
    plan.checkpoint.interval_ms = 5_000;
    plan.sink.max_pending_rows = 100;
    plan.sink.transaction_rows = 20;
    plan.sink.batch_interval_ms = 100;
    plan.exchange.credit_bytes = 2_000;
    plan.services.database.latency = span(1_000, 4_000);
    plan.windows = vec![Window {
        disturbance: Disturbance::DatabaseSlow,
        from_us: SLOW_S.0 * 1_000_000,
        for_us: (SLOW_S.1 - SLOW_S.0) * 1_000_000,
        per_mille: 1_000,
    }];
    plan
}

/// A figure of the engine over time, in seconds and the figure's unit.
fn figure(run: &SimRun, name: &str) -> Vec<(f64, f64)> {
    let values = run.told.iter().filter_map(|told| match &told.event {
        JobEvent::Metrics { figures, .. } => {
            let (_, value) = figures.iter().find(|(figure, _)| figure == name)?;
            Some((told.t_us as f64 / 1e6, *value as f64))
        }
        _ => None,
    });
    values.filter(|(t, _)| *t < LOAD_S as f64).collect()
}

fn most(values: &[(f64, f64)], from_s: f64, to_s: f64) -> f64 {
    let within = values.iter().filter(|(t, _)| (from_s..to_s).contains(t));
    within.map(|(_, value)| *value).fold(0.0, f64::max)
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let plan = plan(context);
    let run = sim::watch(&plan);
    let arrived = Arrived::of(&plan);
    let seconds = |name: &str| -> Vec<(f64, f64)> {
        figure(&run, name).into_iter().map(|(t, us)| (t, us / 1e6)).collect()
    };
    let (fetch, emit) = (seconds("fetch_event_time_lag_us"), seconds("emit_event_time_lag_us"));
    let pending = figure(&run, "pending_records");
    let committed = figure(&run, "committed_lag_records");
    let mut sent: Vec<u64> = run.evidence.audit.iter().map(|row| row.sent_us).collect();
    sent.sort_unstable();
    let waiting = |t: f64| {
        let us = (t * 1e6) as u64;
        arrived.by(us) as f64 - sent.partition_point(|sent| *sent <= us) as f64
    };
    let truth: Vec<(f64, f64)> = emit.iter().map(|(t, _)| (*t, waiting(*t))).collect();
    let (slow_from, slow_to) = (SLOW_S.0 as f64 + 1.0, SLOW_S.1 as f64);
    let calm_to = SLOW_S.0 as f64;
    let (fetch_calm, fetch_slow) = (most(&fetch, 2.0, calm_to), most(&fetch, slow_from, slow_to));
    let emit_slow = most(&emit, slow_from, slow_to);
    let pending_slow = most(&pending, slow_from, slow_to);
    let true_slow = most(&truth, slow_from, slow_to);
    let committed_calm = most(&committed, 6.0, calm_to);
    let true_calm = most(&truth, 6.0, calm_to);
    ran(Shown {
        premises: vec![
            fact("figures were told", fetch.len() > 50, format!("{} times", fetch.len())),
            fact(
                "the slow database made records wait",
                true_slow > 4.0 * true_calm.max(1.0),
                format!("{true_slow:.0} records without an effect, {true_calm:.0} before"),
            ),
        ],
        says: vec![fact(
            "while all is well it is small, whatever the committed lag says",
            fetch_calm < 0.2 && committed_calm > 2.0 * true_calm,
            format!("{fetch_calm:.3} s, while {committed_calm:.0} records are uncommitted"),
        )],
        beyond: vec![
            fact(
                "under backpressure the emit lag sees what waits behind the fetch",
                emit_slow > 1.0 && emit_slow > 1.5 * fetch_slow,
                format!("emit lag {emit_slow:.2} s, fetch lag {fetch_slow:.2} s"),
            ),
            fact(
                "and pending records count it",
                pending_slow > 0.3 * true_slow,
                format!("{pending_slow:.0} pending of {true_slow:.0} without an effect"),
            ),
        ],
        why: "A record's fetch is not its emission: behind backpressure it waits in between. Flink's \
              Kafka source therefore shows the emit lag and pending records."
            .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: "The database is slow from 15 s to 25 s".to_owned(),
            x: Axis::of("time, s"),
            y: Axis::of("lag, s"),
            kind: Kind::Lines,
            series: vec![Series::new("fetch lag", fetch), Series::new("emit lag", emit)],
        }),
    })
}
