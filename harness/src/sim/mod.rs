//! Simulated schedules, judged by the very oracle that judges real runs.
//!
//! *Follow a seed:* [`stormproof_chaos::sim`] draws a plan and runs it -> [`judge()`] hands the
//! evidence to the oracle and looks at how the run ended -> [`campaign`] does so for many seeds on
//! several threads, counts, and saves what failed.

pub mod campaign;
mod judge;
mod records;
mod saved;

pub use judge::{Outcome, SimJudgement, judge, second_opinion};
pub use records::audit_of;
pub use saved::Saved;
