//! What the world tells of itself: what it waits for, and at the end everything that happened.

use std::sync::PoisonError;

use super::World;
use super::checkpoints::STORE_IN_DOUBT;
use crate::sim::conduct::Conduct;
use crate::sim::evidence::{AuditRow, Breach, Evidence, Landed, SimEnd, SimRun};
use crate::sim::weather::Disturbance;

impl World<'_> {
    pub(super) fn what_is_awaited(&self) -> String {
        let Some(id) = self.current else { return "no process was ever started".to_owned() };
        let Some(process) = self.processes.get(&id) else {
            return format!("{id} has ended and no other was started");
        };
        let unread = self.topic.unread_by(id);
        let what = if unread.is_empty() { "everything is read".to_owned() } else { unread };
        format!(
            "{id}: {}, {} workers alive, told to drain: {}; {what}; {} effects",
            process.machine.describe(),
            process.crew.alive(),
            process.is_told_to_drain,
            self.database.audit_rows()
        )
    }

    fn breaches(&self, audit: &[AuditRow]) -> Vec<Breach> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = Conduct::new(self.plan);
        let mut conduct = std::mem::replace(&mut heard.conduct, nothing);
        let is_known = self.weather.last_strike_us(&STORE_IN_DOUBT).is_none();
        if self.end == Some(SimEnd::Drained) && is_known {
            // While writes take so long, any number of manifests may be on their way when the last
            // checkpoint subsumes theirs.
            if self.weather.last_strike_us(&[Disturbance::StoreSlow]).is_none() {
                conduct.look_at_retained(&self.store);
            }
            if self.started == 1 {
                conduct.look_at_strays(&self.store);
            }
        }
        conduct.look_at_drained(audit);
        if let Some(what) = self.database.late_row(&self.store.sent_manifests()) {
            conduct.breach("written-when-complete", what);
        }
        for Breach { rule, what } in self.database.breaches() {
            conduct.breach(rule, what);
        }
        if let Some(Breach { rule, what }) = self.topic.breach() {
            conduct.breach(rule, what);
        }
        conduct.into_breaches(&self.store)
    }

    pub(super) fn report(self) -> SimRun {
        let (audit, fences, results) = match &self.escrow {
            Some(escrow) => escrow.evidence(),
            None => self.database.evidence(),
        };
        let (ends, input, committed) = self.topic.evidence();
        let objects = self.store.evidence();
        let commits = self.topic.ever_committed();
        let evidence =
            Evidence { ends, input, objects, audit, fences, results, committed, commits };
        let mut landed = self.armory.landed();
        for (index, strikes) in self.weather.strikes_of_all().into_iter().enumerate() {
            if strikes > 0 {
                let window = self.plan.windows[index];
                let action = format!("{:?}", window.disturbance);
                let at_us = window.from_us;
                landed.push(Landed { index, is_window: true, step: None, action, at_us });
            }
        }
        let losses = [
            Disturbance::NotificationLost,
            Disturbance::LogCommitFails,
            Disturbance::LogCommitUnanswered,
        ];
        let lost_us = self.weather.last_strike_us(&losses);
        let breaches = self.breaches(&evidence.audit);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        SimRun {
            told: heard.told.take().unwrap_or_default(),
            passed: self.armory.take_passed(),
            end: self.end.expect("the loop has ended"),
            evidence,
            landed,
            mistimed: self.mistimed.told(),
            breaches,
            trace: self.core.take_trace(),
            events: self.core.events(),
            now_us: self.core.now(),
            attempts: heard.attempts,
            completed: heard.completed,
            restores: heard.restores,
            commits_settled: lost_us.is_none_or(|lost_us| lost_us < heard.newest.1),
        }
    }
}
