//! Claim 1: keyBy and rebalance make P x P links.
//!
//! A sink notes which pairs of subtasks records have travelled between; how much memory and how
//! many threads the job takes says what the links are made of.

use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;
use stormproof_engine::api::{GroupContext, GroupState, Sink, SinkFactory};
use stormproof_engine::connectors::immediate::{Immediate, Take};
use stormproof_engine::graph::Partitioner;
use stormproof_engine::ids::SubtaskIndex;
use stormproof_engine::record::RecordView;
use stormproof_engine::runtime::JobEvent;
use stormproof_engine::seam::TimeUs;
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::bed::{Bed, ENGINE};
use super::{Context, fact, ran};
use crate::error::Result;

/// What one link would need if each had a network buffer of its own, as Flink's have.
const BUFFER_BYTES: f64 = 32.0 * 1024.0;

/// The pairs that were seen, by every worker.
#[derive(Clone, Debug, Default)]
struct Pairs(Arc<Mutex<RoaringBitmap>>);

impl SinkFactory for Pairs {
    fn open(
        &self,
        context: GroupContext,
        _state: GroupState,
    ) -> stormproof_engine::error::Result<Box<dyn Sink>> {
        let (parallelism, own) = (u32::from(context.parallelism), RoaringBitmap::new());
        let pairs = PairsSink { all: self.clone(), parallelism, own };
        Ok(Box::new(Immediate::new(context.metrics, pairs)))
    }
}

struct PairsSink {
    all: Pairs,
    parallelism: u32,
    own: RoaringBitmap,
}

impl Take for PairsSink {
    fn take(&mut self, subtask: SubtaskIndex, record: RecordView<'_>, _now_us: TimeUs) {
        let from = u32::from(record.source().0);
        self.own.insert(from * self.parallelism + u32::from(subtask.0));
    }
}

impl Drop for PairsSink {
    fn drop(&mut self) {
        *self.all.0.lock().unwrap_or_else(PoisonError::into_inner) |= &self.own;
    }
}

/// What a job of P x P links takes.
struct Taken {
    parallelism: u16,
    pairs: u64,
    threads: u64,
    memory_bytes: f64,
    start_ms: f64,
    checkpoint_ms: f64,
}

impl Taken {
    fn links(&self) -> u64 {
        u64::from(self.parallelism).pow(2)
    }
}

fn of_process(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn take(parallelism: u16, partitioner: Partitioner) -> Result<Taken> {
    let pairs = Pairs::default();
    let links = u64::from(parallelism).pow(2);
    // Drawn keys hit each pair with a probability only; a round robin hits each.
    let records = if partitioner == Partitioner::Rebalance { links } else { links * 4 };
    let bed = Bed {
        parallelism,
        partitioner,
        records: Some(records.max(2_000_000)),
        record_bytes: 20,
        interval_ms: 50,
        sink: Some(Arc::new(pairs.clone())),
        ..Bed::default()
    };
    let (threads, memory) = (of_process("Threads:"), of_process("VmRSS:"));
    let mut most = (0, 0);
    let measured = bed.run_with(|| {
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(10));
            most = (most.0.max(of_process("Threads:")), most.1.max(of_process("VmRSS:")));
        }
    })?;
    let start_us = measured.events.iter().find_map(|timed| match timed.event {
        JobEvent::AttemptRunning { .. } => Some(timed.t_us),
        _ => None,
    });
    let durations: Vec<f64> =
        measured.checkpoints().iter().map(|stats| stats.duration_us as f64 / 1e3).collect();
    let seen = pairs.0.lock().unwrap_or_else(PoisonError::into_inner).len();
    Ok(Taken {
        parallelism,
        pairs: seen,
        threads: most.0.saturating_sub(threads),
        memory_bytes: most.1.saturating_sub(memory) as f64 * 1024.0,
        start_ms: start_us.unwrap_or(0) as f64 / 1e3,
        checkpoint_ms: super::bed::median(durations),
    })
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let p = context.parallelism;
    let all = [p / 50, p / 10, p].map(|p| take(p.max(2), Partitioner::Rebalance));
    let all = all.into_iter().collect::<Result<Vec<_>>>()?;
    let last = &all[2];
    let keyed = take((p / 10).max(2), Partitioner::KeyBy)?;
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let (links, would) = (last.links(), last.links() as f64 * BUFFER_BYTES);
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let times = (f64::from(last.parallelism) / f64::from(all[1].parallelism)).powi(2);
    ran(Shown {
        premises: vec![fact(
            "checkpoints were taken on all of them",
            all.iter().all(|taken| taken.checkpoint_ms.is_finite()),
            all.iter().map(|t| format!("P = {}", t.parallelism)).collect::<Vec<_>>().join(", "),
        )],
        says: vec![
            fact(
                "rebalance: records travel between every pair of subtasks",
                all.iter().all(|taken| taken.pairs == taken.links()),
                format!("{} of {links} pairs at P = {p}", last.pairs),
            ),
            fact(
                "keyBy: likewise",
                keyed.pairs as f64 > 0.95 * keyed.links() as f64,
                format!("{} of {} pairs at P = {}", keyed.pairs, keyed.links(), keyed.parallelism),
            ),
        ],
        beyond: vec![
            fact(
                "they are logical: a link has no thread of its own",
                last.threads <= 4 * workers + 4,
                format!("{} threads for {links} links", last.threads),
            ),
            fact(
                "and no buffer of its own",
                last.memory_bytes < would / 10.0,
                format!(
                    "{:.0} MiB in all; a 32 KiB buffer for each would be {:.0} MiB",
                    mib(last.memory_bytes),
                    mib(would)
                ),
            ),
            fact(
                "so the price of a barrier does not grow with their number",
                last.checkpoint_ms < all[1].checkpoint_ms.max(1.0) * times / 4.0,
                format!(
                    "checkpoints of {:.1} ms at P = {}, {:.1} ms at {times:.0} times the links",
                    all[1].checkpoint_ms, all[1].parallelism, last.checkpoint_ms
                ),
            ),
        ],
        why:
            "Channels keep their order and their barriers by subtask; what carries them is shared: \
              here a lane between two workers, in Flink a connection between two TaskManagers."
                .to_owned(),
        measured_on: ENGINE.to_owned(),
        schedule: vec![format!("started in {:.0} ms at P = {p}", last.start_ms)],
        figure: Some(picture(&all)),
    })
}

fn picture(all: &[Taken]) -> Figure {
    Figure {
        title: "Links, and the memory of the job that has them".to_owned(),
        x: Axis::log("parallelism"),
        y: Axis::log("links; bytes"),
        kind: Kind::Lines,
        series: vec![
            Series::new("links", by(all, |t| t.links() as f64)),
            Series::new("memory, bytes", by(all, |t| t.memory_bytes.max(1.0))),
            Series::new("a 32 KiB buffer for each", by(all, |t| t.links() as f64 * BUFFER_BYTES)),
        ],
    }
}

fn by(all: &[Taken], of: impl Fn(&Taken) -> f64) -> Vec<(f64, f64)> {
    all.iter().map(|taken| (f64::from(taken.parallelism), of(taken))).collect()
}
