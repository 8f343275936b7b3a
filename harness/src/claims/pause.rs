//! Claim 16: a minimum pause gives storage and processors time to recover.
//!
//! Two jobs in virtual time that differ in nothing but the pause; in both the storage fails for a
//! while, so that a checkpoint is given up and it can be seen from when the pause counts.

use stormproof_chaos::sim::{self, Disturbance, Plan, SimRun, Window};
use stormproof_engine::runtime::JobEvent;
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::simulated::{SIMULATION, calm, span};
use super::{Context, fact, ran};
use crate::error::Result;

const PAUSE_MS: u64 = 10_000;
const LOAD_S: u64 = 120;

/// A checkpoint from its trigger to its end, in seconds of virtual time.
#[derive(Clone, Copy, Debug)]
struct Span {
    from_s: f64,
    to_s: f64,
    is_complete: bool,
}

fn plan(context: &Context, min_pause_ms: u64) -> Plan {
    let mut plan = calm(context.seed);
    plan.load.records = 20 * LOAD_S as u32;
    plan.load.over_us = LOAD_S * 1_000_000;
    plan.safety_us = plan.load.over_us + 1_000_000;
    plan.pace.poll_us = 5_000;
    plan.services.store = span(1_000_000, 2_000_000);
    plan.checkpoint.interval_ms = 1_000;
    plan.checkpoint.min_pause_ms = min_pause_ms;
    plan.checkpoint.max_concurrent = 3;
    plan.checkpoint.tolerable_failures = 1_000;
    plan.windows = vec![Window {
        disturbance: Disturbance::StoreWriteFails,
        from_us: 50_000_000,
        for_us: 16_000_000,
        per_mille: 1_000,
    }];
    plan
}

fn spans(run: &SimRun) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for told in &run.told {
        let at_s = told.t_us as f64 / 1e6;
        let (is_end, is_complete, id) = match &told.event {
            JobEvent::CheckpointTriggered { checkpoint, .. } => (false, false, checkpoint),
            JobEvent::CheckpointCompleted { checkpoint, .. } => (true, true, checkpoint),
            JobEvent::CheckpointAborted { checkpoint, .. } => (true, false, checkpoint),
            _ => continue,
        };
        match spans.get_mut(id.index() - 1) {
            Some(span) if is_end => (span.to_s, span.is_complete) = (at_s, is_complete),
            _ => spans.push(Span { from_s: at_s, to_s: f64::INFINITY, is_complete }),
        }
    }
    // The last one is the job's end: it does not wait.
    spans.retain(|span| span.from_s < LOAD_S as f64);
    spans
}

/// From the end of the last completed checkpoint to each trigger, in seconds.
fn pauses(spans: &[Span]) -> Vec<f64> {
    let before = |span: &Span| {
        let completed = spans.iter().filter(|other| other.is_complete && other.to_s <= span.from_s);
        let last = completed.map(|other| other.to_s).fold(f64::NEG_INFINITY, f64::max);
        (last > 0.0).then_some(span.from_s - last)
    };
    spans.iter().filter_map(before).collect()
}

fn most_at_once(spans: &[Span]) -> usize {
    let under_way = |at_s: f64| spans.iter().filter(|s| s.from_s <= at_s && at_s < s.to_s).count();
    spans.iter().map(|span| under_way(span.from_s)).max().unwrap_or(0)
}

/// The share of time in which a checkpoint was under way, in percent.
fn busy_percent(spans: &[Span]) -> f64 {
    let steps = LOAD_S * 100;
    let is_busy = |n: &u64| {
        let at_s = *n as f64 / 100.0;
        spans.iter().any(|span| span.from_s <= at_s && at_s < span.to_s)
    };
    (0..steps).filter(is_busy).count() as f64 / steps as f64 * 100.0
}

fn drawn(spans: &[Span], height: f64) -> Vec<(f64, f64)> {
    let corners = |s: &Span| {
        let to_s = s.to_s.min(LOAD_S as f64);
        [(s.from_s, 0.0), (s.from_s, height), (to_s, height), (to_s, 0.0)]
    };
    spans.iter().flat_map(corners).collect()
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let [with, without] = [PAUSE_MS, 0].map(|ms| spans(&sim::watch(&plan(context, ms))));
    let (pauses_with, pauses_without) = (pauses(&with), pauses(&without));
    let least = |pauses: &[f64]| pauses.iter().copied().fold(f64::INFINITY, f64::min);
    let aborted = with.iter().filter(|span| !span.is_complete).count();
    let after_abort = with.windows(2).filter(|pair| !pair[0].is_complete);
    let soon = after_abort.map(|pair| pair[1].from_s - pair[0].to_s).fold(f64::INFINITY, f64::min);
    let pause_s = PAUSE_MS as f64 / 1e3;
    let (busy_with, busy_without) = (busy_percent(&with), busy_percent(&without));
    ran(Shown {
        premises: vec![
            fact(
                "checkpoints were taken",
                with.len() >= 6,
                format!("{} with the pause", with.len()),
            ),
            fact(
                "without a pause they follow each other closely",
                least(&pauses_without) < 1.0,
                format!("{:.2} s apart", least(&pauses_without)),
            ),
            fact("one was given up", aborted > 0, format!("{aborted}")),
        ],
        says: vec![
            fact(
                "at least 10 s pass between a completed checkpoint and the next trigger",
                least(&pauses_with) >= pause_s,
                format!("at least {:.3} s, {} times", least(&pauses_with), pauses_with.len()),
            ),
            fact(
                "it counts from the last completed one, not from one that was given up",
                soon < pause_s,
                format!("{soon:.2} s after one was given up the next was triggered"),
            ),
            fact(
                "one at a time, although three were allowed",
                most_at_once(&with) == 1 && most_at_once(&without) > 1,
                format!("{} with it, {} without", most_at_once(&with), most_at_once(&without)),
            ),
            fact(
                "the storage rests",
                busy_with < busy_without / 2.0,
                format!(
                    "a checkpoint under way {busy_with:.0} % of the time, {busy_without:.0} % without"
                ),
            ),
        ],
        beyond: Vec::new(),
        why:
            "The coordinator triggers no checkpoint before the pause since the last completed one \
              is over; that leaves no room for a second one at the same time."
                .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: "Checkpoints under way; the storage fails from 50 s to 66 s".to_owned(),
            x: Axis::of("time, s"),
            y: Axis::of("under way (1), not (0)"),
            kind: Kind::Lines,
            series: vec![
                Series::new("minimum pause 10 s", drawn(&with, 1.0)),
                Series::new("none", drawn(&without, 0.6)),
            ],
        }),
    })
}
