//! `stormproof scenario`: what scenarios can say.

use clap::Args;

use crate::error::{Result, scenario as refuse};
use crate::output::Console;
use crate::scenario::{RawScenario, reference, validate};

/// What `scenario` is asked to do.
#[derive(Clone, Debug, Args)]
pub(super) struct ScenarioArgs {
    /// Print the reference of every value, as markdown: docs/guide/scenario.md.
    #[arg(long)]
    reference: bool,
    /// Check these files and run nothing.
    #[arg(value_name = "FILE.toml", required_unless_present = "reference")]
    files: Vec<std::path::PathBuf>,
}

/// Prints the reference, or checks files; returns the exit code.
pub(super) fn scenario(args: &ScenarioArgs) -> Result<u8> {
    let console = Console::default();
    if args.reference {
        console.result(reference().trim_end());
    }
    for file in &args.files {
        let checked = validate(RawScenario::read(file)?).map_err(|error| match error.place {
            Some(_) => error,
            None => refuse(error.what).at(file.display().to_string()),
        })?;
        console.result(&format!("{}: scenario {:?} is valid", file.display(), checked.name));
    }
    Ok(0)
}
