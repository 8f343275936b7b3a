//! A job's figures as Prometheus text (exposition format 0.0.4), for whoever scrapes them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::CheckpointStats;
use crate::ids::{AttemptId, CheckpointId, WorkerIndex};
use crate::metrics::{HELP, WorkerMetrics};

const RESTARTS: &str = "Attempts of this process after its first one.";
const COMPLETED: &str = "Checkpoints whose manifest became durable.";
const ABORTED: &str = "Checkpoints that were triggered and will never complete.";
const DURATION: &str = "From trigger to durable manifest, microseconds.";
const START_DELAY: &str = "From trigger to the first barrier at the last vertex, microseconds.";
const ALIGNMENT: &str =
    "From the first to the last barrier, the largest of all workers, microseconds.";
const SYNC: &str = "Synchronous part of the snapshot, the largest of all workers, microseconds.";
const ASYNC: &str = "From snapshot to acknowledgement, the largest of all workers, microseconds.";
const STATE: &str = "Bytes of all state files.";
const IN_FLIGHT: &str = "Bytes of channel state among them.";

/// What stands before a figure's values.
fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let help = help.trim();
    let _ = writeln!(text, "# HELP stormproof_{name} {help}\n# TYPE stormproof_{name} {kind}");
}

/// What a job has been through, and its workers' figures.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    inner: Mutex<Figures>,
}

#[derive(Debug, Default)]
struct Figures {
    workers: Vec<(WorkerIndex, Arc<WorkerMetrics>)>,
    attempt: AttemptId,
    restarts: u64,
    completed: u64,
    aborted: u64,
    last: (CheckpointId, CheckpointStats),
}

impl Exposition {
    fn with<T>(&self, change: impl FnOnce(&mut Figures) -> T) -> T {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn on_attempt(
        &self,
        attempt: AttemptId,
        workers: Vec<(WorkerIndex, Arc<WorkerMetrics>)>,
    ) {
        self.with(|figures| {
            figures.restarts += u64::from(figures.attempt != AttemptId::default());
            figures.attempt = attempt;
            figures.workers = workers;
        });
    }

    pub(super) fn on_completed(&self, checkpoint: CheckpointId, stats: &CheckpointStats) {
        self.with(|figures| {
            figures.completed += 1;
            figures.last = (checkpoint, stats.clone());
        });
    }

    pub(super) fn on_aborted(&self) {
        self.with(|figures| figures.aborted += 1);
    }

    /// The text.
    pub(super) fn render(&self) -> String {
        self.with(|figures| {
            let mut text = String::new();
            let (checkpoint, last) = &figures.last;
            let attempt = u64::from(figures.attempt.0);
            for (name, kind, help, value) in [
                ("job_attempt", "gauge", "The execution attempt.", attempt),
                ("job_restarts_total", "counter", RESTARTS, figures.restarts),
                ("checkpoints_completed_total", "counter", COMPLETED, figures.completed),
                ("checkpoints_aborted_total", "counter", ABORTED, figures.aborted),
                ("last_checkpoint_id", "gauge", "The last completed checkpoint.", checkpoint.0),
                ("last_checkpoint_duration_us", "gauge", DURATION, last.duration_us),
                ("last_checkpoint_start_delay_us", "gauge", START_DELAY, last.start_delay_us),
                ("last_checkpoint_alignment_us", "gauge", ALIGNMENT, last.alignment_us),
                ("last_checkpoint_sync_us", "gauge", SYNC, last.sync_us),
                ("last_checkpoint_async_us", "gauge", ASYNC, last.async_us),
                ("last_checkpoint_state_bytes", "gauge", STATE, last.state_bytes),
                ("last_checkpoint_in_flight_bytes", "gauge", IN_FLIGHT, last.in_flight_bytes),
            ] {
                head(&mut text, name, kind, help);
                let _ = writeln!(text, "stormproof_{name} {value}");
            }
            let tables: Vec<_> = figures.workers.iter().map(|(w, m)| (*w, m.all())).collect();
            let names = tables.first().map(|(_, table)| table.as_slice()).unwrap_or_default();
            for (i, (name, kind, _)) in names.iter().enumerate() {
                let suffix = if *kind == "counter" { "_total" } else { "" };
                head(&mut text, &format!("{name}{suffix}"), kind, HELP[i]);
                for (worker, table) in &tables {
                    let value = table[i].2;
                    let _ =
                        writeln!(text, "stormproof_{name}{suffix}{{worker=\"{worker}\"}} {value}");
                }
            }
            text
        })
    }
}
