//! The embedded environment: librdkafka's mock cluster in this process, SQLite in the run's folder
//! (or a MySQL database that runs already, when its address is given).
//!
//! Nothing to install, and real where it counts: the full Kafka client over loopback TCP, a real
//! file with real transactions. Its limits are the mock's: per partition it keeps 5 MiB or 100 000
//! batches and drops what is older without a word. So a load that could reach them is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::kafka::{self, Client};
use super::mysql::MysqlDatabase;
use super::{Addresses, DatabaseAddress, Environment};
use crate::error::{Result, environment};
use crate::scenario::Load;

/// Bytes that a partition keeps.
const PARTITION_BYTES: u64 = 5 * 1024 * 1024;
/// Batches that a partition keeps.
const PARTITION_BATCHES: u64 = 100_000;
/// What a record costs beyond its value: key, lengths, its share of a batch's header.
const RECORD_OVERHEAD_BYTES: u64 = 64;
/// Of the limits, so much may be used: retries and small batches take room too.
const USABLE_PERCENT: u64 = 90;
const TOPIC: &str = "storm";

/// The environment.
pub struct Embedded {
    file: PathBuf,
    mysql: Option<MysqlDatabase>,
    cluster: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Embedded {
    /// An environment whose database is in `folder`, or at `database`.
    pub fn new(folder: &Path, database: Option<&str>, run_id: &str) -> Self {
        let mysql = database.map(|url| MysqlDatabase::new(url, run_id));
        Self { file: folder.join("database.sqlite"), mysql, cluster: None }
    }
}

impl Environment for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn check(&self, load: &Load) -> Result<()> {
        self.mysql.as_ref().map_or(Ok(()), MysqlDatabase::check)?;
        let per_partition = records_of_fullest_partition(load);
        let bytes = per_partition * (u64::from(load.record_bytes) + RECORD_OVERHEAD_BYTES);
        // The worst batching: every record alone.
        let limit_bytes = PARTITION_BYTES * USABLE_PERCENT / 100;
        let limit_batches = PARTITION_BATCHES * USABLE_PERCENT / 100;
        if bytes <= limit_bytes && per_partition <= limit_batches {
            return Ok(());
        }
        Err(environment(format!(
            "the load does not fit the embedded broker: {per_partition} records of {} bytes are \
             {} KiB in one partition, and it keeps {} KiB or {limit_batches} records of each",
            load.record_bytes,
            bytes / 1024,
            limit_bytes / 1024,
        ))
        .at("load.records, load.record_bytes, load.partitions")
        .remedy(format!(
            "ask for at most {} records, or for more partitions, or use --env external with a \
             real broker",
            largest_load(load, limit_bytes, limit_batches)
        )))
    }

    fn start(&mut self, load: &Load) -> Result<Addresses> {
        let (database, table_prefix) = match &mut self.mysql {
            Some(mysql) => (mysql.connect()?, mysql.table_prefix()),
            None => (DatabaseAddress::Sqlite(self.file.clone()), "storm".to_owned()),
        };
        let refuse = |error: &dyn std::fmt::Display| {
            environment(format!("the embedded broker did not start: {error}"))
                .at("127.0.0.1, a port chosen by the system")
                .remedy("check that loopback sockets and file descriptors are available")
        };
        let cluster = MockCluster::new(1).map_err(|e| refuse(&e))?;
        cluster.create_topic(TOPIC, load.partitions as i32, 1).map_err(|e| refuse(&e))?;
        let brokers = cluster.bootstrap_servers();
        self.cluster = Some(cluster);
        let found = Client::connect(&brokers, TOPIC)?.partitions(TOPIC)?;
        if found != Some(load.partitions) {
            return Err(refuse(&format!("its topic has {found:?} partitions")));
        }
        Ok(Addresses {
            brokers,
            topic: TOPIC.to_owned(),
            partitions: load.partitions,
            group: TOPIC.to_owned(),
            database,
            table_prefix,
        })
    }

    fn versions(&self) -> BTreeMap<String, String> {
        let database = match &self.mysql {
            Some(mysql) => ("database".to_owned(), mysql.version().to_owned()),
            None => ("sqlite".to_owned(), rusqlite::version().to_owned()),
        };
        let broker = ("librdkafka (client and mock cluster)".to_owned(), kafka::client_version());
        BTreeMap::from([broker, database])
    }

    fn remarks(&self) -> Vec<String> {
        vec![
            "The broker is librdkafka's mock cluster: real protocol over loopback, no replication, \
             no durability."
                .to_owned(),
        ]
    }

    fn stop(&mut self) {
        self.cluster = None;
    }
}

/// Runs go round the partitions; the first one gets the most.
fn records_of_fullest_partition(load: &Load) -> u64 {
    let run = u64::from(load.run_length);
    let round = run * u64::from(load.partitions);
    load.records / round * run + (load.records % round).min(run)
}

fn largest_load(load: &Load, limit_bytes: u64, limit_batches: u64) -> u64 {
    let record_bytes = u64::from(load.record_bytes) + RECORD_OVERHEAD_BYTES;
    let per_partition = (limit_bytes / record_bytes).min(limit_batches);
    let run = u64::from(load.run_length);
    per_partition / run * run * u64::from(load.partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(records: u64, record_bytes: u32, partitions: u32) -> Load {
        let (rate_per_s, keys, run_length) = (1_000, 100, 64);
        Load { records, record_bytes, rate_per_s, keys, partitions, run_length }
    }

    #[test]
    fn a_load_that_would_be_dropped_silently_is_refused_with_a_load_that_fits() {
        let place = Embedded::new(Path::new("."), None, "x");
        assert!(place.check(&load(1_000_000, 100, 2_000)).is_ok());
        let error = place.check(&load(1_000_000, 100, 4)).unwrap_err();
        assert!(error.what.contains("250048 records of 100 bytes"), "{}", error.what);
        let fits: u64 = error
            .remedy
            .unwrap()
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .expect("the remedy names a load");
        assert!(place.check(&load(fits, 100, 4)).is_ok());
        assert!(place.check(&load(fits + 4 * 64, 100, 4)).is_err());
    }

    #[test]
    fn it_starts_with_a_topic_and_stops() {
        let folder = tempfile::tempdir().unwrap();
        let mut place = Embedded::new(folder.path(), None, "x");
        let addresses = place.start(&load(10, 100, 7)).unwrap();
        let client = Client::connect(&addresses.brokers, &addresses.topic).unwrap();
        assert_eq!(client.partitions("storm").unwrap(), Some(7));
        assert_eq!(client.log_end_offsets("storm", 7).unwrap(), [0; 7]);
        place.stop();
        assert!(Client::connect(&addresses.brokers, "storm").is_err());
    }
}
