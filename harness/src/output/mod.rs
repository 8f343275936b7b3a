//! Everything that is printed goes through here.
//!
//! Invariants: results go to stdout, progress and remarks to stderr, so that `--json | jq` works;
//! a closed pipe is no reason to fail; nothing here decides anything.

mod progress;
mod status;

pub use progress::Progress;
pub use status::Status;

use std::io::IsTerminal as _;

use crate::error::HarnessError;

/// What the user wants to see.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console {
    /// Nothing but the verdict.
    pub quiet: bool,
    /// The result as JSON on stdout instead of the table.
    pub json: bool,
}

impl Console {
    /// Part of the result: stdout.
    pub fn result(&self, text: &str) {
        put(&mut std::io::stdout().lock(), text);
    }

    /// A remark: stderr, unless quiet.
    pub fn remark(&self, text: &str) {
        if !self.quiet {
            put(&mut std::io::stderr().lock(), text);
        }
    }

    /// An error: stderr, always.
    pub fn error(&self, error: &HarnessError) {
        put(&mut std::io::stderr().lock(), error.render().trim_end());
    }

    /// The live view of a run.
    pub fn progress(&self) -> Progress {
        Progress::new(self.quiet)
    }

    /// Whether the table may be coloured: a terminal, and `NO_COLOR` is not set.
    pub fn has_colour(&self) -> bool {
        std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
    }
}

fn put(to: &mut dyn std::io::Write, text: &str) {
    // A reader that went away (`| head`) has seen what it wanted.
    let _ = writeln!(to, "{text}").and_then(|()| to.flush());
}
