//! `stormproof verify`: the same evidence, judged once more.

use stormproof_reports::schema::{RunResult, Verdict};

use super::args::VerifyArgs;
use super::run::show;
use crate::error::{Result, evidence};
use crate::run::RunFolder;
use crate::run::judgement::judge_again;
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
    apply_judgement(&mut result, &judged, |attempt| {
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
    show(args.console(), &result, None);
    Ok(result.shown_verdict().exit_code())
}
