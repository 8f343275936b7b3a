//! Ready flags: which partition queues have something, told by the client's threads.
//!
//! Invariant: a flag is cleared *before* its queue is polled, so a message that arrives while the
//! queue runs dry raises it again; a sweep that raises every flag now and then makes a lost
//! wake-up a delay and not a loss.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The half that the client's threads write.
#[derive(Debug)]
pub struct ReadyFlags {
    words: Vec<AtomicU64>,
    /// Wall clock at which a queue last became nonempty, for each partition; 0 = taken.
    filled_us: Vec<AtomicI64>,
}

impl ReadyFlags {
    /// Lowered flags.
    pub fn new(partitions: usize) -> Arc<Self> {
        Arc::new(Self {
            words: (0..partitions.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            filled_us: (0..partitions).map(|_| AtomicI64::new(0)).collect(),
        })
    }

    /// The queue of the partition at `index` has become nonempty, at `wall_us`. Called by the
    /// client's threads.
    pub fn raise(&self, index: usize, wall_us: i64) {
        self.filled_us[index].store(wall_us, Ordering::Relaxed);
        self.words[index / 64].fetch_or(1 << (index % 64), Ordering::Release);
    }

    /// When the queue at `index` was filled, told once.
    pub(super) fn take_filled_us(&self, index: usize) -> Option<i64> {
        match self.filled_us[index].load(Ordering::Relaxed) {
            0 => None,
            _ => Some(self.filled_us[index].swap(0, Ordering::Relaxed)),
        }
    }
}

/// The half that the reader keeps: queues to visit.
#[derive(Debug)]
pub(super) struct ReadySet {
    flags: Arc<ReadyFlags>,
    words: Vec<u64>,
    partitions: usize,
}

impl ReadySet {
    pub(super) fn new(flags: Arc<ReadyFlags>) -> Self {
        let partitions = flags.filled_us.len();
        let words = vec![0; flags.words.len()];
        Self { flags, words, partitions }
    }

    /// Takes over the flags raised since the last call.
    pub(super) fn collect(&mut self) {
        for (own, raised) in self.words.iter_mut().zip(&self.flags.words) {
            if raised.load(Ordering::Relaxed) != 0 {
                *own |= raised.swap(0, Ordering::Acquire);
            }
        }
    }

    /// Raises every flag.
    pub(super) fn sweep(&mut self) {
        self.words.fill(u64::MAX);
        let tail = self.partitions % 64;
        if tail != 0
            && let Some(last) = self.words.last_mut()
        {
            *last = (1 << tail) - 1;
        }
    }

    /// The queue at `index` ran dry.
    pub(super) fn clear(&mut self, index: usize) {
        self.words[index / 64] &= !(1 << (index % 64));
    }

    /// The first ready queue at or after `index`, without wrapping around.
    pub(super) fn next_from(&self, index: usize) -> Option<usize> {
        if index >= self.partitions {
            return None;
        }
        let mut at = index / 64;
        let mut word = self.words[at] & (u64::MAX << (index % 64));
        loop {
            if word != 0 {
                return Some(at * 64 + word.trailing_zeros() as usize);
            }
            at += 1;
            word = *self.words.get(at)?;
        }
    }

    pub(super) fn take_filled_us(&self, index: usize) -> Option<i64> {
        self.flags.take_filled_us(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(set: &ReadySet) -> Vec<usize> {
        std::iter::successors(set.next_from(0), |at| set.next_from(at + 1)).collect()
    }

    #[test]
    fn finds_what_was_raised() {
        let flags = ReadyFlags::new(200);
        let mut set = ReadySet::new(Arc::clone(&flags));
        for index in [0, 63, 64, 130, 199] {
            flags.raise(index, 7);
        }
        assert!(walk(&set).is_empty(), "not collected yet");
        set.collect();
        assert_eq!(walk(&set), [0, 63, 64, 130, 199]);
        set.clear(64);
        set.clear(199);
        assert_eq!(walk(&set), [0, 63, 130]);
        assert!(flags.take_filled_us(63).is_some() && flags.take_filled_us(63).is_none());
    }

    #[test]
    fn a_flag_raised_again_survives_its_clearing() {
        let flags = ReadyFlags::new(1);
        let mut set = ReadySet::new(Arc::clone(&flags));
        flags.raise(0, 7);
        set.collect();
        flags.raise(0, 7);
        set.clear(0);
        set.collect();
        assert_eq!(walk(&set), [0]);
    }

    #[test]
    fn sweeps_every_partition_and_no_other() {
        for partitions in [0, 1, 63, 64, 65, 128, 130] {
            let mut set = ReadySet::new(ReadyFlags::new(partitions));
            set.sweep();
            assert_eq!(walk(&set), (0..partitions).collect::<Vec<_>>());
        }
    }
}
