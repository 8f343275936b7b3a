//! The Kafka source's configuration, and the client settings that follow from it.
//!
//! The settings are measured for thousands of partitions on few clients: each partition has a
//! queue of its own, so per-queue limits are small, and nothing that matters for correctness can
//! be overridden.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::error::{EngineError, Result};

/// Where a fresh start begins. A restored job begins where its checkpoint says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartFrom {
    /// The oldest record that the partition still holds.
    #[default]
    Earliest,
    /// The offset that the consumer group has committed, the oldest record where there is none.
    Committed,
}

/// What to read, and from where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSourceConfig {
    /// Bootstrap servers, `host:port` separated by commas.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// The consumer group that offsets are committed to.
    pub group: String,
    /// Where a fresh start begins.
    pub start: StartFrom,
    /// How long one request to the brokers may take while opening.
    pub request_timeout_ms: u64,
    /// How long the answer to an offset commit is waited for; then the commit has failed.
    pub commit_timeout_ms: u64,
    /// Further client settings (librdkafka's names): security, or tuning.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaSourceConfig {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            topic: "storm-input".to_owned(),
            group: "storm".to_owned(),
            start: StartFrom::default(),
            request_timeout_ms: 10_000,
            commit_timeout_ms: 30_000,
            properties: BTreeMap::new(),
        }
    }
}

/// Settings that carry the source's guarantees.
const FIXED: &[(&str, &str, &str)] = &[
    ("enable.auto.commit", "false", "offsets are committed after a checkpoint only"),
    ("enable.auto.offset.store", "false", "positions live in the checkpoint"),
    ("auto.offset.reset", "error", "a position that is gone must never be skipped silently"),
    ("enable.partition.eof", "false", "a source without end has no end of partition"),
];

/// Settings that may be overridden.
const TUNED: &[(&str, &str)] = &[
    ("client.id", "stormproof"),
    // The default of 1000 ms halves throughput when a queue has been full.
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.wait.max.ms", "20"),
    ("fetch.min.bytes", "1"),
    // At most what a partition may contribute to one response; a larger batch still comes alone.
    ("fetch.message.max.bytes", "131072"),
    // Per partition queue: with the defaults stalled readers would buffer the whole topic.
    ("queued.min.messages", "500"),
    ("queued.max.messages.kbytes", "128"),
    // Records of a megabyte and more must pass.
    ("message.max.bytes", "67108864"),
    ("fetch.max.bytes", "67108864"),
    ("receive.message.max.bytes", "134217728"),
    // A broker comes back sooner than the defaults (100 ms to 10 s) would notice.
    ("reconnect.backoff.ms", "20"),
    ("reconnect.backoff.max.ms", "500"),
    ("retry.backoff.ms", "20"),
    ("topic.metadata.refresh.fast.interval.ms", "50"),
    ("socket.nagle.disable", "true"),
    ("allow.auto.create.topics", "false"),
    // Errors are reported through the queues; the log lines would repeat them.
    ("log.connection.close", "false"),
];

impl KafkaSourceConfig {
    /// Checks what can be checked without a broker.
    pub(super) fn validate(&self) -> Result<()> {
        let refuse = |what: String| Err(EngineError::Config(format!("kafka source: {what}")));
        for (name, value) in
            [("brokers", &self.brokers), ("topic", &self.topic), ("group", &self.group)]
        {
            if value.trim().is_empty() {
                return refuse(format!("`{name}` is empty; give one"));
            }
        }
        if self.commit_timeout_ms == 0 {
            return refuse("`commit_timeout_ms` is 0: no commit could be answered".to_owned());
        }
        for (name, _, why) in FIXED {
            if self.properties.contains_key(*name) {
                return refuse(format!("property `{name}` cannot be set: {why}; remove it"));
            }
        }
        for (name, field) in [("bootstrap.servers", "brokers"), ("group.id", "group")] {
            if self.properties.contains_key(name) {
                return refuse(format!("property `{name}` cannot be set; use `{field}`"));
            }
        }
        Ok(())
    }

    /// The client's settings.
    pub(super) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in TUNED {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        for (name, value, _) in FIXED {
            config.set(*name, *value);
        }
        config.set("bootstrap.servers", &self.brokers).set("group.id", &self.group);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_property(name: &str, value: &str) -> KafkaSourceConfig {
        let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        KafkaSourceConfig { properties, ..KafkaSourceConfig::default() }
    }

    #[test]
    fn guarantees_cannot_be_configured_away() {
        for name in ["enable.auto.commit", "auto.offset.reset", "group.id"] {
            let refused = with_property(name, "true").validate();
            let message = refused.expect_err("was accepted").to_string();
            assert!(message.contains(name), "{message}");
        }
        with_property("fetch.wait.max.ms", "50").validate().expect("tuning is allowed");
    }

    #[test]
    fn tuning_is_overridden_by_properties() {
        let config = with_property("fetch.wait.max.ms", "50").client_config();
        assert_eq!(config.get("fetch.wait.max.ms"), Some("50"));
        assert_eq!(config.get("auto.offset.reset"), Some("error"));
        config.create_native_config().expect("librdkafka knows every setting");
    }
}
