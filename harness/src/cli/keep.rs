//! `stormproof keep`: becomes a service's program, tied to the life of the harness.
//!
//! Safe Rust cannot set the parent-death signal between fork and exec. So this binary is started
//! first, ties itself to its parent, and then becomes the program: the kernel keeps the tie.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use super::args::KeepArgs;
use crate::error::environment;
use crate::output::Console;

/// Becomes the program; returns only when that fails.
pub(super) fn keep(args: &KeepArgs) -> ExitCode {
    let _ = set_pdeathsig(Signal::SIGKILL);
    let parent = nix::unistd::getppid().as_raw() as u32;
    if parent != args.parent {
        // It died before the tie was made.
        return ExitCode::FAILURE;
    }
    let Some((program, arguments)) = args.command.split_first() else { return ExitCode::FAILURE };
    let error = Command::new(program).args(arguments).exec();
    Console::default().error(
        &environment(format!("cannot become the service's program: {error}"))
            .at(program.display().to_string()),
    );
    ExitCode::FAILURE
}
