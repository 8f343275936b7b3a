//! What is written leaves its buffer in time, and credit that was taken away comes back.
//!
//! Both cost time and nothing else where they are broken, so no effect tells of them; a look at
//! each worker after each of its steps does. Times are those of steps: a worker that stands still
//! sends nothing, and gives no credit.

use std::collections::BTreeMap;

use stormproof_engine::exchange::{DEBLOAT_FLOOR_BYTES, DEBLOAT_PERIOD_US, OpenBuffer};
use stormproof_engine::seam::TimeUs;

use super::looks::{Broken, Look};
use crate::sim::core::Actor;

/// What was seen of the workers' buffers and credit.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The buffer that each lane of a worker had open last, and since when.
    open: BTreeMap<Actor, Vec<(OpenBuffer, TimeUs)>>,
    credits: BTreeMap<Actor, Credit>,
}

/// What was seen of a worker's credit.
#[derive(Clone, Copy, Debug)]
struct Credit {
    largest_bytes: u64,
    /// Since when nothing has waited at any look, and what the credit was then.
    dry_since: Option<(TimeUs, u64)>,
}

impl Buffers {
    /// A worker begins anew.
    pub(super) fn forget(&mut self, actor: Actor) {
        self.open.remove(&actor);
        self.credits.remove(&actor);
    }

    /// How long each lane's buffer has been open with something in it.
    pub(super) fn look_at_lanes(&mut self, look: &Look<'_>) -> Option<Broken> {
        let may_us = look.plan.exchange.flush_interval_us;
        let lanes = self.open.entry(look.actor).or_default();
        let mut broken = None;
        for (at, (vertex, buffer)) in look.opened.worker.open_buffers().enumerate() {
            if at == lanes.len() {
                lanes.push((buffer, look.began_us));
            }
            let (seen, since_us) = &mut lanes[at];
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
        }
        broken
    }

    /// What is wrong with a worker's credit.
    pub(super) fn look_at_credit(&mut self, look: &Look<'_>) -> Option<Broken> {
        if look.plan.exchange.in_flight_target_ms == 0 {
            return None;
        }
        let (credit, is_dry) = (look.opened.credit_bytes(), look.opened.waiting_bytes() == 0);
        let what = self.judge(look.actor, credit, is_dry, look.began_us)?;
        Some(("credit", format!("{}: {what}", look.actor)))
    }

    fn judge(&mut self, actor: Actor, credit: u64, is_dry: bool, now_us: TimeUs) -> Option<String> {
        let nothing = Credit { largest_bytes: credit, dry_since: None };
        let seen = self.credits.entry(actor).or_insert(nothing);
        let floor = DEBLOAT_FLOOR_BYTES.min(seen.largest_bytes);
        if credit < floor {
            return Some(format!("the credit is {credit} bytes, and {floor} must be left"));
        }
        if !is_dry {
            seen.dry_since = None;
            return None;
        }
        let (since_us, before) = *seen.dry_since.get_or_insert((now_us, credit));
        if now_us < since_us + DEBLOAT_PERIOD_US {
            return None;
        }
        seen.dry_since = Some((now_us, credit));
        let wanted = (before * 2).min(seen.largest_bytes);
        (credit < wanted).then(|| {
            let dry_us = now_us - since_us;
            format!("nothing has waited for {dry_us} us, and credit went from {before} to {credit}")
        })
    }
}
