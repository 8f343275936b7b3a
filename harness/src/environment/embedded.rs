//! The embedded environment: the embedded broker as a child process behind a fault proxy, SQLite in
//! the run's folder (or a MySQL database that runs already, when its address is given).
//!
//! Nothing to install, and real where it counts: the full Kafka client over loopback TCP, a broker
//! that can be killed, paused, restarted and cut off, a real file with real transactions.
//! Invariants: the broker's data is the run's own, outside its folder, and gone when this is
//! dropped; load and oracle reach the broker directly, the engine through the proxy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::leftovers::ServiceFolder;
use super::mysql::MysqlDatabase;
use super::proxy::FaultProxy;
use super::service::{Probe, ProcessBackend, ProcessPlan, Service, ServiceName};
use super::topic::Topic;
use super::{Addresses, DatabaseAddress, Environment, Host, kafka, ports};
use crate::error::{Result, environment};
use crate::scenario::{KafkaCluster, Load};

const TOPIC: &str = "storm";

/// The environment.
pub struct Embedded {
    file: PathBuf,
    mysql: Option<MysqlDatabase>,
    host: Host,
    broker: Option<Broker>,
}

/// A broker that runs. Dropped: the process first, then its folder.
struct Broker {
    service: Arc<Service>,
    _folder: ServiceFolder,
}

impl Embedded {
    /// An environment whose database is in `folder`, or at `database`.
    pub fn new(folder: &Path, database: Option<&str>, host: Host) -> Self {
        let mysql = database.map(|url| MysqlDatabase::new(url, &host.run_id));
        Self { file: folder.join("database.sqlite"), mysql, host, broker: None }
    }

    /// A broker that is ready.
    fn start_broker(&self) -> Result<Broker> {
        let folder = ServiceFolder::create(Some(&std::env::temp_dir()), &self.host.run_id)?;
        let (proxy_socket, proxy_address) = ports::reserve()?;
        let [direct, engine] = ports::free()?;
        let refuse = |error: std::io::Error| {
            environment(format!("the embedded broker cannot be started: {error}"))
                .at("this program's own file")
                .remedy("start the program from where it is installed")
        };
        let data = folder.make("log")?;
        let plan = ProcessPlan {
            name: ServiceName::Broker.to_string(),
            program: std::env::current_exe().map_err(refuse)?,
            arguments: vec![
                "broker".to_owned(),
                format!("--data={}", data.display()),
                format!("--port={direct}"),
                format!("--listen={engine}={proxy_address}"),
            ],
            variables: Vec::new(),
            folder: folder.make(".")?,
        };
        let proxy = FaultProxy::start(proxy_socket, ([127, 0, 0, 1], engine).into())?;
        let probe = Probe::Kafka(format!("127.0.0.1:{direct}"));
        let backend = Box::new(ProcessBackend::new(plan));
        let service = Service::new(ServiceName::Broker, backend, probe, Some(proxy));
        self.host.bring_up(&service)?;
        Ok(Broker { service: Arc::new(service), _folder: folder })
    }
}

impl Environment for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn check(&self, _load: &Load) -> Result<()> {
        self.mysql.as_ref().map_or(Ok(()), MysqlDatabase::check)
    }

    fn start(&mut self, load: &Load) -> Result<Addresses> {
        let (database, table_prefix) = match &mut self.mysql {
            Some(mysql) => (mysql.connect()?, mysql.table_prefix()),
            None => (DatabaseAddress::Sqlite(self.file.clone()), "storm".to_owned()),
        };
        let broker = self.start_broker()?;
        let brokers = broker.service.direct();
        self.broker = Some(broker);
        let (partitions, cluster) = (load.partitions, KafkaCluster::SINGLE);
        Topic { brokers: &brokers, name: TOPIC, partitions, cluster }.make(&self.host)?;
        Ok(Addresses {
            brokers,
            topic: TOPIC.to_owned(),
            partitions,
            group: TOPIC.to_owned(),
            database,
            table_prefix,
        })
    }

    fn engine_addresses(&self, addresses: &Addresses) -> Addresses {
        let through = self.broker.as_ref().map(|broker| broker.service.endpoint());
        Addresses {
            brokers: through.unwrap_or_else(|| addresses.brokers.clone()),
            ..addresses.clone()
        }
    }

    fn services(&self) -> Vec<Arc<Service>> {
        self.broker.iter().map(|broker| Arc::clone(&broker.service)).collect()
    }

    fn versions(&self) -> BTreeMap<String, String> {
        let database = match &self.mysql {
            Some(mysql) => ("database".to_owned(), mysql.version().to_owned()),
            None => ("sqlite".to_owned(), rusqlite::version().to_owned()),
        };
        BTreeMap::from([
            ("embedded broker".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("librdkafka (client)".to_owned(), kafka::client_version()),
            database,
        ])
    }

    fn remarks(&self) -> Vec<String> {
        vec![
            "The broker is stormproof's own, a single node in a process of its own: real protocol \
             over loopback, a log that survives its process, no replication. The engine reaches it \
             through a fault proxy, load and oracle reach it directly."
                .to_owned(),
        ]
    }

    fn stop(&mut self) {
        self.broker = None;
    }
}
