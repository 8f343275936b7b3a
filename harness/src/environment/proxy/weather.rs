//! The weather of a link, and what it did.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    #[default]
    Fair,
    /// Each piece arrives so much later, in both directions.
    Latency {
        /// Milliseconds added in each direction.
        ms: u64,
    },
    /// All connections together carry so much, in each direction.
    Bandwidth {
        /// KiB per second.
        kib_per_s: u64,
    },
    /// Each connection breaks in the middle of the next piece that its client sends: half of it is
    /// delivered, then both sides see a reset. A new connection does too.
    Reset,
    /// Connections are reset; new ones are accepted and never answered.
    HalfOpen,
    /// Nothing passes in either direction, and nobody is told. What was on its way, and what is
    /// sent meanwhile, arrives when it is over, as TCP's own repetitions would bring it.
    Blackhole,
}

/// What the weather did, since the proxy's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Connections that clients opened.
    pub accepted: u64,
    /// Pieces that were held back: by latency, bandwidth or a network partition.
    pub held: u64,
    /// Connections that were reset by a fault.
    pub reset: u64,
    /// Of those, in the middle of a piece.
    pub reset_mid_piece: u64,
    /// Connections that were accepted and left without an answer.
    pub unanswered: u64,
}

impl Counted {
    /// What was added since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            accepted: self.accepted - before.accepted,
            held: self.held - before.held,
            reset: self.reset - before.reset,
            reset_mid_piece: self.reset_mid_piece - before.reset_mid_piece,
            unanswered: self.unanswered - before.unanswered,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    accepted: AtomicU64,
    held: AtomicU64,
    reset: AtomicU64,
    reset_mid_piece: AtomicU64,
    unanswered: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> Counted {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            accepted: of(&self.accepted),
            held: of(&self.held),
            reset: of(&self.reset),
            reset_mid_piece: of(&self.reset_mid_piece),
            unanswered: of(&self.unanswered),
        }
    }

    pub(super) fn note_accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_held(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_reset(&self, mid_piece: bool) {
        self.reset.fetch_add(1, Ordering::Relaxed);
        self.reset_mid_piece.fetch_add(u64::from(mid_piece), Ordering::Relaxed);
    }

    pub(super) fn note_unanswered(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }
}
