//! The topic of a run: made, and waited for.

use std::fmt::Display;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use super::Host;
use super::kafka::{Client, refused};
use super::mysql::block_on;
use crate::error::{HarnessError, Result, environment};
use crate::scenario::KafkaCluster;

const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A topic that is to be.
pub(super) struct Topic<'a> {
    pub(super) brokers: &'a str,
    pub(super) name: &'a str,
    pub(super) partitions: u32,
    pub(super) cluster: KafkaCluster,
}

impl Topic<'_> {
    /// Makes it, with replicas if there are several brokers; returns when all its partitions answer.
    ///
    /// # Errors
    /// When Kafka refuses it, or its partitions do not answer within the host's `ready_limit`.
    pub(super) fn make(&self, host: &Host) -> Result<()> {
        let begun = Instant::now();
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", self.brokers)
            .create()
            .map_err(|error| self.refused(&error))?;
        // A broker that answers counts for nothing until the controller has heard from it.
        while let Err(code) = self.create(&admin, host.ready_limit)? {
            if code != RDKafkaErrorCode::InvalidReplicationFactor {
                return Err(self.refused(&code));
            }
            if begun.elapsed() > host.ready_limit {
                return Err(self.too_few_brokers(&code, host.ready_limit));
            }
            host.stop.check()?;
            std::thread::sleep(ASK_AGAIN);
        }
        self.wait(host, begun)
    }

    fn create(
        &self,
        admin: &AdminClient<DefaultClientContext>,
        limit: Duration,
    ) -> Result<Result<(), RDKafkaErrorCode>> {
        let replicas = TopicReplication::Fixed(self.cluster.replicas() as i32);
        let in_sync = self.cluster.min_insync_replicas.to_string();
        let mut new = NewTopic::new(self.name, self.partitions as i32, replicas);
        if self.cluster.brokers > 1 {
            new = new.set("min.insync.replicas", &in_sync);
        }
        let options =
            AdminOptions::new().operation_timeout(Some(limit)).request_timeout(Some(limit));
        let created = block_on(async { admin.create_topics([&new], &options).await })?
            .map_err(|error| self.refused(&error))?;
        Ok(created.into_iter().next().map_or(Ok(()), |one| one.map(drop).map_err(|(_, code)| code)))
    }

    /// Waits until each partition has a leader that answers.
    fn wait(&self, host: &Host, begun: Instant) -> Result<()> {
        let client = Client::connect(self.brokers, self.name)?;
        while !self.answers(&client)? {
            if begun.elapsed() > host.ready_limit {
                let seconds = host.ready_limit.as_secs();
                return Err(environment(format!(
                    "not all {} partitions of topic {:?} have a leader that answers after {seconds} s",
                    self.partitions, self.name
                ))
                .at(format!("kafka at {}", self.brokers))
                .remedy(
                    "give the broker more memory, or ask for fewer partitions (load.partitions)",
                ));
            }
            host.stop.check()?;
            std::thread::sleep(ASK_AGAIN);
        }
        Ok(())
    }

    fn answers(&self, client: &Client) -> Result<bool> {
        Ok(client.partitions(self.name)? == Some(self.partitions)
            && client.replication(self.name)?.iter().all(|partition| partition.leader.is_some())
            && client.log_end_offsets(self.name, self.partitions).is_ok())
    }

    fn refused(&self, error: &dyn Display) -> HarnessError {
        refused(self.brokers, &format!("cannot create topic {:?}", self.name), error)
    }

    fn too_few_brokers(&self, error: &dyn Display, waited: Duration) -> HarnessError {
        let replicas = self.cluster.replicas();
        environment(format!(
            "cannot create topic {:?} with {replicas} replicas after {} s: {error}",
            self.name,
            waited.as_secs()
        ))
        .at(format!("kafka at {}", self.brokers))
        .remedy(format!("see in the brokers' logs why fewer than {replicas} joined the cluster"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{BrokerOptions, Listener, serve};
    use crate::environment::ports;
    use crate::output::Console;

    /// A broker that goes on until the tests end.
    fn lone_broker(data: &std::path::Path) -> String {
        let [port] = ports::free().unwrap();
        let options = BrokerOptions {
            data: data.to_owned(),
            listeners: vec![Listener { port, advertised: None }],
            segment_bytes: 1 << 20,
        };
        let console = Console { quiet: true, json: false };
        std::thread::spawn(move || serve(&options, console));
        format!("127.0.0.1:{port}")
    }

    #[test]
    fn a_cluster_that_lacks_brokers_is_waited_for_and_then_told() {
        let folder = tempfile::tempdir().unwrap();
        let brokers = lone_broker(folder.path());
        let host = Host { ready_limit: Duration::from_secs(3), ..Host::quiet("lone") };
        let topic = |name, brokers_wanted| Topic {
            brokers: &brokers,
            name,
            partitions: 8,
            cluster: KafkaCluster { brokers: brokers_wanted, min_insync_replicas: 1 },
        };
        topic("plain", 1).make(&host).unwrap();

        let begun = Instant::now();
        let error = topic("replicated", 3).make(&host).unwrap_err();
        assert!(error.what.contains("with 3 replicas after 3 s"), "{}", error.what);
        assert!(error.remedy.unwrap().contains("fewer than 3 joined"));
        assert!(begun.elapsed() > host.ready_limit, "it was not waited for");
    }

    #[test]
    fn what_kafka_refuses_is_not_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let brokers = lone_broker(folder.path());
        let topic = Topic {
            brokers: &brokers,
            name: "no such name",
            partitions: 8,
            cluster: KafkaCluster::SINGLE,
        };
        let error = topic.make(&Host::quiet("refused")).unwrap_err();
        assert!(error.what.contains("cannot create topic \"no such name\""), "{}", error.what);
    }
}
