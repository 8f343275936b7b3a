//! What a client's error means for the job.
//!
//! The clients reconnect and retry by themselves: whatever a broker's return heals is no error.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::connectors::kafka::log::{LogError, Meaning};

/// The code inside an error, if it has one.
fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    error.rdkafka_error_code()
}

/// The error in the source's terms.
pub(super) fn log_error(error: &KafkaError) -> LogError {
    LogError { meaning: meaning(error), what: error.to_string() }
}

/// An answer that says nothing was committed.
pub(super) fn is_nothing_committed(error: &KafkaError) -> bool {
    code(error) == Some(RDKafkaErrorCode::NoOffset)
}

fn meaning(error: &KafkaError) -> Meaning {
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
