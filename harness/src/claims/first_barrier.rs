//! Claims 4 and 12: at-least-once snapshots with the first barrier, and nothing is lost.
//!
//! The rule is tried as it stands (a seeded bug of the engine: nothing is logged), made safe by
//! logging, and as Flink has it (the last barrier): the same schedules under each. One that loses
//! is made as small as it gets.

use std::time::Duration;

use stormproof_chaos::sim::{self, Plan};
use stormproof_engine::connectors::sql::BufferDesign;
use stormproof_engine::mutants::{FETCHER_POSITION, FIRST_BARRIER_UNLOGGED};
use stormproof_engine::runtime::{CheckpointMode, JobEvent};
use stormproof_engine::seam::Step;
use stormproof_reports::claims::{Axis, Fact, Figure, Kind, Outcome, Series, Shown};

use super::simulated::{SIMULATION, Tally, drawn, tally};
use super::{Context, fact, ran};
use crate::error::{Result, engine};
use crate::proof::case::{Case, with_mutant};

const LOSS: &[&str] = &["no-loss"];
/// How long a schedule may be made smaller.
const SHRINK_LIMIT: Duration = Duration::from_secs(12);

fn in_mode(mode: CheckpointMode) -> impl Fn(&mut Plan) {
    move |plan| {
        plan.checkpoint.mode = mode;
        plan.sink.transactional_us = None;
        // Its cuts may hold twice what an operator holds back.
        plan.topology.hold_us = 0;
        // A schedule whose input is cut off loses by itself.
        plan.truncations.clear();
    }
}

/// The smallest schedule that loses a record by the raw rule.
fn smallest(tally: &Tally) -> Result<Case> {
    let seed = tally.broke.first().ok_or_else(|| {
        engine("no schedule lost a record by the first-barrier rule")
            .at(tally.told())
            .remedy("draw more: --schedules")
    })?;
    let mode = in_mode(CheckpointMode::AtLeastOnceFirstBarrier);
    let case = drawn(*seed, FIRST_BARRIER_UNLOGGED, mode);
    Ok(case.shrunk("no-loss", SHRINK_LIMIT).plan)
}

/// The same schedule under another rule.
fn lost(case: &Case, mutant: u32, mode: CheckpointMode) -> bool {
    let mut other = Case { mutant, ..case.clone() };
    other.plan.checkpoint.mode = mode;
    other.broken().iter().any(|broken| broken == "no-loss")
}

/// What happened, in order: barriers, snapshots, the crash, the restore.
fn story(case: &Case) -> Vec<String> {
    let run = with_mutant(case.mutant, || sim::watch(&case.plan));
    let mut restored = run.told.iter().filter_map(|told| match told.event {
        JobEvent::AttemptStarted { restored, .. } if restored.0 > 0 => Some(restored),
        _ => None,
    });
    let restored = restored.next_back();
    let steps =
        [Step::BarrierInjected, Step::BarrierReceived, Step::SnapshotSync, Step::MetadataDurable];
    let mut lines: Vec<(u64, String)> = Vec::new();
    for passed in &run.passed {
        if steps.contains(&passed.step) && Some(passed.at.checkpoint) == restored {
            let vertex = sim::VERTICES.get(passed.at.vertex.index()).unwrap_or(&"?");
            let (step, id) = (passed.step, passed.at.checkpoint);
            let who = match passed.step {
                Step::MetadataDurable => String::new(),
                _ => format!(" at {vertex}[{}]", passed.at.subtask),
            };
            lines.push((passed.at_us, format!("{step} of checkpoint {id}{who}")));
        }
    }
    for arrival in sim::arrivals(&case.plan).into_iter().take(10) {
        let (records, partition) = (arrival.records, arrival.partition);
        lines.push((arrival.at_us, format!("{records} records arrive in partition {partition}")));
    }
    for landed in &run.landed {
        let at = landed.step.map_or_else(String::new, |step| format!(" at {step}"));
        lines.push((landed.at_us, format!("fault: {}{at}", landed.action)));
    }
    for told in &run.told {
        if let JobEvent::AttemptStarted { attempt, restored } = told.event {
            lines.push((told.t_us, format!("attempt {attempt} starts from checkpoint {restored}")));
        }
    }
    lines.sort_by_key(|(at_us, _)| *at_us);
    let line = |(at_us, what): (u64, String)| format!("{:>9.3} ms  {what}", at_us as f64 / 1e3);
    lines.into_iter().map(line).take(40).collect()
}

/// The witness of the loss, in a sentence.
fn witness(case: &Case) -> String {
    let judged = case.run(false).judged;
    let of_loss = judged.judgement.checks.iter().find(|check| check.id == "no-loss");
    let witness = of_loss.and_then(|check| check.witnesses.first());
    witness.map_or_else(|| "none".to_owned(), |witness| witness.text.clone())
}

/// Claim 4.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let first = CheckpointMode::AtLeastOnceFirstBarrier;
    let last = CheckpointMode::AtLeastOnce;
    let raw = tally(context, FIRST_BARRIER_UNLOGGED, LOSS, in_mode(first));
    let logged = tally(context, 0, LOSS, in_mode(first));
    let flink = tally(context, 0, LOSS, in_mode(last));
    let case = smallest(&raw)?;
    let mut schedule = vec![
        format!("the smallest schedule that loses: {}", case.size()),
        format!("lost: {}", witness(&case)),
    ];
    schedule.extend(story(&case));
    let same = |mutant, mode| !lost(&case, mutant, mode);
    ran(Shown {
        premises: vec![fact(
            "the smallest schedule still loses",
            lost(&case, FIRST_BARRIER_UNLOGGED, first),
            case.size(),
        )],
        says: vec![fact(
            "a job that snapshots with the first barrier loses nothing",
            raw.broke.is_empty(),
            format!("records lost in {}", raw.told()),
        )],
        beyond: vec![
            none_lost("with the last barrier, Flink's rule, nothing is lost", &flink),
            none_lost("with the first barrier and a log of what is in transit, neither", &logged),
            fact(
                "nor in the smallest schedule that the raw rule loses by",
                same(0, first) && same(0, last),
                "run again under both",
            ),
        ],
        why: "A record sent before its sender's cut that arrives after the receiver's snapshot is \
              in neither: the source does not read it again, the receiver does not hold it."
            .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule,
        figure: Some(Figure {
            title: "Schedules in which a record was lost".to_owned(),
            x: Axis::of("when the snapshot is taken"),
            y: Axis::of("schedules"),
            kind: Kind::Bars(
                ["first barrier, as claimed", "first barrier, logged", "last barrier"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
            series: vec![Series::bars(
                format!("of {}", raw.schedules),
                [&raw, &logged, &flink].map(|tally| tally.broke.len() as f64),
            )],
        }),
    })
}

fn none_lost(text: &str, tally: &Tally) -> Fact {
    fact(text, tally.broke.is_empty(), format!("records lost in {}", tally.told()))
}

/// Claim 12.
pub(super) fn nothing_lost(context: &Context) -> Result<Outcome> {
    let in_state = |mode| {
        let in_mode = in_mode(mode);
        move |plan: &mut Plan| {
            in_mode(plan);
            plan.sink.design = BufferDesign::BufferInState;
        }
    };
    let last = in_state(CheckpointMode::AtLeastOnce);
    let sound = tally(context, 0, LOSS, &last);
    let no_replay = tally(context, FETCHER_POSITION, LOSS, &last);
    let first = in_state(CheckpointMode::AtLeastOnceFirstBarrier);
    let first = tally(context, FIRST_BARRIER_UNLOGGED, LOSS, first);
    let some_lost = |text: &str, tally: &Tally| {
        fact(text, !tally.broke.is_empty(), format!("records lost in {}", tally.told()))
    };
    ran(Shown {
        premises: vec![fact("schedules ran", sound.schedules > 0, sound.schedules.to_string())],
        says: vec![none_lost("buffer in list state, last barrier, sources read again", &sound)],
        beyond: vec![
            some_lost("with the first barrier list state does not help", &first),
            some_lost("nor when the sources go on from where they had fetched", &no_replay),
        ],
        why: "List state keeps what the operator holds at its snapshot. What is between operators \
              at that moment is kept by the cut, what is not yet read by the offsets in the same \
              checkpoint."
            .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: "Schedules in which a record was lost, the buffer in list state".to_owned(),
            x: Axis::of("what else is done"),
            y: Axis::of("schedules"),
            kind: Kind::Bars(
                ["last barrier, replay", "first barrier", "replay from the fetched position"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
            series: vec![Series::bars(
                format!("of {}", sound.schedules),
                [&sound, &first, &no_replay].map(|tally| tally.broke.len() as f64),
            )],
        }),
    })
}
