//! The storm's events: failures, checkpoints, faults, coverage, recoveries.

use stormproof_reports::schema::{
    AttemptEnd, CheckpointStatus, CheckpointSummary, CoverageCell, FaultSummary, Recovery,
};

use super::{STORM, noise};

pub(super) fn failures() -> Vec<AttemptEnd> {
    let fatal = STORM.iter().filter(|s| s.4).zip(1_u32..);
    fatal
        .map(|((at, _, step, action, _), attempt)| {
            let bound = 90_000 + (noise(*at) * 60_000.0) as u64;
            AttemptEnd {
                attempt,
                restored_checkpoint: Some((at / 5.0) as u64),
                cause: format!("{action} of sink {} at step {step}", (at * 37.0) as u64 % 2000),
                duplicates: (bound as f64 * (0.45 + 0.5 * noise(at + 1.0))) as u64,
                bound,
            }
        })
        .collect()
}

pub(super) fn checkpoints() -> Vec<CheckpointSummary> {
    let mut attempt = 1;
    let mut all = Vec::new();
    for id in 1..36_u64 {
        let at = id as f64 * 5.0 + 0.02;
        let took_s = 0.35 + 0.5 * noise(id as f64);
        let struck = STORM.iter().find(|s| s.4 && s.0 > at - 2.5 && s.0 < at + took_s);
        let status =
            if struck.is_some() { CheckpointStatus::Aborted } else { CheckpointStatus::Completed };
        all.push(CheckpointSummary {
            id,
            attempt,
            status,
            triggered_s: at,
            completed_s: Some(at + struck.map_or(took_s, |s| (s.0 - at).max(0.08))),
            start_delay_ms: Some(18.0 + 30.0 * noise(at + 1.0)),
            alignment_ms: 120.0 * noise(at),
            sync_ms: 14.0 + 9.0 * noise(at + 2.0),
            async_ms: took_s * 700.0,
            state_bytes: 31_000_000 + id * 90_000,
            in_flight_bytes: 1_200_000,
            aborted_because: struck.map(|s| format!("the attempt failed: {}", s.3)),
        });
        attempt += u32::from(struck.is_some());
    }
    all
}

pub(super) fn faults() -> Vec<FaultSummary> {
    let mut attempt = 1;
    let mut all = Vec::new();
    for (n, (at, lasts_s, step, action, fatal)) in STORM.iter().enumerate() {
        let target = match *action {
            "kill" => "engine process".to_owned(),
            "connection reset" => "database".to_owned(),
            "partition" => "engine to broker".to_owned(),
            _ => format!("sink[{}]", (at * 37.0) as u64 % 2000),
        };
        all.push(FaultSummary {
            id: format!("f{}", n + 1),
            what: format!("{action} at {step}"),
            target,
            step: Some((*step).into()),
            action: (*action).into(),
            checkpoint: Some((at / 5.0) as u64 + 1),
            attempt: Some(attempt),
            fired_s: Some(*at),
            healed_s: Some(at + lasts_s),
            recovered_s: Some(at + lasts_s + 1.5),
            landed: true,
            mid_checkpoint: n % 4 != 3,
            effect: if *fatal { "attempt ended, next one ran" } else { "writes retried" }.into(),
        });
        attempt += u32::from(*fatal);
    }
    all
}

pub(super) fn coverage() -> Vec<CoverageCell> {
    STORM
        .iter()
        .map(|(_, _, step, action, _)| CoverageCell {
            step: (*step).into(),
            action: (*action).into(),
            scheduled: 1,
            landed: 1,
        })
        .collect()
}

pub(super) fn recoveries() -> Vec<Recovery> {
    STORM
        .iter()
        .enumerate()
        .filter(|(_, s)| s.4)
        .zip(2..)
        .map(|((n, (at, lasts_s, ..)), attempt)| Recovery {
            attempt,
            fault: Some(format!("f{}", n + 1)),
            struck_s: Some(*at),
            detect_ms: Some(40.0 + 300.0 * noise(*at)),
            restart_ms: Some(lasts_s * 380.0),
            restore_ms: Some(lasts_s * 240.0),
            first_output_ms: Some(60.0 + 90.0 * noise(at + 4.0)),
            drained_ms: (n != 11).then_some(lasts_s * 1_900.0),
        })
        .collect()
}
