//! Opens readers: who reads which partition, from where.
//!
//! Fresh start: partition p belongs to subtask p % parallelism. Restored: the splits that the
//! checkpoint gives to each subtask, at exactly those offsets.

use std::sync::Arc;

use super::config::KafkaSourceConfig;
use super::error::judged;
use super::log::{LogClient, LogService};
use super::rdkafka::Brokers;
use super::reader::KafkaReader;
use super::start::{Positioned, Wanted, committed_offsets, count_partitions, resolve};
use crate::api::{GroupContext, GroupState, SourceFactory, SourceReader};
use crate::connectors::{SPLITS_STATE, Split};
use crate::error::{EngineError, Result};
use crate::ids::{PartitionId, SubtaskIndex};
use crate::mutants;

/// Partitions, with what is wanted of each.
type WantedPartitions = Vec<(PartitionId, Wanted)>;

/// Makes Kafka readers, one client for each worker. Keep the factory over all attempts: it keeps
/// their clients.
pub struct KafkaSourceFactory {
    config: Arc<KafkaSourceConfig>,
    log: Arc<dyn LogService>,
}

impl std::fmt::Debug for KafkaSourceFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSourceFactory").field("topic", &self.config.topic).finish()
    }
}

/// Real brokers as a log: what a [`KafkaSourceFactory`] reads from.
pub fn brokers(config: KafkaSourceConfig) -> Arc<dyn LogService> {
    Arc::new(Brokers::new(Arc::new(config)))
}

impl KafkaSourceFactory {
    /// A factory for `config`. No broker is asked yet.
    ///
    /// # Errors
    /// When the configuration cannot work.
    pub fn new(config: KafkaSourceConfig) -> Result<Self> {
        config.validate()?;
        let config = Arc::new(config);
        let log = Arc::new(Brokers::new(Arc::clone(&config)));
        Ok(Self { config, log })
    }

    /// A factory for any log that holds the topic of `config`.
    ///
    /// # Errors
    /// When the configuration cannot work.
    pub fn with_log(config: KafkaSourceConfig, log: Arc<dyn LogService>) -> Result<Self> {
        config.validate()?;
        Ok(Self { config: Arc::new(config), log })
    }

    /// The group's partitions, in the order of its subtasks, with what is wanted of each.
    fn wanted(
        &self,
        client: &mut dyn LogClient,
        context: &GroupContext,
        state: &GroupState,
    ) -> Result<(Vec<SubtaskIndex>, WantedPartitions)> {
        let partitions = count_partitions(client, &self.config, state.is_restored())?;
        let mut wanted = Vec::new();
        if state.is_restored() {
            for (subtask, items) in state.lists(SPLITS_STATE) {
                for item in items {
                    let Split { partition, next } = Split::decode(item)?;
                    self.check_partition(partition, partitions)?;
                    wanted.push((subtask, (partition, Wanted::Exactly(next))));
                }
            }
        } else {
            for partition in 0..partitions {
                let subtask = SubtaskIndex((partition % u32::from(context.parallelism)) as u16);
                if context.subtasks.contains(&subtask.0) {
                    wanted.push((subtask, (PartitionId(partition), Wanted::Start)));
                }
            }
        }
        wanted.sort_by_key(|(subtask, (partition, _))| (*subtask, *partition));
        Ok(wanted.into_iter().unzip())
    }

    /// The group's splits, each with its position.
    fn position(
        &self,
        client: &mut dyn LogClient,
        context: &GroupContext,
        state: &GroupState,
    ) -> Result<Vec<(SubtaskIndex, Positioned)>> {
        let (subtasks, mut wanted) = self.wanted(client, context, state)?;
        if mutants::is_active(mutants::RECOVERY_FROM_GROUP_OFFSETS) {
            self.mutate(client, &mut wanted)?;
        }
        let positions = resolve(client, &self.config, &wanted)?;
        Ok(subtasks.into_iter().zip(positions).collect())
    }

    fn check_partition(&self, partition: PartitionId, partitions: u32) -> Result<()> {
        if partition.0 < partitions {
            return Ok(());
        }
        Err(EngineError::Input(format!(
            "kafka topic `{}` has {partitions} partitions, but the checkpoint reads partition \
             {partition}: the topic was made anew or this is another one; correct `topic` or start \
             without the checkpoint",
            self.config.topic
        )))
    }

    /// Mutant 21: the group's offsets take the place of the checkpoint's.
    fn mutate(
        &self,
        client: &mut dyn LogClient,
        wanted: &mut [(PartitionId, Wanted)],
    ) -> Result<()> {
        let partitions: Vec<_> = wanted.iter().map(|(partition, _)| *partition).collect();
        let committed = committed_offsets(client, &self.config, &partitions)?;
        for (partition, wanted) in wanted {
            if let (Wanted::Exactly(_), Some(next)) = (&wanted, committed.get(partition)) {
                *wanted = Wanted::Exactly(*next);
            }
        }
        Ok(())
    }
}

impl SourceFactory for KafkaSourceFactory {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn SourceReader>> {
        let client = self.log.client(context.worker);
        let mut client =
            client.map_err(|error| judged("could not make a client", &self.config, &error))?;
        let splits = self.position(&mut *client, &context, &state)?;
        Ok(Box::new(KafkaReader::open(client, Arc::clone(&self.config), &splits, context)?))
    }
}
