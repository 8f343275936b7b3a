//! The external environment: a Kafka cluster and a MySQL (or MariaDB) database that run already.
//!
//! Invariants: each run has a topic and tables of its own, named after the run, unless a topic was
//! named; a named topic that holds records is never written to. Services are not stopped.

use std::collections::BTreeMap;

use super::kafka::{self, Client};
use super::mysql::MysqlDatabase;
use super::topic::Topic;
use super::{Addresses, Environment, Host};
use crate::error::{Result, environment};
use crate::scenario::{KafkaCluster, Load};

/// The environment.
pub struct External {
    brokers: String,
    named_topic: Option<String>,
    database: MysqlDatabase,
    host: Host,
}

impl External {
    /// Services at these addresses, for the run of `host`.
    pub fn new(brokers: &str, topic: Option<&str>, database: &str, host: Host) -> Self {
        Self {
            brokers: brokers.to_owned(),
            named_topic: topic.map(str::to_owned),
            database: MysqlDatabase::new(database, &host.run_id),
            host,
        }
    }

    fn prepare_topic(&self, topic: &str, load: &Load) -> Result<u32> {
        let client = Client::connect(&self.brokers, topic)?;
        match client.partitions(topic)? {
            None if load.records == 0 => Err(environment(format!("there is no topic {topic:?}"))
                .at(format!("kafka at {}", self.brokers))
                .remedy("name a topic that exists (--topic), or ask for records")),
            None => {
                let (partitions, cluster) = (load.partitions, KafkaCluster::SINGLE);
                let brokers = &self.brokers;
                Topic { brokers, name: topic, partitions, cluster }.make(&self.host)?;
                Ok(partitions)
            }
            Some(partitions) if load.records == 0 => Ok(partitions),
            Some(partitions) => {
                let records: u64 = client.log_end_offsets(topic, partitions)?.iter().sum();
                if records == 0 && partitions == load.partitions {
                    return Ok(partitions);
                }
                Err(environment(format!(
                    "topic {topic:?} has {partitions} partitions and {records} records, the load \
                     needs {} partitions and no records",
                    load.partitions
                ))
                .at(format!("kafka at {}", self.brokers))
                .remedy("leave --topic out for a new topic, or judge it as it is with --records 0"))
            }
        }
    }
}

impl Environment for External {
    fn name(&self) -> &'static str {
        "external"
    }

    fn check(&self, _load: &Load) -> Result<()> {
        self.database.check()
    }

    fn start(&mut self, load: &Load) -> Result<Addresses> {
        let database = self.database.connect()?;
        let topic =
            self.named_topic.clone().unwrap_or_else(|| format!("storm-{}", self.host.run_id));
        let partitions = self.prepare_topic(&topic, load)?;
        Ok(Addresses {
            brokers: self.brokers.clone(),
            topic,
            partitions,
            group: format!("storm-{}", self.host.run_id),
            database,
            table_prefix: self.database.table_prefix(),
        })
    }

    fn versions(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("librdkafka (client)".to_owned(), kafka::client_version()),
            ("database".to_owned(), self.database.version().to_owned()),
        ])
    }

    fn remarks(&self) -> Vec<String> {
        vec![format!(
            "Topic, consumer group and tables of this run (storm-{0}, storm_{0}_*) stay in the \
             services, so that the verdict can be checked again.",
            self.host.run_id
        )]
    }

    fn stop(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_port_is_an_error_with_its_address() {
        let mut place =
            External::new("127.0.0.1:1", None, "mysql://root@127.0.0.1:1/d", Host::quiet("x"));
        let load = Load {
            records: 1,
            record_bytes: 100,
            rate_per_s: 1,
            keys: 1,
            partitions: 1,
            run_length: 1,
        };
        let error = place.start(&load).unwrap_err();
        assert!(error.what.contains("the database does not answer"), "{}", error.what);
        assert_eq!(error.place.as_deref(), Some("mysql://root:***@127.0.0.1:1/d"));
        assert!(Client::connect("127.0.0.1:1", "g").is_err());
    }

    #[test]
    fn nonsense_is_no_database_address() {
        let place = External::new("b:1", None, "postgres://x", Host::quiet("x"));
        let load = Load {
            records: 1,
            record_bytes: 100,
            rate_per_s: 1,
            keys: 1,
            partitions: 1,
            run_length: 1,
        };
        assert!(place.check(&load).unwrap_err().remedy.unwrap().contains("mysql://"));
    }
}
