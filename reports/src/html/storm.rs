//! What the storm did: failures with their duplicates, faults, coverage and recoveries.
//!
//! Tables only, in the order of the result; the charts show the same over time.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{ROWS, part, show, table};
use crate::figures::{NONE, count, millis, moment, optional};
use crate::harm::{self, Harm};
use crate::schema::{AttemptEnd, FaultSummary, Recovery, RunResult};

/// Rows and columns shown at most of the coverage table.
const MATRIX: usize = 40;

/// One row for each failed attempt: its duplicates against its bound.
pub(super) fn failures(result: &RunResult) -> Markup {
    if result.failures.is_empty() {
        return html! {};
    }
    let rows: Vec<Markup> = result.failures.iter().take(ROWS).map(failure).collect();
    let columns = ["#Attempt", "Ended by", "#Restored", "#Duplicates", "", "#Bound"];
    let lead = "Each failure replays what came after the checkpoint that was restored. \
                The bar is the share of the bound that was used.";
    let body = table(&columns, &rows, result.failures.len());
    part("failures", "Failures and their duplicates", lead, &body)
}

fn failure(end: &AttemptEnd) -> Markup {
    let exceeded = end.duplicates > end.bound;
    html! {
        tr.wrong[exceeded] {
            td.n { (end.attempt) }
            td.wide { (show(&end.cause)) }
            td.n { (optional(end.restored_checkpoint, |id| format!("chk-{id}"))) }
            td.n { (count(end.duplicates)) }
            td.share {
                span { span style=(format!("width:{:.1}%", share_percent(end))) {} }
            }
            td.n { (if exceeded { "> " } else { "≤ " }) (count(end.bound)) }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a bar of a hundred pixels")]
fn share_percent(end: &AttemptEnd) -> f64 {
    (end.duplicates as f64 / end.bound.max(1) as f64 * 100.0).min(100.0)
}

/// One row for each scheduled fault.
pub(super) fn faults(result: &RunResult) -> Markup {
    if result.faults.is_empty() {
        return html! {};
    }
    let harms: BTreeMap<&str, Harm<'_>> =
        harm::ranked(result).into_iter().map(|one| (one.fault.id.as_str(), one)).collect();
    let row = |one: &FaultSummary| fault(one, harms.get(one.id.as_str()));
    let rows: Vec<Markup> = result.faults.iter().take(ROWS).map(row).collect();
    let columns = [
        "Fault",
        "What and where",
        "Step and action",
        "#Struck",
        "#Silence",
        "#Waiting",
        "Outcome",
    ];
    let lead = "A fault counts only when its effect was observed. Silence: the longest time \
                without a new effect while records waited; waiting: the most records that did, \
                until the next fault struck.";
    part("faults", "Faults", lead, &table(&columns, &rows, result.faults.len()))
}

fn fault(fault: &FaultSummary, harm: Option<&Harm<'_>>) -> Markup {
    let since = |at: Option<f64>| {
        let (fired, at) = (fault.fired_s?, at?);
        Some(millis((at - fired) * 1000.0))
    };
    let healed = since(fault.healed_s).map(|took| format!("healed after {took}"));
    let recovered = match (fault.landed, since(fault.recovered_s)) {
        (false, _) => None,
        (true, Some(took)) => Some(format!("recovered in {took}")),
        (true, None) => Some("no checkpoint completed since".to_owned()),
    };
    let state = match (fault.landed, fault.mid_checkpoint) {
        (false, _) => "did not land",
        (true, true) => "landed mid-checkpoint",
        (true, false) => "landed",
    };
    html! {
        tr.missed[!fault.landed] {
            td { (show(&fault.id)) }
            td.wide { (show(&fault.what)) small { (show(&fault.target)) } }
            td {
                (show(fault.step.as_deref().unwrap_or("at any step")))
                small { (show(&fault.action)) }
            }
            td.n {
                (optional(fault.fired_s, moment))
                small {
                    (optional(fault.checkpoint, |id| format!("chk-{id}")))
                    @if let Some(attempt) = fault.attempt { ", attempt " (attempt) }
                }
            }
            td.n { (optional(harm, |harm| millis(harm.silence_ms))) }
            td.n {
                (optional(harm.and_then(|harm| harm.waiting), count))
                @if let Some(p99) = harm.and_then(|harm| harm.p99_ms) {
                    small { "p99 " (millis(p99)) }
                }
            }
            td.wide {
                (state)
                @if let Some(recovered) = recovered { ", " (recovered) }
                small {
                    (show(&fault.effect))
                    @if let Some(healed) = healed { "; " (healed) }
                }
            }
        }
    }
}

/// The kill matrix: steps down, actions across, landed of scheduled in each cell.
pub(super) fn coverage(result: &RunResult) -> Markup {
    if result.coverage.is_empty() {
        return html! {};
    }
    let steps = distinct(result.coverage.iter().map(|c| c.step.as_str()));
    let actions = distinct(result.coverage.iter().map(|c| c.action.as_str()));
    let body = html! {
        div.scroll tabindex="0" {
            table.matrix {
                thead { tr {
                    th scope="col" { "Step" }
                    @for action in &actions { th.n scope="col" { (show(action)) } }
                } }
                tbody {
                    @for step in &steps {
                        tr {
                            th scope="row" { (show(step)) }
                            @for action in &actions { (cell(result, step, action)) }
                        }
                    }
                }
            }
        }
    };
    let lead = "Faults that landed, of those scheduled, by named step and action. \
                A dot was not scheduled in this run.";
    part("coverage", "Coverage", lead, &body)
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if seen.len() < MATRIX && !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

fn cell(result: &RunResult, step: &str, action: &str) -> Markup {
    let cells = result.coverage.iter().filter(|c| c.step == step && c.action == action);
    let (landed, scheduled) = cells.fold((0, 0), |(l, s), c| (l + c.landed, s + c.scheduled));
    let class = match (landed, scheduled) {
        (_, 0) => "none",
        (l, s) if l >= s => "all",
        (0, _) => "missed",
        _ => "some",
    };
    html! {
        td.n.(class) {
            @if scheduled == 0 { "·" } @else { (count(landed)) "/" (count(scheduled)) }
        }
    }
}

/// One row for each recovery, part by part.
pub(super) fn recoveries(result: &RunResult) -> Markup {
    if result.recoveries.is_empty() {
        return html! {};
    }
    let rows: Vec<Markup> = result.recoveries.iter().take(ROWS).map(recovery).collect();
    let columns = [
        "#Attempt",
        "Fault",
        "#Detect",
        "#Restart",
        "#Restore",
        "#First output",
        "#Outage",
        "#Drained",
    ];
    let lead = "Consecutive parts: the outage is their sum up to the first output; \
                drained is the time from there until the lag was back where it had been.";
    part("recoveries", "Recoveries", lead, &table(&columns, &rows, result.recoveries.len()))
}

fn recovery(recovery: &Recovery) -> Markup {
    let [detect, restart, restore, first_output, drained] =
        recovery.parts().map(|(_, ms)| optional(ms, millis));
    html! {
        tr {
            td.n { (recovery.attempt) }
            td { (show(recovery.fault.as_deref().unwrap_or(NONE))) }
            @for part in [detect, restart, restore, first_output] { td.n { (part) } }
            td.n { b { (optional(recovery.outage_ms(), millis)) } }
            td.n { (drained) }
        }
    }
}
