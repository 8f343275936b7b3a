//! The SQL sink: every record is an audit row and, if it has a key, an upsert, in one transaction.
//!
//! Follow a record: [`sink`] puts it into its subtask's buffer ([`buffers`]) -> with 100 rows, or
//! after a second, the buffer is flushed into its writer's queue -> an idle [`writer`] forms a
//! [`Batch`] of what many subtasks flushed -> a [`SqlConnection`] writes it as one transaction on
//! its own task or thread -> the ticket says confirmed, failed or in doubt.
//!
//! | room | what |
//! |---|---|
//! | [`config`], [`url`] | what can be chosen, and which database |
//! | [`buffers`], [`writer`], [`sink`] | the group logic: pure but for tickets and the clock |
//! | [`batch`], [`row`], [`schema`] | what a transaction holds, and the tables |
//! | [`backend`] | what a database must offer |
//! | [`mysql`], [`sqlite`] | the databases |
//!
//! Invariants:
//! - A row is in the snapshot *or* covered by [`crate::api::Sink::is_settled`], never neither,
//!   never both: the moment its tag is fixed it leaves the first and enters the second.
//! - Rows of a subtask reach the database in the order in which they were written.
//! - A batch whose outcome is unknown is looked up in the audit table before it is tried again.
//! - Every transaction reads the owner under a lock: a fenced attempt changes nothing.
//!
//! What it does not do: transactions that become visible with the checkpoint (XA); the places for
//! them are [`crate::api::Sink::commit`] and [`crate::api::Sink::abort`].

mod backend;
mod batch;
mod buffers;
mod config;
mod factory;
mod mysql;
mod row;
mod schema;
mod sink;
mod sqlite;
mod url;
mod writer;

pub use backend::{
    ResolveOutcome, SqlBackend, SqlConnection, SqlFailure, WriteOutcome, WriteTerms, fenced,
};
pub use batch::{Batch, BatchNumber, BatchTry, Effect, Upsert};
pub use config::{BufferDesign, SqlSinkConfig};
pub use factory::SqlSinkFactory;
pub use mysql::MysqlBackend;
pub use row::{RowMapper, RowView, WholeValue};
pub use schema::Tables;
pub use sink::fence_timed_out;
pub use sqlite::SqliteBackend;
pub use url::backend_for;

/// What errors call the service.
const SERVICE: &str = "database";
