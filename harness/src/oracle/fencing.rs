//! Fencing: no effect of an attempt after a later attempt has taken its fence, and none that counts
//! as written before what its attempt restored.

use super::case::{Case, Finding, NotJudged};
use super::evidence::Effect;
use super::lineage::Lineage;
use super::verdict::{Site, Witnesses};

/// Watches the order of rows and fences.
#[derive(Debug, Default)]
pub(super) struct FencingTracker {
    /// Rows behind the fence of a later attempt.
    late: Witnesses,
    /// Rows of attempts that never took a fence.
    unfenced: Witnesses,
    /// Rows tagged with a checkpoint below the one that their attempt restored.
    backdated: Witnesses,
}

impl FencingTracker {
    pub(super) fn observe(&mut self, effect: &Effect, lineage: &Lineage) {
        let site = Site::record(effect.partition, effect.offset).of(effect.sink_attempt);
        let Some(at) = lineage.index(effect.sink_attempt) else {
            self.unfenced.add(site, || {
                format!(
                    "row {} was written by attempt {}, which never took its fence",
                    effect.seq, effect.sink_attempt
                )
            });
            return;
        };
        let attempt = &lineage.attempts[at];
        let last_seq = attempt.last_seq;
        if effect.tag < attempt.restored {
            self.backdated.add(site, || {
                format!(
                    "row {} (offset {} of partition {}) was tagged {} by attempt {}, which had \
                     restored checkpoint {}",
                    effect.seq,
                    effect.offset,
                    effect.partition,
                    effect.tag,
                    effect.sink_attempt,
                    attempt.restored
                )
            });
        } else if effect.seq > last_seq {
            self.late.add(site, || {
                let fence = lineage.attempts[at + 1..].iter().find(|a| effect.seq > a.after_seq);
                format!(
                    "row {} (offset {} of partition {}) was written by attempt {}, tag {}, batch \
                     {}, after attempt {} had taken its fence at row {last_seq}",
                    effect.seq,
                    effect.offset,
                    effect.partition,
                    effect.sink_attempt,
                    effect.tag,
                    effect.batch,
                    fence.map_or(effect.sink_attempt, |attempt| attempt.id),
                )
            });
        }
    }
}

/// The rule `fencing`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let tracker = &case.sweep()?.fencing;
    let attempts = case.history()?.lineage.attempts.len();
    let finding = Finding::from_cases(
        [&tracker.late, &tracker.unfenced, &tracker.backdated],
        format!("no attempt wrote after a later one's fence ({attempts} attempts)"),
        |cases| format!("{cases} effects were written by fenced or unknown attempts, or backdated"),
    );
    Ok(finding.figure("attempts", attempts as u64).figure("late_effects", tracker.late.count()))
}
