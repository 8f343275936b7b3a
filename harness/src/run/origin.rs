//! How a run is done again: the exact command, and all that another machine needs for it.
//!
//! Invariant: no password leaves here: the scenario is the one that is written down.

use std::path::Path;

use stormproof_chaos::schedule::Schedule;
use stormproof_engine::mutants;
use stormproof_reports::schema::Origin;

use crate::scenario::{Scenario, print};

/// What another machine needs.
pub(super) fn of(scenario: &Scenario, schedule: &Schedule) -> Origin {
    let mutant = mutants::numbered(u32::from(scenario.mutant));
    Origin {
        scenario_toml: print(&super::without_secrets(scenario)),
        schedule: serde_json::to_value(schedule).expect("a schedule is plain data"),
        mutant: mutant.map(|m| format!("mutant {}, {}: {}", m.number, m.name, m.text)),
    }
}

/// The command, for a shell in the place where this run was started.
pub(super) fn command(scenario: &Scenario, folder: &Path) -> String {
    let program = match scenario.mutant {
        0 => "stormproof",
        _ => "cargo run --release --features mutants --",
    };
    format!("{program} replay {}", quoted(&folder.display().to_string()))
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    match !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{RawScenario, validate};

    #[test]
    fn a_command_can_be_pasted() {
        let scenario = validate(RawScenario { seed: Some(7), ..RawScenario::default() }).unwrap();
        let of = |folder: &str| command(&scenario, Path::new(folder));
        assert_eq!(of("stormproof-runs/x-7"), "stormproof replay stormproof-runs/x-7");
        assert_eq!(of("it's; rm"), r"stormproof replay 'it'\''s; rm'");
        let origin = super::of(&scenario, &scenario.schedule().unwrap());
        assert!(origin.scenario_toml.contains("seed = 7"), "{}", origin.scenario_toml);
        assert!(origin.mutant.is_none() && origin.schedule.is_object());
    }
}
