//! Fetch: finds batches, waits for more if there are too few, loads what it found.
//!
//! Invariant: a response is at most [`RESPONSE_LIMIT_BYTES`] and one batch, however much was asked
//! for: memory stays small, and clients ask again, beginning with other partitions.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProducerId};
use stormproof_chaos::log::{Found, Isolation, LogError, TopicPartition};
use tokio::time::{Instant, timeout_at};

use crate::broker::node::{Node, Shared};
use crate::broker::waiters::Waiter;

/// Bytes of records in one response.
const RESPONSE_LIMIT_BYTES: usize = 8 << 20;
/// The longest wait that is granted.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// Answers a fetch as soon as it has `min_bytes`, meets an error, or has waited long enough.
pub(in crate::broker) async fn fetch(node: &Shared, request: &FetchRequest) -> FetchResponse {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let until = Instant::now() + wait.min(WAIT_LIMIT);
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0).min(RESPONSE_LIMIT_BYTES);
    loop {
        let search = search(&node.borrow(), request);
        let is_enough = search.has_error || search.bytes >= min_bytes;
        if is_enough || Instant::now() >= until {
            return respond(&node.borrow(), request, search.found);
        }
        let waiter = Waiter::new(min_bytes - search.bytes);
        node.borrow_mut().waiters.enter(&waiter, &search.partitions);
        let _ = timeout_at(until, waiter.wait()).await;
        node.borrow_mut().waiters.leave(&waiter, &search.partitions);
    }
}

/// What a look at all partitions of a request found, in its order.
struct Search {
    found: Vec<Result<Found, LogError>>,
    partitions: Vec<TopicPartition>,
    bytes: usize,
    has_error: bool,
}

fn search(node: &Node, request: &FetchRequest) -> Search {
    let isolation = match request.isolation_level {
        0 => Isolation::ReadUncommitted,
        _ => Isolation::ReadCommitted,
    };
    let limit = usize::try_from(request.max_bytes).unwrap_or(0).min(RESPONSE_LIMIT_BYTES);
    let mut search =
        Search { found: Vec::new(), partitions: Vec::new(), bytes: 0, has_error: false };
    for topic in &request.topics {
        let view = node.log.topic(&topic.topic);
        for wanted in &topic.partitions {
            let at = view.and_then(|view| {
                let partition = u32::try_from(wanted.partition).ok();
                let partition = partition.filter(|index| *index < view.partitions)?;
                Some(TopicPartition { topic: view.id, partition })
            });
            let found = match at {
                None => Err(LogError::UnknownTopicOrPartition),
                Some(at) => {
                    search.partitions.push(at);
                    let max = usize::try_from(wanted.partition_max_bytes).unwrap_or(0);
                    let room = max.min(limit.saturating_sub(search.bytes));
                    let is_first = search.bytes == 0;
                    node.log.read(at, wanted.fetch_offset, room, is_first, isolation)
                }
            };
            match &found {
                Ok(found) => search.bytes += found.bytes,
                Err(_) => search.has_error = true,
            }
            search.found.push(found);
        }
    }
    search
}

fn respond(
    node: &Node,
    request: &FetchRequest,
    found: Vec<Result<Found, LogError>>,
) -> FetchResponse {
    let mut found = found.into_iter();
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let answer = |(wanted, found): (&FetchPartition, Result<Found, LogError>)| {
            let loaded = found.and_then(|found| load(node, &found));
            loaded.unwrap_or_else(|error| refused(&error)).with_partition_index(wanted.partition)
        };
        // The partitions come first: a zip that ends with them must not take one result more.
        let partitions = topic.partitions.iter().zip(found.by_ref()).map(answer).collect();
        responses.push(
            FetchableTopicResponse::default()
                .with_topic(topic.topic.clone())
                .with_partitions(partitions),
        );
    }
    FetchResponse::default().with_responses(responses)
}

fn load(node: &Node, found: &Found) -> Result<PartitionData, LogError> {
    let mut records = Vec::with_capacity(found.bytes);
    node.log.load(found, &mut records)?;
    let aborted = found.aborted.iter().map(|aborted| {
        AbortedTransaction::default()
            .with_producer_id(ProducerId(aborted.producer.0))
            .with_first_offset(aborted.first_offset)
    });
    Ok(PartitionData::default()
        .with_high_watermark(found.bounds.high_watermark)
        .with_last_stable_offset(found.bounds.stable_offset)
        .with_log_start_offset(found.bounds.start_offset)
        .with_aborted_transactions(Some(aborted.collect()))
        .with_records(Some(Bytes::from(records))))
}

fn refused(error: &LogError) -> PartitionData {
    PartitionData::default()
        .with_error_code(error.code())
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_aborted_transactions(Some(Vec::new()))
        .with_records(Some(Bytes::new()))
}
