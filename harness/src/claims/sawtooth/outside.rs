//! The sawtooth as a monitor sees it that asks a broker: log end offsets minus committed offsets.
//!
//! What it sees is as exact as it looks often: a tooth's ends are off by what arrives between two
//! looks, and by how long an answer takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stormproof_engine::connectors::kafka::{KafkaSourceConfig, KafkaSourceFactory};
use stormproof_engine::runtime::JobEvent;
use stormproof_reports::claims::Fact;

use super::super::bed::{Bed, Measured};
use super::super::fact;
use super::super::services::Broker;
use crate::environment::Client;
use crate::error::{Result, engine};
use crate::scenario::Load;
use crate::workload::generator::Generator;

/// Partitions of the topic.
pub(super) const PARTITIONS: u32 = 4;
const RATE_PER_S: u64 = 1_000;
const INTERVAL_MS: u64 = 2_500;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_millis(11_500);
const GROUP: &str = "claims-sawtooth";
/// A tooth's end may be seen so much later, in seconds.
const SEEN_LATE_S: f64 = 0.2;
/// The pieces of one commit come within so many seconds.
const IN_PIECES_S: f64 = INTERVAL_MS as f64 / 1e3 / 2.0;

/// One look.
#[derive(Clone, Copy, Debug)]
struct Look {
    t_s: f64,
    lag: f64,
    committed: u64,
}

/// The lowest or the highest point of a tooth: as seen, and by the formula.
#[derive(Clone, Copy, Debug)]
struct Tip {
    seen: f64,
    by_formula: f64,
}

fn look(broker: &Broker, started: Instant) -> Result<Vec<Look>> {
    let client = Client::connect(&broker.brokers, GROUP)?;
    let mut looks = Vec::new();
    while started.elapsed() < LIMIT - Duration::from_millis(200) {
        let committed: u64 = client.committed_offsets(&broker.topic, PARTITIONS)?.iter().sum();
        let end: u64 = client.log_end_offsets(&broker.topic, PARTITIONS)?.iter().sum();
        let lag = end as f64 - committed as f64;
        looks.push(Look { t_s: started.elapsed().as_secs_f64(), lag, committed });
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(looks)
}

/// When the newest checkpoint was triggered that was complete by then, in seconds.
fn triggered_s(measured: &Measured, by_s: f64) -> Option<f64> {
    let told = || measured.events.iter().map(|told| (told.t_us as f64 / 1e6, &told.event));
    let complete = told().filter_map(|(t, event)| match event {
        JobEvent::CheckpointCompleted { checkpoint, .. } if t <= by_s => Some(*checkpoint),
        _ => None,
    });
    let newest = complete.max()?;
    told().find_map(|(t, event)| match event {
        JobEvent::CheckpointTriggered { checkpoint, .. } if *checkpoint == newest => Some(t),
        _ => None,
    })
}

/// The looks between which the offsets of a checkpoint moved: the last one before it, the first one
/// after it. Each subtask commits its own partitions, so a monitor may see one commit in pieces.
fn commits(looks: &[Look]) -> Vec<(Look, Look)> {
    let mut commits: Vec<(Look, Look)> = Vec::new();
    for pair in looks.windows(2).filter(|pair| pair[1].committed > pair[0].committed) {
        match commits.last_mut() {
            Some((before, after)) if pair[1].t_s - before.t_s < IN_PIECES_S => *after = pair[1],
            _ => commits.push((pair[0], pair[1])),
        }
    }
    commits
}

/// The tips of every whole tooth: low and high.
fn tips(looks: &[Look], measured: &Measured) -> Vec<(Tip, Tip)> {
    let tooth = |pair: &[(Look, Look)]| {
        let (low, high) = (pair[0].1, pair[1].0);
        let since = triggered_s(measured, low.t_s)?;
        let by_formula = |t_s: f64| RATE_PER_S as f64 * (t_s - since);
        let tip = |look: Look| Tip { seen: look.lag, by_formula: by_formula(look.t_s) };
        Some((tip(low), tip(high)))
    };
    commits(looks).windows(2).filter_map(tooth).collect()
}

/// What a monitor of `broker` sees of a job of the real engine: a premise and two facts.
pub(super) fn watch(broker: &Broker) -> Result<(Fact, [Fact; 2])> {
    let config = KafkaSourceConfig {
        brokers: broker.brokers.clone(),
        topic: broker.topic.clone(),
        group: GROUP.to_owned(),
        ..KafkaSourceConfig::default()
    };
    let source = KafkaSourceFactory::new(config).map_err(|error| engine(error.to_string()))?;
    let bed = Bed {
        parallelism: PARTITIONS as u16,
        interval_ms: INTERVAL_MS,
        source: Some(Arc::new(source)),
        limit: LIMIT,
        ..Bed::default()
    };
    let load = Load {
        records: RATE_PER_S * 60,
        record_bytes: 100,
        rate_per_s: RATE_PER_S,
        keys: 1_000,
        partitions: PARTITIONS,
        run_length: 1,
    };
    let generator = Generator::start(&broker.brokers, &broker.topic, &load, 1)?;
    let mut looks = Ok(Vec::new());
    let measured = bed.run_with(|| looks = look(broker, Instant::now()))?;
    drop(generator);
    let tips = tips(&looks?, &measured);
    let tolerance = RATE_PER_S as f64 * SEEN_LATE_S;
    let is_near = |tip: &Tip| (tip.seen - tip.by_formula).abs() <= tolerance;
    let told = |tip: &Tip| format!("{:.0} ({:.0})", tip.seen, tip.by_formula);
    let all = |of: fn(&(Tip, Tip)) -> &Tip| {
        let seen: Vec<String> = tips.iter().map(of).map(told).collect();
        (tips.iter().map(of).all(is_near), seen.join(", "))
    };
    let ((low, lows), (high, highs)) = (all(|tip| &tip.0), all(|tip| &tip.1));
    let name = broker.name;
    Ok((
        fact(format!("on {name}: whole teeth were seen"), tips.len() >= 2, tips.len().to_string()),
        [
            fact(
                format!("on {name}: the lows, as a monitor sees them"),
                low,
                format!("records, by formula: {lows}; off by {tolerance:.0} at most"),
            ),
            fact(format!("on {name}: the highs"), high, format!("the same: {highs}")),
        ],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_seen_in_pieces_is_one() {
        let looks = [(0.0, 0), (1.0, 0), (1.1, 40), (1.2, 40), (1.3, 80), (3.4, 80), (3.5, 160)];
        let looks = looks.map(|(t_s, committed)| Look { t_s, lag: 0.0, committed });
        let seen: Vec<_> = commits(&looks).iter().map(|(b, a)| (b.t_s, a.t_s)).collect();
        assert_eq!(seen, [(1.0, 1.3), (3.4, 3.5)]);
    }
}
