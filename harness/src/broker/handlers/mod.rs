//! One function for each request: the request's struct in, the response's out.

pub(super) mod admin;
pub(super) mod append;
pub(super) mod cluster;
pub(super) mod committed;
pub(super) mod fetch;
pub(super) mod members;
pub(super) mod offsets;
pub(super) mod transactions;

use kafka_protocol::protocol::StrBytes;
use stormproof_chaos::log::LogError;

/// The error code of an outcome; 0 is fine.
fn code<T>(outcome: &Result<T, LogError>) -> i16 {
    outcome.as_ref().map_or_else(LogError::code, |_| 0)
}

/// A string of the codec.
fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}
