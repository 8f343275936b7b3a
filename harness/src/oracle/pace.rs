//! Pace: checkpoints keep their interval, their minimum pause, their timeout and their number.
//!
//! All are read off the manifests. A last checkpoint before a stop (a savepoint) does not wait.

use super::case::{Case, Finding, NotJudged};
use super::cut::Cut;
use super::verdict::{Site, Witnesses};

/// The rule `checkpoint-pace`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let history = case.history()?;
    let pace = case
        .conditions
        .pace
        .ok_or_else(|| NotJudged::because("the checkpoints' pause and timeout are not known"))?;
    let mut faults = Witnesses::default();
    for cut in &history.cuts {
        let took_us = cut.manifest.completed_us - cut.manifest.triggered_us;
        if took_us > pace.timeout_us + pace.slack_us {
            faults.add(Site::default().at(cut.id()).of(cut.attempt()), || {
                format!(
                    "checkpoint {} was completed {took_us} us after its trigger: it had expired \
                     after {} us",
                    cut.id(),
                    pace.timeout_us
                )
            });
        }
    }
    for attempt in &history.lineage.attempts {
        let cuts: Vec<&Cut> = attempt.cuts.iter().map(|cut| &history.cuts[*cut]).collect();
        let may = case.conditions.concurrent_checkpoints.max(1);
        for (at, cut) in cuts.iter().enumerate() {
            let triggered_us = cut.manifest.triggered_us;
            let earlier = cuts[..at].iter();
            let open =
                earlier.filter(|earlier| earlier.manifest.completed_us > triggered_us).count();
            if open >= may {
                faults.add(Site::default().at(cut.id()).of(attempt.id), || {
                    format!(
                        "checkpoint {} was triggered while {open} others were under way, and only \
                         {may} may be at a time",
                        cut.id()
                    )
                });
            }
        }
        let pairs = || cuts.windows(2).filter(|pair| pair[1].manifest.kind == "checkpoint");
        for pair in pairs() {
            let after_us = pair[1].manifest.triggered_us - pair[0].manifest.triggered_us;
            if after_us < pace.interval_us {
                faults.add(Site::default().at(pair[1].id()).of(attempt.id), || {
                    format!(
                        "checkpoint {} was triggered {after_us} us after {}, the interval is {} us",
                        pair[1].id(),
                        pair[0].id(),
                        pace.interval_us
                    )
                });
            }
        }
        // Without a pause, checkpoints may be under way at the same time.
        for pair in pairs().filter(|_| pace.min_pause_us > 0) {
            let pause_us = pair[1].manifest.triggered_us - pair[0].manifest.completed_us;
            if pause_us < pace.min_pause_us {
                faults.add(Site::default().at(pair[1].id()).of(attempt.id), || {
                    format!(
                        "checkpoint {} was triggered {pause_us} us after the completion of {}, \
                         the minimum pause is {} us",
                        pair[1].id(),
                        pair[0].id(),
                        pace.min_pause_us
                    )
                });
            }
        }
    }
    let checkpoints = history.cuts.len() as u64;
    let finding = Finding::from_cases(
        [&faults],
        format!("{checkpoints} checkpoints kept their interval, their pause and their timeout"),
        |cases| format!("{cases} checkpoints came too early or too late"),
    );
    Ok(finding.figure("checkpoints", checkpoints))
}
