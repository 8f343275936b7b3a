//! The judgement of a simulated run.

use serde::{Deserialize, Serialize};
use stormproof_chaos::sim::{Disturbance, Landed, Plan, SimEnd, SimRun};
use stormproof_engine::runtime::CheckpointMode;

use super::records::{Checkpoints, Outputs};
use crate::oracle::checkpoint_reader::Mode;
use crate::oracle::evidence::EvidenceError;
use crate::oracle::{
    self, Commits, Conditions, Disagreement, Input, Judgement, Pace, Required, Verdict,
};
use crate::workload::ledger::{Ledger, LedgerError, PartitionId};

/// What became of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything held, and something was at stake.
    Proven,
    /// Nothing was at stake: no fault landed, nothing completed or nothing was replayed.
    Vacuous,
    /// The evidence does not suffice.
    Unknown,
    /// A rule was broken, or the job did not drain although everything was healed.
    Violated,
}

/// A judged schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimJudgement {
    /// The answer.
    pub outcome: Outcome,
    /// Ids of the rules that were broken; `liveness` when the job did not drain, `refusal` when it
    /// gave up although nothing was wrong for good.
    pub broken: Vec<String>,
    /// Why, in a few sentences: summaries and the smallest witnesses.
    pub reasons: Vec<String>,
    /// The oracle's answer.
    pub judgement: Judgement,
}

/// How late a coordinator that stood still may notice an acknowledgement.
const NOTICED_LATE_US: i64 = 1_000_000;

/// Judges a run of `plan`.
pub fn judge(plan: &Plan, run: &SimRun) -> SimJudgement {
    let outputs = Outputs(plan.topology.outputs);
    let (judgement, disorder) = match outputs.ledger(&run.evidence) {
        Ok(ledger) => with_input(plan, run, &ledger, oracle::judge),
        Err(error) => return unreadable(&error),
    };
    let mut broken = Vec::new();
    let mut reasons = Vec::new();
    for check in judgement.checks.iter().filter(|check| check.verdict == Verdict::Violated) {
        broken.push(check.id.clone());
        reasons.push(format!("{}: {}", check.id, check.summary));
        reasons.extend(check.witnesses.iter().take(2).map(|w| format!("    {}", w.text)));
    }
    if let Some(what) = disorder {
        broken.push("logged-in-order".to_owned());
        reasons.push(format!("logged-in-order: {what}"));
    }
    if let Some(what) = &run.mistimed {
        broken.push("timers".to_owned());
        reasons.push(format!("timers: {what}"));
    }
    for breach in &run.breaches {
        if broken.iter().all(|id| id != breach.rule) {
            broken.push(breach.rule.to_owned());
        }
        reasons.push(format!("{}: {}", breach.rule, breach.what));
    }
    match &run.end {
        SimEnd::Stuck(what) => {
            broken.push("liveness".to_owned());
            reasons.push(format!("liveness: healed, and not drained in time: {what}"));
        }
        SimEnd::Refused(what) if !plan.may_refuse() => {
            broken.push("refusal".to_owned());
            reasons.push(format!("refusal: the job gave up although it could go on: {what}"));
        }
        // What expired with its transactions is gone, as the refusal says.
        SimEnd::Refused(_) if plan.sink.transactional_us.is_some() => {
            let of_cuts = ["conservation", "duplicates-exact", "no-loss", "final-values"];
            broken.retain(|id| !of_cuts.contains(&id.as_str()));
        }
        SimEnd::Refused(_) | SimEnd::Drained => {}
    }
    let outcome =
        if broken.is_empty() { unbroken(&judgement, &mut reasons) } else { Outcome::Violated };
    SimJudgement { outcome, broken, reasons, judgement }
}

/// Where the plain checker sees another run of `plan` than the judgement does; slow.
///
/// # Errors
/// When the evidence cannot be read.
pub fn second_opinion(
    plan: &Plan,
    run: &SimRun,
    judged: &SimJudgement,
) -> Result<Vec<Disagreement>, EvidenceError> {
    let ledger = Outputs(plan.topology.outputs).ledger(&run.evidence);
    // What is no ledger for the one is none for the other.
    let Ok(ledger) = ledger else { return Ok(Vec::new()) };
    let (opinion, _) = with_input(plan, run, &ledger, oracle::plain::second_opinion);
    Ok(oracle::compare(&judged.judgement, &opinion?))
}

/// What a run without a broken rule is worth.
fn unbroken(judgement: &Judgement, reasons: &mut Vec<String>) -> Outcome {
    let unknown = judgement.checks.iter().filter(|check| check.verdict == Verdict::Unknown);
    let mut outcome = Outcome::Proven;
    for check in unknown {
        reasons.push(format!("{}: {}", check.id, check.summary));
        let worth = if check.id == "vacuity" { Outcome::Vacuous } else { Outcome::Unknown };
        outcome = outcome.max(worth);
    }
    outcome
}

fn unreadable(error: &LedgerError) -> SimJudgement {
    SimJudgement {
        outcome: Outcome::Unknown,
        broken: Vec::new(),
        reasons: vec![format!("the input is no ledger: {error}")],
        judgement: Judgement::default(),
    }
}

/// Hands the evidence of a run to a checker; says what was not in order in the checkpoints it read.
fn with_input<T>(
    plan: &Plan,
    run: &SimRun,
    ledger: &Ledger,
    check: impl FnOnce(Input<'_>) -> T,
) -> (T, Option<String>) {
    let outputs = Outputs(plan.topology.outputs);
    let mut checkpoints = Checkpoints::new(plan, &run.evidence);
    let mut audit = outputs.audit(&run.evidence);
    let conditions = conditions_of(plan, run);
    let answer =
        check(Input { ledger, checkpoints: &mut checkpoints, audit: &mut audit, conditions });
    (answer, checkpoints.disorder)
}

fn conditions_of(plan: &Plan, run: &SimRun) -> Conditions {
    let outputs = Outputs(plan.topology.outputs);
    let is_drained = run.end == SimEnd::Drained;
    let committed = run.evidence.committed.iter();
    let committed = committed.map(|(p, o)| (PartitionId(p.0), outputs.place(o.0))).collect();
    let commits = run.evidence.commits.iter();
    let commits = commits.map(|(p, o)| (PartitionId(p.0), outputs.place(o.0)));
    // The pause counts from a completion that the job knows of.
    let doubts = [Disturbance::StoreWriteInDoubt, Disturbance::ManifestInDoubt];
    let doubts = doubts.map(|doubt| format!("{doubt:?}"));
    let is_doubt = |landed: &Landed| landed.is_window && doubts.contains(&landed.action);
    let has_doubt = run.landed.iter().any(is_doubt);
    Conditions {
        drained: is_drained,
        keyed: plan.is_keyed(),
        ordered: plan.is_ordered(),
        faults_landed: run.landed.len() as u64,
        // The sink acknowledges a checkpoint only when what it had handed over is confirmed.
        unconfirmed_at_snapshot: false,
        resolves_doubt: plan.sink.transactional_us.is_none(),
        // What an aborted transaction held is never seen: there a restore counts as a replay.
        required: Required {
            replay: plan.sink.transactional_us.is_none() || run.restores == 0,
            ..Required::default()
        },
        committed: Some(committed),
        commits: Some(Commits {
            offsets: commits.collect(),
            is_settled: is_drained && run.commits_settled,
        }),
        concurrent_checkpoints: match plan.checkpoint.min_pause_ms {
            0 => plan.checkpoint.max_concurrent.max(1),
            _ => 1,
        },
        pace: (!has_doubt).then_some(Pace {
            interval_us: plan.checkpoint.interval_ms as i64 * 1000,
            min_pause_us: plan.checkpoint.min_pause_ms as i64 * 1000,
            timeout_us: plan.checkpoint.timeout_ms as i64 * 1000,
            slack_us: NOTICED_LATE_US,
        }),
        transactional_sink: plan.sink.transactional_us.is_some(),
        ..Conditions::new(mode_of(plan.checkpoint.mode))
    }
}

/// The mode in the oracle's own words.
fn mode_of(mode: CheckpointMode) -> Mode {
    match mode {
        CheckpointMode::ExactlyOnce => Mode::ExactlyOnce,
        CheckpointMode::ExactlyOnceUnaligned => Mode::ExactlyOnceUnaligned,
        CheckpointMode::AtLeastOnce => Mode::AtLeastOnce,
        CheckpointMode::AtLeastOnceFirstBarrier => Mode::AtLeastOnceFirstBarrier,
    }
}
