//! Claims 9 and 10: what a sink's buffer is at a checkpoint.
//!
//! The same drawn schedules with the buffer forgotten at the barrier (a seeded bug), written into
//! list state, and flushed at the barrier; then with a restore that does not fill it again, and
//! with a snapshot that shares it instead of copying it.

use stormproof_chaos::sim::Plan;
use stormproof_engine::connectors::sql::BufferDesign;
use stormproof_engine::mutants::{BUFFER_ALIASED, BUFFER_IGNORED, BUFFER_NOT_REFILLED};
use stormproof_reports::claims::{Axis, Fact, Figure, Kind, Outcome, Series, Shown};

use super::simulated::{SIMULATION, Tally, tally};
use super::{Context, fact, ran};
use crate::error::Result;

const LOSS: &[&str] = &["no-loss"];
/// Whatever is wrong with what a checkpoint holds of the input.
const CUT: &[&str] = &["no-loss", "conservation", "no-orphans", "duplicates-exact"];

fn with(design: BufferDesign) -> impl Fn(&mut Plan) {
    move |plan| {
        plan.sink.design = design;
        plan.sink.transactional_us = None;
        plan.truncations.clear();
        // So that rows wait in the buffer for a while.
        plan.sink.batch_rows = plan.sink.batch_rows.max(10);
        plan.sink.batch_interval_ms = plan.sink.batch_interval_ms.max(20);
    }
}

fn none(text: &str, what: &str, tally: &Tally) -> Fact {
    fact(text, tally.broke.is_empty(), format!("{what} in {}", tally.told()))
}

fn some(text: &str, what: &str, tally: &Tally) -> Fact {
    fact(text, !tally.broke.is_empty(), format!("{what} in {}", tally.told()))
}

fn figure(title: &str, named: &[(&str, &Tally)]) -> Figure {
    let schedules = named.first().map_or(0, |(_, tally)| tally.schedules);
    Figure {
        title: title.to_owned(),
        x: Axis::of("the buffer at a checkpoint"),
        y: Axis::of("schedules"),
        kind: Kind::Bars(named.iter().map(|(name, _)| (*name).to_owned()).collect()),
        series: vec![Series::bars(
            format!("of {schedules}"),
            named.iter().map(|(_, tally)| tally.broke.len() as f64),
        )],
    }
}

/// Claim 9.
pub(super) fn list_buffer(context: &Context) -> Result<Outcome> {
    let plain = tally(context, BUFFER_IGNORED, LOSS, with(BufferDesign::BufferInState));
    let flushed = tally(context, 0, LOSS, with(BufferDesign::FlushOnBarrier));
    let in_state = tally(context, 0, LOSS, with(BufferDesign::BufferInState));
    ran(Shown {
        premises: vec![fact(
            "in list state nothing is lost by the same schedules",
            in_state.broke.is_empty(),
            in_state.told(),
        )],
        says: vec![some("a plain list loses records at a failover", "records lost", &plain)],
        beyond: vec![none("flushed at the barrier it loses none", "records lost", &flushed)],
        why: "At the barrier every row must be in the checkpoint or in the database; which of the \
              two is a choice. Flushing makes the checkpoint wait for the database."
            .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule: Vec::new(),
        figure: Some(figure(
            "Schedules in which a record was lost",
            &[("plain list", &plain), ("flushed", &flushed), ("list state", &in_state)],
        )),
    })
}

/// Claim 10.
pub(super) fn list_state(context: &Context) -> Result<Outcome> {
    let design = || with(BufferDesign::BufferInState);
    let sound = tally(context, 0, CUT, design());
    let not_filled = tally(context, BUFFER_NOT_REFILLED, LOSS, design());
    let shared = tally(context, BUFFER_ALIASED, CUT, design());
    ran(Shown {
        premises: vec![fact("schedules ran", sound.schedules > 0, sound.schedules.to_string())],
        says: vec![
            none("copied and filled again, the buffer survives", "a rule broken", &sound),
            some("not filled again, its records are lost", "records lost", &not_filled),
            some("shared instead of copied, the checkpoint is wrong", "a rule broken", &shared),
        ],
        beyond: Vec::new(),
        why: "The copy is taken between two records: what comes after the barrier changes the \
              buffer, and must not change the checkpoint."
            .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule: Vec::new(),
        figure: Some(figure(
            "Schedules that broke a rule about what a checkpoint holds",
            &[
                ("copied, filled again", &sound),
                ("not filled again", &not_filled),
                ("shared", &shared),
            ],
        )),
    })
}
