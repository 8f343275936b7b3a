//! Claims 2, 3 and 5: who waits for whom at a barrier.
//!
//! One source subtask of many is late with its barrier. What that does to the others is exact in
//! the simulation; what it costs, and how much is held, is measured on the real engine.

use std::collections::BTreeSet;
use std::time::Duration;

use stormproof_chaos::fault::{
    CheckpointRef, Fault, FaultAction, FaultId, FaultTarget, FaultTrigger,
};
use stormproof_chaos::sim::{self, Plan, SimRun};
use stormproof_engine::ids::{CheckpointId, VertexId};
use stormproof_engine::runtime::{CheckpointMode, JobEvent};
use stormproof_engine::seam::Step;
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::bed::{Bed, ENGINE, Measured, Stall, median};
use super::simulated::{SIMULATION, calm};
use super::{Context, fact, ran};
use crate::error::Result;
use crate::sim::{Outcome as Judged, judge};

/// The checkpoint whose barrier is late on one channel.
const LATE: CheckpointId = CheckpointId(2);
const INTERVAL_MS: u64 = 20;
/// From its predecessor's barrier on the source stands still for so long.
const STALL_MS: u64 = 60;

/// A job whose first source subtask is late with the second barrier.
fn late(context: &Context, mode: CheckpointMode, alignment_timeout_ms: Option<u64>) -> Plan {
    let p = context.parallelism;
    let mut plan = calm(context.seed);
    let shape = &mut plan.topology.parallelism[0];
    (shape.source, shape.count, shape.sink) = (p, p, p);
    plan.topology.partitions = u32::from(p);
    plan.topology.max_parallelism = u16::max(128, p.next_power_of_two() * 2);
    plan.load.records = u32::from(p) * 4;
    plan.load.keys = plan.load.records;
    plan.checkpoint.mode = mode;
    plan.checkpoint.interval_ms = INTERVAL_MS;
    plan.checkpoint.alignment_timeout_ms = alignment_timeout_ms;
    let when = FaultTrigger::AtStep {
        step: Step::BarrierInjected,
        checkpoint: CheckpointRef::Exactly(CheckpointId(1)),
        attempt: None,
        armed_at_ms: 0,
    };
    plan.faults = vec![Fault {
        id: FaultId(1),
        action: FaultAction::Stall { ms: STALL_MS },
        target: FaultTarget::Subtask { vertex: sim::VERTICES[0].to_owned(), index: 0 },
        when,
        heal_after_ms: 0,
    }];
    plan
}

/// The moments at which a vertex's subtasks passed a step of the late checkpoint.
fn moments(run: &SimRun, vertex: u16, step: Step) -> Vec<u64> {
    let of = run.passed.iter().filter(|passed| {
        passed.step == step && passed.at.checkpoint == LATE && passed.at.vertex == VertexId(vertex)
    });
    of.map(|passed| passed.at_us).collect()
}

/// What a late barrier did to the vertex behind it.
struct Seen {
    name: &'static str,
    barriers: usize,
    late_by_ms: f64,
    /// From the first barrier that reached it to the first and the last snapshot.
    waited_ms: (f64, f64),
    is_before_last: bool,
    logged_bytes: u64,
    /// Subtasks of it that held a channel.
    holding: usize,
    is_sound: bool,
}

fn see(
    context: &Context,
    name: &'static str,
    mode: CheckpointMode,
    timeout_ms: Option<u64>,
) -> Seen {
    let plan = late(context, mode, timeout_ms);
    let run = sim::watch(&plan);
    let injected = moments(&run, 0, Step::BarrierInjected);
    let received = moments(&run, 1, Step::BarrierReceived);
    let snapshots = moments(&run, 1, Step::SnapshotSync);
    let least = |moments: &[u64]| moments.iter().copied().min().unwrap_or(0) as f64 / 1e3;
    let most = |moments: &[u64]| moments.iter().copied().max().unwrap_or(0) as f64 / 1e3;
    let aligning = run.passed.iter().filter(|passed| {
        passed.step == Step::Aligning
            && passed.at.checkpoint == LATE
            && passed.at.vertex == VertexId(1)
    });
    let holding: BTreeSet<_> = aligning.map(|passed| passed.at.subtask).collect();
    let logged = run.told.iter().find_map(|told| match &told.event {
        JobEvent::CheckpointCompleted { checkpoint, stats, .. } if *checkpoint == LATE => {
            Some(stats.in_flight_bytes)
        }
        _ => None,
    });
    Seen {
        name,
        barriers: injected.len(),
        late_by_ms: most(&injected) - least(&injected),
        waited_ms: (least(&snapshots) - least(&received), most(&snapshots) - least(&received)),
        is_before_last: least(&snapshots) < most(&injected),
        logged_bytes: logged.unwrap_or(0),
        holding: holding.len(),
        is_sound: judge(&plan, &run).outcome != Judged::Violated && logged.is_some(),
    }
}

/// Claim 2.
pub(super) fn all_barriers(context: &Context) -> Result<Outcome> {
    let aligned = see(context, "aligned", CheckpointMode::ExactlyOnce, None);
    let timeout = see(context, "aligned, timeout 5 ms", CheckpointMode::ExactlyOnce, Some(5));
    let unaligned = see(context, "unaligned", CheckpointMode::ExactlyOnceUnaligned, None);
    let p = usize::from(context.parallelism);
    let told =
        |seen: &Seen| format!("first snapshot {:.1} ms after the first barrier", seen.waited_ms.0);
    let all = [&aligned, &timeout, &unaligned];
    let starts_early = |seen: &Seen, text: &str| {
        let holds = seen.is_before_last && seen.is_sound;
        let logged = format!("{}; {} bytes logged", told(seen), seen.logged_bytes);
        fact(text, holds, logged)
    };
    ran(Shown {
        premises: vec![fact(
            "one barrier of all is late",
            all.iter().all(|seen| seen.barriers == p && seen.late_by_ms > 10.0),
            format!("1 of {p} by {:.1} ms", aligned.late_by_ms),
        )],
        says: vec![fact(
            "aligned: no subtask snapshots before the last barrier",
            !aligned.is_before_last && aligned.is_sound,
            told(&aligned),
        )],
        beyond: vec![
            starts_early(&unaligned, "unaligned starts with the first and logs what is in transit"),
            starts_early(&timeout, "aligned with a timeout does so when the time is up"),
        ],
        why: "An aligned cut needs every barrier because it holds no records in transit; one that \
              logs them does not."
            .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: format!("One barrier of {p} is {:.0} ms late", aligned.late_by_ms),
            x: Axis::of("exactly-once"),
            y: Axis::of("first barrier to first snapshot, ms"),
            kind: Kind::Bars(all.iter().map(|seen| seen.name.to_owned()).collect()),
            series: vec![Series::bars("waited", all.iter().map(|seen| seen.waited_ms.0))],
        }),
    })
}

/// The job of the measurements: as many records as the engine can take, one source that stalls.
fn loaded(context: &Context, mode: CheckpointMode, stalls: bool) -> Bed {
    Bed {
        parallelism: context.parallelism,
        mode,
        interval_ms: 150,
        stall: stalls.then_some(Stall { duration_us: 250_000 }),
        limit: Duration::from_millis(2_500 / context.smaller.min(3)),
        ..Bed::default()
    }
}

/// The rate and the most bytes held by alignment, for each of some modes, with and without a stall.
fn cost(context: &Context, mode: CheckpointMode) -> Result<(Measured, Measured)> {
    Ok((loaded(context, mode, false).run()?, loaded(context, mode, true).run()?))
}

/// Claim 3.
pub(super) fn one_slow_subtask(context: &Context) -> Result<Outcome> {
    let aligned = see(context, "aligned", CheckpointMode::ExactlyOnce, None);
    let p = usize::from(context.parallelism);
    let modes = [
        ("aligned", CheckpointMode::ExactlyOnce),
        ("at-least-once", CheckpointMode::AtLeastOnce),
        ("unaligned", CheckpointMode::ExactlyOnceUnaligned),
    ];
    let costs = modes.map(|(name, mode)| cost(context, mode).map(|cost| (name, cost)));
    let costs = costs.into_iter().collect::<Result<Vec<_>>>()?;
    let held = |at: usize| costs[at].1.1.most("held_bytes");
    let share = |at: usize| costs[at].1.1.records_per_s() / costs[at].1.0.records_per_s();
    let alignment = costs[0].1.1.checkpoints();
    let alignment_ms = median(alignment.iter().map(|s| s.alignment_us as f64 / 1e3).collect());
    // Each source has at most this under way to each worker (docs of `ExchangeConfig`).
    let credit = ((32_u64 << 20) / u64::from(context.parallelism)).clamp(16 << 10, 4 << 20);
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let bound = credit * u64::from(context.parallelism) * workers;
    let mib = |bytes: u64| format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20));
    ran(Shown {
        premises: vec![fact(
            "the late barrier made checkpoints wait",
            alignment_ms > 40.0 && alignment.len() >= 2,
            format!("{alignment_ms:.0} ms of alignment in {} checkpoints", alignment.len()),
        )],
        says: vec![
            fact(
                "one late subtask makes every subtask behind it hold channels",
                aligned.holding == p,
                format!("{} of {p} subtasks, for one late of {p}", aligned.holding),
            ),
            fact(
                "what has arrived is held in memory",
                held(0) > 0,
                format!("at most {}", mib(held(0))),
            ),
        ],
        beyond: vec![
            fact(
                "what is held is bounded by credit",
                held(0) <= bound,
                format!("{} of {} that credit allows", mib(held(0)), mib(bound)),
            ),
            fact(
                "then it is backpressure: the whole job is slower",
                share(0) < 0.9,
                format!("{:.0} % of the rate without the late subtask", share(0) * 100.0),
            ),
            fact(
                "without alignment nothing is held",
                held(1) == 0 && held(2) == 0,
                format!("at-least-once {}, unaligned {}", mib(held(1)), mib(held(2))),
            ),
        ],
        why: "A channel is held from its own barrier until the last one is in. With all-to-all \
              channels the last one of a single source is missing everywhere: the barrel effect."
            .to_owned(),
        measured_on: format!("{SIMULATION}; the rates on {ENGINE}"),
        schedule: Vec::new(),
        figure: Some(picture(p, &costs)),
    })
}

fn picture(p: usize, costs: &[(&str, (Measured, Measured))]) -> Figure {
    Figure {
        title: format!("One source subtask of {p}, late by 100 ms at every checkpoint"),
        x: Axis::of("checkpoints"),
        y: Axis::of("records/s"),
        kind: Kind::Bars(costs.iter().map(|(name, _)| (*name).to_owned()).collect()),
        series: vec![
            Series::bars("nobody late", costs.iter().map(|(_, c)| c.0.records_per_s())),
            Series::bars("one late", costs.iter().map(|(_, c)| c.1.records_per_s())),
        ],
    }
}

/// The synchronous part of a snapshot in milliseconds, with so many keys counted.
fn synchronous(context: &Context, keys: u64) -> Result<(f64, usize)> {
    let bed = Bed {
        parallelism: context.parallelism,
        mode: CheckpointMode::AtLeastOnce,
        counts: true,
        keys,
        interval_ms: 300,
        record_bytes: 20,
        limit: Duration::from_millis(3_000 / context.smaller.min(2)),
        ..Bed::default()
    };
    let measured = bed.run()?;
    let stats = measured.checkpoints();
    // The first checkpoints see a table that is still filling up.
    let later = stats.iter().skip(stats.len() / 3).map(|stats| stats.sync_us as f64 / 1e3);
    Ok((median(later.collect()), stats.len()))
}

/// Claim 5.
pub(super) fn no_blocking(context: &Context) -> Result<Outcome> {
    let alo = see(context, "at-least-once", CheckpointMode::AtLeastOnce, None);
    let held = loaded(context, CheckpointMode::AtLeastOnce, true).run()?;
    let keys = [1_000, 50_000, 400_000 / context.smaller.max(1)];
    let parts = keys.map(|keys| synchronous(context, keys));
    let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
    let told =
        keys.iter().zip(&parts).map(|(keys, (ms, _))| format!("{ms:.2} ms with {keys} keys"));
    let told = told.collect::<Vec<_>>().join(", ");
    let (least, most) = (parts[0].0, parts[2].0);
    ran(Shown {
        premises: vec![fact(
            "checkpoints were taken, one with a late barrier",
            parts.iter().all(|(_, n)| *n >= 2) && alo.late_by_ms > 10.0 && alo.is_sound,
            format!("a barrier {:.1} ms late", alo.late_by_ms),
        )],
        says: vec![fact(
            "no channel is held while barriers are missing",
            alo.holding == 0 && held.most("held_bytes") == 0,
            format!("{} subtasks held one; {} bytes held", alo.holding, held.most("held_bytes")),
        )],
        beyond: vec![fact(
            "the synchronous part of the snapshot blocks, and grows with the state",
            most > 0.0 && most > 2.0 * least,
            told,
        )],
        why:
            "Nobody waits for barriers, but while a subtask copies its state it processes nothing; \
              only the upload is asynchronous."
                .to_owned(),
        measured_on: format!("{SIMULATION}; the synchronous part on the real engine"),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: "At-least-once: the synchronous part of a snapshot".to_owned(),
            x: Axis::log("keys in state"),
            y: Axis::of("ms, slowest worker, median"),
            kind: Kind::Lines,
            series: vec![Series::new(
                "synchronous part",
                keys.iter().zip(&parts).map(|(keys, (ms, _))| (*keys as f64, *ms)).collect(),
            )],
        }),
    })
}
