//! The local environment: Kafka from a distribution folder and MariaDB or MySQL from the installed
//! programs, as child processes on private ports of loopback, each behind a fault proxy.
//!
//! Invariants: nothing of a machine's own Kafka or MySQL is touched: data, sockets, ports and
//! accounts are the run's; both services start at the same time; all is gone when this is dropped.

mod inventory;
mod kafka_home;
mod mysqld;

pub(crate) use inventory::inventory;
pub(super) use kafka_home::COMMON;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::leftovers::ServiceFolder;
use super::owned::Owned;
use super::proxy::FaultProxy;
use super::service::{Probe, ProcessBackend, Service, ServiceName};
use super::{Addresses, Environment, Host, ports};
use crate::error::Result;
use crate::scenario::Load;
use kafka_home::{KafkaHome, Listeners};
use mysqld::Mysqld;

/// The environment.
pub struct Local {
    kafka_home: Option<PathBuf>,
    data: Option<PathBuf>,
    host: Host,
    owned: Option<Owned>,
    versions: BTreeMap<String, String>,
}

impl Local {
    /// An environment with Kafka from `kafka_home` (or `KAFKA_HOME`), data in `data`.
    pub fn new(kafka_home: Option<&Path>, data: Option<&Path>, host: Host) -> Self {
        Self {
            kafka_home: kafka_home.map(Path::to_owned),
            data: data.map(Path::to_owned),
            host,
            owned: None,
            versions: BTreeMap::new(),
        }
    }

    fn broker(&self, home: &KafkaHome, folder: &ServiceFolder) -> Result<Service> {
        let (proxy_socket, proxy_address) = ports::reserve()?;
        let [engine, direct, controller] = ports::free()?;
        let listeners = Listeners { advertised: proxy_address, engine, direct, controller };
        let plan = home.prepare(&folder.make("broker")?, listeners, &self.host.stop)?;
        let upstream = ([127, 0, 0, 1], engine).into();
        let proxy = FaultProxy::start(proxy_socket, upstream)?;
        let probe = Probe::Kafka(format!("127.0.0.1:{direct}"));
        let backend = Box::new(ProcessBackend::new(plan));
        Ok(Service::new(ServiceName::Broker, backend, probe, Some(proxy)))
    }

    fn database(&self, mysqld: &Mysqld, folder: &ServiceFolder) -> Result<Service> {
        let (proxy_socket, _) = ports::reserve()?;
        let [port] = ports::free()?;
        let plan = mysqld.prepare(&folder.make("database")?, port)?;
        let proxy = FaultProxy::start(proxy_socket, ([127, 0, 0, 1], port).into())?;
        let probe = Probe::Mysql(mysqld::url(port));
        let backend = Box::new(ProcessBackend::new(plan));
        Ok(Service::new(ServiceName::Database, backend, probe, Some(proxy)))
    }
}

impl Environment for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn check(&self, _load: &Load) -> Result<()> {
        KafkaHome::find(self.kafka_home.as_deref())?;
        Mysqld::find().map(drop)
    }

    fn start(&mut self, load: &Load) -> Result<Addresses> {
        let home = KafkaHome::find(self.kafka_home.as_deref())?;
        let mysqld = Mysqld::find()?;
        self.versions.insert("kafka".to_owned(), home.version().to_owned());
        let folder = ServiceFolder::create(self.data.as_deref(), &self.host.run_id)?;
        let (broker, database) = std::thread::scope(|scope| {
            let broker = scope.spawn(|| {
                let service = self.broker(&home, &folder)?;
                self.host.bring_up(&service).map(|()| service)
            });
            let database = scope.spawn(|| {
                let service = self.database(&mysqld, &folder)?;
                self.host.bring_up(&service).map(|()| service)
            });
            (super::joined(broker), super::joined(database))
        });
        let services = vec![Arc::new(broker?), Arc::new(database?)];
        let owned = Owned::new(services, Some(folder), &self.host);
        let addresses = self.owned.insert(owned).prepare(load)?;
        self.versions.extend(self.owned.as_ref().map(Owned::versions).unwrap_or_default());
        Ok(addresses)
    }

    fn engine_addresses(&self, addresses: &Addresses) -> Addresses {
        self.owned.as_ref().map_or_else(|| addresses.clone(), |o| o.engine_addresses(addresses))
    }

    fn services(&self) -> Vec<Arc<Service>> {
        self.owned.as_ref().map(Owned::services).unwrap_or_default()
    }

    fn versions(&self) -> BTreeMap<String, String> {
        self.versions.clone()
    }

    fn remarks(&self) -> Vec<String> {
        vec![
            "One real broker (KRaft, no replication) and one real database on this host; the engine \
             reaches both through a fault proxy, load and oracle reach them directly."
                .to_owned(),
        ]
    }

    fn stop(&mut self) {
        self.owned = None;
    }
}
