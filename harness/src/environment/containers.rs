//! The containers environment: Kafka and MySQL (or MariaDB) from images, each behind a fault proxy.
//!
//! The images are the official ones unless others are named; `ci/images` builds stand-ins with the
//! same variables, ports and folders where there is no registry. Invariants: ports are of loopback
//! and stay the same over every restart; data is in a folder of the host that outlives a kill of
//! the container; all is gone when this is dropped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::leftovers::ServiceFolder;
use super::local::COMMON;
use super::owned::{DATABASE, Owned, PASSWORD, USER, url};
use super::proxy::FaultProxy;
use super::service::{ContainerBackend, ContainerPlan, Engine, Probe, Service, ServiceName};
use super::{Addresses, Environment, Host, ports};
use crate::error::Result;
use crate::scenario::Load;

/// Ports inside a broker's container: for the engine, for everybody else, for its controller.
const ENGINE_PORT: u16 = 9092;
const DIRECT_PORT: u16 = 9094;
const CONTROLLER_PORT: u16 = 9093;
const DATABASE_PORT: u16 = 3306;

/// The environment.
pub struct Containers {
    kafka_image: String,
    database_image: String,
    data: Option<PathBuf>,
    host: Host,
    owned: Option<Owned>,
    versions: BTreeMap<String, String>,
}

impl Containers {
    /// An environment of these images, with data in `data`.
    pub fn new(kafka_image: &str, database_image: &str, data: Option<PathBuf>, host: Host) -> Self {
        Self {
            kafka_image: kafka_image.to_owned(),
            database_image: database_image.to_owned(),
            data,
            host,
            owned: None,
            versions: BTreeMap::new(),
        }
    }

    fn service(
        &self,
        engine: &Arc<Engine>,
        plan: ContainerPlan,
        proxied: (std::net::TcpListener, u16),
        (name, probe): (ServiceName, Probe),
        host: &Host,
    ) -> Result<Service> {
        let proxy = FaultProxy::start(proxied.0, ([127, 0, 0, 1], proxied.1).into())?;
        let backend = ContainerBackend::new(Arc::clone(engine), plan);
        let service = Service::new(name, Box::new(backend), probe, Some(proxy));
        host.bring_up(&service).map(|()| service)
    }

    fn broker(&self, engine: &Arc<Engine>, folder: &ServiceFolder, host: &Host) -> Result<Service> {
        let (socket, advertised) = ports::reserve()?;
        let [engine_port, direct] = ports::free()?;
        let plan = ContainerPlan {
            name: "broker".to_owned(),
            image: self.kafka_image.clone(),
            variables: kafka_variables(&advertised.to_string(), direct),
            arguments: Vec::new(),
            ports: vec![(engine_port, ENGINE_PORT), (direct, DIRECT_PORT)],
            mounts: vec![(open_folder(folder, "broker")?, "/var/lib/kafka/data".to_owned())],
            run_id: host.run_id.clone(),
            stop: host.stop.clone(),
        };
        let probe = Probe::Kafka(format!("127.0.0.1:{direct}"));
        self.service(engine, plan, (socket, engine_port), (ServiceName::Broker, probe), host)
    }

    fn database(
        &self,
        engine: &Arc<Engine>,
        folder: &ServiceFolder,
        host: &Host,
    ) -> Result<Service> {
        let (socket, _) = ports::reserve()?;
        let [port] = ports::free()?;
        let plan = ContainerPlan {
            name: "database".to_owned(),
            image: self.database_image.clone(),
            variables: database_variables(),
            arguments: DATABASE_OPTIONS.map(str::to_owned).to_vec(),
            ports: vec![(port, DATABASE_PORT)],
            mounts: vec![(open_folder(folder, "database")?, "/var/lib/mysql".to_owned())],
            run_id: host.run_id.clone(),
            stop: host.stop.clone(),
        };
        let probe = Probe::Mysql(url(&format!("127.0.0.1:{port}")));
        self.service(engine, plan, (socket, port), (ServiceName::Database, probe), host)
    }
}

/// A folder that the account inside the container may fill, whoever that is.
fn open_folder(folder: &ServiceFolder, name: &str) -> Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.make(name)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777))
        .map_err(|error| crate::run::cannot_write(&path, &error))?;
    Ok(path.display().to_string())
}

/// `message.max.bytes=1` as the image's `KAFKA_MESSAGE_MAX_BYTES=1`.
fn kafka_variables(advertised: &str, direct: u16) -> Vec<(String, String)> {
    let own = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.voters", format!("1@127.0.0.1:{CONTROLLER_PORT}")),
        (
            "listeners",
            format!(
                "ENGINE://0.0.0.0:{ENGINE_PORT},DIRECT://0.0.0.0:{DIRECT_PORT},\
                 CONTROLLER://127.0.0.1:{CONTROLLER_PORT}"
            ),
        ),
        ("advertised.listeners", format!("ENGINE://{advertised},DIRECT://127.0.0.1:{direct}")),
        ("log.dirs", "/var/lib/kafka/data".to_owned()),
        // Inside the container the advertised addresses lead nowhere.
        ("inter.broker.listener.name", "DIRECT".to_owned()),
    ];
    let common = COMMON.lines().filter_map(|line| line.split_once('='));
    let common = common.filter(|(name, _)| *name != "inter.broker.listener.name");
    let all = common.map(|(name, value)| (name, value.to_owned())).chain(own);
    let variable = |(name, value): (&str, String)| {
        (format!("KAFKA_{}", name.to_uppercase().replace('.', "_")), value)
    };
    let mut variables: Vec<_> = all.map(variable).collect();
    variables.push(("KAFKA_HEAP_OPTS".to_owned(), "-Xmx768m -Xms256m".to_owned()));
    variables.push(("CLUSTER_ID".to_owned(), "c3Rvcm1wcm9vZi1ydW4xMg".to_owned()));
    variables
}

/// Both official images read the `MYSQL_` names.
fn database_variables() -> Vec<(String, String)> {
    [
        ("MYSQL_ROOT_PASSWORD", PASSWORD),
        ("MYSQL_DATABASE", DATABASE),
        ("MYSQL_USER", USER),
        ("MYSQL_PASSWORD", PASSWORD),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// The same as those of the local environment.
const DATABASE_OPTIONS: [&str; 5] = [
    "--skip-name-resolve",
    "--max-allowed-packet=16M",
    "--innodb-buffer-pool-size=256M",
    "--innodb-flush-log-at-trx-commit=2",
    "--max-connections=200",
];

impl Environment for Containers {
    fn name(&self) -> &'static str {
        "containers"
    }

    fn check(&self, _load: &Load) -> Result<()> {
        Engine::connect().map(drop)
    }

    fn start(&mut self, load: &Load) -> Result<Addresses> {
        let engine = Engine::connect()?;
        let folder = ServiceFolder::create(self.data.as_deref(), &self.host.run_id)?;
        let services = self.host.together(vec![
            Box::new(|host| self.broker(&engine, &folder, host)),
            Box::new(|host| self.database(&engine, &folder, host)),
        ])?;
        let services = services.into_iter().map(Arc::new).collect();
        let owned = Owned::new(services, Some(folder), &self.host);
        let addresses = self.owned.insert(owned).prepare(load)?;
        self.versions.extend(self.owned.as_ref().map(Owned::versions).unwrap_or_default());
        self.versions.insert("kafka image".to_owned(), self.kafka_image.clone());
        self.versions.insert("database image".to_owned(), self.database_image.clone());
        self.versions.insert("container engine".to_owned(), engine.version());
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
            "One real broker (KRaft, no replication) and one real database in containers; the \
             engine reaches both through a fault proxy, load and oracle reach them directly."
                .to_owned(),
        ]
    }

    fn stop(&mut self) {
        self.owned = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_becomes_the_variable_that_the_image_reads() {
        let variables = kafka_variables("127.0.0.1:1000", 2000);
        let of = |name: &str| {
            let mut found = variables.iter().filter(|(n, _)| n == name);
            let value = found.next().map(|(_, value)| value.as_str());
            assert!(found.next().is_none(), "{name} is given twice");
            value
        };
        assert_eq!(
            of("KAFKA_ADVERTISED_LISTENERS"),
            Some("ENGINE://127.0.0.1:1000,DIRECT://127.0.0.1:2000")
        );
        assert_eq!(of("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"), Some("1"));
        assert_eq!(of("KAFKA_INTER_BROKER_LISTENER_NAME"), Some("DIRECT"));
    }
}
