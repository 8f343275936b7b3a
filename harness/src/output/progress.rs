//! The live view of a run: a bar on a terminal, a line each second elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::put;
use crate::clock::monotonic_us;

/// Between two plain lines.
const LINE_EVERY_US: u64 = 1_000_000;

/// What a run is doing right now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The phase.
    pub phase: &'static str,
    /// How much of the phase is done, 0 to 1; `None` when nobody knows.
    pub done: Option<f64>,
    /// Records produced per second.
    pub rate_in_per_s: f64,
    /// Effects per second.
    pub rate_out_per_s: f64,
    /// Produced minus committed.
    pub lag_records: i64,
    /// Completed checkpoints.
    pub checkpoints: u64,
    /// Faults landed.
    pub landed: u64,
    /// Faults in the schedule.
    pub scheduled: u64,
}

impl Status {
    /// The status on one line.
    pub fn line(&self) -> String {
        format!(
            "in {:>7.0}/s  out {:>7.0}/s  lag {:>8}  checkpoints {:>3}  faults {}/{}",
            self.rate_in_per_s,
            self.rate_out_per_s,
            self.lag_records,
            self.checkpoints,
            self.landed,
            self.scheduled
        )
    }
}

/// The live view.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    is_silent: bool,
    last_line_us: u64,
    last_phase: &'static str,
}

impl Progress {
    pub(super) fn new(is_silent: bool) -> Self {
        let bar = (!is_silent && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(
                "{spinner} {prefix:<8} [{bar:24}] {elapsed:>4}  {wide_msg}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, is_silent, last_line_us: 0, last_phase: "" }
    }

    /// Shows `status`.
    pub fn show(&mut self, status: &Status) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(status.phase);
            bar.set_position((status.done.unwrap_or(0.0).clamp(0.0, 1.0) * 1000.0) as u64);
            bar.set_message(status.line());
            return;
        }
        let now_us = monotonic_us();
        let is_due = now_us - self.last_line_us >= LINE_EVERY_US;
        if !self.is_silent && (is_due || status.phase != self.last_phase) {
            self.last_line_us = now_us;
            self.last_phase = status.phase;
            put(&mut std::io::stderr().lock(), &format!("{:<8} {}", status.phase, status.line()));
        }
    }

    /// A remark between two updates.
    pub fn remark(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| put(&mut std::io::stderr().lock(), text)),
            None if !self.is_silent => put(&mut std::io::stderr().lock(), text),
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
