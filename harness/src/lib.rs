//! The stormproof harness.

pub mod oracle;
pub mod workload;
