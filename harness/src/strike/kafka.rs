//! What is done to the broker through its own protocol.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::topic::Changed;
use super::{Outcome, Strike, both};
use crate::environment::{Addresses, Client, block_on};

/// The longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// The longest wait for a group's coordinator: one of a broker that was struck before has to load
/// its groups first.
const COORDINATOR_LIMIT: Duration = Duration::from_secs(20);
/// Errors that leave open whether a request was carried out.
const UNANSWERED: [RDKafkaErrorCode; 4] = [
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::RequestTimedOut,
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::NetworkException,
];
/// The longest wait for the broker to look at what has expired.
const RETENTION_LIMIT: Duration = Duration::from_secs(60);

fn admin(brokers: &str) -> Result<AdminClient<DefaultClientContext>, String> {
    let client = ClientConfig::new().set("bootstrap.servers", brokers).create();
    client.map_err(|error| format!("no admin client: {error}"))
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER_LIMIT)).request_timeout(Some(ANSWER_LIMIT))
}

/// Deletes the consumer group with its committed offsets, once there are some. A coordinator that is
/// moving or loading is asked again. Confirmed by the broker's word or, where its answer was lost, by
/// fewer committed offsets than before.
pub(super) fn delete_group(strike: &Strike) -> Outcome {
    let at = &strike.addresses;
    let committed = || -> Result<u64, String> {
        let client = Client::connect(&at.brokers, &at.group).map_err(|error| error.what)?;
        let offsets = client.committed_offsets(&at.topic, at.partitions).map_err(|e| e.what)?;
        Ok(offsets.iter().filter(|offset| **offset > 0).count() as u64)
    };
    asked_again(|| match committed()? {
        0 => Err("the group had committed nothing yet".to_owned()),
        _ => Ok(()),
    })?;
    let admin = admin(&at.brokers)?;
    strike.struck();
    // Whether a request may have been carried out although its answer did not arrive.
    let mut may_be_gone = false;
    let mut before = 0;
    asked_again(|| {
        // Whoever asks again may come after the deletion.
        before = committed()?.max(if may_be_gone { before } else { 0 });
        let answers = block_on(async { admin.delete_groups(&[&at.group], &options()).await })
            .map_err(|error| error.what)?;
        let answers = answers.map_err(|error| {
            may_be_gone = true;
            error.to_string()
        })?;
        let is_said = match answers.first() {
            Some(Ok(_)) => true,
            Some(Err((_, RDKafkaErrorCode::GroupIdNotFound))) if may_be_gone => false,
            Some(Err((_, code))) => {
                may_be_gone |= UNANSWERED.contains(code);
                return Err(format!("the broker did not delete the group: {code}"));
            }
            None => return Err("the broker did not say whether it deleted the group".to_owned()),
        };
        let after = asked_again(committed)?;
        if after >= before && !is_said {
            return Err(format!("{after} partitions had a committed offset after the deletion"));
        }
        Ok(format!(
            "the broker deleted the group with {before} committed partitions; {after} had an \
             offset right after it"
        ))
    })
}

/// Asks until there is an answer, or [`COORDINATOR_LIMIT`] is over: then why there is none.
fn asked_again<T>(mut ask: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let begun = Instant::now();
    loop {
        match ask() {
            Err(why) if begun.elapsed() > COORDINATOR_LIMIT => {
                return Err(format!("{why}, asked for {} s", COORDINATOR_LIMIT.as_secs()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(250)),
            Ok(answer) => return Ok(answer),
        }
    }
}

/// Deletes all records below `ends` (partition, offset), as retention would. Confirmed by where the
/// log begins after it.
pub(crate) fn truncate(at: &Addresses, ends: &[(u32, u64)]) -> Outcome {
    let mut list = TopicPartitionList::with_capacity(ends.len());
    for (partition, end) in ends {
        list.add_partition_offset(&at.topic, *partition as i32, Offset::Offset(*end as i64))
            .map_err(|error| error.to_string())?;
    }
    let admin = admin(&at.brokers)?;
    block_on(async { admin.delete_records(&list, &options()).await })
        .map_err(|error| error.what)?
        .map_err(|error| format!("the broker did not delete records: {error}"))?;
    let gone = gone(at, ends)?;
    if gone < ends.len() {
        return Err(format!("{} partitions begin where they began", ends.len() - gone));
    }
    Ok(format!("all records of {gone} partitions were deleted, to their log end offsets"))
}

/// Of how many partitions the log begins at its end (partition, offset).
fn gone(at: &Addresses, ends: &[(u32, u64)]) -> Result<usize, String> {
    let client = Client::connect(&at.brokers, &at.group).map_err(|error| error.what)?;
    let starts = client.log_start_offsets(&at.topic, at.partitions).map_err(|e| e.what)?;
    let is_gone = |(partition, end): &&(u32, u64)| {
        starts.get(*partition as usize).is_some_and(|start| start >= end)
    };
    Ok(ends.iter().filter(is_gone).count())
}

/// Waits until the broker's own retention has taken all records below `ends` (partition, offset):
/// they are older than it lets records get. Confirmed by where the log begins after it.
pub(crate) fn expire(at: &Addresses, ends: &[(u32, u64)]) -> Outcome {
    let begun = Instant::now();
    let short = Changed::set(at, &[("retention.ms", "1")])?;
    let outcome = loop {
        match gone(at, ends) {
            Ok(gone) if gone == ends.len() => {
                break Ok(format!(
                    "the broker's retention removed all records of {gone} partitions within \
                     {:.1} s",
                    begun.elapsed().as_secs_f64()
                ));
            }
            Ok(gone) if begun.elapsed() > RETENTION_LIMIT => {
                break Err(format!(
                    "retention left records in {} partitions after {} s",
                    ends.len() - gone,
                    RETENTION_LIMIT.as_secs()
                ));
            }
            Err(why) if begun.elapsed() > RETENTION_LIMIT => break Err(why),
            _ => std::thread::sleep(Duration::from_millis(250)),
        }
    };
    both(outcome, short.undo())
}
