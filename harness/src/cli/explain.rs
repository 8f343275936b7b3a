//! `stormproof explain`: the registry of invariants, and the seeded bugs that exercise each.
//!
//! The invariants are the oracle's own list, the bugs are the engine's; here they meet.

use stormproof_engine::mutants::{self, Mutant};

use super::args::ExplainArgs;
use crate::error::{HarnessError, Result, scenario};
use crate::oracle::registry::{RULES, Rule, rule};
use crate::output::Console;

/// The id that stands for the list of seeded bugs.
const MUTANTS: &str = "mutants";

/// Explains what was asked for; returns the exit code.
pub(super) fn explain(args: &ExplainArgs) -> Result<u8> {
    let text = match args.what.as_deref() {
        None => list_of_rules(),
        Some(MUTANTS) => list_of_mutants(),
        Some(id) => match (rule(id), mutant(id)) {
            (Some(rule), _) => about_rule(rule),
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

/// The mutants that a rule convicts.
fn exercised_by(rule: &Rule) -> Vec<&'static Mutant> {
    mutants::ALL.iter().filter(|mutant| mutant.rules.contains(&rule.id)).collect()
}

fn list_of_rules() -> String {
    let line = |rule: &Rule| format!("  {:<27}{}", rule.id, rule.title);
    let rules: Vec<String> = RULES.iter().map(line).collect();
    format!(
        "Invariants ({}):\n\n{}\n\n`stormproof explain ID` says more, `stormproof explain mutants` \
         lists the seeded bugs.",
        RULES.len(),
        rules.join("\n")
    )
}

fn list_of_mutants() -> String {
    let line = |mutant: &Mutant| format!("  {:>2}  {}", mutant.number, mutant.text);
    let lines: Vec<String> = mutants::ALL.iter().map(line).collect();
    format!("Seeded bugs ({}):\n\n{}", mutants::ALL.len(), lines.join("\n"))
}

fn about_rule(rule: &Rule) -> String {
    let line = |mutant: &&Mutant| format!("\n    {:>2}  {}", mutant.number, mutant.text);
    let mutants: String = exercised_by(rule).iter().map(line).collect();
    let [fast, plain] = rule.checkers;
    format!(
        "{} ({})\n\n  {}\n\n  source      {}\n  checked by  oracle::{fast}, and again by \
         oracle::{plain}\n  mutants     {}",
        rule.title,
        rule.id,
        rule.text,
        rule.source,
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
    let ids = RULES.iter().map(|rule| rule.id);
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
    fn every_mutant_names_rules_that_exist_and_most_rules_have_a_mutant() {
        for mutant in mutants::ALL {
            assert!(!mutant.rules.is_empty(), "{}", mutant.name);
            for id in mutant.rules {
                assert!(rule(id).is_some(), "mutant {}: no rule {id}", mutant.number);
            }
        }
        let idle: Vec<_> = RULES.iter().filter(|rule| exercised_by(rule).is_empty()).collect();
        let idle: Vec<_> = idle.iter().map(|rule| rule.id).collect();
        assert_eq!(idle, ["no-phantom", "duplicates-bound", "attempt-order", "per-key-order"]);
    }

    #[test]
    fn ids_are_unique_and_an_unknown_one_is_told_the_nearest() {
        let mut ids: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), RULES.len());
        assert!(unknown("conservaton").render().contains("`conservation`"));
        let args = ExplainArgs { what: Some("no-los".to_owned()) };
        assert!(explain(&args).is_err());
    }
}
