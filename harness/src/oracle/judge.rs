//! Judging: digest the evidence, then let every rule answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::bound;
use super::case::{Case, Finding, NotJudged};
use super::checkpoint_reader::CheckpointSource;
use super::conditions::Conditions;
use super::details::{Details, records_of_interest};
use super::evidence::{AuditSource, EvidenceError};
use super::history::History;
use super::registry::{RULES, Rule};
use super::sweep::Sweep;
use super::values::Values;
use super::verdict::{Check, Judgement, Verdict};
use crate::workload::ledger::Ledger;

/// The evidence of a run and its circumstances.
#[expect(missing_debug_implementations, reason = "sources are open connections and folders")]
pub struct Input<'a> {
    /// What the topic held.
    pub ledger: &'a Ledger,
    /// The checkpoint folder.
    pub checkpoints: &'a mut dyn CheckpointSource,
    /// The sink's tables.
    pub audit: &'a mut dyn AuditSource,
    /// Everything else the oracle is told.
    pub conditions: Conditions,
}

/// Judges a run. It always answers: what goes wrong on the way makes verdicts unknown.
pub fn judge(input: Input<'_>) -> Judgement {
    let Input { ledger, checkpoints, audit, conditions } = input;
    let case = digest(ledger, checkpoints, audit, &conditions);
    let rules = RULES.iter().filter(|rule| (rule.applies)(&conditions));
    let checks: Vec<Check> = rules.map(|rule| apply(rule, &case)).collect();
    Judgement {
        verdict: checks.iter().map(|check| check.verdict).max().unwrap_or_default(),
        checks,
        records: ledger.records(),
        effects: case.sweep().ok().map(|sweep| sweep.effects),
        lost: case.lost().ok(),
        duplicates: case.duplicates().ok(),
        duplicates_expected: case.expected_duplicates().ok(),
        duplicates_bound: bound::total(&case).ok(),
        failures: bound::failures(&case).unwrap_or_default(),
    }
}

/// Reads all evidence.
fn digest<'a>(
    ledger: &'a Ledger,
    checkpoints: &mut dyn CheckpointSource,
    audit: &mut dyn AuditSource,
    conditions: &'a Conditions,
) -> Case<'a> {
    let keep_held = conditions.unconfirmed_at_snapshot;
    let history = guard(|| History::read(ledger, checkpoints, audit, keep_held));
    let sweep = history
        .as_ref()
        .map_err(NotJudged::clone)
        .and_then(|history| guard(|| Sweep::run(ledger, history, conditions.keyed, audit)));
    let both = || Some((history.as_ref().ok()?, sweep.as_ref().ok()?));
    let balance = match both() {
        Some((history, sweep)) => guard(|| Ok(sweep.cells.balance(history, ledger))),
        None => Err(NotJudged::because("the history or the effects cannot be read")),
    };
    let values = guard(|| Values::read(ledger, conditions, audit));
    let details = both().zip(balance.as_ref().ok()).map(|((history, sweep), balance)| {
        guard(|| {
            let records = records_of_interest(sweep, ledger);
            Details::look(ledger, history, balance, &records, (audit, checkpoints))
        })
    });
    let (details, balance) = match details {
        Some(Ok(details)) => (details, balance),
        // Without the second look an imbalance has no witness; say why instead.
        Some(Err(reason)) => (Details::default(), Err(reason)),
        None => (Details::default(), balance),
    };
    Case { ledger, conditions, history, sweep, balance, values, details }
}

/// Runs a part of the digestion; an error or a panic becomes a reason.
fn guard<T>(work: impl FnOnce() -> Result<T, EvidenceError>) -> Result<T, NotJudged> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| NotJudged(error.to_string())),
        Err(panic) => Err(NotJudged(panic_reason(&*panic))),
    }
}

/// Lets one rule answer.
fn apply(rule: &Rule, case: &Case<'_>) -> Check {
    let answer = catch_unwind(AssertUnwindSafe(|| (rule.check)(case)))
        .unwrap_or_else(|panic| Err(NotJudged(panic_reason(&*panic))));
    let finding = answer.unwrap_or_else(|NotJudged(reason)| Finding::new(Verdict::Unknown, reason));
    Check {
        id: rule.id.to_owned(),
        title: rule.title.to_owned(),
        verdict: finding.verdict,
        summary: finding.summary,
        figures: finding.figures,
        witnesses: finding.witnesses,
    }
}

fn panic_reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    format!("the checker panicked ({text}): report this as a bug of the oracle")
}
