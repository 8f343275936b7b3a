//! What the log notices about those who commit offsets: commits that overlap, for then the older one
//! may land last; and a reader that ends the job with its last commit refused, and not tried as often
//! as a source promises.

use std::collections::{BTreeMap, BTreeSet};

use super::Commit;
use stormproof_engine::connectors::Split;
use stormproof_engine::seam::TimeUs;

use crate::sim::core::{Actor, ProcessId};
use crate::sim::evidence::Breach;

/// Tries of one commit before it is given up.
const TRIES: u32 = 5;

/// What a step takes at most of the clock that moves on within it.
const STEP_US: TimeUs = 1_000;

/// What became of a commit, as its reader learns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Refused,
    Unanswered,
}

/// Notes of the log.
#[derive(Debug, Default)]
pub(super) struct CommitWatch {
    /// The client of each reader; answers to those before it are nobody's.
    clients: BTreeMap<Actor, u64>,
    /// The last commit of each reader, if it was refused, and how often it was.
    refused: BTreeMap<Actor, (Vec<Split>, u32)>,
    /// The last commit that each reader has sent. An end that comes later than this one's says nothing.
    latest: BTreeMap<Actor, u64>,
    /// Clients that wait for an answer which never comes.
    waits_in_vain: BTreeSet<u64>,
    breach: Option<Breach>,
}

impl CommitWatch {
    /// A reader opens: what an earlier one of its worker left undone is not its own.
    pub(super) fn on_opened(&mut self, reader: Actor, client: u64) {
        self.clients.insert(reader, client);
        self.refused.remove(&reader);
    }

    /// A reader sends a commit.
    pub(super) fn on_sent(&mut self, reader: Actor, commit: u64) {
        self.latest.insert(reader, commit);
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
        // A reader counts from the beginning of the step in which it sent it.
        let waited_us = now_us - earlier_us;
        if waited_us + STEP_US <= timeout_us {
            let what = format!(
                "{reader} sent a commit {waited_us} us after another that had no answer yet, and \
                 waits {timeout_us} us for one"
            );
            self.breach.get_or_insert(Breach { rule: "committed-offsets", what });
        }
    }

    /// A commit has come to its end.
    pub(super) fn on_ended(&mut self, commit: u64, of: &Commit, end: End) {
        let Commit { owner: reader, client, ref splits, .. } = *of;
        let is_last = self.latest.get(&reader) == Some(&commit);
        if self.clients.get(&reader) != Some(&client) {
            return;
        }
        if end == End::Unanswered {
            self.waits_in_vain.insert(client);
        }
        if !is_last {
            return;
        }
        let before = self.refused.remove(&reader);
        let tries = before.filter(|(same, _)| *same == *splits).map_or(0, |(_, tries)| tries);
        match end {
            End::Done => {}
            End::Refused => _ = self.refused.insert(reader, (splits.clone(), tries + 1)),
            // How often the reader counts it is its own affair.
            End::Unanswered => _ = self.refused.insert(reader, (splits.clone(), TRIES)),
        }
    }

    /// Whether a reader may wait for an answer that never comes.
    pub(super) fn waits_in_vain(&self, client: u64) -> bool {
        self.waits_in_vain.contains(&client)
    }

    /// A process has ended the job.
    pub(super) fn on_finished(&mut self, process: ProcessId) {
        let mut of_it = self.refused.iter().filter(|(reader, _)| reader.process() == process);
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
