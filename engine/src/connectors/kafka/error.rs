//! What a client's error means for the job.
//!
//! The clients reconnect and retry by themselves: whatever a broker's return heals is no error.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::SERVICE;
use crate::error::EngineError;

/// What an error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It passes: keep polling.
    Transient,
    /// The position is not in the log.
    PositionGone,
    /// The topic or the partition does not exist.
    Unknown,
    /// The cluster refuses this client.
    Refused,
    /// The client is broken; a new one may work.
    Broken,
}

/// The code inside an error, if it has one.
pub(super) fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    error.rdkafka_error_code()
}

pub(super) fn meaning(error: &KafkaError) -> Meaning {
    use RDKafkaErrorCode as Code;
    if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
        return Meaning::Broken;
    }
    match code(error) {
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Meaning::PositionGone,
        Some(
            Code::UnknownTopic
            | Code::UnknownPartition
            | Code::UnknownTopicOrPartition
            | Code::InvalidTopic,
        ) => Meaning::Unknown,
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism,
        ) => Meaning::Refused,
        Some(
            Code::Fatal | Code::CriticalSystemResource | Code::BadMessage | Code::BadCompression,
        ) => Meaning::Broken,
        _ => Meaning::Transient,
    }
}

/// A service error that names what was tried.
pub(super) fn service(what: &str, brokers: &str, error: &KafkaError) -> EngineError {
    EngineError::service(
        SERVICE,
        format!("{what} at {brokers}: {error}; check that the brokers are up and reachable"),
    )
}

/// The cluster's refusal of this client.
pub(super) fn refused(topic: &str, error: &KafkaError) -> EngineError {
    EngineError::Config(format!(
        "kafka refuses to let this client read topic `{topic}`: {error}; check the credentials \
         and the permissions to read the topic and the consumer group"
    ))
}

/// A topic or partition that is not there.
pub(super) fn unknown(topic: &str, brokers: &str) -> EngineError {
    EngineError::Config(format!(
        "kafka has no topic `{topic}` at {brokers}; create it or correct the name"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_away_is_not_an_error() {
        for code in [
            RDKafkaErrorCode::BrokerTransportFailure,
            RDKafkaErrorCode::AllBrokersDown,
            RDKafkaErrorCode::OperationTimedOut,
            RDKafkaErrorCode::Resolve,
            RDKafkaErrorCode::NotLeaderForPartition,
        ] {
            assert_eq!(meaning(&KafkaError::MessageConsumption(code)), Meaning::Transient);
        }
        let fatal = KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::BrokerTransportFailure);
        assert_eq!(meaning(&fatal), Meaning::Broken);
        let gone = KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset);
        assert_eq!(meaning(&gone), Meaning::PositionGone);
    }
}
