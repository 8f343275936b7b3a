//! Seeded bugs that the oracle must convict. Test builds only: without the feature `mutants` every
//! question is answered "no" at compile time.
//!
//! At most one bug is on: for the whole process ([`activate`]: the engine process of a run), or
//! for one thread ([`on_this_thread`]: simulations, so that many run side by side). What the bugs
//! are, and what convicts them, is in the [`table`].

mod table;

pub use table::numbers::*;
pub use table::{ALL, Mutant};

#[cfg(feature = "mutants")]
use std::cell::Cell;
#[cfg(feature = "mutants")]
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(feature = "mutants")]
static ACTIVE: AtomicU32 = AtomicU32::new(0);

#[cfg(feature = "mutants")]
thread_local! {
    /// 0: the process decides.
    static HERE: Cell<u32> = const { Cell::new(0) };
}

/// The mutant with this number.
pub fn numbered(number: u32) -> Option<&'static Mutant> {
    ALL.iter().find(|mutant| mutant.number == number)
}

/// Turns one mutant on, for the whole process; 0 is none.
#[cfg(feature = "mutants")]
pub fn activate(number: u32) {
    ACTIVE.store(number, Ordering::Relaxed);
}

/// Runs `work` with one mutant on, in this thread only; 0 is none.
#[cfg(feature = "mutants")]
pub fn on_this_thread<T>(number: u32, work: impl FnOnce() -> T) -> T {
    struct Restore(u32);
    impl Drop for Restore {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _restore = Restore(HERE.replace(number));
    work()
}

/// The mutant that is on; 0 is none.
#[inline]
pub fn active() -> u32 {
    #[cfg(feature = "mutants")]
    {
        let here = HERE.get();
        if here == 0 { ACTIVE.load(Ordering::Relaxed) } else { here }
    }
    #[cfg(not(feature = "mutants"))]
    0
}

/// Whether a mutant is on.
#[inline]
pub fn is_active(number: u32) -> bool {
    cfg!(feature = "mutants") && active() == number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ascending_and_named_once() {
        assert!(ALL.is_sorted_by(|a, b| a.number < b.number));
        let mut names: Vec<_> = ALL.iter().map(|mutant| mutant.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(numbered(13).map(|mutant| mutant.number), Some(BUFFER_NOT_REFILLED));
        assert!(numbered(5).is_none());
    }

    #[cfg(feature = "mutants")]
    #[test]
    fn a_mutant_of_one_thread_is_none_of_the_others() {
        on_this_thread(BUFFER_NOT_REFILLED, || {
            assert!(is_active(BUFFER_NOT_REFILLED));
            on_this_thread(LIST_APPENDED, || assert!(!is_active(BUFFER_NOT_REFILLED)));
            assert!(is_active(BUFFER_NOT_REFILLED));
            let elsewhere = std::thread::scope(|scope| {
                scope.spawn(|| is_active(BUFFER_NOT_REFILLED)).join().expect("it looks only")
            });
            assert!(!elsewhere);
        });
        assert!(!is_active(BUFFER_NOT_REFILLED));
    }
}
