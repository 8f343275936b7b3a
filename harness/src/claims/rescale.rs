//! Claim 11: operator state is redistributed evenly at a rescale.
//!
//! A job is killed and started again with other numbers of subtasks. Who owns which partition is
//! read from its checkpoints; whether an old row comes after a newer one, from the tables.

use std::collections::BTreeMap;

use stormproof_chaos::fault::{Fault, FaultAction, FaultId, FaultTarget, FaultTrigger};
use stormproof_chaos::sim::{self, Parallelism, Plan, SimRun};
use stormproof_engine::connectors::sql::BufferDesign;
use stormproof_engine::graph::Partitioner;
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::simulated::{SIMULATION, calm, tally};
use super::{Context, fact, ran};
use crate::error::Result;
use crate::oracle::checkpoint_reader::{CheckpointObjects, CheckpointSource as _, Split};

fn shape(p: u16) -> Parallelism {
    Parallelism { source: p, count: p, sink: p }
}

/// A job that is killed twice, at one number of subtasks after the other.
fn plan(context: &Context, shapes: &[u16], partitions: u32) -> Plan {
    let mut plan = calm(context.seed);
    plan.topology.parallelism = shapes.iter().copied().map(shape).collect();
    plan.topology.partitions = partitions;
    let largest = shapes.iter().copied().max().unwrap_or(1);
    plan.topology.max_parallelism = u16::max(128, largest.next_power_of_two() * 2);
    plan.load.records = partitions * 3;
    plan.load.keys = plan.load.records;
    plan.load.over_us = 170_000;
    plan.safety_us = 190_000;
    let kill = |n: u32| Fault {
        id: FaultId(n),
        action: FaultAction::Sigkill,
        target: FaultTarget::Process,
        when: FaultTrigger::AtMs(u64::from(n) * 60),
        heal_after_ms: 1,
    };
    plan.faults = vec![kill(1), kill(2)];
    plan
}

/// Who owned which partition, by the parallelism of the source in the checkpoint's manifest.
fn owners(run: &SimRun) -> Vec<(u32, Vec<Split>)> {
    let mut objects = CheckpointObjects::new(&run.evidence.objects);
    let listed = objects.list().unwrap_or_default();
    let manifests = listed.into_iter().filter_map(|listed| listed.manifest.ok());
    let read = manifests.filter_map(|manifest| {
        let parallelism = manifest.vertices.first()?.parallelism;
        let mut splits = objects.state(&manifest).ok()?.splits;
        splits.sort_by_key(|split| split.partition);
        Some((parallelism, splits))
    });
    read.collect()
}

/// The fewest and the most partitions of a subtask.
fn spread(parallelism: u32, splits: &[Split]) -> (usize, usize) {
    let mut owned: BTreeMap<u16, usize> = BTreeMap::new();
    splits.iter().for_each(|split| *owned.entry(split.subtask).or_default() += 1);
    let least =
        if owned.len() < parallelism as usize { 0 } else { *owned.values().min().unwrap_or(&0) };
    (least, owned.values().copied().max().unwrap_or(0))
}

/// Drawn schedules whose keyed job is rescaled at each start, or not.
fn drawn(is_rescaled: bool, versions_guarded: bool) -> impl Fn(&mut Plan) {
    move |plan| {
        let topology = &mut plan.topology;
        let p = topology.parallelism[0].count.max(3);
        topology.parallelism = vec![shape(p)];
        if is_rescaled {
            topology.parallelism.extend([shape(p - 1), shape(p + 2), shape(p)]);
        }
        (topology.into_count, topology.into_sink) = (Partitioner::KeyBy, Partitioner::Forward);
        plan.load.keys = plan.load.keys.min(10);
        plan.load.null_keys_per_mille = 0;
        plan.sink.design = BufferDesign::BufferInState;
        plan.sink.transactional_us = None;
        plan.sink.batch_rows = 100;
        plan.sink.batch_interval_ms = plan.sink.batch_interval_ms.max(20);
        plan.sink.versions_guarded = versions_guarded;
        plan.truncations.clear();
    }
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let p = context.parallelism;
    let shapes = [p, p * 3 / 4, p * 3 / 2];
    let partitions = u32::from(p) * 3 / 2;
    let rescaled = owners(&sim::watch(&plan(context, &shapes, partitions)));
    let kept = owners(&sim::watch(&plan(context, &[p], partitions)));
    let of = |at: usize| rescaled.iter().rfind(|(n, _)| *n == u32::from(shapes[at]));
    let after: Vec<_> = (0..3).filter_map(of).collect();
    let told = |(n, splits): &&(u32, Vec<Split>)| {
        let (least, most) = spread(*n, splits);
        format!("{least} to {most} of {partitions} partitions each at {n}")
    };
    let is_even = |(n, splits): &&(u32, Vec<Split>)| {
        let (least, most) = spread(*n, splits);
        most - least <= 1 && splits.len() == partitions as usize
    };
    let all_told = after.iter().map(told).collect::<Vec<_>>().join("; ");
    let whose = |splits: &[Split]| splits.iter().map(|s| s.subtask).collect::<Vec<_>>();
    let is_kept = kept.windows(2).all(|pair| whose(&pair[0].1) == whose(&pair[1].1));
    let rule = &["final-values"][..];
    let guarded = tally(context, 0, rule, drawn(true, true));
    let unguarded = tally(context, 0, rule, drawn(true, false));
    ran(Shown {
        premises: vec![
            fact("a checkpoint at each of three numbers of subtasks", after.len() == 3, format!("{shapes:?}")),
            fact("and several without a rescale", kept.len() >= 3, kept.len().to_string()),
        ],
        says: vec![fact(
            "every subtask gets the same share, one more or less",
            after.iter().all(is_even),
            all_told,
        )],
        beyond: vec![
            fact(
                "only when the parallelism changes: otherwise everybody gets their own back",
                is_kept,
                format!("the owners in {} checkpoints over three starts", kept.len()),
            ),
            fact(
                "an old row can be flushed after a newer one of its key, by another subtask",
                !unguarded.broke.is_empty(),
                format!("without a guard the table ends wrong in {}", unguarded.told()),
            ),
            fact(
                "a guard by version keeps the table right",
                guarded.broke.is_empty(),
                format!("wrong in {}", guarded.told()),
            ),
        ],
        why: "List state has no key: its rows go to whoever is next, while new records of their keys \
              go where the keys belong."
            .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: format!("{partitions} partitions, by source subtask"),
            x: Axis::of("subtasks of the source"),
            y: Axis::of("partitions of a subtask"),
            kind: Kind::Bars(after.iter().map(|(n, _)| n.to_string()).collect()),
            series: vec![
                Series::bars("fewest", after.iter().map(|(n, s)| spread(*n, s).0 as f64)),
                Series::bars("most", after.iter().map(|(n, s)| spread(*n, s).1 as f64)),
            ],
        }),
    })
}
