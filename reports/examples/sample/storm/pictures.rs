//! What is drawn: the latency's distribution, the subtasks, the matrix, a record's way.

use stormproof_reports::schema::{
    CurvePoint, Hop, LatencyCurve, MatrixCell, MatrixOutcome, MatrixSummary, Origin, Passage, Seen,
    SubtaskFigures,
};

use super::noise;

pub(super) fn curve() -> LatencyCurve {
    let at = |n: i32, share: f64| {
        let q = 1.0 - 2.0_f64.powf(-f64::from(n) / 3.0);
        CurvePoint { q, us: (41_300.0 * share * 1.16_f64.powi(n)) as u64 }
    };
    let all = |share| (0..60).map(|n| at(n, share)).collect();
    LatencyCurve { intended: all(1.0), actual: all(0.8) }
}

pub(super) fn subtasks() -> Vec<SubtaskFigures> {
    let list = |what: &str, of: &str, unit: &str, value: fn(f64) -> f64| SubtaskFigures {
        what: what.into(),
        of: of.into(),
        unit: unit.into(),
        values: (0..2000).map(|n| value(f64::from(n)) as u64).collect(),
    };
    vec![
        list("records to read", "partition", "records", |_| 4_950.0),
        list("effects written", "sink", "effects", |n| {
            5_200.0 + 400.0 * noise(n) + if (n - 88.0).abs() < 0.5 { 2_900.0 } else { 0.0 }
        }),
        list("mean latency, intended", "sink", "us", |n| 90_000.0 + 30_000.0 * noise(n + 0.5)),
    ]
}

pub(super) fn matrix() -> MatrixSummary {
    let mut cells = Vec::new();
    for step in ["barrier injected", "aligning", "snapshot sync", "acked", "restore begun"] {
        for action in ["panic", "sigkill", "stall", "torn-write"] {
            for mode in ["exactly-once", "exactly-once-unaligned", "at-least-once"] {
                for design in ["buffer-in-state", "flush-on-barrier"] {
                    cells.push(cell(step, action, mode, design));
                }
            }
        }
    }
    MatrixSummary { cells, schedules: 412, seconds: 1.7, pairs_survived: 96, ..Default::default() }
}

fn cell(step: &str, action: &str, mode: &str, design: &str) -> MatrixCell {
    let (outcome, why) = match (step, action, mode) {
        ("acked", "stall", "at-least-once") => (MatrixOutcome::Missed, "did not land"),
        (_, "torn-write", _) => (MatrixOutcome::Impossible, "nothing is being written"),
        _ => (MatrixOutcome::Survived, ""),
    };
    MatrixCell {
        step: step.into(),
        action: action.into(),
        mode: mode.into(),
        design: design.into(),
        outcome,
        seed: (outcome == MatrixOutcome::Survived).then_some(7),
        why: why.into(),
    }
}

pub(super) fn origin() -> Origin {
    let scenario_toml = "name = \"storm-2000\"\n\n[job]\nparallelism = 2000\n".into();
    Origin { scenario_toml, ..Origin::default() }
}

pub(super) fn passage(n: u64) -> Passage {
    let hop = |place: &str, name: &str, seen, note: String| Hop {
        place: place.into(),
        name: name.into(),
        seen,
        note,
    };
    Passage {
        hops: vec![
            hop("partition", "partition 417", Seen::Passed, {
                format!("offset {} is in the topic", 812 + n)
            }),
            hop("source", "source[417]", Seen::Passed, "emitted before checkpoint 12".into()),
            hop("channel", "source[417] to count[88]", Seen::Missing, {
                "not in the channel state of 12".into()
            }),
            hop("operator", "count[88]", Seen::Unknown, "its state counts records".into()),
            hop("sink", "sink[88]", Seen::Missing, "not in the buffer of checkpoint 12".into()),
            hop("row", "database", Seen::Missing, "no row of any attempt".into()),
        ],
        checkpoint: Some(12),
        restored_by: Some(6),
        fault: Some("f5".into()),
    }
}
