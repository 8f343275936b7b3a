//! `stormproof explain`: the registry of invariants, and the seeded bugs that exercise each.
//!
//! The invariants are the oracle's own list, the bugs are the engine's; here they meet.

use stormproof_engine::mutants::{self, Mutant};

use super::args::ExplainArgs;
use crate::error::{HarnessError, Result, scenario};
use crate::output::Console;
use crate::proof::invariants::{Invariant, all, exercised_by, invariant};

/// The id that stands for the list of seeded bugs.
const MUTANTS: &str = "mutants";

/// Explains what was asked for; returns the exit code.
pub(super) fn explain(args: &ExplainArgs) -> Result<u8> {
    let text = match args.what.as_deref() {
        None => list_of_rules(),
        Some(MUTANTS) => list_of_mutants(),
        Some(id) => match (invariant(id), mutant(id)) {
            (Some(invariant), _) => about_invariant(&invariant),
            (None, Some(mutant)) => about_mutant(mutant),
            (None, None) => return Err(unknown(id)),
        },
    };
    Console::default().result(&text);
    Ok(0)
}

/// A mutant by its number or its name.
fn mutant(id: &str) -> Option<&'static Mutant> {
    let by_number = id.parse().ok().and_then(mutants::numbered);
    by_number.or_else(|| mutants::ALL.iter().find(|mutant| mutant.name == id))
}

fn list_of_rules() -> String {
    let line = |rule: &Invariant| format!("  {:<27}{}", rule.id, rule.title);
    let rules: Vec<String> = all().iter().map(line).collect();
    format!(
        "Invariants ({}):\n\n{}\n\n`stormproof explain ID` says more, `stormproof explain mutants` \
         lists the seeded bugs.",
        rules.len(),
        rules.join("\n")
    )
}

fn list_of_mutants() -> String {
    let line = |mutant: &Mutant| format!("  {:>2}  {}", mutant.number, mutant.text);
    let lines: Vec<String> = mutants::ALL.iter().map(line).collect();
    format!("Seeded bugs ({}):\n\n{}", mutants::ALL.len(), lines.join("\n"))
}

fn about_invariant(about: &Invariant) -> String {
    let line = |mutant: &&Mutant| format!("\n    {:>2}  {}", mutant.number, mutant.text);
    let mutants: String = exercised_by(about.id).iter().map(line).collect();
    format!(
        "{} ({})\n\n  {}\n\n  source      {}\n  checked by  {}\n  mutants     {}",
        about.title,
        about.id,
        about.text,
        about.source,
        about.checkers.join(", "),
        if mutants.is_empty() { "none exercises it" } else { mutants.trim_start_matches(' ') }
    )
}

fn about_mutant(mutant: &Mutant) -> String {
    format!(
        "Mutant {} ({})\n\n  {}\n\n  schedule      {}\n  convicted by  {}\n\n  stormproof run \
         --mutant {}      (with --features mutants)",
        mutant.number,
        mutant.name,
        mutant.text,
        mutant.schedule,
        mutant.rules.join(", "),
        mutant.number
    )
}

fn unknown(id: &str) -> HarnessError {
    let ids = all();
    let ids = ids.iter().map(|invariant| invariant.id);
    let names = mutants::ALL.iter().map(|mutant| mutant.name).chain([MUTANTS]);
    let distance = |known: &&str| (strsim::jaro_winkler(known, id) * 1000.0) as u32;
    let nearest = ids.chain(names).max_by_key(distance).unwrap_or(MUTANTS);
    scenario(format!("there is no invariant and no mutant {id:?}"))
        .at("stormproof explain")
        .remedy(format!("did you mean `{nearest}`? `stormproof explain` lists them all"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_id_is_told_the_nearest() {
        assert!(unknown("conservaton").render().contains("`conservation`"));
        let args = ExplainArgs { what: Some("no-los".to_owned()) };
        assert!(explain(&args).is_err());
    }

    #[test]
    fn most_invariants_are_exercised_by_a_mutant() {
        let all = all();
        let idle = all.iter().filter(|invariant| exercised_by(invariant.id).is_empty());
        let idle: Vec<_> = idle.map(|invariant| invariant.id).collect();
        let expected = ["duplicates-bound", "input-kept", "vacuity"];
        assert_eq!(idle, expected);
    }
}
