//! Claim 13: duplicates are what was sent on between the snapshot and the crash.
//!
//! At-least-once jobs that crash once. Every effect beyond the first of a record is put into one of
//! three classes by what the restored checkpoint says of the record; the sum must be all of them.

use std::collections::{BTreeMap, BTreeSet};

use stormproof_chaos::fault::{
    CheckpointRef, Fault, FaultAction, FaultId, FaultTarget, FaultTrigger,
};
use stormproof_chaos::sim::{self, Plan, SimEnd, SimRun};
use stormproof_engine::runtime::CheckpointMode;
use stormproof_engine::seam::Step;
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::simulated::{SIMULATION, calm, span};
use super::{Context, fact, ran};
use crate::error::Result;
use crate::oracle::checkpoint_reader::{CheckpointObjects, CheckpointSource as _};
use crate::proof::each;

/// Duplicates by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Classes {
    /// Sent on after the snapshot, and read again.
    sent_on: u64,
    /// Rows of the checkpoint's buffer that had been flushed after it.
    flushed: u64,
    /// In the checkpoint's buffer, and read again.
    orphans: u64,
    /// All there are.
    all: u64,
}

impl Classes {
    fn explained(self) -> u64 {
        self.sent_on + self.flushed + self.orphans
    }

    fn and(self, other: Self) -> Self {
        Self {
            sent_on: self.sent_on + other.sent_on,
            flushed: self.flushed + other.flushed,
            orphans: self.orphans + other.orphans,
            all: self.all + other.all,
        }
    }
}

fn plan(seed: u64) -> Plan {
    let mut plan = calm(seed);
    plan.checkpoint.mode = CheckpointMode::AtLeastOnce;
    plan.load.records = 1_000;
    plan.load.keys = 300;
    plan.sink.batch_rows = 20;
    plan.sink.batch_interval_ms = 8;
    plan.services.store = span(500, 8_000);
    let at_step = |step, nth| FaultTrigger::AtStep {
        step,
        checkpoint: CheckpointRef::Exactly(stormproof_engine::ids::CheckpointId(nth)),
        attempt: None,
        armed_at_ms: 0,
    };
    let source = |index| FaultTarget::Subtask { vertex: sim::VERTICES[0].to_owned(), index };
    plan.faults = vec![
        // A late barrier: others go on past theirs, and their records reach the snapshot.
        Fault {
            id: FaultId(1),
            action: FaultAction::Stall { ms: 30 },
            target: source((seed % 4) as u16),
            when: at_step(Step::BarrierInjected, 1),
            heal_after_ms: 0,
        },
        // The crash, somewhere in the checkpoint after the one that is restored.
        Fault {
            id: FaultId(2),
            action: FaultAction::Sigkill,
            target: FaultTarget::AnySubtask,
            when: at_step(
                [Step::BarrierReceived, Step::Upload, Step::Acked][(seed % 3) as usize],
                3,
            ),
            heal_after_ms: 1,
        },
    ];
    plan
}

/// The classes of a run that was restored once; `None` of any other.
fn classes(run: &SimRun) -> Option<Classes> {
    let fences = &run.evidence.fences;
    if run.end != SimEnd::Drained || fences.len() != 2 {
        return None;
    }
    let restored = fences[1].restored;
    let mut objects = CheckpointObjects::new(&run.evidence.objects);
    let listed = objects.list().ok()?;
    let mut manifests = listed.into_iter().filter_map(|listed| listed.manifest.ok());
    let manifest = manifests.find(|manifest| manifest.checkpoint.0 == restored.0)?;
    let state = objects.state(&manifest).ok()?;
    let next: BTreeMap<u32, u64> =
        state.splits.iter().map(|split| (split.partition.0, split.next_offset.0)).collect();
    let held: BTreeSet<(u32, u64)> =
        state.frames.iter().map(|frame| (frame.partition.0, frame.offset.0)).collect();
    let mut effects: BTreeMap<(u32, u64), u64> = BTreeMap::new();
    for row in &run.evidence.audit {
        *effects.entry((row.partition.0, row.offset.0)).or_default() += 1;
    }
    let mut classes = Classes::default();
    for (record, n) in effects {
        let beyond = n - 1;
        classes.all += beyond;
        let is_read_again = record.1 >= *next.get(&record.0)?;
        match (is_read_again, held.contains(&record)) {
            (true, false) => classes.sent_on += beyond,
            // Held and read again: one is the held copy's; another, that it had been flushed.
            (true, true) => {
                classes.orphans += beyond.min(1);
                classes.sent_on += beyond.saturating_sub(1);
            }
            (false, true) => classes.flushed += beyond,
            (false, false) => {}
        }
    }
    Some(classes)
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let seeds: Vec<u64> = (0..context.schedules).map(|n| context.seed.wrapping_add(n)).collect();
    let run = |seed: &u64| classes(&sim::run(&plan(*seed), false));
    let runs: Vec<Classes> =
        each(&seeds, context.jobs, run, &|_| {}).into_iter().flatten().collect();
    let sum = runs.iter().copied().fold(Classes::default(), Classes::and);
    let unexplained = runs.iter().filter(|classes| classes.explained() != classes.all).count();
    let of_all = |n: u64| format!("{n} of {} duplicates", sum.all);
    ran(Shown {
        premises: vec![fact(
            "jobs were restored once and drained",
            runs.len() as u64 * 2 > context.schedules,
            format!("{} of {} schedules", runs.len(), context.schedules),
        )],
        says: vec![fact(
            "what was sent on after the snapshot is read and written again",
            sum.sent_on > 0,
            of_all(sum.sent_on),
        )],
        beyond: vec![
            fact(
                "so are buffer rows of the checkpoint that had been flushed after it",
                sum.flushed > 0,
                of_all(sum.flushed),
            ),
            fact(
                "so are orphans: held by the checkpoint, and read again",
                sum.orphans > 0,
                of_all(sum.orphans),
            ),
            fact(
                "and these three are all",
                unexplained == 0 && sum.explained() == sum.all,
                format!(
                    "{} explained; every schedule by itself: {}",
                    of_all(sum.explained()),
                    unexplained == 0
                ),
            ),
        ],
        why:
            "The restored buffer writes its rows whether or not they were written; and what passed \
              a late barrier is in the buffer although its source will read it again."
                .to_owned(),
        measured_on: SIMULATION.to_owned(),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: format!("Duplicates of {} at-least-once jobs with one crash each", runs.len()),
            x: Axis::of("class"),
            y: Axis::of("effects"),
            kind: Kind::Bars(
                ["sent on after the cut", "flushed from the buffer", "orphans"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
            series: vec![Series::bars(
                "duplicates",
                [sum.sent_on, sum.flushed, sum.orphans].map(|n| n as f64),
            )],
        }),
    })
}
