//! Environments: where the topic and the database of a run live.
//!
//! Invariants: [`Environment::check`] says no before anything is started; [`Environment::start`]
//! returns only when both services have answered a real request; [`Environment::stop`] leaves
//! nothing running. An environment knows nothing of faults or verdicts.

mod effects;
mod embedded;
mod external;
mod facts;
mod kafka;
mod mysql;

pub(crate) use effects::EffectsProbe;
pub use embedded::Embedded;
pub use external::External;
pub use facts::machine_facts;
pub(crate) use kafka::Client;
pub(crate) use mysql::{lacks_password, without_password};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

    /// Versions of the services, by name.
    fn versions(&self) -> BTreeMap<String, String>;

    /// What a reader of the result must know about this environment.
    fn remarks(&self) -> Vec<String>;

    /// Ends what was started.
    fn stop(&mut self);
}

/// The environment of `scenario` for the run `run_id` in `folder`.
pub fn choose(scenario: &Scenario, run_id: &str, folder: &Path) -> Box<dyn Environment> {
    match &scenario.environment {
        EnvironmentChoice::Embedded { database } => {
            Box::new(Embedded::new(folder, database.as_deref(), run_id))
        }
        EnvironmentChoice::External { brokers, topic, database } => {
            Box::new(External::new(brokers, topic.as_deref(), database, run_id))
        }
    }
}
