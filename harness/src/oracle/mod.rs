//! The oracle: judges a run from the outside.
//!
//! It knows nothing of the engine. Three sources of evidence, all described in
//! `docs/formats.md`, are read by readers of its own:
//!
//! 1. the input [ledger](crate::workload::ledger), read back from the topic;
//! 2. the checkpoint folder ([`checkpoint_reader`]): manifests and state files;
//! 3. the database ([`evidence`]): audit, fence and results tables ([`SqliteAudit`],
//!    [`MysqlAudit`], [`MemoryAudit`]).
//!
//! *Follow a judgement.* [`judge()`] reads checkpoints and fences into a `History` (whose
//! `Lineage` says whose effects survive which restore), streams the audit table past the
//! trackers of a `Sweep`, compares every cut (`conservation`), reads the results table
//! (`values`), takes a second look where something disagrees (`details`), and then lets every
//! rule of the [`registry`] answer.
//!
//! *A second opinion.* [`plain`] judges the same rules the slow way; [`compare()`] tells where
//! the two differ.
//!
//! *Three values.* A rule is proven, violated or unknown; the worst counts. Evidence that cannot
//! be read, or a checker that panics, is unknown and never a pass.
//!
//! *Memory* is bounded by bitmaps of records and sums by (attempt, checkpoint, partition); no
//! table is held. The oracle does not repair, retry or wait: it is called when the run is over.

mod block;
mod bound;
mod case;
pub mod checkpoint_reader;
mod committed;
mod compare;
mod conditions;
mod conservation;
mod copy;
mod coverage;
mod cut;
mod details;
mod duplicates;
pub mod evidence;
mod fencing;
mod heights;
mod held;
mod history;
mod ids;
mod judge;
mod kept;
mod lineage;
mod loss;
mod marks;
mod mysql;
mod order;
mod pace;
pub mod plain;
pub mod registry;
mod restores;
mod seen;
mod sqlite;
mod sum;
mod sweep;
mod tables;
mod vacuity;
mod values;
mod verdict;

pub use compare::{Disagreement, compare};
pub use conditions::{Commits, Conditions, Pace, Required};
pub use copy::copy_tables;
pub use evidence::{AuditSource, EvidenceError, MemoryAudit};
pub use ids::{AttemptId, BatchId, CheckpointId};
pub use judge::{Input, judge};
pub use kept::{Kept, KeptAudit, KeptCheckpoints, LostRange};
pub use mysql::{MysqlAudit, stream_mysql};
pub use sqlite::SqliteAudit;
pub use verdict::{
    Check, Failure, Figure, Judgement, Site, Verdict, WITNESS_LIMIT, Witness, Witnesses,
};
