//! Tests of the reports as others see them: the schema on disk, hostile input, snapshots.
//!
//! The results under test are the ones of `examples/sample`.

mod claims;
mod formats;
mod hostile;
mod page;
mod runs;
mod schema;
mod snapshots;
#[path = "../../examples/sample/storm/mod.rs"]
mod storm;
