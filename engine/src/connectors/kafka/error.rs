//! What the source says when its log lets it down.

use super::SERVICE;
use super::config::KafkaSourceConfig;
use super::log::{LogError, Meaning};
use crate::error::EngineError;

/// An error while `what` was tried.
pub(super) fn judged(what: &str, config: &KafkaSourceConfig, error: &LogError) -> EngineError {
    let KafkaSourceConfig { topic, brokers, .. } = config;
    let said = &error.what;
    match error.meaning {
        Meaning::Unknown => EngineError::Config(format!(
            "kafka has no topic `{topic}` at {brokers}; create it or correct the name"
        )),
        Meaning::Refused => EngineError::Config(format!(
            "kafka refuses to let this client read topic `{topic}`: {said}; check the credentials \
             and the permissions to read the topic and the consumer group"
        )),
        Meaning::Transient | Meaning::PositionGone | Meaning::Broken => EngineError::service(
            SERVICE,
            format!("{what} at {brokers}: {said}; check that the brokers are up and reachable"),
        ),
    }
}

/// An error while `what` was tried before the first message. A job with a checkpoint has read its
/// topic: a broker that does not know it is one that has just come up, or starves, and the restart
/// strategy asks again.
pub(super) fn judged_at_start(
    what: &str,
    config: &KafkaSourceConfig,
    error: &LogError,
    is_restored: bool,
) -> EngineError {
    if error.meaning != Meaning::Unknown || !is_restored {
        return judged(what, config, error);
    }
    let KafkaSourceConfig { topic, brokers, .. } = config;
    EngineError::service(
        SERVICE,
        format!(
            "{what} at {brokers}: the broker does not know topic `{topic}`, which this job has \
             read before; check that it was not deleted and that this is the same cluster"
        ),
    )
}

/// The log does not hold the position at `place`.
pub(super) fn position_gone(topic: &str, place: &str, error: &LogError) -> EngineError {
    EngineError::Input(format!(
        "kafka topic `{topic}`, {place}: the log does not hold it (any more): {}; compare it with \
         the partition's low watermark: retention has passed the job, or the log lost its end in \
         an unclean leader election; give the topic a longer retention, and start without the \
         checkpoint to accept the gap",
        error.what
    ))
}
