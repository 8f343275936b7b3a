//! Schedules: the faults of one run, written by hand or drawn from a seed.
//!
//! Invariant: the same seed and parameters give the same schedule, byte for byte, on every machine
//! and in every later version of the same major number.

use std::mem;

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use stormproof_engine::seam::Step;

use crate::fault::{CheckpointRef, Fault, FaultAction, FaultError, FaultId, FaultTarget};
use crate::fault::{FaultTrigger, VertexShape};

/// The faults of one run, in order of their triggers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The seed it was drawn from; absent when written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The faults.
    pub faults: Vec<Fault>,
}

/// A step that a storm may strike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StormStep {
    /// The step.
    pub step: Step,
    /// The vertices each of whose subtasks passes it. Empty: the step is a worker's or the
    /// coordinator's, and whoever gets there first is struck.
    pub vertices: Vec<VertexShape>,
}

/// What a storm is drawn for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StormParameters {
    /// Faults in all.
    pub faults: u32,
    /// The time in which they are armed, from the load's start.
    pub duration_ms: u64,
    /// The steps to strike.
    pub steps: Vec<StormStep>,
    /// The stall that makes one source's barrier late; the other stalls then strike subtasks that
    /// have an input. `None` = no such stall, and the others strike anybody.
    pub skew: Option<Skew>,
}

/// A stall from the end of one checkpoint until after the trigger of the next: the barrier of the
/// stalled source comes late, so that the others' channels have to be told apart from it. Without
/// it a bug in the alignment may find nothing to do wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skew {
    /// Where it begins, and in whom.
    pub step: StormStep,
    /// Until the next trigger.
    pub until_trigger_ms: u64,
}

/// What a fault of a storm takes of the time: kills need a recovery and a checkpoint after them.
const KILL_WEIGHT: u64 = 10;
const PAUSE_WEIGHT: u64 = 6;
const STALL_WEIGHT: u64 = 3;
const SKEW_WEIGHT: u64 = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Panic,
    Sigkill,
    Pause,
    Stall,
    /// The first of the stalls.
    Skew,
    /// A failure of the asynchronous part: the checkpoint is declined, the job goes on.
    Decline,
}

impl Kind {
    fn is_kill(self) -> bool {
        matches!(self, Self::Panic | Self::Sigkill)
    }

    fn weight(self) -> u64 {
        match self {
            Self::Panic | Self::Sigkill => KILL_WEIGHT,
            Self::Pause => PAUSE_WEIGHT,
            Self::Stall | Self::Decline => STALL_WEIGHT,
            Self::Skew => SKEW_WEIGHT,
        }
    }
}

impl Schedule {
    /// A schedule from the scenario: numbers the faults and checks each against the job.
    ///
    /// # Errors
    /// The first fault that can never land.
    pub fn by_hand(faults: Vec<Fault>, job: &[VertexShape]) -> Result<Self, FaultError> {
        let mut faults = faults;
        for (index, fault) in faults.iter_mut().enumerate() {
            fault.id = FaultId(index as u32 + 1);
            fault.check(job)?;
        }
        Ok(Self { seed: None, faults })
    }

    /// A storm: kills at steps that differ from each other as far as there are enough of them,
    /// half panics and half SIGKILLs, with a pause and a few stalls between them. Of at least
    /// four kills, one of the first half falls on the commit point, where it is in
    /// `parameters.steps`: a job that goes on from anything but its newest checkpoint looks right
    /// after a kill anywhere else.
    ///
    /// # Panics
    /// When there are faults to draw and no steps to draw from.
    pub fn storm(seed: u64, parameters: &StormParameters) -> Self {
        assert!(
            parameters.faults == 0 || !parameters.steps.is_empty(),
            "a storm needs steps to strike"
        );
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let kinds = kinds(parameters, &mut rng);
        let moments = moments(&kinds, parameters.duration_ms, &mut rng);
        let kills = kinds.iter().filter(|kind| kind.is_kill()).count();
        let mut deck = Deck::new(&parameters.steps, kills);
        let mut faults = Vec::with_capacity(kinds.len());
        for (index, (kind, at_ms)) in kinds.iter().zip(moments).enumerate() {
            let id = FaultId(index as u32 + 1);
            faults.push(match (kind, &parameters.skew) {
                (Kind::Skew, Some(skew)) => skewed(id, skew, at_ms, &mut rng),
                (Kind::Stall, Some(skew)) => parked(id, parameters, skew, at_ms, &mut rng),
                _ => draw(id, *kind, at_ms, &mut deck, &mut rng),
            });
        }
        Self { seed: Some(seed), faults }
    }

    /// The schedule as JSON: what is written to disk and compared byte for byte.
    ///
    /// # Panics
    /// Never: a schedule is plain data.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a schedule is plain data");
        json.push('\n');
        json
    }
}

/// Where an error declines the checkpoint and nothing else.
const DECLINED_AT: Step = Step::SnapshotAsync;

/// The checkpoint counts, and nobody outside knows of it yet.
const COMMIT_POINT: Step = Step::MetadataDurable;
/// A storm of fewer kills strikes wherever its seed says.
const KILLS_WITH_COMMIT_POINT: usize = 4;

/// The kinds of a storm in their order: kills spread evenly between the others.
fn kinds(parameters: &StormParameters, rng: &mut Pcg64Mcg) -> Vec<Kind> {
    let faults = parameters.faults;
    let pauses = u32::from(faults >= 6);
    let moments = faults / 4;
    let kills = faults - pauses - moments;
    let skews = u32::from(parameters.skew.is_some()).min(moments);
    let can_decline = parameters.steps.iter().any(|storm| storm.step == DECLINED_AT);
    let declines = u32::from(can_decline && moments >= 3);
    let stalls = moments - skews - declines;
    let mut kinds = Vec::with_capacity(faults as usize);
    kinds.extend((0..kills).map(|i| if i % 2 == 0 { Kind::Panic } else { Kind::Sigkill }));
    kinds.extend((0..pauses).map(|_| Kind::Pause));
    kinds.extend((0..stalls).map(|_| Kind::Stall));
    kinds.extend((0..skews).map(|_| Kind::Skew));
    kinds.extend((0..declines).map(|_| Kind::Decline));
    kinds.shuffle(rng);
    kinds
}

/// When each is armed: slots in proportion to the weights, with a jitter of a quarter of a slot.
fn moments(kinds: &[Kind], duration_ms: u64, rng: &mut Pcg64Mcg) -> Vec<u64> {
    let total: u64 = kinds.iter().map(|kind| kind.weight()).sum::<u64>().max(1);
    let mut before = 0;
    let mut moments = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let slot_ms = duration_ms * kind.weight() / total;
        let jitter_ms = rng.random_range(0..=slot_ms / 4);
        moments.push(duration_ms * before / total + jitter_ms);
        before += kind.weight();
    }
    moments
}

/// Steps in a random order; all of them before one comes again.
struct Deck<'a> {
    steps: &'a [StormStep],
    /// What is left of this round; the last one comes next.
    order: Vec<usize>,
    /// The kills of the storm, until the first is drawn.
    kills: usize,
}

impl<'a> Deck<'a> {
    fn new(steps: &'a [StormStep], kills: usize) -> Self {
        Self { steps, order: Vec::new(), kills }
    }

    /// The step of the next kill.
    fn draw(&mut self, rng: &mut Pcg64Mcg) -> &'a StormStep {
        if self.order.is_empty() {
            self.order = (0..self.steps.len()).collect();
            self.order.shuffle(rng);
            let kills = mem::take(&mut self.kills);
            self.bring_commit_point_forward(kills);
        }
        let next = self.order.pop().expect("a storm has steps");
        &self.steps[next]
    }

    /// The commit point comes within the first half of `kills`: the last ones of a storm may find
    /// a load that is over, and nothing to go wrong.
    fn bring_commit_point_forward(&mut self, kills: usize) {
        let by = self.order.len().saturating_sub(kills.div_ceil(2));
        let is_commit_point = |at: &usize| self.steps[*at].step == COMMIT_POINT;
        if kills >= KILLS_WITH_COMMIT_POINT
            && let Some(found) = self.order.iter().position(is_commit_point)
            && found < by
        {
            self.order.swap(found, by);
        }
    }

    /// A step that single subtasks pass, if there is one: only those can be stalled.
    fn of_a_subtask(&self, rng: &mut Pcg64Mcg) -> Option<&'a StormStep> {
        let of_subtasks: Vec<&StormStep> =
            self.steps.iter().filter(|step| !step.vertices.is_empty()).collect();
        (!of_subtasks.is_empty()).then(|| of_subtasks[rng.random_range(0..of_subtasks.len())])
    }
}

fn draw(id: FaultId, kind: Kind, at_ms: u64, deck: &mut Deck<'_>, rng: &mut Pcg64Mcg) -> Fault {
    let at = |step| FaultTrigger::AtStep {
        step,
        checkpoint: CheckpointRef::default(),
        attempt: None,
        armed_at_ms: at_ms,
    };
    let fault = |action, target, when| Fault { id, action, target, when, heal_after_ms: 0 };
    match kind {
        Kind::Panic => {
            let chosen = deck.draw(rng);
            fault(FaultAction::Panic, subtask_of(chosen, rng), at(chosen.step))
        }
        Kind::Sigkill => {
            let chosen = deck.draw(rng);
            fault(FaultAction::Sigkill, subtask_of(chosen, rng), at(chosen.step))
        }
        Kind::Pause => {
            let action = FaultAction::Pause { ms: rng.random_range(200..=600) };
            fault(action, FaultTarget::Process, FaultTrigger::AtMs(at_ms))
        }
        Kind::Decline => {
            let declined = deck.steps.iter().find(|storm| storm.step == DECLINED_AT);
            let declined = declined.expect("a storm declines where there is something to decline");
            fault(FaultAction::Error, subtask_of(declined, rng), at(DECLINED_AT))
        }
        Kind::Stall | Kind::Skew => {
            let action = FaultAction::Stall { ms: rng.random_range(100..=400) };
            match deck.of_a_subtask(rng) {
                Some(chosen) => fault(action, subtask_of(chosen, rng), at(chosen.step)),
                None => fault(action, FaultTarget::AnySubtask, FaultTrigger::AtMs(at_ms)),
            }
        }
    }
}

/// A stall of a subtask that has an input, long enough for records to pile up before it.
fn parked(
    id: FaultId,
    parameters: &StormParameters,
    skew: &Skew,
    at_ms: u64,
    rng: &mut Pcg64Mcg,
) -> Fault {
    let is_downstream = |vertex: &&VertexShape| !skew.step.vertices.contains(vertex);
    let downstream = parameters.steps.iter().map(|storm| StormStep {
        step: storm.step,
        vertices: storm.vertices.iter().filter(is_downstream).cloned().collect(),
    });
    let steps: Vec<_> = downstream.filter(|storm| !storm.vertices.is_empty()).collect();
    let ms = rng.random_range(300..=600);
    if steps.is_empty() {
        return stalled(id, ms, &skew.step, at_ms, rng);
    }
    stalled(id, ms, &steps[rng.random_range(0..steps.len())], at_ms, rng)
}

fn skewed(id: FaultId, skew: &Skew, at_ms: u64, rng: &mut Pcg64Mcg) -> Fault {
    let late_ms = rng.random_range(200..=500);
    stalled(id, skew.until_trigger_ms + late_ms, &skew.step, at_ms, rng)
}

fn stalled(id: FaultId, ms: u64, at: &StormStep, at_ms: u64, rng: &mut Pcg64Mcg) -> Fault {
    Fault {
        id,
        action: FaultAction::Stall { ms },
        target: subtask_of(at, rng),
        when: FaultTrigger::AtStep {
            step: at.step,
            checkpoint: CheckpointRef::default(),
            attempt: None,
            armed_at_ms: at_ms,
        },
        heal_after_ms: 0,
    }
}

fn subtask_of(step: &StormStep, rng: &mut Pcg64Mcg) -> FaultTarget {
    if step.vertices.is_empty() {
        return FaultTarget::AnySubtask;
    }
    let vertex = &step.vertices[rng.random_range(0..step.vertices.len())];
    let index = rng.random_range(0..vertex.parallelism);
    FaultTarget::Subtask { vertex: vertex.name.clone(), index }
}
