//! Claim 15: at 2000, at-least-once is mandatory.
//!
//! The same load under every mode, in turns, with nobody late and with one subtask that is.

use std::time::Duration;

use stormproof_engine::runtime::CheckpointMode;
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::bed::{Bed, ENGINE, Stall, best, median};
use super::{Context, fact, ran};
use crate::error::Result;

/// A mode that keeps this share of at-least-once's rate does as well: machines are noisy, and what
/// alignment costs when somebody is late is far more than the rest.
const AS_WELL: f64 = 0.75;

/// With one subtask late, aligned loses at least this share of at-least-once's rate, and a mode that
/// need not wait at most half of what aligned loses.
const LOST: f64 = 0.1;

#[derive(Clone, Copy)]
struct Contestant {
    name: &'static str,
    mode: CheckpointMode,
    alignment_timeout_ms: Option<u64>,
}

const CONTESTANTS: [Contestant; 4] = [
    Contestant {
        name: "at-least-once",
        mode: CheckpointMode::AtLeastOnce,
        alignment_timeout_ms: None,
    },
    Contestant { name: "aligned", mode: CheckpointMode::ExactlyOnce, alignment_timeout_ms: None },
    Contestant {
        name: "aligned, timeout 10 ms",
        mode: CheckpointMode::ExactlyOnce,
        alignment_timeout_ms: Some(10),
    },
    Contestant {
        name: "unaligned",
        mode: CheckpointMode::ExactlyOnceUnaligned,
        alignment_timeout_ms: None,
    },
];

/// Rates and checkpoint durations of a contestant, over all rounds.
#[derive(Clone, Debug, Default)]
struct Runs {
    rates: Vec<f64>,
    late_rates: Vec<f64>,
    checkpoints_ms: Vec<f64>,
}

fn one(context: &Context, of: Contestant, is_late: bool, into: &mut Runs) -> Result<()> {
    let bed = Bed {
        parallelism: context.parallelism,
        mode: of.mode,
        alignment_timeout_ms: of.alignment_timeout_ms,
        interval_ms: 250,
        // Late by 50 ms at each checkpoint.
        stall: is_late.then_some(Stall { duration_us: 300_000 }),
        limit: Duration::from_millis(1_200),
        ..Bed::default()
    };
    let measured = bed.run()?;
    if is_late {
        into.late_rates.push(measured.records_per_s());
    } else {
        into.rates.push(measured.records_per_s());
        let durations = measured.checkpoints().into_iter().map(|s| s.duration_us as f64 / 1e3);
        into.checkpoints_ms.extend(durations);
    }
    Ok(())
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let mut all = vec![Runs::default(); CONTESTANTS.len()];
    // In turns, and the best of each counts: what else the machine does only takes away.
    for _ in 0..(5 / context.smaller).max(1) {
        for is_late in [false, true] {
            for (of, into) in CONTESTANTS.iter().zip(&mut all) {
                one(context, *of, is_late, into)?;
            }
        }
    }
    let rate = |at: usize| best(&all[at].rates);
    let late = |at: usize| best(&all[at].late_rates);
    let checkpoint = |at: usize| median(all[at].checkpoints_ms.clone());
    let told = |at: usize| {
        format!(
            "{:.2} of its rate; checkpoints of {:.0} ms (at-least-once: {:.0} ms)",
            rate(at) / rate(0),
            checkpoint(at),
            checkpoint(0)
        )
    };
    let does_as_well =
        |at: usize| rate(at) >= AS_WELL * rate(0) && !all[at].checkpoints_ms.is_empty();
    let late_share = |at: usize| late(at) / late(0);
    let lost = |at: usize| 1.0 - late_share(at);
    ran(Shown {
        premises: vec![fact(
            "checkpoints of at-least-once completed",
            all[0].checkpoints_ms.len() >= 2,
            format!("{} at {:.1} M records/s", all[0].checkpoints_ms.len(), rate(0) / 1e6),
        )],
        says: vec![fact(
            format!("no exactly-once keeps {AS_WELL} of the rate of at-least-once"),
            !(1..CONTESTANTS.len()).any(does_as_well),
            format!("aligned: {}", told(1)),
        )],
        beyond: vec![
            fact("aligned does as well while nobody is late", does_as_well(1), told(1)),
            fact("unaligned does as well", does_as_well(3), told(3)),
            fact(
                "with one subtask late, what aligned loses is not lost unaligned or with a timeout",
                lost(1) >= LOST && lost(2).min(lost(3)) <= lost(1) / 2.0,
                format!(
                    "of at-least-once's rate: unaligned {:.2}, aligned with a timeout {:.2}, \
                     aligned {:.2}",
                    late_share(3),
                    late_share(2),
                    late_share(1)
                ),
            ),
        ],
        why: "Alignment is what costs when a subtask is late, and exactly-once does not need it: \
              records in transit can be logged."
            .to_owned(),
        measured_on: ENGINE.to_owned(),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: format!("Rate at parallelism {}", context.parallelism),
            x: Axis::of("checkpoints"),
            y: Axis::of("records/s"),
            kind: Kind::Bars(CONTESTANTS.iter().map(|of| of.name.to_owned()).collect()),
            series: vec![
                Series::bars("nobody late", (0..CONTESTANTS.len()).map(rate)),
                Series::bars("one subtask late by 50 ms", (0..CONTESTANTS.len()).map(late)),
            ],
        }),
    })
}
