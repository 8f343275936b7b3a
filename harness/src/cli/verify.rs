//! `stormproof verify`: the same evidence, judged once more.

use stormproof_reports::schema::{RunResult, Verdict};

use super::UNKNOWN;
use super::args::VerifyArgs;
use super::run::show;
use crate::error::{Result, evidence};
use crate::oracle::{Judgement, compare};
use crate::run::RunFolder;
use crate::run::judgement::{judge_again, second_opinion_of};
use crate::run::verdict::{apply_judgement, judged_verdict};

/// Judges what a run left behind; returns the exit code.
///
/// What the harness itself knew of the run (a fault that did not land, a run cut short) stays
/// known: the verdict is never better than the run's own evidence allows.
pub(super) fn verify(args: &VerifyArgs) -> Result<u8> {
    let folder = RunFolder::open(&args.folder)?;
    let mut result = RunResult::load(&folder.result()).map_err(|error| {
        evidence(format!("the result cannot be read: {error}"))
            .at(folder.result().display().to_string())
    })?;
    let (recorded, judged) = judge_again(&folder, args.database.as_deref())?;
    let causes: Vec<_> = std::mem::take(&mut result.failures);
    apply_judgement(&mut result, &judged, recorded.drained, |attempt| {
        let known = causes.iter().find(|end| end.attempt == attempt);
        known.map_or_else(|| "not observed".to_owned(), |end| end.cause.clone())
    });
    let (verdict, reason) = judged_verdict(&judged);
    let was_cut_short = !recorded.drained
        || result.faults.iter().any(|fault| !fault.landed)
        || result.faults_landed == 0;
    if verdict == Verdict::Proven && was_cut_short {
        result.verdict = Verdict::Unknown;
    } else {
        (result.verdict, result.verdict_reason) = (verdict, reason);
    }
    let agrees = !args.second_opinion || ask_again(args, &folder, &judged)?;
    show(args.console(), &result, None);
    Ok(if agrees { result.shown_verdict().exit_code() } else { UNKNOWN })
}

/// Asks the plain checker, too; returns whether both agree.
fn ask_again(args: &VerifyArgs, folder: &RunFolder, judged: &Judgement) -> Result<bool> {
    let console = args.console();
    let opinion = second_opinion_of(folder, args.database.as_deref())?;
    let differences = compare(judged, &opinion);
    for difference in &differences {
        console.remark(&format!("the two checkers disagree about {difference}"));
    }
    let rules = opinion.answers.len();
    console.remark(&if differences.is_empty() {
        format!("second opinion: the plain checker agrees on all {rules} rules")
    } else {
        format!(
            "second opinion: {} differences: one of the two checkers has a bug, so nothing is \
             decided; keep the folder and report it",
            differences.len()
        )
    });
    Ok(differences.is_empty())
}
