//! Where reading begins: positions resolved and checked before the first message.
//!
//! Invariant: after [`resolve`] every split has a real offset that the log holds (or its end), so
//! the first snapshot is as good as any, and nothing was skipped.

use std::collections::BTreeMap;

use super::config::{KafkaSourceConfig, StartFrom};
use super::error::{judged, judged_at_start};
use super::log::{Bounds, LogClient};
use crate::connectors::Split;
use crate::error::{EngineError, Result};
use crate::ids::{Offset, PartitionId};
use crate::mutants;

/// A split with the end of its partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Positioned {
    pub(super) split: Split,
    pub(super) high_watermark: u64,
}

/// How a position was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A fresh start: choose.
    Start,
    /// A checkpoint: exactly this offset.
    Exactly(Offset),
}

/// Number of partitions of the topic.
pub(super) fn count_partitions(
    client: &mut dyn LogClient,
    config: &KafkaSourceConfig,
    is_restored: bool,
) -> Result<u32> {
    client.count_partitions().map_err(|error| {
        judged_at_start("could not read the topic's metadata", config, &error, is_restored)
    })
}

/// Gives every wanted partition its position.
pub(super) fn resolve(
    client: &mut dyn LogClient,
    config: &KafkaSourceConfig,
    wanted: &[(PartitionId, Wanted)],
) -> Result<Vec<Positioned>> {
    let partitions: Vec<_> = wanted.iter().map(|(partition, _)| *partition).collect();
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let is_fresh = wanted.iter().any(|(_, wanted)| *wanted == Wanted::Start);
    let bounds = client.bounds(&partitions).map_err(|error| {
        judged_at_start("could not read the topic's offsets", config, &error, !is_fresh)
    })?;
    assert_eq!(bounds.len(), partitions.len(), "an answer for each partition");
    let committed = match config.start {
        StartFrom::Committed if is_fresh => committed_offsets(client, config, &partitions)?,
        _ => BTreeMap::new(),
    };
    let positions = wanted.iter().zip(bounds);
    positions
        .map(|((partition, wanted), Bounds { low, high })| {
            let next = match wanted {
                Wanted::Exactly(next) => *next,
                Wanted::Start
                    if config.start == StartFrom::Committed
                        && mutants::is_active(mutants::STARTS_AT_END) =>
                {
                    committed.get(partition).copied().unwrap_or(Offset(high))
                }
                Wanted::Start => match committed.get(partition) {
                    Some(next) if mutants::is_active(mutants::STARTS_BEHIND_COMMITTED) => {
                        Offset((next.0 + 1).min(high))
                    }
                    Some(next) => *next,
                    None if mutants::is_active(mutants::STARTS_AT_ZERO) => Offset(0),
                    None => Offset(low),
                },
            };
            let next = if mutants::is_active(mutants::RESET_SILENTLY) && next.0 < low {
                Offset(low)
            } else {
                next
            };
            check_range(&config.topic, *partition, next, low, high)?;
            let split = Split { partition: *partition, next };
            Ok(Positioned { split, high_watermark: high })
        })
        .collect()
}

/// The committed offsets of the consumer group, where there are any.
pub(super) fn committed_offsets(
    client: &mut dyn LogClient,
    config: &KafkaSourceConfig,
    partitions: &[PartitionId],
) -> Result<BTreeMap<PartitionId, Offset>> {
    let committed = client.committed(partitions);
    committed.map_err(|error| judged("could not read committed offsets", config, &error))
}

/// Refuses a position that the log does not hold.
pub(super) fn check_range(
    topic: &str,
    partition: PartitionId,
    next: Offset,
    low: u64,
    high: u64,
) -> Result<()> {
    if next.0 < low {
        return Err(EngineError::Input(format!(
            "kafka topic `{topic}`, partition {partition}: the job is at offset {next}, but the \
             log begins at {low} (low watermark): retention has passed the checkpoint and {} \
             records are gone; start without the checkpoint to read on from {low} and accept the \
             gap, and give the topic a longer retention",
            low - next.0
        )));
    }
    if next.0 > high {
        return Err(EngineError::Input(format!(
            "kafka topic `{topic}`, partition {partition}: the job is at offset {next}, but the \
             log ends at {high} (low watermark {low}): the topic was deleted and made anew, \
             the log lost its end in an unclean leader election, or this is another cluster; \
             start without the checkpoint"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::kafka::log::{LogError, Meaning};

    #[test]
    fn a_position_outside_the_log_is_refused_with_the_remedy() {
        let check = |next| check_range("storm-input", PartitionId(417), Offset(next), 900, 1000);
        for inside in [900, 950, 1000] {
            check(inside).expect("the log holds it");
        }
        let message = check(812).expect_err("retention has passed it").to_string();
        for part in ["partition 417", "offset 812", "900", "88 records", "retention", "start"] {
            assert!(message.contains(part), "`{part}` is missing: {message}");
        }
        assert!(matches!(check(1001), Err(EngineError::Input(_))));
    }

    #[test]
    fn a_topic_that_was_read_before_is_not_a_wrong_name() {
        let config = KafkaSourceConfig { topic: "storm".to_owned(), ..Default::default() };
        let unknown = LogError { meaning: Meaning::Unknown, what: "unknown topic".to_owned() };
        let told = |is_restored| judged_at_start("no metadata", &config, &unknown, is_restored);
        assert!(matches!(told(false), EngineError::Config(_)), "asking again does not help");
        assert!(matches!(told(true), EngineError::Service { .. }), "a broker that just came up");
        assert!(told(true).to_string().contains("topic `storm`, which this job has read before"));
        let refused = LogError { meaning: Meaning::Refused, what: "no".to_owned() };
        let told = judged_at_start("no metadata", &config, &refused, true);
        assert!(matches!(told, EngineError::Config(_)));
    }
}
