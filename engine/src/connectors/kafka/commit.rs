//! Which offsets may be committed to the consumer group, and when. Decisions only, no client.
//!
//! Invariants: only offsets of a complete checkpoint are committed; commits never go back to an
//! older checkpoint; at most one is under way, and of those that wait only the newest is kept.

use std::collections::BTreeMap;

use crate::connectors::Split;
use crate::ids::CheckpointId;
use crate::mutants;
use crate::seam::TimeUs;

/// Tries of one commit before it is given up: the next checkpoint's takes over.
const MAX_TRIES: u32 = 5;
/// Between two tries.
const RETRY_US: TimeUs = 500_000;

/// Offsets of a complete checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) checkpoint: CheckpointId,
    pub(super) splits: Vec<Split>,
    tries: u32,
    not_before_us: TimeUs,
}

#[derive(Debug)]
pub(super) struct OffsetCommits {
    /// An answer that has not come by then is not waited for.
    timeout_us: TimeUs,
    /// Snapshots whose checkpoints are neither complete nor aborted.
    snapshots: BTreeMap<CheckpointId, Vec<Split>>,
    waiting: Option<Commit>,
    under_way: Option<(Commit, TimeUs)>,
    newest: CheckpointId,
}

impl OffsetCommits {
    pub(super) fn new(timeout_us: TimeUs) -> Self {
        let (snapshots, newest) = (BTreeMap::new(), CheckpointId::NONE);
        Self { timeout_us, snapshots, waiting: None, under_way: None, newest }
    }

    /// Remembers what a subtask wrote into its snapshot.
    pub(super) fn snapshotted(&mut self, checkpoint: CheckpointId, split: Split) {
        self.snapshots.entry(checkpoint).or_default().push(split);
    }

    /// The checkpoint is complete: its offsets may be committed, older snapshots are subsumed.
    pub(super) fn completed(&mut self, checkpoint: CheckpointId) {
        if mutants::is_active(mutants::NOTIFICATION_NOT_SUBSUMED)
            && self.snapshots.range(..checkpoint).next().is_some()
        {
            return;
        }
        let later = self.snapshots.split_off(&checkpoint.next());
        let splits = std::mem::replace(&mut self.snapshots, later).remove(&checkpoint);
        if checkpoint <= self.newest {
            return;
        }
        if let Some(splits) = splits.filter(|splits| !splits.is_empty()) {
            self.newest = checkpoint;
            self.waiting = Some(Commit { checkpoint, splits, tries: 0, not_before_us: 0 });
        }
    }

    pub(super) fn aborted(&mut self, checkpoint: CheckpointId) {
        if mutants::is_active(mutants::ABORT_FORGETS_OFFSETS) {
            self.snapshots = self.snapshots.split_off(&checkpoint);
        }
        self.snapshots.remove(&checkpoint);
    }

    /// The commit to send now, if there is one. It is then under way.
    pub(super) fn next(&mut self, now_us: TimeUs) -> Option<&Commit> {
        // Sent on a notification, it may be younger than the step's `now_us`.
        let is_late = |sent_us: TimeUs| {
            now_us.saturating_sub(sent_us) > self.timeout_us
                && !mutants::is_active(mutants::ANSWER_AWAITED)
        };
        if self.under_way.as_ref().is_some_and(|(_, sent_us)| is_late(*sent_us)) {
            self.failed(now_us);
        }
        let is_busy = self.under_way.is_some() && !mutants::is_active(mutants::COMMITS_OVERLAP);
        if is_busy || self.waiting.as_ref()?.not_before_us > now_us {
            return None;
        }
        let commit = self.waiting.take()?;
        Some(&self.under_way.insert((commit, now_us)).0)
    }

    /// The commit under way is confirmed.
    pub(super) fn confirmed(&mut self) -> Option<Commit> {
        self.under_way.take().map(|(commit, _)| commit)
    }

    /// The commit under way failed: it is tried again, unless a newer one waits.
    pub(super) fn failed(&mut self, now_us: TimeUs) {
        if let Some((mut commit, _)) = self.under_way.take() {
            commit.tries += 1;
            commit.not_before_us = now_us + RETRY_US;
            let waits_in_vain = mutants::is_active(mutants::FAILED_COMMIT_OVERTAKES);
            if (self.waiting.is_none() || waits_in_vain) && commit.tries < MAX_TRIES {
                self.waiting = Some(commit);
            }
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        let waits = self.waiting.is_some() && !mutants::is_active(mutants::REFUSED_COMMIT_DROPPED);
        waits || self.under_way.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Offset, PartitionId};

    const ANSWER_US: TimeUs = 30_000_000;

    const fn split(next: u64) -> Split {
        Split { partition: PartitionId(7), next: Offset(next) }
    }

    fn with_snapshots(offsets: &[(u64, u64)]) -> OffsetCommits {
        let mut commits = OffsetCommits::new(ANSWER_US);
        for (checkpoint, next) in offsets {
            commits.snapshotted(CheckpointId(*checkpoint), split(*next));
        }
        commits
    }

    fn sent(commits: &mut OffsetCommits, now_us: TimeUs) -> Option<(u64, u64)> {
        commits.next(now_us).map(|c| (c.checkpoint.0, c.splits[0].next.0))
    }

    #[test]
    fn nothing_is_committed_before_completion() {
        let mut commits = with_snapshots(&[(1, 10), (2, 20)]);
        assert_eq!(sent(&mut commits, 0), None);
        assert!(!commits.is_busy());
        commits.completed(CheckpointId(1));
        assert_eq!(sent(&mut commits, 0), Some((1, 10)));
    }

    #[test]
    fn one_at_a_time_and_only_the_newest_waits() {
        let mut commits = with_snapshots(&[(1, 10), (2, 20), (3, 30)]);
        for checkpoint in 1..=3 {
            commits.completed(CheckpointId(checkpoint));
            if checkpoint == 1 {
                assert_eq!(sent(&mut commits, 0), Some((1, 10)));
            }
        }
        assert_eq!(sent(&mut commits, 0), None, "one is under way");
        commits.confirmed();
        assert_eq!(sent(&mut commits, 0), Some((3, 30)));
        assert!(commits.is_busy());
        commits.confirmed();
        assert!(!commits.is_busy());
    }

    #[test]
    fn a_step_that_began_before_the_commit_was_sent_does_not_give_it_up() {
        let mut commits = with_snapshots(&[(1, 10)]);
        commits.completed(CheckpointId(1));
        assert_eq!(sent(&mut commits, 1_000), Some((1, 10)));
        assert_eq!(sent(&mut commits, 999), None);
        assert_eq!(commits.confirmed().map(|commit| commit.checkpoint), Some(CheckpointId(1)));
        assert!(!commits.is_busy());
    }

    #[test]
    fn a_stale_completion_never_moves_back() {
        let mut commits = with_snapshots(&[(1, 10), (2, 20)]);
        commits.completed(CheckpointId(2));
        commits.snapshotted(CheckpointId(1), split(10));
        commits.completed(CheckpointId(1));
        assert_eq!(sent(&mut commits, 0), Some((2, 20)));
        commits.confirmed();
        assert_eq!(sent(&mut commits, 0), None);
    }

    #[test]
    fn an_aborted_checkpoint_is_forgotten() {
        let mut commits = with_snapshots(&[(1, 10)]);
        commits.aborted(CheckpointId(1));
        commits.completed(CheckpointId(1));
        assert_eq!(sent(&mut commits, 0), None);
    }

    #[test]
    fn a_failure_is_tried_again_unless_a_newer_one_waits() {
        let mut commits = with_snapshots(&[(1, 10), (2, 20)]);
        commits.completed(CheckpointId(1));
        commits.next(0);
        commits.failed(0);
        assert_eq!(sent(&mut commits, RETRY_US - 1), None, "too early");
        assert_eq!(sent(&mut commits, RETRY_US), Some((1, 10)));
        commits.completed(CheckpointId(2));
        commits.failed(RETRY_US);
        assert_eq!(sent(&mut commits, RETRY_US), Some((2, 20)));
    }

    #[test]
    fn an_answer_that_never_comes_is_not_waited_for() {
        let mut commits = with_snapshots(&[(1, 10)]);
        commits.completed(CheckpointId(1));
        let mut now_us = 0;
        for _ in 0..MAX_TRIES {
            assert_eq!(sent(&mut commits, now_us), Some((1, 10)));
            now_us += ANSWER_US + 1;
            commits.next(now_us);
            now_us += RETRY_US;
        }
        assert!(!commits.is_busy());
    }
}
