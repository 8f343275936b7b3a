//! `stormproof completions` and `stormproof man`: what shells and readers want to know, made from
//! the command line itself, so that it cannot be out of date.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::args::Cli;
use crate::error::{HarnessError, Result, folder};
use crate::output::Console;

/// What `completions` is asked for.
#[derive(Clone, Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// What `man` is asked for.
#[derive(Clone, Debug, Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder, instead of the main page to stdout.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the completions; returns the exit code.
pub(super) fn completions(args: &CompletionsArgs) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stormproof", &mut script);
    Console::default().result(String::from_utf8_lossy(&script).trim_end());
    0
}

/// Prints or writes the pages; returns the exit code.
pub(super) fn man(args: &ManArgs) -> Result<u8> {
    let console = Console::default();
    if let Some(out) = &args.out {
        let refuse = |error: std::io::Error| refused(out, &error);
        std::fs::create_dir_all(out).map_err(refuse)?;
        clap_mangen::generate_to(Cli::command(), out).map_err(refuse)?;
        console.result(&format!("written to {}", out.display()));
        return Ok(0);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|error| refused(&PathBuf::from("stdout"), &error))?;
    console.result(String::from_utf8_lossy(&page).trim_end());
    Ok(0)
}

fn refused(place: &std::path::Path, error: &std::io::Error) -> HarnessError {
    folder(format!("the pages cannot be written: {error}"))
        .at(place.display().to_string())
        .remedy("choose another folder with --out, or make room")
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_learns_every_command_that_is_not_hidden() {
        let commands = Cli::command();
        let shown: Vec<_> = commands.get_subcommands().filter(|c| !c.is_hide_set()).collect();
        assert!(shown.len() > 10, "{}", shown.len());
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "stormproof", &mut script);
            let script = String::from_utf8(script).expect("text");
            for command in &shown {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn a_folder_gets_a_page_for_each_command() {
        let folder = tempfile::tempdir().expect("a folder");
        man(&ManArgs { out: Some(folder.path().join("man")) }).expect("it is written");
        for page in ["stormproof.1", "stormproof-run.1", "stormproof-gate.1"] {
            let text = std::fs::read_to_string(folder.path().join("man").join(page)).expect(page);
            assert!(text.contains(".SH NAME") && text.contains(".SH OPTIONS"), "{page}");
        }
    }
}
