//! What is written leaves its buffer in time, and credit that was taken away comes back.
//!
//! Both cost time and nothing else where they are broken, so no effect tells of them; a look at
//! each worker after each of its steps does. Times are those of steps: a worker that stands still
//! sends nothing, and gives no credit.

use std::collections::BTreeMap;

use stormproof_engine::exchange::{DEBLOAT_FLOOR_BYTES, DEBLOAT_PERIOD_US, OpenBuffer};
use stormproof_engine::ids::{VertexId, WorkerIndex};
use stormproof_engine::seam::TimeUs;

use super::World;
use crate::sim::core::{Actor, ProcessId};

/// What was seen of the workers' buffers and credit.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The buffer that each lane of a vertex had open last, and since when.
    open: BTreeMap<(Actor, VertexId, usize), (OpenBuffer, TimeUs)>,
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
        self.open.retain(|(of, _, _), _| *of != actor);
        self.credits.remove(&actor);
    }

    /// How long a lane's buffer has been open with something in it.
    fn waited_us(
        &mut self,
        lane: (Actor, VertexId, usize),
        buffer: OpenBuffer,
        now_us: TimeUs,
    ) -> TimeUs {
        let (seen, since_us) = self.open.entry(lane).or_insert((buffer, now_us));
        if seen.bytes == 0 || seen.after != buffer.after {
            *since_us = now_us;
        }
        *seen = buffer;
        if buffer.bytes == 0 { 0 } else { now_us - *since_us }
    }

    /// What is wrong with a worker's credit.
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

impl World<'_> {
    pub(super) fn look_at_buffers(&mut self, id: ProcessId, worker: WorkerIndex) {
        let Some(process) = self.processes.get(&id) else { return };
        let actor = Actor { process: id, worker: Some(worker) };
        let now_us = self.core.step_began_us();
        let may_us = self.plan.exchange.flush_interval_us;
        let mut breaches = Vec::new();
        for (vertex, lanes) in process.crew.open_buffers(worker) {
            for (lane, buffer) in lanes.into_iter().enumerate() {
                let waited_us = self.buffers.waited_us((actor, vertex, lane), buffer, now_us);
                if waited_us > may_us {
                    let what = format!(
                        "{} bytes of vertex {vertex} at {actor} have waited for {waited_us} us to \
                         be sent, and {may_us} us is the flush interval",
                        buffer.bytes
                    );
                    breaches.push(("sent-in-time", what));
                }
            }
        }
        if self.plan.exchange.in_flight_target_ms > 0 {
            let (credit, waiting) =
                (process.crew.credit_bytes(worker), process.crew.waiting_bytes(worker));
            let wrong = self.buffers.judge(actor, credit, waiting == 0, now_us);
            breaches.extend(wrong.map(|what| ("credit", format!("{actor}: {what}"))));
        }
        for (rule, what) in breaches {
            self.tell_conduct(|conduct| conduct.breach(rule, what));
        }
    }
}
