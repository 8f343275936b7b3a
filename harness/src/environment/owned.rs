//! What environments that own their services have in common: the way of the engine through the
//! proxies, the versions, the order of the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::leftovers::ServiceFolder;
use super::service::{Service, ServiceName};
use super::topic::Topic;
use super::{Addresses, DatabaseAddress, Host, kafka, mysql};
use crate::error::Result;
use crate::scenario::{KafkaCluster, Load};

/// The topic, the consumer group and the tables' prefix of a run that has its services for itself.
const NAME: &str = "storm";
/// The account and the database of the run; the services listen on loopback only.
pub(super) const USER: &str = "storm";
pub(super) const PASSWORD: &str = "proof";
pub(super) const DATABASE: &str = "storm";

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
        let (partitions, cluster) = (load.partitions, self.cluster);
        Topic { brokers: &brokers, name: NAME, partitions, cluster }.make(&self.host)?;
        Ok(Addresses {
            brokers,
            topic: NAME.to_owned(),
            partitions,
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
