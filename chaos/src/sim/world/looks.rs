//! What is looked at after each step of a worker.

use std::sync::PoisonError;

use stormproof_engine::ids::WorkerIndex;
use stormproof_engine::seam::TimeUs;
use stormproof_engine::worker::Misheld;

use super::World;
use super::alignments::Alignments;
use super::buffers::Buffers;
use crate::sim::core::{Actor, ProcessId};
use crate::sim::crew::Opened;
use crate::sim::plan::Plan;

/// A rule, and how it was broken.
pub(super) type Broken = (&'static str, String);

/// What was seen of a worker when its last step ended.
#[derive(Debug, Default)]
pub(super) struct Seen {
    buffers: Buffers,
    alignments: Alignments,
}

/// A look at one worker whose step is over.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) plan: &'a Plan,
    pub(super) actor: Actor,
    pub(super) opened: Opened<'a>,
    /// When the step began.
    pub(super) began_us: TimeUs,
    /// Restores so far: what they bring along has no credit.
    pub(super) restores: u64,
}

impl Look<'_> {
    /// A channel is held for an alignment and for nothing else.
    fn at_holds(&self) -> Option<Broken> {
        let Misheld { vertex, held, aligned } = self.opened.worker.misheld().next()?;
        let at = self.actor;
        let what =
            format!("vertex {vertex} at {at} holds channels {held:?} and aligns {aligned:?}");
        Some(("alignment-holds", what))
    }

    /// Logs of in-flight records that no checkpoint needs.
    fn at_logs(&self) -> Option<Broken> {
        let (vertex, checkpoint) = self.opened.worker.stray_logs().next()?;
        let at = self.actor;
        let what = format!(
            "vertex {vertex} at {at} logs what is in flight for checkpoint {checkpoint}, which is \
             not under way there"
        );
        Some(("bounded-in-flight", what))
    }

    /// A checkpoint that waits in vain: it is not given up, and a gate takes no part in it.
    fn at_forgotten(&self) -> Option<Broken> {
        let (vertex, checkpoint) = self.opened.forgotten()?;
        let at = self.actor;
        let what = format!(
            "{at} was told of checkpoint {checkpoint} and not that it is over, and vertex {vertex} \
             there takes no part in it"
        );
        Some(("checkpoint-expiry", what))
    }
}

impl World<'_> {
    pub(super) fn look_at_worker(&mut self, id: ProcessId, worker: WorkerIndex) {
        let Some(opened) = self.processes.get(&id).and_then(|of| of.crew.opened(worker)) else {
            return;
        };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let actor = Actor::of_worker(id, worker);
        let (began_us, restores) = (self.core.step_began_us(), heard.restores);
        let look = Look { plan: self.plan, actor, opened, began_us, restores };
        let Seen { buffers, alignments } = self.seen.entry(actor).or_default();
        let mut tell = |broken: Option<Broken>| {
            if let Some((rule, what)) = broken {
                heard.conduct.breach(rule, what);
            }
        };
        tell(look.at_rows());
        tell(look.at_large());
        tell(look.at_in_flight());
        tell(buffers.look_at_lanes(&look));
        tell(buffers.look_at_credit(&look));
        tell(alignments.look(&look));
        tell(look.at_holds());
        tell(look.at_logs());
        tell(look.at_sinks());
        tell(look.at_parked());
        tell(look.at_forgotten());
        let completed = opened.completed.filter(|_| !self.plan.topology.is_bounded);
        tell(completed.filter(|_| self.topic.owes_commit(actor)).map(|of| {
            let what = format!(
                "{actor} was told that checkpoint {of} is complete, and has no commit under way"
            );
            ("committed-offsets", what)
        }));
    }
}
