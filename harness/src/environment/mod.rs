//! Environments: where the topic and the database of a run live.
//!
//! *Follow a service:* [`local`] or [`containers`] plan it, [`service`] starts it, waits for it and
//! holds it, [`proxy`] stands before it, [`leftovers`] takes away what it owned.
//!
//! Invariants: [`Environment::check`] says no before anything is started; [`Environment::start`]
//! returns only when both services have answered a real request; [`Environment::stop`] leaves
//! nothing running. An environment knows nothing of faults or verdicts.

mod containers;
mod effects;
mod embedded;
mod external;
mod facts;
mod host;
mod kafka;
pub(crate) mod leftovers;
mod local;
mod mysql;
mod owned;
mod ports;
pub(crate) mod proxy;
pub(crate) mod service;
mod topic;

pub use containers::Containers;
pub use host::{Host, Stop};
pub use local::Local;
pub(crate) use local::inventory as local_inventory;
pub use proxy::{Counted, FaultProxy, Weather};
pub use service::{Backend, Service, ServiceName, ServiceState};

pub(crate) use effects::{EffectsProbe, monitor_session};
pub use embedded::Embedded;
pub use external::External;
pub use facts::{machine_facts, own_facts};
pub(crate) use kafka::{Client, Replicas};
pub(crate) use mysql::{ask_version, block_on, lacks_password, without_password};
pub(crate) use owned::admin_url;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::scenario::{EnvironmentChoice, Load, Scenario};

/// Where the tables are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseAddress {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// `mysql://user:password@host:port/database`.
    Mysql(String),
}

/// What the engine, the generator and the oracle connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Kafka's bootstrap servers.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: u32,
    /// The consumer group whose offsets the job commits.
    pub group: String,
    /// Where the tables are.
    pub database: DatabaseAddress,
    /// What the tables' names begin with.
    pub table_prefix: String,
}

/// Where a run takes place.
pub trait Environment {
    /// The name in results.
    fn name(&self) -> &'static str;

    /// Whether `load` fits into the environment's limits.
    ///
    /// # Errors
    /// With the numbers and the remedy when it does not.
    fn check(&self, load: &Load) -> Result<()>;

    /// Starts or finds the services, and the topic with as many partitions as `load` wants.
    ///
    /// # Errors
    /// When a service does not answer, or the topic is not what the load needs.
    fn start(&mut self, load: &Load) -> Result<Addresses>;

    /// The same services as the engine is to reach them: through the fault proxies, if there are any.
    fn engine_addresses(&self, addresses: &Addresses) -> Addresses {
        addresses.clone()
    }

    /// The services that this environment owns: faults may strike them.
    fn services(&self) -> Vec<Arc<Service>> {
        Vec::new()
    }

    /// Versions of the services, by name.
    fn versions(&self) -> BTreeMap<String, String>;

    /// What a reader of the result must know about this environment.
    fn remarks(&self) -> Vec<String>;

    /// Ends what was started.
    fn stop(&mut self);
}

/// The environment of `scenario` for the run of `host` in `folder`.
pub fn choose(scenario: &Scenario, host: &Host, folder: &Path) -> Box<dyn Environment> {
    match &scenario.environment {
        EnvironmentChoice::Embedded { database } => {
            Box::new(Embedded::new(folder, database.as_deref(), host.clone()))
        }
        EnvironmentChoice::Local { kafka_home, data, cluster } => {
            Box::new(Local::new(kafka_home.as_deref(), data.as_deref(), *cluster, host.clone()))
        }
        EnvironmentChoice::Containers { kafka_image, database_image, data } => {
            Box::new(Containers::new(kafka_image, database_image, data.clone(), host.clone()))
        }
        EnvironmentChoice::External { brokers, topic, database } => {
            Box::new(External::new(brokers, topic.as_deref(), database, host.clone()))
        }
    }
}
