//! The live view of a run: a screen of a few rows on a terminal, plain lines elsewhere.
//!
//! Invariants: on a terminal every row is rewritten in place and gone at the end; elsewhere a line
//! is written for each change of phase, each second of the first minute, each ten seconds of the
//! rest, so that a log of eight hours stays readable. `NO_COLOR` leaves out colours, not rows.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::put;
use super::status::Status;
use crate::clock::monotonic_us;

/// Between two drawings of the screen.
const DRAW_EVERY_US: u64 = 100_000;
/// Between two plain lines: in the first minute, later.
const LINE_EVERY_US: u64 = 1_000_000;
const LATER_LINE_EVERY_US: u64 = 10_000_000;
const FIRST_US: u64 = 60_000_000;
/// Between two values of the lag's history, and how many are kept.
const HISTORY_EVERY_US: u64 = 500_000;
const HISTORY: usize = 24;

/// The live view; the default one shows nothing.
#[derive(Debug, Default)]
pub struct Progress {
    screen: Option<Screen>,
    is_shown: bool,
    began_us: u64,
    shown_us: u64,
    last_phase: &'static str,
    lag: VecDeque<f64>,
    lag_us: u64,
}

/// The rows on a terminal.
#[derive(Debug)]
struct Screen {
    all: MultiProgress,
    bar: ProgressBar,
    rows: Vec<ProgressBar>,
}

impl Screen {
    fn new(has_colour: bool) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let style = |coloured: &str, plain: &str| {
            let template = if has_colour { coloured } else { plain };
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let bar = all.add(ProgressBar::new(1000));
        bar.set_style(style(
            "{spinner} {prefix:11.bold} [{bar:32.cyan}] {percent:>3} %  {elapsed}",
            "{spinner} {prefix:11} [{bar:32}] {percent:>3} %  {elapsed}",
        ));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { all, bar, rows: Vec::new() }
    }

    fn show(&mut self, status: &Status, lag: &[f64], has_colour: bool) {
        self.bar.set_prefix(status.phase);
        self.bar.set_position((status.done.unwrap_or(0.0).clamp(0.0, 1.0) * 1000.0) as u64);
        // A message that is too wide is cut at the edge of the screen.
        let template = match has_colour {
            true => "  {prefix:11.dim} {wide_msg}",
            false => "  {prefix:11} {wide_msg}",
        };
        for (n, (name, text)) in status.rows(lag).into_iter().enumerate() {
            if n == self.rows.len() {
                let row = self.all.add(ProgressBar::new_spinner());
                row.set_style(
                    ProgressStyle::with_template(template)
                        .unwrap_or_else(|_| ProgressStyle::default_spinner()),
                );
                row.set_prefix(name);
                self.rows.push(row);
            }
            self.rows[n].set_message(text);
        }
    }

    fn finish(&self) {
        self.rows.iter().for_each(ProgressBar::finish_and_clear);
        self.bar.finish_and_clear();
        let _ = self.all.clear();
    }
}

impl Progress {
    pub(super) fn new(is_silent: bool) -> Self {
        let screen =
            (!is_silent && std::io::stderr().is_terminal()).then(|| Screen::new(has_colour()));
        Self {
            screen,
            is_shown: !is_silent,
            began_us: monotonic_us(),
            shown_us: 0,
            last_phase: "",
            lag: VecDeque::new(),
            lag_us: 0,
        }
    }

    /// Shows what `status` says, when it is time to; it is asked for nothing otherwise.
    pub fn show(&mut self, phase: &'static str, status: impl FnOnce() -> Status) {
        let now_us = monotonic_us();
        let is_new = phase != self.last_phase;
        let between_us = match &self.screen {
            Some(_) => DRAW_EVERY_US,
            None if now_us - self.began_us < FIRST_US => LINE_EVERY_US,
            None => LATER_LINE_EVERY_US,
        };
        if !self.is_shown || !(is_new || now_us - self.shown_us >= between_us) {
            return;
        }
        (self.shown_us, self.last_phase) = (now_us, phase);
        let status = status();
        if now_us - self.lag_us >= HISTORY_EVERY_US {
            self.lag_us = now_us;
            self.lag.push_back(status.lag_records.max(0) as f64);
            self.lag.drain(..self.lag.len().saturating_sub(HISTORY));
        }
        match &mut self.screen {
            Some(screen) => screen.show(&status, self.lag.make_contiguous(), has_colour()),
            None => {
                let line = format!("{:<8} {}", status.phase, status.line());
                put(&mut std::io::stderr().lock(), &line);
            }
        }
    }

    /// A remark between two updates.
    pub fn remark(&self, text: &str) {
        match &self.screen {
            Some(screen) => screen.all.suspend(|| put(&mut std::io::stderr().lock(), text)),
            None if self.is_shown => put(&mut std::io::stderr().lock(), text),
            None => {}
        }
    }

    /// Takes the screen away.
    pub fn finish(&self) {
        if let Some(screen) = &self.screen {
            screen.finish();
        }
    }
}

/// Whether the screen may be coloured.
fn has_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
