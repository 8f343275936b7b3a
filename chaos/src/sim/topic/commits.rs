//! What the log notices about those who commit offsets: commits that overlap, for then the older one
//! may land last; and a reader that ends the job with its last commit refused, and not tried as often
//! as a source promises.

use std::collections::BTreeMap;

use stormproof_engine::connectors::Split;
use stormproof_engine::seam::TimeUs;

use crate::sim::core::{Actor, ProcessId};
use crate::sim::evidence::Breach;

/// Tries of one commit before it is given up.
const TRIES: u32 = 5;

/// Notes of the log.
#[derive(Debug, Default)]
pub(super) struct CommitWatch {
    /// The last commit of each reader, if it was refused, and how often it was.
    refused: BTreeMap<Actor, (Vec<Split>, u32)>,
    breach: Option<Breach>,
}

impl CommitWatch {
    /// A reader opens: what an earlier one of its worker left undone is not its own.
    pub(super) fn on_opened(&mut self, reader: Actor) {
        self.refused.remove(&reader);
    }

    /// A reader sends a commit although it has sent one at `earlier_us`, has no answer yet, and is to
    /// wait for it for `timeout_us`.
    pub(super) fn on_overlap(
        &mut self,
        reader: Actor,
        earlier_us: TimeUs,
        now_us: TimeUs,
        timeout_us: TimeUs,
    ) {
        let waited_us = now_us - earlier_us;
        if waited_us <= timeout_us {
            let what = format!(
                "{reader} sent a commit {waited_us} us after another that had no answer yet, and \
                 waits {timeout_us} us for one"
            );
            self.breach.get_or_insert(Breach { rule: "committed-offsets", what });
        }
    }

    /// A commit is answered.
    pub(super) fn on_answered(&mut self, reader: Actor, splits: &[Split], is_refused: bool) {
        let before = self.refused.remove(&reader);
        if is_refused {
            let tries = before.filter(|(same, _)| same == splits).map_or(0, |(_, tries)| tries);
            self.refused.insert(reader, (splits.to_vec(), tries + 1));
        }
    }

    /// A commit will never be answered: how often the reader counts it is its own affair.
    pub(super) fn on_unanswered(&mut self, reader: Actor, splits: &[Split]) {
        self.refused.insert(reader, (splits.to_vec(), TRIES));
    }

    /// A process has ended the job.
    pub(super) fn on_finished(&mut self, process: ProcessId) {
        let mut of_it = self.refused.iter().filter(|(reader, _)| reader.process == process);
        if let Some((reader, (_, tries))) = of_it.find(|(_, (_, tries))| *tries < TRIES) {
            let what = format!(
                "{reader} ended with its last commit refused, after {tries} of {TRIES} tries"
            );
            self.breach.get_or_insert(Breach { rule: "committed-offsets", what });
        }
    }

    /// The first breach.
    pub(super) fn breach(&self) -> Option<Breach> {
        self.breach.clone()
    }
}
