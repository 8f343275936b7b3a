//! The local environment: Kafka from a distribution folder and MariaDB or MySQL from the installed
//! programs, as child processes on private ports of loopback, each behind a fault proxy.
//!
//! Invariants: nothing of a machine's own Kafka or MySQL is touched: data, sockets, ports and
//! accounts are the run's; both services start at the same time; all is gone when this is dropped.

mod inventory;
mod kafka_home;
mod mysqld;
mod properties;

pub(crate) use inventory::inventory;
pub(super) use properties::COMMON;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::host::Start;
use super::leftovers::ServiceFolder;
use super::owned::Owned;
use super::proxy::FaultProxy;
use super::service::{Probe, ProcessBackend, Service, ServiceName};
use super::{Addresses, Environment, Host, ports};
use crate::error::Result;
use crate::scenario::{KafkaCluster, Load};
use kafka_home::KafkaHome;
use mysqld::Mysqld;
use properties::{Listeners, Role};

/// The environment.
pub struct Local {
    kafka_home: Option<PathBuf>,
    data: Option<PathBuf>,
    cluster: KafkaCluster,
    host: Host,
    owned: Option<Owned>,
    versions: BTreeMap<String, String>,
}

impl Local {
    /// An environment with Kafka from `kafka_home` (or `KAFKA_HOME`), data in `data`.
    pub fn new(
        kafka_home: Option<&Path>,
        data: Option<&Path>,
        cluster: KafkaCluster,
        host: Host,
    ) -> Self {
        Self {
            kafka_home: kafka_home.map(Path::to_owned),
            data: data.map(Path::to_owned),
            cluster,
            host,
            owned: None,
            versions: BTreeMap::new(),
        }
    }

    /// The processes of Kafka: a broker, or several with their controller.
    /// How each process of the cluster is started.
    fn kafka<'a>(
        &'a self,
        home: &'a KafkaHome,
        folder: &'a ServiceFolder,
    ) -> Result<Vec<Start<'a>>> {
        let [controller] = ports::free()?;
        let nodes = match self.cluster.brokers {
            1 => vec![None],
            brokers => (1..=brokers).map(Some).chain([Some(0)]).collect(),
        };
        let up = move |host: &Host, node: Option<u32>| {
            let service = match node {
                Some(0) => self.controller(home, folder, controller, host)?,
                node => self.broker(home, folder, controller, node, host)?,
            };
            host.bring_up(&service).map(|()| service)
        };
        let start = |node| -> Start<'a> { Box::new(move |host| up(host, node)) };
        Ok(nodes.into_iter().map(start).collect())
    }

    fn broker(
        &self,
        home: &KafkaHome,
        folder: &ServiceFolder,
        controller: u16,
        node: Option<u32>,
        host: &Host,
    ) -> Result<Service> {
        let (proxy_socket, proxy_address) = ports::reserve()?;
        let [engine, direct] = ports::free()?;
        let listeners = Listeners { advertised: proxy_address, engine, direct };
        let role = match node {
            Some(node) => Role::Broker { node, replicas: self.cluster.replicas(), listeners },
            None => Role::Single(listeners),
        };
        let folder = folder.make(&role.label())?;
        let plan = home.prepare(&folder, role, controller, host)?;
        let proxy = FaultProxy::start(proxy_socket, ([127, 0, 0, 1], engine).into())?;
        let probe = Probe::Kafka(format!("127.0.0.1:{direct}"));
        let backend = Box::new(ProcessBackend::new(plan));
        let service = Service::new(ServiceName::Broker, backend, probe, Some(proxy));
        Ok(match node {
            Some(node) => service.numbered(node),
            None => service,
        })
    }

    fn controller(
        &self,
        home: &KafkaHome,
        folder: &ServiceFolder,
        port: u16,
        host: &Host,
    ) -> Result<Service> {
        let folder = folder.make(&Role::Controller.label())?;
        let plan = home.prepare(&folder, Role::Controller, port, host)?;
        let probe = Probe::Controller(format!("127.0.0.1:{port}"));
        let backend = Box::new(ProcessBackend::new(plan));
        Ok(Service::new(ServiceName::Controller, backend, probe, None))
    }

    fn database(&self, mysqld: &Mysqld, folder: &ServiceFolder, host: &Host) -> Result<Service> {
        let (proxy_socket, _) = ports::reserve()?;
        let [port] = ports::free()?;
        let plan = mysqld.prepare(&folder.make("database")?, port, host)?;
        let proxy = FaultProxy::start(proxy_socket, ([127, 0, 0, 1], port).into())?;
        let probe = Probe::Mysql(mysqld::url(port));
        let backend = Box::new(ProcessBackend::new(plan));
        let service = Service::new(ServiceName::Database, backend, probe, Some(proxy));
        host.bring_up(&service).map(|()| service)
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
        let mut starts = self.kafka(&home, &folder)?;
        starts.push(Box::new(|host| self.database(&mysqld, &folder, host)));
        let services = self.host.together(starts)?.into_iter().map(Arc::new).collect();
        let owned = Owned::new(services, Some(folder), &self.host).clustered(self.cluster);
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
        let kafka = match self.cluster {
            KafkaCluster { brokers: 1, .. } => "One real broker (KRaft, no replication)".to_owned(),
            cluster => format!(
                "{} real brokers (KRaft, {} replicas, {} of them in sync before a record is \
                 acknowledged) with a controller of their own",
                cluster.brokers,
                cluster.replicas(),
                cluster.min_insync_replicas
            ),
        };
        vec![format!(
            "{kafka} and one real database on this host; the engine reaches them through fault \
             proxies, load and oracle reach them directly."
        )]
    }

    fn stop(&mut self) {
        self.owned = None;
    }
}
