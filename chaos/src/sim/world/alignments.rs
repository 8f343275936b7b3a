//! How long gates align, and what they hold meanwhile: past the alignment timeout a checkpoint goes
//! on unaligned, and a channel is held for an alignment and for nothing else.
//!
//! A gate lets one alignment time out in a step. So whoever was too old at the end of a step, as
//! the oldest of its gate, must be over at the end of the next one. When an alignment began is what
//! its gate said first: a moment that moves is no excuse.

use std::collections::BTreeMap;

use stormproof_engine::ids::{CheckpointId, VertexId, WorkerIndex};
use stormproof_engine::seam::TimeUs;
use stormproof_engine::worker::Misheld;

use super::World;
use crate::sim::core::{Actor, ProcessId};

/// An alignment, as the end of a step of its worker has shown it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The earliest beginning that was told.
    since_us: TimeUs,
    /// Whether it was too old then.
    was_overdue: bool,
}

/// The oldest alignment of each gate when a step of its worker ended.
#[derive(Debug, Default)]
pub(super) struct Alignments(BTreeMap<Actor, BTreeMap<(VertexId, CheckpointId), Seen>>);

impl Alignments {
    /// A worker begins anew.
    pub(super) fn forget(&mut self, actor: Actor) {
        self.0.remove(&actor);
    }
}

impl World<'_> {
    pub(super) fn look_at_holds(&mut self, id: ProcessId, worker: WorkerIndex) {
        let misheld = self.processes.get(&id).and_then(|process| process.crew.misheld(worker));
        if let Some(Misheld { vertex, held, aligned }) = misheld {
            let what = format!(
                "vertex {vertex} at {id}/w{worker} holds channels {held:?} and aligns {aligned:?}"
            );
            self.tell_conduct(|conduct| conduct.breach("alignment-holds", what));
        }
    }

    /// Looks for logs of in-flight records that no checkpoint needs.
    pub(super) fn look_at_logs(&mut self, id: ProcessId, worker: WorkerIndex) {
        let stray = self.processes.get(&id).and_then(|process| process.crew.stray_log(worker));
        if let Some((vertex, checkpoint)) = stray {
            let what = format!(
                "vertex {vertex} at {id}/w{worker} logs what is in flight for checkpoint \
                 {checkpoint}, which is not under way there"
            );
            self.tell_conduct(|conduct| conduct.breach("bounded-in-flight", what));
        }
    }

    /// Looks for a checkpoint that waits in vain: it is not given up, and a gate takes no part in it.
    pub(super) fn look_at_forgotten(&mut self, id: ProcessId, worker: WorkerIndex) {
        let forgotten = self.processes.get(&id).and_then(|process| process.crew.forgotten(worker));
        if let Some((vertex, checkpoint)) = forgotten {
            let what = format!(
                "{id}/w{worker} was told of checkpoint {checkpoint} and not that it is over, and \
                 vertex {vertex} there takes no part in it"
            );
            self.tell_conduct(|conduct| conduct.breach("checkpoint-expiry", what));
        }
    }

    pub(super) fn look_at_alignments(&mut self, id: ProcessId, worker: WorkerIndex) {
        let Some(timeout_ms) = self.plan.checkpoint.alignment_timeout_ms else { return };
        let Some(process) = self.processes.get(&id) else { return };
        let actor = Actor { process: id, worker: Some(worker) };
        let now_us = self.core.step_began_us();
        let before = self.alignments.0.remove(&actor).unwrap_or_default();
        let mut seen = BTreeMap::new();
        for alignment in process.crew.alignments(worker) {
            let which = (alignment.vertex, alignment.checkpoint);
            let earlier = before.get(&which);
            let since_us = earlier.map_or(TimeUs::MAX, |e| e.since_us).min(alignment.since_us);
            let was_overdue = since_us + timeout_ms * 1_000 <= now_us;
            seen.insert(which, Seen { since_us, was_overdue });
            if was_overdue && earlier.is_some_and(|earlier| earlier.was_overdue) {
                let (vertex, checkpoint) = which;
                let what = format!(
                    "vertex {vertex} at {actor} still aligns checkpoint {checkpoint}, two steps \
                     after its timeout of {timeout_ms} ms"
                );
                self.tell_conduct(|conduct| conduct.breach("alignment-timeout", what));
            }
        }
        self.alignments.0.insert(actor, seen);
    }
}
