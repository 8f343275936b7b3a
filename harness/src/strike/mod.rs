//! Strikes beside the engine: services, the links to them, the newest checkpoint's files.
//!
//! *Follow a strike:* the session hands a fault to [`Striker::strike`]; a thread of its own carries
//! it out ([`service`], [`link`], [`kafka`], [`mysql`], [`sqlite`]) and tells [`News`]: struck, then healed with
//! the effect that was seen, or missed with the reason. What is damaged while the engine is down
//! is damaged by the session itself ([`damage`]).
//!
//! Invariants: whatever a strike changed is changed back, also when it fails half-way; each wait has
//! a limit; an effect is looked at from outside, by a request of our own. Nothing here judges.

mod checkpoint;
mod kafka;
mod link;
mod mysql;
mod service;
mod sqlite;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use stormproof_chaos::fault::{Fault, FaultAction, FaultId, FaultTarget};

use crate::clock::monotonic_us;
use crate::environment::{Addresses, DatabaseAddress, Service, ServiceName};

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
            Self::Struck { id, .. } | Self::Healed { id, .. } | Self::Missed { id, .. } => *id,
        }
    }
}

/// What came of a strike: the effect that was seen, or why there was none.
type Outcome = Result<String, String>;

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
    pub(crate) fn strike(&mut self, fault: Fault) {
        let id = fault.id;
        let strike = Strike {
            service: self.service_of(&fault.target),
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

    /// The next news, if there are any.
    pub(crate) fn hear(&self) -> Option<News> {
        self.news.try_recv().ok()
    }

    fn service_of(&self, target: &FaultTarget) -> Option<Arc<Service>> {
        let name = match target {
            FaultTarget::Broker | FaultTarget::BrokerLink => ServiceName::Broker,
            FaultTarget::Database | FaultTarget::DatabaseLink => ServiceName::Database,
            _ => return None,
        };
        self.services.iter().find(|service| service.name() == name).cloned()
    }
}

impl Drop for Striker {
    /// Strikes heal what they changed: the end of the run waits for them.
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One strike.
struct Strike {
    fault: Fault,
    service: Option<Arc<Service>>,
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

    fn on(&self, service: &Service) -> Outcome {
        let down = Duration::from_millis(self.fault.heal_after_ms);
        match self.fault.action {
            FaultAction::Sigkill => service::kill(self, service, down),
            FaultAction::Restart => service::restart(self, service, down),
            FaultAction::Pause { ms } => service::pause(self, service, Duration::from_millis(ms)),
            FaultAction::DeleteGroup => kafka::delete_group(self),
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

pub(crate) use kafka::truncate;

/// Damages what the fault names, while the engine is down.
pub(crate) fn damage(fault: &Fault, checkpoints: &Path) -> Outcome {
    match fault.action {
        FaultAction::TornCheckpoint => checkpoint::tear(checkpoints),
        FaultAction::CorruptCheckpoint => checkpoint::corrupt(checkpoints),
        other => Err(format!("{} damages nothing", other.name())),
    }
}
