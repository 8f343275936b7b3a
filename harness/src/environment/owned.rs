//! What environments that own their services have in common: the topic of a run, the way of the
//! engine through the proxies, the versions, the order of the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::kafka::{self, Client, refused};
use super::leftovers::ServiceFolder;
use super::mysql::{self, block_on};
use super::service::{Service, ServiceName};
use super::{Addresses, DatabaseAddress, Host};
use crate::error::{Result, environment};
use crate::scenario::{KafkaCluster, Load};

/// The topic, the consumer group and the tables' prefix of a run that has its services for itself.
const NAME: &str = "storm";
/// The account and the database of the run; the services listen on loopback only.
pub(super) const USER: &str = "storm";
pub(super) const PASSWORD: &str = "proof";
pub(super) const DATABASE: &str = "storm";
/// The longest wait for the creation of the topic.
const TOPIC_LIMIT: Duration = Duration::from_secs(60);

/// Services of one run. Dropped: services first, then their folder.
pub(super) struct Owned {
    services: Vec<Arc<Service>>,
    _folder: Option<ServiceFolder>,
    versions: BTreeMap<String, String>,
    host: Host,
    cluster: KafkaCluster,
}

impl Owned {
    /// Services that are ready.
    pub(super) fn new(
        services: Vec<Arc<Service>>,
        folder: Option<ServiceFolder>,
        host: &Host,
    ) -> Self {
        Self {
            services,
            _folder: folder,
            versions: BTreeMap::new(),
            host: host.clone(),
            cluster: KafkaCluster::SINGLE,
        }
    }

    /// The same, of several brokers.
    pub(super) fn clustered(self, cluster: KafkaCluster) -> Self {
        Self { cluster, ..self }
    }

    /// The services.
    pub(super) fn services(&self) -> Vec<Arc<Service>> {
        self.services.clone()
    }

    /// Versions, known once the run is prepared.
    pub(super) fn versions(&self) -> BTreeMap<String, String> {
        self.versions.clone()
    }

    fn service(&self, name: ServiceName) -> &Service {
        let found = self.services.iter().find(|service| service.name() == name);
        found.expect("an environment with owned services has both")
    }

    /// Kafka's bootstrap servers: an address of each broker.
    fn brokers(&self, address: fn(&Service) -> String) -> String {
        let brokers = self.services.iter().filter(|s| s.name() == ServiceName::Broker);
        brokers.map(|broker| address(broker)).collect::<Vec<_>>().join(",")
    }

    /// Makes the topic; returns where load, monitor and oracle find everything.
    pub(super) fn prepare(&mut self, load: &Load) -> Result<Addresses> {
        let brokers = self.brokers(Service::direct);
        let url = url(&self.service(ServiceName::Database).direct());
        self.versions.insert("database".to_owned(), mysql::ask_version(&url)?);
        self.versions.insert("librdkafka (client)".to_owned(), kafka::client_version());
        create_topic(&brokers, NAME, load.partitions, self.cluster)?;
        await_topic(&Client::connect(&brokers, NAME)?, NAME, load.partitions, &self.host)?;
        Ok(Addresses {
            brokers,
            topic: NAME.to_owned(),
            partitions: load.partitions,
            group: NAME.to_owned(),
            database: DatabaseAddress::Mysql(url),
            table_prefix: NAME.to_owned(),
        })
    }

    /// The same through the proxies.
    pub(super) fn engine_addresses(&self, direct: &Addresses) -> Addresses {
        Addresses {
            brokers: self.brokers(Service::endpoint),
            database: DatabaseAddress::Mysql(url(&self.service(ServiceName::Database).endpoint())),
            ..direct.clone()
        }
    }
}

/// The run's database at `host:port`.
pub(super) fn url(address: &str) -> String {
    format!("mysql://{USER}:{PASSWORD}@{address}/{DATABASE}")
}

/// The same as the database's administrator.
pub(crate) fn admin_url(address: &str) -> String {
    format!("mysql://root:{PASSWORD}@{address}/{DATABASE}")
}

/// Makes a topic, with replicas if there are several brokers.
pub(super) fn create_topic(
    brokers: &str,
    topic: &str,
    partitions: u32,
    cluster: KafkaCluster,
) -> Result<()> {
    let refuse = |error: &dyn std::fmt::Display| {
        refused(brokers, &format!("cannot create topic {topic:?}"), error)
    };
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .map_err(|error| refuse(&error))?;
    let replicas = TopicReplication::Fixed(cluster.replicas() as i32);
    let in_sync = cluster.min_insync_replicas.to_string();
    let mut new = NewTopic::new(topic, partitions as i32, replicas);
    if cluster.brokers > 1 {
        new = new.set("min.insync.replicas", &in_sync);
    }
    let options =
        AdminOptions::new().operation_timeout(Some(TOPIC_LIMIT)).request_timeout(Some(TOPIC_LIMIT));
    let created = block_on(async { admin.create_topics([&new], &options).await })?
        .map_err(|error| refuse(&error))?;
    match created.into_iter().next() {
        Some(Err((_, code))) => Err(refuse(&code)),
        _ => Ok(()),
    }
}

/// Waits until the topic is there and each partition has a leader.
fn await_topic(client: &Client, topic: &str, partitions: u32, host: &Host) -> Result<()> {
    let begun = std::time::Instant::now();
    while begun.elapsed() < TOPIC_LIMIT {
        host.stop.check()?;
        if client.partitions(topic)? == Some(partitions)
            && client.partitions_without_leader()? == 0
            && client.log_end_offsets(topic, partitions).is_ok()
        {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(environment(format!("topic {topic:?} has no leaders after {} s", TOPIC_LIMIT.as_secs()))
        .at("the broker that was started")
        .remedy("give the broker more memory, or ask for fewer partitions (load.partitions)"))
}
