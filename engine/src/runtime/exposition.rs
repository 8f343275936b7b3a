//! A job's figures as Prometheus text (exposition format 0.0.4), for whoever scrapes them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::CheckpointStats;
use crate::ids::{AttemptId, CheckpointId, WorkerIndex};
use crate::metrics::WorkerMetrics;

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
            for (name, kind, value) in [
                ("job_attempt", "gauge", u64::from(figures.attempt.0)),
                ("job_restarts_total", "counter", figures.restarts),
                ("checkpoints_completed_total", "counter", figures.completed),
                ("checkpoints_aborted_total", "counter", figures.aborted),
                ("last_checkpoint_id", "gauge", checkpoint.0),
                ("last_checkpoint_duration_us", "gauge", last.duration_us),
                ("last_checkpoint_start_delay_us", "gauge", last.start_delay_us),
                ("last_checkpoint_alignment_us", "gauge", last.alignment_us),
                ("last_checkpoint_sync_us", "gauge", last.sync_us),
                ("last_checkpoint_async_us", "gauge", last.async_us),
                ("last_checkpoint_state_bytes", "gauge", last.state_bytes),
                ("last_checkpoint_in_flight_bytes", "gauge", last.in_flight_bytes),
            ] {
                let _ =
                    writeln!(text, "# TYPE stormproof_{name} {kind}\nstormproof_{name} {value}");
            }
            let tables: Vec<_> = figures.workers.iter().map(|(w, m)| (*w, m.all())).collect();
            let names = tables.first().map(|(_, table)| table.as_slice()).unwrap_or_default();
            for (i, (name, kind, _)) in names.iter().enumerate() {
                let suffix = if *kind == "counter" { "_total" } else { "" };
                let _ = writeln!(text, "# TYPE stormproof_{name}{suffix} {kind}");
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
