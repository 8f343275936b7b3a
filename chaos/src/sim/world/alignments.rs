//! How long gates align: past the alignment timeout a checkpoint goes on unaligned.
//!
//! A gate lets one alignment time out in a step. So whoever was too old at the end of a step, as
//! the oldest of its gate, must be over at the end of the next one. When an alignment began is what
//! its gate said first: a moment that moves is no excuse.

use stormproof_engine::ids::{CheckpointId, VertexId};
use stormproof_engine::seam::TimeUs;

use super::looks::{Broken, Look};

/// An alignment, as the end of a step of its worker has shown it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The earliest beginning that was told.
    since_us: TimeUs,
    /// Whether it was too old then.
    was_overdue: bool,
}

/// The oldest alignment of each of a worker's gates when its last step ended.
#[derive(Debug, Default)]
pub(super) struct Alignments(Vec<((VertexId, CheckpointId), Seen)>);

impl Alignments {
    /// Whether an alignment goes on although it was told to end.
    pub(super) fn look(&mut self, look: &Look<'_>) -> Option<Broken> {
        let timeout_ms = look.plan.checkpoint.alignment_timeout_ms?;
        let before = std::mem::take(&mut self.0);
        let mut broken = None;
        for alignment in look.opened.worker.alignments() {
            let which = (alignment.vertex, alignment.checkpoint);
            let earlier = before.iter().find(|(of, _)| *of == which).map(|(_, seen)| seen);
            let since_us = earlier.map_or(TimeUs::MAX, |e| e.since_us).min(alignment.since_us);
            let was_overdue = since_us + timeout_ms * 1_000 <= look.began_us;
            self.0.push((which, Seen { since_us, was_overdue }));
            if was_overdue && earlier.is_some_and(|earlier| earlier.was_overdue) {
                let ((vertex, checkpoint), at) = (which, look.actor);
                let what = format!(
                    "vertex {vertex} at {at} still aligns checkpoint {checkpoint}, two steps after \
                     its timeout of {timeout_ms} ms"
                );
                broken = Some(("alignment-timeout", what));
            }
        }
        broken
    }
}
