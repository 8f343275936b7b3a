//! Seeded bugs that the oracle must convict (ground truth section 7). Test builds only: without
//! the feature `mutants` every question is answered "no" at compile time.

#[cfg(feature = "mutants")]
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(feature = "mutants")]
static ACTIVE: AtomicU32 = AtomicU32::new(0);

/// Mutant 1: the snapshot starts with the first barrier and logs nothing.
pub const FIRST_BARRIER_UNLOGGED: u32 = 1;
/// Mutant 13: a restore does not refill the sink's buffer.
pub const BUFFER_NOT_REFILLED: u32 = 13;
/// Mutant 21: recovery starts from the consumer group's offsets.
pub const RECOVERY_FROM_GROUP_OFFSETS: u32 = 21;

/// Turns one mutant on, for the whole process.
#[cfg(feature = "mutants")]
pub fn activate(number: u32) {
    ACTIVE.store(number, Ordering::Relaxed);
}

/// Whether a mutant is on.
#[inline]
pub fn is_active(number: u32) -> bool {
    #[cfg(feature = "mutants")]
    return ACTIVE.load(Ordering::Relaxed) == number;
    #[cfg(not(feature = "mutants"))]
    {
        let _ = number;
        false
    }
}
