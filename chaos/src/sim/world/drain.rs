//! The end of a run: the job is told to drain when everything is healed and read, and in some plans
//! only when every record is to be seen in the database. In some it is drained in mid-run, too.
//!
//! To be seen, a record needs no barrier and no end of input: buffers are sent and flushed when
//! they are old enough. What does not come by itself within the bound is told.

use super::{ReadingEnded, World};
use crate::sim::core::{Actor, ProcessId};

/// So long may what was read take to be seen, once all is healed: whatever was slow or in doubt
/// before has then ended, and what is left are a few hundred records at 0.1 ms a step.
const VISIBLE_US: u64 = 5_000_000;
/// And so long is the job left alone after that: what was taken away comes back in a quiet while.
const QUIET_US: u64 = 60_000;

impl World<'_> {
    pub(super) fn tell_to_drain(&mut self) {
        let Some(id) = self.current.filter(|_| self.is_healed) else { return };
        let Some(process) = self.processes.get(&id) else { return };
        if process.is_told_to_drain || !self.topic.is_read_by(id) || self.awaits_rows(id) {
            return;
        }
        self.drain(id);
    }

    /// Somebody stops the job in the middle of its work; it is started again.
    pub(super) fn drain_early(&mut self) {
        if let Some(id) = self.current {
            self.drain(id);
        }
    }

    fn drain(&mut self, id: ProcessId) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        process.is_told_to_drain = true;
        process.machine.control().stop_with_drain();
        self.core.trace(|| format!("{id} is told to drain"));
        self.core.wake(Actor::coordinator(id));
    }

    /// A process has ended the job: its last commit was tried as often as it may be refused, and if
    /// nobody has told it to drain, its input is read to the end.
    pub(super) fn look_at_finished(&mut self, id: ProcessId) {
        self.topic.on_finished(id);
        let is_told = self.processes.get(&id).is_none_or(|process| process.is_told_to_drain);
        if !is_told && !self.topic.is_read_by(id) {
            let what = format!("{id} ended by itself: {}", self.topic.unread_by(id));
            self.tell_conduct(|conduct| conduct.breach("clean-drain", what));
        }
    }

    /// Whether the job is left alone until its rows are to be seen, and a while longer.
    fn awaits_rows(&mut self, id: ProcessId) -> bool {
        // What retention removed, or expired with its transaction, never comes.
        let is_asked = self.plan.awaits_visibility && !self.plan.may_refuse();
        if !is_asked || self.plan.sink.transactional_us.is_some() {
            return false;
        }
        let (attempts, now) = (self.attempts(), self.core.now());
        let ended = self.reading_ended.filter(|ended| ended.attempts == attempts);
        let ended = ended.unwrap_or(ReadingEnded { attempts, at_us: now });
        self.reading_ended = Some(ended);
        let (visible, all) = (self.database.visible(), self.plan.load.records as usize);
        if visible >= all {
            let visible_us = *self.all_visible_us.get_or_insert(now);
            return now < visible_us + QUIET_US;
        }
        let may_us = VISIBLE_US + self.plan.longest_stall_us();
        let is_late = now > ended.at_us + may_us;
        if is_late {
            let waited_ms = may_us / 1_000;
            let what = format!(
                "{id} has read all of {all} records for {waited_ms} ms, everything is sound, and \
                 {visible} of them are to be seen"
            );
            self.tell_conduct(|conduct| conduct.breach("visible-in-time", what));
        }
        !is_late
    }
}
