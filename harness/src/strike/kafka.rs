//! What is done to the broker through its own protocol.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{Outcome, Strike};
use crate::environment::{Addresses, Client, block_on};

/// The longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

fn admin(brokers: &str) -> Result<AdminClient<DefaultClientContext>, String> {
    let client = ClientConfig::new().set("bootstrap.servers", brokers).create();
    client.map_err(|error| format!("no admin client: {error}"))
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER_LIMIT)).request_timeout(Some(ANSWER_LIMIT))
}

/// Deletes the consumer group with its committed offsets.
pub(super) fn delete_group(strike: &Strike) -> Outcome {
    let at = &strike.addresses;
    let committed = || -> Result<u64, String> {
        let client = Client::connect(&at.brokers, &at.group).map_err(|error| error.what)?;
        let offsets = client.committed_offsets(&at.topic, at.partitions).map_err(|e| e.what)?;
        Ok(offsets.iter().filter(|offset| **offset > 0).count() as u64)
    };
    let before = committed()?;
    if before == 0 {
        return Err("the group had committed nothing yet".to_owned());
    }
    let admin = admin(&at.brokers)?;
    strike.struck();
    let answers = block_on(async { admin.delete_groups(&[&at.group], &options()).await })
        .map_err(|error| error.what)?
        .map_err(|error| error.to_string())?;
    if let Some(Err((_, code))) = answers.first() {
        return Err(format!("the broker did not delete the group: {code}"));
    }
    Ok(format!(
        "the broker deleted the group with {before} committed partitions; {} had an offset \
         right after it",
        committed()?
    ))
}

/// Deletes every record that the topic holds, as retention would.
pub(super) fn truncate(at: &Addresses) -> Outcome {
    let client = Client::connect(&at.brokers, &at.group).map_err(|error| error.what)?;
    let ends = client.log_end_offsets(&at.topic, at.partitions).map_err(|error| error.what)?;
    let mut list = TopicPartitionList::with_capacity(ends.len());
    for (partition, end) in ends.iter().enumerate() {
        list.add_partition_offset(&at.topic, partition as i32, Offset::Offset(*end as i64))
            .map_err(|error| error.to_string())?;
    }
    let admin = admin(&at.brokers)?;
    block_on(async { admin.delete_records(&list, &options()).await })
        .map_err(|error| error.what)?
        .map_err(|error| format!("the broker did not delete records: {error}"))?;
    let records: u64 = ends.iter().sum();
    Ok(format!("{records} records of {} partitions were deleted", ends.len()))
}
