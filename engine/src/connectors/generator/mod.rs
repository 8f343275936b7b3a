//! A rate-controlled source that needs no service.
//!
//! Invariants: the content of a record is a function of (seed, split, sequence) and of nothing
//! else, so a replayed record equals the first one; records are due on an *intended* schedule
//! (open loop): a generator that was held back catches up instead of slowing down. The partition
//! of a record is its split (the subtask index of the first start), its offset the sequence in it.
//!
//! It does not shape load over time: bursts and ramps are the harness's load generator's.

mod content;
mod reader;
mod schedule;

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::api::{GroupContext, GroupState, SourceFactory, SourceReader};
use crate::error::{EngineError, Result};
use crate::ids::{Offset, PartitionId, SubtaskIndex};
use crate::seam::TimeUs;

use super::splits::{SPLITS_STATE, Split};
use reader::GeneratorReader;

pub use content::{Content, KeySkew, MIN_RECORD_BYTES};
pub use schedule::Schedule;

/// What is generated, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeneratorConfig {
    /// Over all subtasks together; 0 = as fast as the job takes them.
    pub records_per_sec: u64,
    /// Bytes of a value, at least [`MIN_RECORD_BYTES`].
    pub record_bytes: usize,
    /// Number of different keys.
    pub keys: u64,
    /// How records spread over the keys.
    pub skew: KeySkew,
    /// Seed of keys and values.
    pub seed: u64,
    /// Records over all subtasks together; `None` = without end.
    pub records: Option<u64>,
    /// Number of splits; 0 = one for each subtask. Fix it when the job is going to be restored at
    /// another parallelism.
    pub splits: u32,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            records_per_sec: 0,
            record_bytes: 100,
            keys: 100_000,
            skew: KeySkew::Uniform,
            seed: 1,
            records: None,
            splits: 0,
        }
    }
}

/// Makes generating readers.
#[derive(Debug)]
pub struct GeneratorFactory {
    config: GeneratorConfig,
    /// When record 0 was due: one schedule for all attempts of this process, so that what fell
    /// due during a restart is generated after it.
    origin_us: Arc<OnceLock<TimeUs>>,
}

impl GeneratorFactory {
    /// A factory for `config`.
    ///
    /// # Errors
    /// When the configuration asks for the impossible.
    pub fn new(config: GeneratorConfig) -> Result<Self> {
        let refuse = |what: String| EngineError::Config(format!("generator: {what}"));
        if config.record_bytes < MIN_RECORD_BYTES {
            return Err(refuse(format!(
                "record_bytes = {} leaves no room for the record's number; use at least \
                 {MIN_RECORD_BYTES}",
                config.record_bytes
            )));
        }
        if config.keys == 0 {
            return Err(refuse("keys = 0; use at least 1".to_owned()));
        }
        config.skew.validate().map_err(refuse)?;
        Ok(Self { config, origin_us: Arc::default() })
    }

    fn splits_of(&self, context: &GroupContext, state: &GroupState) -> Result<Owned> {
        let total = match self.config.splits {
            0 => u32::from(context.parallelism),
            splits => splits,
        };
        let mut owned = Owned { total, splits: Vec::new() };
        if state.is_restored() {
            for (subtask, items) in state.lists(SPLITS_STATE) {
                for item in items {
                    owned.splits.push((subtask, Split::decode(item)?));
                }
            }
            if let Some((_, stray)) = owned.splits.iter().find(|(_, s)| s.partition.0 >= total) {
                return Err(EngineError::Config(format!(
                    "generator: the checkpoint holds split {} but the job has {total}; set \
                     `splits` to the number of the first start",
                    stray.partition
                )));
            }
        } else {
            for split in 0..total {
                let subtask = SubtaskIndex((split % u32::from(context.parallelism)) as u16);
                if context.subtasks.contains(&subtask.0) {
                    let split = Split { partition: PartitionId(split), next: Offset(0) };
                    owned.splits.push((subtask, split));
                }
            }
        }
        Ok(owned)
    }
}

/// The splits of a group, and how many there are over all groups.
struct Owned {
    total: u32,
    splits: Vec<(SubtaskIndex, Split)>,
}

impl SourceFactory for GeneratorFactory {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn SourceReader>> {
        let owned = self.splits_of(&context, &state)?;
        let unanchored = Schedule::new(self.config.records_per_sec, owned.total, 0);
        let due_us = owned.splits.iter().map(|(_, s)| unanchored.due_us(*s)).min().unwrap_or(0);
        let now_us = context.clock.now_us();
        let origin_us = *self.origin_us.get_or_init(|| now_us.saturating_sub(due_us));
        let schedule = Schedule::new(self.config.records_per_sec, owned.total, origin_us);
        Ok(Box::new(GeneratorReader::new(&self.config, context, schedule, &owned.splits)))
    }
}
