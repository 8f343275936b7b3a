//! Topics: their names, their settings, their partitions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{LogError, Result};
use super::partition::Partition;

/// No topic has more.
pub const PARTITIONS_LIMIT: u32 = 100_000;
const NAME_LIMIT: usize = 249;
/// Kafka's default for `max.message.bytes`.
const MAX_MESSAGE_BYTES: usize = 1_048_588;

/// What a topic can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSettings {
    /// Batches whose latest record is older are dropped; `None` keeps all. In milliseconds.
    pub retention_ms: Option<i64>,
    /// The oldest batches of a partition that has more are dropped; `None` keeps all.
    pub retention_bytes: Option<u64>,
    /// The largest batch.
    pub max_message_bytes: usize,
}

impl Default for TopicSettings {
    fn default() -> Self {
        let max_message_bytes = MAX_MESSAGE_BYTES;
        Self { retention_ms: None, retention_bytes: None, max_message_bytes }
    }
}

impl TopicSettings {
    /// Settings as Kafka names them.
    ///
    /// # Errors
    /// [`LogError::InvalidSetting`] for a name that is not known here, or a value that is none.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut settings = Self::default();
        for (name, value) in pairs {
            let number = || {
                value.parse::<i64>().map_err(|_| {
                    LogError::InvalidSetting(format!("{name}: {value:?} is not a whole number"))
                })
            };
            match name {
                "retention.ms" => settings.retention_ms = Some(number()?).filter(|ms| *ms >= 0),
                "retention.bytes" => settings.retention_bytes = u64::try_from(number()?).ok(),
                "max.message.bytes" => {
                    let limit = usize::try_from(number()?).ok().filter(|bytes| *bytes < 1 << 29);
                    settings.max_message_bytes = limit.ok_or_else(|| {
                        LogError::InvalidSetting(format!("{name}: 0 to {} bytes", (1 << 29) - 1))
                    })?;
                }
                "cleanup.policy" if value == "delete" => {}
                _ => {
                    return Err(LogError::InvalidSetting(format!(
                        "{name}={value} is not supported: retention.ms, retention.bytes, \
                         max.message.bytes and cleanup.policy=delete are"
                    )));
                }
            }
        }
        Ok(settings)
    }

    /// Names and values, as [`TopicSettings::parse`] reads them.
    pub fn pairs(&self) -> [(&'static str, String); 4] {
        let or_unlimited = |value: Option<String>| value.unwrap_or_else(|| "-1".to_owned());
        [
            ("cleanup.policy", "delete".to_owned()),
            ("max.message.bytes", self.max_message_bytes.to_string()),
            ("retention.bytes", or_unlimited(self.retention_bytes.map(|v| v.to_string()))),
            ("retention.ms", or_unlimited(self.retention_ms.map(|v| v.to_string()))),
        ]
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) settings: TopicSettings,
    pub(super) partitions: Vec<Partition>,
}

impl Topic {
    pub(super) fn new(name: String, settings: TopicSettings, partitions: u32) -> Self {
        let partitions = vec![Partition::default(); partitions as usize];
        Self { name, settings, partitions }
    }
}

/// Checks a name by Kafka's rules.
pub(super) fn check_name(name: &str) -> Result<()> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_name = (1..=NAME_LIMIT).contains(&name.len()) && name.chars().all(is_fine);
    if is_name && name != "." && name != ".." { Ok(()) } else { Err(LogError::InvalidTopic) }
}

/// Checks a number of partitions.
pub(super) fn check_partitions(partitions: u32) -> Result<()> {
    if (1..=PARTITIONS_LIMIT).contains(&partitions) {
        return Ok(());
    }
    Err(LogError::InvalidPartitions(format!("{partitions}; 1 to {PARTITIONS_LIMIT} are possible")))
}

/// Ids by name; made from the topics whenever they are read back.
pub(super) type Names = BTreeMap<String, super::ids::TopicId>;
