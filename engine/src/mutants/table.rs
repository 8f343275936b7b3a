//! The seeded bugs: what each is, where it lies in wait, and which rules convict it.
//!
//! The numbers are those of the list the project keeps; it has gaps where two entries were the same
//! bug, and from 43 on [`strangers`]. The rules are ids of the oracle's registry, most telling first:
//! the engine does not know the oracle, a test of the harness checks that they exist.

mod listed;
mod strangers;

/// A seeded bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutant {
    /// Its number.
    pub number: u32,
    /// A few words.
    pub name: &'static str,
    /// What the engine does wrong.
    pub text: &'static str,
    /// The schedule that brings it to light.
    pub schedule: &'static str,
    /// The rules that convict it.
    pub rules: &'static [&'static str],
}

macro_rules! mutants {
    ($($constant:ident = $number:literal, $name:literal: $text:literal;
        by $schedule:literal; $rules:expr;)*) => {
        /// The numbers, by name: what the switches in the engine ask for.
        pub(in crate::mutants) mod numbers {
            $(
                #[doc = $text]
                pub const $constant: u32 = $number;
            )*
        }

        /// The bugs of this room, by number.
        pub(super) const BUGS: &[Mutant] = &[$(Mutant {
            number: $number,
            name: $name,
            text: $text,
            schedule: $schedule,
            rules: &$rules,
        },)*];
    };
}

use mutants;

/// The numbers of all.
pub(super) mod numbers {
    pub use super::listed::numbers::*;
    pub use super::strangers::numbers::*;
}

const COUNT: usize = listed::BUGS.len() + strangers::BUGS.len();

/// Every seeded bug, by number.
pub const ALL: &[Mutant] = &joined(listed::BUGS, strangers::BUGS);

const fn joined(first: &[Mutant], second: &[Mutant]) -> [Mutant; COUNT] {
    let mut all = [first[0]; COUNT];
    let mut at = 1;
    while at < COUNT {
        all[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    all
}
