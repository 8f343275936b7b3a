//! The lineage of attempts: whose effects count, and for which cut.
//!
//! An attempt grows out of the checkpoint it restored, and that checkpoint out of the attempt
//! that made it. Walking these links back from a cut gives its chain. An effect of an attempt on
//! the chain *survives* iff its tag lies before the checkpoint that the chain leaves the attempt
//! by; all other effects are made again by a later attempt.
//!
//! *Ranks.* The checkpoints that an attempt made are numbered 0, 1, 2 ... in order of their ids.
//! An effect with rank r survives with respect to the attempt's checkpoints r, r+1, ...

use super::cut::Cut;
use super::evidence::Fence;
use super::ids::{AttemptId, CheckpointId};
use crate::workload::ledger::{Ledger, Offset};

/// Where an attempt began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    /// At the start offsets, without a checkpoint.
    Fresh,
    /// At the checkpoint with index `cut`, which is number `rank` of those that the attempt with
    /// index `maker` made.
    Restored { cut: usize, maker: usize, rank: usize },
    /// At something that does not exist; the reason is a sentence.
    Broken(String),
}

/// One execution attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) restored: CheckpointId,
    pub(super) after_seq: u64,
    pub(super) start: Start,
    /// The indices of the cuts it made, by rank.
    pub(super) cuts: Vec<usize>,
    /// The ids of the cuts it made, by rank.
    cut_ids: Vec<CheckpointId>,
    /// For each slot, S(p) of the cuts it made, by rank.
    cut_offsets: Vec<Offset>,
    /// No row of this attempt may have a higher `seq`.
    pub(super) last_seq: u64,
    /// The highest rank that survives in the final history; `None` when the attempt is not part
    /// of it.
    pub(super) final_rank: Option<usize>,
}

/// How a surviving effect relates to its source attempt's share of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Source and sink are the same attempt: canonical for the cuts of this and higher ranks,
    /// an orphan for lower ones.
    Own { canonical_rank: usize },
    /// Read by an earlier attempt below the cut that the chain left it by.
    Canonical,
    /// Read by an earlier attempt at or above that cut.
    Orphan,
    /// Read by an attempt that is not on the chain, or below where that attempt began.
    Stray,
}

/// All attempts by ascending id, and how they grow out of each other.
#[derive(Debug)]
pub(super) struct Lineage {
    pub(super) attempts: Vec<Attempt>,
    /// `leaves[a][b]`: the index of the cut by which the chain of `a` left its ancestor `b`.
    leaves: Vec<Vec<Option<usize>>>,
}

impl Lineage {
    /// Links attempts and cuts. `cuts` are by ascending id.
    pub(super) fn new(fences: &[Fence], cuts: &[Cut], ledger: &Ledger) -> Self {
        let mut fences = fences.to_vec();
        fences.sort_unstable_by_key(|fence| fence.attempt);
        fences.dedup_by_key(|fence| fence.attempt);
        let mut attempts: Vec<Attempt> =
            fences.iter().map(|fence| Attempt::new(fence, cuts, ledger)).collect();
        let mut last_seq = u64::MAX;
        for attempt in attempts.iter_mut().rev() {
            attempt.last_seq = last_seq;
            last_seq = last_seq.min(attempt.after_seq);
        }
        for at in 0..attempts.len() {
            attempts[at].start = find_start(&attempts[..=at], cuts);
        }
        mark_final(&mut attempts);
        let leaves = (0..attempts.len()).map(|at| leaves_of(&attempts, at)).collect();
        Self { attempts, leaves }
    }

    /// The index of an attempt.
    pub(super) fn index(&self, attempt: AttemptId) -> Option<usize> {
        let first = self.attempts.first()?.id;
        let guess = attempt.0.wrapping_sub(first.0) as usize;
        if self.attempts.get(guess).is_some_and(|found| found.id == attempt) {
            return Some(guess);
        }
        self.attempts.binary_search_by_key(&attempt, |found| found.id).ok()
    }

    /// The attempts of the final history, from the last one back, as indices.
    pub(super) fn final_chain(&self) -> impl Iterator<Item = usize> + '_ {
        let mut next = self.attempts.len().checked_sub(1);
        std::iter::from_fn(move || {
            let at = next?;
            next = self.maker(at);
            Some(at)
        })
    }

    /// Why the final history cannot be told, if it cannot.
    pub(super) fn broken(&self) -> Option<&str> {
        if self.attempts.is_empty() {
            return Some("the fence table is empty: no attempt ever began");
        }
        self.final_chain().find_map(|at| match &self.attempts[at].start {
            Start::Broken(reason) => Some(reason.as_str()),
            _ => None,
        })
    }

    /// Whether the chain of the attempt with this index reaches a fresh start.
    pub(super) fn reaches_start(&self, mut at: usize) -> bool {
        loop {
            match self.attempts[at].start {
                Start::Fresh => return true,
                Start::Restored { maker, .. } => at = maker,
                Start::Broken(_) => return false,
            }
        }
    }

    /// The rank up to which effects of `sink` survive with respect to a cut; `None` when the
    /// attempt is not on the cut's chain.
    pub(super) fn rank_of(&self, cut: usize, sink: usize, cuts: &[Cut]) -> Option<usize> {
        let maker = self.index(cuts[cut].attempt())?;
        let left_by = if maker == sink { cut } else { self.leaves[maker][sink]? };
        self.attempts[sink].cuts.iter().position(|made| *made == left_by)
    }

    fn maker(&self, at: usize) -> Option<usize> {
        match self.attempts[at].start {
            Start::Restored { maker, .. } => Some(maker),
            _ => None,
        }
    }

    /// Where the attempt's source began to read a partition.
    pub(super) fn first_offset(
        &self,
        at: usize,
        slot: usize,
        cuts: &[Cut],
        ledger: &Ledger,
    ) -> Offset {
        match self.attempts[at].start {
            Start::Restored { cut, .. } => cuts[cut].next[slot],
            Start::Fresh | Start::Broken(_) => ledger.partitions()[slot].start(),
        }
    }

    /// How an effect of `sink` relates to the share of the attempt that read its record. An effect
    /// of its own has a canonical rank near `guess`, most likely.
    pub(super) fn origin(
        &self,
        (sink, source): (usize, Option<usize>),
        (slot, offset): (usize, Offset),
        guess: usize,
        cuts: &[Cut],
        ledger: &Ledger,
    ) -> Origin {
        let Some(source) = source else {
            return Origin::Stray;
        };
        if source != sink && self.leaves[sink][source].is_none() {
            return Origin::Stray;
        }
        if offset < self.first_offset(source, slot, cuts, ledger) {
            return Origin::Stray;
        }
        match self.leaves[sink][source] {
            None => {
                let canonical_rank = self.attempts[sink].cut_rank(slot, offset, guess);
                Origin::Own { canonical_rank }
            }
            Some(cut) if offset < cuts[cut].next[slot] => Origin::Canonical,
            Some(_) => Origin::Orphan,
        }
    }
}

impl Attempt {
    fn new(fence: &Fence, cuts: &[Cut], ledger: &Ledger) -> Self {
        let made: Vec<usize> =
            (0..cuts.len()).filter(|at| cuts[*at].attempt() == fence.attempt).collect();
        let slots = 0..ledger.partitions().len();
        let cut_offsets =
            slots.flat_map(|slot| made.iter().map(move |at| cuts[*at].next[slot])).collect();
        Self {
            id: fence.attempt,
            restored: fence.restored,
            after_seq: fence.after_seq,
            start: Start::Fresh,
            cut_ids: made.iter().map(|at| cuts[*at].id()).collect(),
            cuts: made,
            cut_offsets,
            last_seq: u64::MAX,
            final_rank: None,
        }
    }

    /// The rank of an effect with this tag: the first own cut after the tag.
    pub(super) fn tag_rank(&self, tag: CheckpointId) -> usize {
        // Where no checkpoint was aborted, ids count up by one.
        let first = self.cut_ids.first().map_or(0, |id| id.0);
        rank_near(&self.cut_ids, tag, tag.0.saturating_add(1).saturating_sub(first) as usize)
    }

    /// The rank of the first own cut that lies above the offset; near `guess`, most likely.
    fn cut_rank(&self, slot: usize, offset: Offset, guess: usize) -> usize {
        let made = self.cuts.len();
        rank_near(&self.cut_offsets[slot * made..][..made], offset, guess)
    }
}

/// How many of `sorted` are at most `value`. Looks at `guess` before it searches.
fn rank_near<T: Ord + Copy>(sorted: &[T], value: T, guess: usize) -> usize {
    let is_above = |at: usize| sorted.get(at).is_none_or(|next| *next > value);
    let is_it = guess <= sorted.len() && is_above(guess) && (guess == 0 || !is_above(guess - 1));
    if is_it { guess } else { sorted.partition_point(|next| *next <= value) }
}

/// Finds where the last of `attempts` began.
fn find_start(attempts: &[Attempt], cuts: &[Cut]) -> Start {
    let Some((attempt, earlier)) = attempts.split_last() else {
        return Start::Fresh;
    };
    if attempt.restored == CheckpointId::NONE {
        return Start::Fresh;
    }
    let told = |what: String| {
        Start::Broken(format!(
            "attempt {} restored checkpoint {}, {what}",
            attempt.id, attempt.restored
        ))
    };
    let Ok(cut) = cuts.binary_search_by_key(&attempt.restored, Cut::id) else {
        return told("which has no valid manifest and state".to_owned());
    };
    let made_by = cuts[cut].attempt();
    let Some(maker) = earlier.iter().position(|earlier| earlier.id == made_by) else {
        return told(format!("made by attempt {made_by}, which did not begin before it"));
    };
    let rank = earlier[maker].cuts.iter().position(|made| *made == cut);
    rank.map_or_else(
        || told("which its maker does not know".to_owned()),
        |rank| Start::Restored { cut, maker, rank },
    )
}

/// Marks the attempts of the final history with the rank by which the chain leaves them.
fn mark_final(attempts: &mut [Attempt]) {
    let Some(mut at) = attempts.len().checked_sub(1) else {
        return;
    };
    attempts[at].final_rank = Some(usize::MAX);
    while let Start::Restored { maker, rank, .. } = attempts[at].start {
        attempts[maker].final_rank = Some(rank);
        at = maker;
    }
}

/// For each ancestor of `at`, the cut by which its chain left the ancestor.
fn leaves_of(attempts: &[Attempt], mut at: usize) -> Vec<Option<usize>> {
    let mut leaves = vec![None; attempts.len()];
    while let Start::Restored { cut, maker, .. } = attempts[at].start {
        leaves[maker] = Some(cut);
        at = maker;
    }
    leaves
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_guess_never_changes_the_rank(
            mut sorted in prop::collection::vec(0_u64..50, 0..20),
            value in 0_u64..60,
            guess in 0_usize..25,
        ) {
            sorted.sort_unstable();
            let searched = sorted.partition_point(|next| *next <= value);
            prop_assert_eq!(rank_near(&sorted, value, guess), searched);
        }
    }
}
