//! Records that a buffer holds although they turn out to be committed.
//!
//! A sink that does not wait for its transactions snapshots what no confirmed one holds. When
//! such a transaction is committed after all, its rows carry a tag before the cut and the cut
//! holds their records, too: they count as held, and a restore discards the rows. A subtask's
//! transactions are confirmed in order, so these are the last rows it handed over before the
//! snapshot. A row behind them that the cut does *not* hold was confirmed, hence they were, too,
//! and the buffer should not have held them: it was appended to, or not cleared.

use std::collections::HashMap;

use super::evidence::Effect;
use super::history::History;
use super::sweep::Located;
use super::verdict::{Site, Witnesses};

/// The last row of a sink subtask that a later cut holds.
#[derive(Debug, Clone, Copy)]
struct LastHeld {
    effect: Effect,
    /// The first rank of which the cut does not hold it.
    rank: usize,
}

/// Watches the rows of each sink subtask, in order.
#[derive(Debug, Default)]
pub(super) struct HeldTracker {
    /// By sink attempt and subtask.
    last: HashMap<(usize, u32), LastHeld>,
    /// Rows that were handed over before a cut that holds them.
    pub(super) count: u64,
    /// Held rows that must have been confirmed.
    pub(super) confirmed: Witnesses,
}

impl HeldTracker {
    pub(super) fn observe(&mut self, located: &Located<'_>, history: &History) {
        let effect = located.effect;
        let subtask = (located.sink, effect.subtask);
        if located.rank > located.tag_rank {
            self.count += 1;
            let held = LastHeld { effect: *effect, rank: located.rank };
            let last = self.last.entry(subtask).or_insert(held);
            if last.rank <= held.rank {
                *last = held;
            }
        } else if let Some(last) = self.last.get(&subtask).filter(|last| located.rank < last.rank) {
            let attempt = &history.lineage.attempts[located.sink];
            let cut = history.cuts[attempt.cuts[located.rank]].id();
            let held = last.effect;
            self.confirmed.add(Site::record(held.partition, held.offset).at(cut), || {
                format!(
                    "sink subtask {} still held offset {} of partition {} (row {}, tag {}) at \
                     checkpoint {cut}, although its later row {} was confirmed by then",
                    held.subtask, held.offset, held.partition, held.seq, held.tag, effect.seq
                )
            });
        }
    }
}
