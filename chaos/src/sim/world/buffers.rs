//! What is written leaves its buffer in time, and credit that was taken away comes back.
//!
//! Both cost time and nothing else where they are broken, so no effect tells of them; a look at
//! each worker after each of its steps does. Times are those of steps: a worker that stands still
//! sends nothing, and gives no credit.

use stormproof_engine::exchange::{DEBLOAT_FLOOR_BYTES, DEBLOAT_PERIOD_US, OpenBuffer};
use stormproof_engine::seam::TimeUs;
use stormproof_engine::worker::Flow;

use super::looks::{Broken, Look};

/// What was seen of a worker's buffers and credit.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The buffer that each lane had open last, and since when.
    open: Vec<(OpenBuffer, TimeUs)>,
    credits: Vec<Credit>,
}

/// What was seen of a gate's credit.
#[derive(Clone, Copy, Debug)]
struct Credit {
    largest_bytes: u64,
    /// Since when nothing has waited at any look, and what the credit was then.
    dry_since: Option<(TimeUs, u64)>,
    behind: Option<Behind>,
}

/// Something has waited at every look for a while.
#[derive(Clone, Copy, Debug)]
struct Behind {
    since_us: TimeUs,
    /// What had been taken in before.
    taken_bytes: u64,
    /// Periods so far, and when the last of them ended. In each, credit was reconsidered.
    periods: u32,
    counted_us: TimeUs,
}

/// A gate that is behind goes halfway towards its target in each period; the first may not count.
const PERIODS_BEHIND: u32 = 5;

impl Buffers {
    /// How long each lane's buffer has been open with something in it.
    pub(super) fn look_at_lanes(&mut self, look: &Look<'_>) -> Option<Broken> {
        let may_us = look.plan.exchange.flush_interval_us;
        let mut broken = None;
        look.opened.worker.open_buffers().enumerate().for_each(|(at, (vertex, buffer))| {
            if at == self.open.len() {
                self.open.push((buffer, look.began_us));
            }
            let (seen, since_us) = &mut self.open[at];
            if buffer.bytes == 0 || seen.bytes == 0 || seen.after != buffer.after {
                *since_us = look.began_us;
            }
            *seen = buffer;
            let waited_us = look.began_us - *since_us;
            if waited_us > may_us {
                let (bytes, at) = (buffer.bytes, look.actor);
                let what = format!(
                    "{bytes} bytes of vertex {vertex} at {at} have waited for {waited_us} us to be \
                     sent, and {may_us} us is the flush interval"
                );
                broken = Some(("sent-in-time", what));
            }
        });
        broken
    }

    /// What is wrong with the credit of a worker's gates.
    pub(super) fn look_at_credit(&mut self, look: &Look<'_>) -> Option<Broken> {
        let target_us = look.plan.exchange.in_flight_target_ms * 1_000;
        if target_us == 0 {
            return None;
        }
        let mut broken = None;
        for (at, flow) in look.opened.worker.flows().enumerate() {
            if at == self.credits.len() {
                let (_, largest_bytes) = flow.credit_bytes;
                self.credits.push(Credit { largest_bytes, dry_since: None, behind: None });
            }
            let gate = &mut self.credits[at];
            let what = match flow.waiting_bytes {
                0 => gate.judge_dry(flow.credit_bytes.0, look.began_us),
                _ => gate.judge_behind(&flow, target_us, look.began_us),
            };
            let what = what.or_else(|| gate.judge_floor(flow.credit_bytes.0));
            let what = what.or_else(|| judge_evenness(flow.credit_bytes));
            if let (None, Some(what)) = (&broken, what) {
                let (vertex, actor) = (flow.vertex, look.actor);
                broken = Some(("credit", format!("vertex {vertex} at {actor}: {what}")));
            }
        }
        broken
    }
}

/// Whoever sends has as much as the others.
fn judge_evenness((least, most): (u64, u64)) -> Option<String> {
    let what = || format!("one upstream worker has {least} bytes of credit, another one {most}");
    (least != most).then(what)
}

impl Credit {
    fn judge_floor(&self, credit: u64) -> Option<String> {
        let floor = DEBLOAT_FLOOR_BYTES.min(self.largest_bytes);
        (credit < floor).then(|| format!("the credit is {credit} bytes, and {floor} must be left"))
    }

    /// Nothing waits: credit comes back.
    fn judge_dry(&mut self, credit: u64, now_us: TimeUs) -> Option<String> {
        self.behind = None;
        let (since_us, before) = *self.dry_since.get_or_insert((now_us, credit));
        if now_us < since_us + DEBLOAT_PERIOD_US {
            return None;
        }
        self.dry_since = Some((now_us, credit));
        let wanted = (before * 2).min(self.largest_bytes);
        (credit < wanted).then(|| {
            let dry_us = now_us - since_us;
            format!("nothing has waited for {dry_us} us, and credit went from {before} to {credit}")
        })
    }

    /// Something waits: credit goes to what is taken in within the target time.
    fn judge_behind(&mut self, flow: &Flow, target_us: TimeUs, now_us: TimeUs) -> Option<String> {
        self.dry_since = None;
        let (taken_bytes, (_, credit)) = (flow.taken_bytes, flow.credit_bytes);
        let nothing = Behind { since_us: now_us, taken_bytes, periods: 0, counted_us: now_us };
        let behind = self.behind.get_or_insert(nothing);
        if now_us >= behind.counted_us + DEBLOAT_PERIOD_US {
            behind.periods += 1;
            behind.counted_us = now_us;
        }
        if behind.periods < PERIODS_BEHIND {
            return None;
        }
        // No period took in more than all of them.
        let taken = taken_bytes - behind.taken_bytes;
        let target = taken * target_us / DEBLOAT_PERIOD_US / flow.sources;
        let may = (target + (self.largest_bytes >> (PERIODS_BEHIND - 2))).max(DEBLOAT_FLOOR_BYTES);
        (credit > may).then(|| {
            let behind_us = now_us - behind.since_us;
            format!(
                "something has waited for {behind_us} us in which {taken} bytes were taken in, and \
                 the credit of each of {} upstream subtasks is {credit} bytes: {may} at most",
                flow.sources
            )
        })
    }
}
