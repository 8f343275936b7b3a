//! Strikes beside the engine: services, the links to them, the newest checkpoint's files.
//!
//! *Follow a strike:* the session hands a fault to [`Striker::strike`]; a thread of its own carries
//! it out ([`service`], [`cluster`], [`unclean`], [`link`], [`kafka`], [`mysql`], [`sqlite`]) and tells [`News`]: struck, then healed with
//! the effect that was seen, or missed with the reason. What is damaged while the engine is down
//! is damaged by the session itself ([`damage`]).
//!
//! Invariants: whatever a strike changed is changed back, also when it fails half-way; each wait has
//! a limit; an effect is looked at from outside, by a request of our own. Nothing here judges.

mod checkpoint;
mod cluster;
mod kafka;
mod link;
mod mysql;
mod quiet;
mod service;
mod sqlite;
mod topic;
mod unclean;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use stormproof_chaos::fault::{Fault, FaultAction, FaultId, FaultTarget};

use crate::clock::monotonic_us;
use crate::environment::{Addresses, DatabaseAddress, Service, ServiceName};
use crate::oracle::LostRange;
use crate::workload::generator::LoadFigures;

/// The longest wait for a service that is started again.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// The longest wait for the answer to a knock that shall be answered.
const HEALED_LIMIT: Duration = Duration::from_secs(20);

/// What is told of a strike.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// It has begun to strike.
    Struck {
        /// Which fault.
        id: FaultId,
        /// When.
        t_us: u64,
    },
    /// Its effect was seen, and it is undone.
    Healed {
        /// Which fault.
        id: FaultId,
        /// When it was undone.
        t_us: u64,
        /// What was seen.
        effect: String,
    },
    /// Records of the input are gone for good; the rest is being undone.
    Taken {
        /// Which fault.
        id: FaultId,
        /// What was seen.
        effect: String,
        /// What the log does not have any more.
        lost: Vec<LostRange>,
    },
    /// It did not land.
    Missed {
        /// Which fault.
        id: FaultId,
        /// Why.
        why: String,
    },
}

impl News {
    /// The fault that it is about.
    pub(crate) fn id(&self) -> FaultId {
        match self {
            Self::Struck { id, .. }
            | Self::Healed { id, .. }
            | Self::Taken { id, .. }
            | Self::Missed { id, .. } => *id,
        }
    }
}

/// What came of a strike: the effect that was seen, or why there was none.
pub(crate) type Outcome = Result<String, String>;

/// Carries strikes out.
pub(crate) struct Striker {
    services: Vec<Arc<Service>>,
    addresses: Addresses,
    sender: Sender<News>,
    news: Receiver<News>,
    threads: Vec<JoinHandle<()>>,
}

impl Striker {
    /// A striker of `services`; `addresses` lead past the proxies.
    pub(crate) fn new(services: Vec<Arc<Service>>, addresses: &Addresses) -> Self {
        let (sender, news) = channel();
        Self { services, addresses: addresses.clone(), sender, news, threads: Vec::new() }
    }

    /// Begins a strike.
    pub(crate) fn strike(&mut self, fault: Fault, load: Option<Arc<LoadFigures>>) {
        let id = fault.id;
        let strike = Strike {
            service: self.service_of(&fault),
            brokers: self.brokers(),
            load,
            addresses: self.addresses.clone(),
            sender: self.sender.clone(),
            fault,
        };
        let thread = std::thread::Builder::new().name("strike".to_owned());
        match thread.spawn(move || strike.carry_out()) {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                let why = format!("no thread to strike with: {error}");
                let _ = self.sender.send(News::Missed { id, why });
            }
        }
    }

    fn brokers(&self) -> Vec<Arc<Service>> {
        let is_broker = |service: &&Arc<Service>| service.name() == ServiceName::Broker;
        self.services.iter().filter(is_broker).cloned().collect()
    }

    /// Waits until nothing is being struck any more.
    pub(crate) fn wait(&mut self) {
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// Ends and starts of services that nobody here asked for, once nothing is being struck: what
    /// is being healed is down because of a fault.
    pub(crate) fn unasked(&mut self) -> Vec<String> {
        self.wait();
        self.services.iter().flat_map(|service| service.unasked()).collect()
    }

    /// The next news, if there are any.
    pub(crate) fn hear(&self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// The service that is struck: of several alike the one that is named, or else the one that the
    /// fault's number falls on, so that one after the other has its turn.
    fn service_of(&self, fault: &Fault) -> Option<Arc<Service>> {
        let (name, node) = match fault.target {
            FaultTarget::BrokerNode(node) => (ServiceName::Broker, Some(node)),
            FaultTarget::Broker | FaultTarget::BrokerLink => (ServiceName::Broker, None),
            FaultTarget::Database | FaultTarget::DatabaseLink => (ServiceName::Database, None),
            _ => return None,
        };
        let alike = || self.services.iter().filter(|service| service.name() == name);
        match node {
            Some(_) => alike().find(|service| service.node() == node).cloned(),
            None => alike().nth(fault.id.0 as usize % alike().count().max(1)).cloned(),
        }
    }
}

impl Drop for Striker {
    /// Strikes heal what they changed: the end of the run waits for them.
    fn drop(&mut self) {
        self.wait();
    }
}

/// One strike.
struct Strike {
    fault: Fault,
    service: Option<Arc<Service>>,
    /// All of them.
    brokers: Vec<Arc<Service>>,
    /// The load, while there is one.
    load: Option<Arc<LoadFigures>>,
    addresses: Addresses,
    sender: Sender<News>,
}

impl Strike {
    fn carry_out(self) {
        let id = self.fault.id;
        let outcome = match &self.service {
            Some(service) => self.on(service),
            None => self.on_file(),
        };
        let _ = self.sender.send(match outcome {
            Ok(effect) => News::Healed { id, t_us: monotonic_us(), effect },
            Err(why) => News::Missed { id, why },
        });
    }

    fn on(&self, service: &Arc<Service>) -> Outcome {
        let down = Duration::from_millis(self.fault.heal_after_ms);
        match self.fault.action {
            FaultAction::Sigkill => service::kill(self, service, down),
            FaultAction::Restart => service::restart(self, service, down),
            FaultAction::Pause { ms } => service::pause(self, service, Duration::from_millis(ms)),
            FaultAction::DeleteGroup => kafka::delete_group(self),
            FaultAction::UncleanElection { ms } => {
                unclean::strike(self, service, Duration::from_millis(ms))
            }
            FaultAction::Deadlock => mysql::deadlock(self, service),
            FaultAction::LockWait { ms } => mysql::lock_wait(self, service, ms),
            FaultAction::SmallPackets { ms } => mysql::small_packets(self, service, ms),
            FaultAction::ReadOnly { ms } => mysql::read_only(self, service, ms),
            _ => link::strike(self, service),
        }
    }

    /// There is no such service: a database may still be a file.
    fn on_file(&self) -> Outcome {
        match (&self.addresses.database, &self.fault.target, self.fault.action) {
            (
                DatabaseAddress::Sqlite(file),
                FaultTarget::Database,
                FaultAction::LockWait { ms },
            ) => sqlite::lock_wait(self, file, ms),
            (DatabaseAddress::Sqlite(_), FaultTarget::Database, _) => Err(
                "this environment's database is a file, which can only be locked (lock-wait): use \
                 --env local or --env containers"
                    .to_owned(),
            ),
            _ => Err(format!(
                "this environment owns no {}: use --env local or --env containers",
                self.fault.target
            )),
        }
    }

    /// The strike begins now.
    fn struck(&self) {
        let _ = self.sender.send(News::Struck { id: self.fault.id, t_us: monotonic_us() });
    }
}

/// What came of something that was done, and of what had to be undone.
fn both<T>(done: Result<T, String>, undone: Result<(), String>) -> Result<T, String> {
    match (done, undone) {
        (done, Ok(())) => done,
        (Ok(_), Err(why)) => Err(why),
        (Err(first), Err(why)) => Err(format!("{first}; and {why}")),
    }
}

pub(crate) use kafka::{expire, truncate};
pub(crate) use quiet::Quiet;

/// Damages what the fault names, while the engine is down.
pub(crate) fn damage(fault: &Fault, checkpoints: &Path) -> Outcome {
    match fault.action {
        FaultAction::TornCheckpoint => checkpoint::tear(checkpoints),
        FaultAction::CorruptCheckpoint => checkpoint::corrupt(checkpoints),
        other => Err(format!("{} damages nothing", other.name())),
    }
}
