//! Claim 14: an upsert makes the table eventually right.
//!
//! The table at the end of drawn schedules: with a guard by version and without, with order by key
//! and without, with zombies fenced off and (a seeded bug) not.

use stormproof_chaos::sim::Plan;
use stormproof_engine::graph::Partitioner;
use stormproof_engine::mutants::NO_FENCE;
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::simulated::{SIMULATION, Tally, tally};
use super::{Context, fact, ran};
use crate::error::Result;

fn job(is_ordered: bool, versions_guarded: bool) -> impl Fn(&mut Plan) {
    move |plan| {
        let topology = &mut plan.topology;
        topology.parallelism.truncate(1);
        let p = topology.parallelism[0].count.max(2);
        (topology.parallelism[0].count, topology.parallelism[0].sink) = (p, p);
        topology.into_count = if is_ordered { Partitioner::KeyBy } else { Partitioner::Rebalance };
        topology.into_sink = Partitioner::Forward;
        plan.load.keys = plan.load.keys.min(10);
        plan.load.null_keys_per_mille = 0;
        plan.sink.transactional_us = None;
        plan.sink.versions_guarded = versions_guarded;
        plan.truncations.clear();
    }
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let value = &["final-values"][..];
    let guarded = tally(context, 0, value, job(true, true));
    let guarded_unordered = tally(context, 0, value, job(false, true));
    let unordered = tally(context, 0, value, job(false, false));
    let fence = &["fencing"][..];
    let unfenced = tally(context, NO_FENCE, fence, job(true, true));
    let fenced = tally(context, 0, fence, job(true, true));
    let wrong = |tally: &Tally| format!("the table was wrong in {}", tally.told());
    let zombie =
        |tally: &Tally| format!("a dead attempt wrote after its successor in {}", tally.told());
    ran(Shown {
        premises: vec![fact("schedules ran", guarded.schedules > 0, guarded.schedules.to_string())],
        says: vec![fact(
            "with order by key and a guard by version the table is right",
            guarded.broke.is_empty(),
            wrong(&guarded),
        )],
        beyond: vec![
            fact(
                "without order and without a guard it is not",
                !unordered.broke.is_empty(),
                wrong(&unordered),
            ),
            fact(
                "the guard alone suffices for the values",
                guarded_unordered.broke.is_empty(),
                wrong(&guarded_unordered),
            ),
            fact("without a fence zombies write", !unfenced.broke.is_empty(), zombie(&unfenced)),
            fact("with one they do not", fenced.broke.is_empty(), zombie(&fenced)),
        ],
        why: "An upsert keeps what comes last, and last in the database is not last in the log: \
              another subtask, a retry or a process that was taken for dead may come later."
            .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: "Schedules that ended with a wrong table, or a zombie's write".to_owned(),
            x: Axis::of("the sink"),
            y: Axis::of("schedules"),
            kind: Kind::Bars(
                ["keyed, guarded", "unkeyed, guarded", "unkeyed, bare", "no fence", "fence"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
            series: vec![Series::bars(
                format!("of {}", guarded.schedules),
                [&guarded, &guarded_unordered, &unordered, &unfenced, &fenced]
                    .map(|tally| tally.broke.len() as f64),
            )],
        }),
    })
}
