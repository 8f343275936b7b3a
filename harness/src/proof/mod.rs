//! Proof of the oracle: that it convicts what is broken, and nothing else.
//!
//! *Follow a seeded bug:* [`hunt`] turns it on, draws schedules until one is convicted by a rule
//! that sees more than the end state, and runs the same seeds with the sound engine.
//! *Follow a cell of the kill matrix:* [`matrix`] draws plans with one fault (or two) at the cell's
//! step until it lands, and judges them; [`on_services`] does the same with real processes and
//! services, one run for many cells. *Follow a failure:* [`case`] says what fails and how it is
//! made smaller, [`soak`] looks for new ones for hours.

pub mod case;
pub mod hunt;
pub mod invariants;
pub mod matrix;
pub mod on_services;
mod parallel;
pub mod soak;

pub use parallel::cores as parallel_cores;
pub(crate) use parallel::each;
