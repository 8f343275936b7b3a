//! What the oracle's tests share: a small engine that makes correct histories on demand, and
//! breaks them on demand, too.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

mod files;
mod history;
mod job;
mod plan;
mod sink;

pub(crate) use files::{write_checkpoints, write_tables};
pub(crate) use history::History;
pub(crate) use job::simulate;
pub(crate) use plan::{Bug, Plan};
