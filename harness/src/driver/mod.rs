//! Drivers: how the system under test is started, told what to do, and heard.
//!
//! *Follow a fault into the engine:* [`child::EngineChild::send`] writes a [`protocol::Command`] to
//! the child's stdin, [`engine_main`] arms it, and its shot comes back as a [`protocol::Report`].
//! The job itself is built in [`job`]: source -> [`CountFactory`] -> sink.
//!
//! [`CountFactory`]: stormproof_engine::operators::CountFactory

pub mod child;
pub mod engine_main;
mod job;
pub mod metrics_http;
pub mod protocol;

pub(crate) use job::vertices;
