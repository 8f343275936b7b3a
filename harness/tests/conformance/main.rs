//! One suite over simulated and real services: what the engine relies on must hold of both.
//!
//! The simulation is worth what its services are. Each check is written once and runs against the
//! simulated service and the real ones: storage on the local disk, SQLite, MariaDB where
//! `STORMPROOF_TEST_MYSQL_URL` names one, librdkafka on its mock cluster and on the embedded broker.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod database;
mod log;
mod sql;
mod storage;

use std::time::{Duration, Instant};

use stormproof_engine::seam::Ticket;

/// Waits for an answer of a real service.
fn wait<T>(ticket: &Ticket<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let is_orphaned = ticket.is_orphaned();
        if let Some(outcome) = ticket.try_take() {
            return outcome;
        }
        assert!(!is_orphaned, "the service dropped a question");
        assert!(Instant::now() < deadline, "waited too long for an answer");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}
