//! A service that an environment owns: a broker or a database that can be stopped, killed, paused
//! and started again, with its address, its readiness and, before it, a fault proxy.
//!
//! Invariants: [`Service::wait_ready`] is over when a real request was answered, never because of a
//! line in a log; a service that has ended is told at once, with the end of its log; the addresses
//! of a service stay the same over all its lives. A service knows nothing of faults or verdicts.

mod container;
mod engine;
mod knock;
mod log;
mod ownership;
mod process;
mod spawner;

pub(crate) use container::{ContainerBackend, ContainerPlan};
pub(crate) use engine::Engine;
pub(crate) use knock::{Answer, knock};
pub(crate) use log::SavedLog;
pub(crate) use ownership::sweep_containers;
pub(crate) use process::{ProcessBackend, ProcessPlan};

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::kafka::Client;
use super::proxy::FaultProxy;
use super::{Stop, mysql};
use crate::error::{ErrorKind, Result, environment};

/// Between two looks at a service that is not ready.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The longest wait for one knock.
const KNOCK_LIMIT: Duration = Duration::from_millis(1_000);

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceName {
    /// The Kafka broker.
    Broker,
    /// The controller of several brokers.
    Controller,
    /// The database.
    Database,
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broker => "broker",
            Self::Controller => "controller",
            Self::Database => "database",
        })
    }
}

/// What a service is doing, as its host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It runs; whether it answers is another question.
    Running,
    /// It is stopped in its tracks (SIGSTOP, the freezer).
    Paused,
    /// There is no process.
    Down,
}

/// How a service is held: as processes of this host, or as a container.
pub trait Backend: Send + Sync {
    /// Begins to start it; does not wait until it is ready.
    ///
    /// # Errors
    /// When it cannot be started at all.
    fn start(&self) -> Result<()>;

    /// Ends it by SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When it does not go.
    fn kill(&self) -> Result<()>;

    /// Asks it to end, and kills it when it does not.
    ///
    /// # Errors
    /// When it does not go.
    fn stop(&self, limit: Duration) -> Result<()>;

    /// Stops it in its tracks.
    ///
    /// # Errors
    /// When it is not running.
    fn pause(&self) -> Result<()>;

    /// Lets it go on.
    ///
    /// # Errors
    /// When it is gone.
    fn resume(&self) -> Result<()>;

    /// What it is doing.
    fn state(&self) -> ServiceState;

    /// Writes what it has said, over all its lives, into `file`.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    fn save_log(&self, file: &Path) -> Result<()>;

    /// The last lines of what it has said.
    fn last_words(&self) -> String;

    /// Ends and starts of it that nobody here asked for, in words.
    fn unasked(&self) -> Vec<String>;

    /// Ends it for good, and takes away all that it left.
    fn remove(&self);
}

/// How a service's readiness is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Probe {
    /// Kafka at `host:port`: metadata, and a leader for each partition.
    Kafka(String),
    /// A controller at `host:port`: whether it answers at all.
    Controller(String),
    /// `mysql://...`: the version, asked by SQL with the account of the run.
    Mysql(String),
}

impl Probe {
    /// `host:port` of the service itself.
    fn address(&self) -> String {
        match self {
            Self::Kafka(address) | Self::Controller(address) => address.clone(),
            Self::Mysql(url) => mysql::host_and_port(url),
        }
    }

    /// One real request.
    fn ask(&self) -> Result<()> {
        match self {
            Self::Kafka(address) => {
                let client = Client::connect(address, "stormproof-ready")?;
                let leaderless = client.partitions_without_leader()?;
                if leaderless == 0 {
                    return Ok(());
                }
                Err(environment(format!("{leaderless} partitions have no leader"))
                    .at(format!("kafka at {address}")))
            }
            // The knock before was a request of Kafka's protocol, and was answered.
            Self::Controller(_) => Ok(()),
            Self::Mysql(url) => mysql::ask_version(url).map(drop),
        }
    }
}

/// A service.
pub struct Service {
    name: ServiceName,
    /// Its number among several of the kind, from 1; `None` = the only one.
    node: Option<u32>,
    backend: Box<dyn Backend>,
    probe: Probe,
    proxy: Option<FaultProxy>,
}

impl Service {
    /// A service that `backend` holds, not started yet.
    pub(crate) fn new(
        name: ServiceName,
        backend: Box<dyn Backend>,
        probe: Probe,
        proxy: Option<FaultProxy>,
    ) -> Self {
        Self { name, node: None, backend, probe, proxy }
    }

    /// The same as number `node` of several.
    #[must_use]
    pub(crate) fn numbered(mut self, node: u32) -> Self {
        self.node = Some(node);
        self
    }

    /// Its number among several of the kind, from 1.
    pub fn node(&self) -> Option<u32> {
        self.node
    }

    /// What people call it, and its log: `broker-2`.
    pub fn label(&self) -> String {
        self.node.map_or_else(|| self.name.to_string(), |node| format!("{}-{node}", self.name))
    }

    /// Which service.
    pub fn name(&self) -> ServiceName {
        self.name
    }

    /// `host:port` that the engine connects to: the proxy's, where there is one.
    pub fn endpoint(&self) -> String {
        self.proxy.as_ref().map_or_else(|| self.direct(), FaultProxy::address)
    }

    /// `host:port` of the service itself, past the proxy.
    pub fn direct(&self) -> String {
        self.probe.address()
    }

    /// The proxy between the engine and the service.
    pub fn proxy(&self) -> Option<&FaultProxy> {
        self.proxy.as_ref()
    }

    /// One cheap request at `address`, with what came of it.
    pub(crate) fn knock_at(&self, address: &str, limit: Duration) -> Answer {
        knock(self.name, address, limit)
    }

    /// What it is doing.
    pub fn state(&self) -> ServiceState {
        self.backend.state()
    }

    /// See [`Backend::start`].
    ///
    /// # Errors
    /// When it cannot be started at all.
    pub fn start(&self) -> Result<()> {
        self.backend.start()
    }

    /// See [`Backend::kill`].
    ///
    /// # Errors
    /// When it does not go.
    pub fn kill(&self) -> Result<()> {
        self.backend.kill()
    }

    /// See [`Backend::stop`].
    ///
    /// # Errors
    /// When it does not go.
    pub fn stop(&self, limit: Duration) -> Result<()> {
        self.backend.stop(limit)
    }

    /// See [`Backend::pause`].
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&self) -> Result<()> {
        self.backend.pause()
    }

    /// See [`Backend::resume`].
    ///
    /// # Errors
    /// When it is gone.
    pub fn resume(&self) -> Result<()> {
        self.backend.resume()
    }

    /// Stops it, starts it again, and waits until it is ready.
    ///
    /// # Errors
    /// When one of the three fails.
    pub fn restart(&self, limit: Duration) -> Result<()> {
        self.stop(limit)?;
        self.start()?;
        self.wait_ready(limit, &Stop::never())
    }

    /// Waits until it answers a real request.
    ///
    /// # Errors
    /// When it has ended, refuses the account, or does not answer within `limit`: with the end of
    /// its log. When `stop` says so.
    pub fn wait_ready(&self, limit: Duration, stop: &Stop) -> Result<()> {
        let begun = Instant::now();
        let mut last = "it does not answer".to_owned();
        while begun.elapsed() < limit {
            stop.check()?;
            if self.state() == ServiceState::Down {
                let said = self.backend.last_words();
                let what = format!("the {} ended before it was ready{said}", self.label());
                return Err(environment(what).at(self.direct()).remedy(against(&said)));
            }
            match self.knock_at(&self.direct(), KNOCK_LIMIT) {
                Answer::Answered(_) => match self.probe.ask() {
                    Ok(()) => return Ok(()),
                    // An account that is refused will be refused again.
                    Err(error) if error.kind == ErrorKind::Refused => return Err(error),
                    Err(error) => last = error.what,
                },
                other => last = other.to_string(),
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(environment(format!(
            "the {} was not ready in {} s: {last}{}",
            self.label(),
            limit.as_secs(),
            self.backend.last_words()
        ))
        .at(self.direct())
        .remedy("give it more time (environment.ready_limit_s), memory or a faster disk"))
    }

    /// Writes its log into `folder`.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub(crate) fn save_log(&self, folder: &Path) -> Result<SavedLog> {
        let file = folder.join(format!("{}.log", self.label()));
        self.backend.save_log(&file).map(|()| SavedLog(file))
    }

    /// See [`Backend::unasked`].
    pub(crate) fn unasked(&self) -> Vec<String> {
        self.backend.unasked()
    }

    /// Ends it for good.
    pub fn remove(&self) {
        self.backend.remove();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.backend.remove();
    }
}

/// What helps against what a service said last before it ended. Its ports were drawn by us.
fn against(last_words: &str) -> &'static str {
    let said = last_words.to_lowercase();
    match said.contains("address already in use") {
        true => "another program took its port meanwhile: run again",
        false => "the lines above are the end of its log: change what they name",
    }
}

#[cfg(test)]
mod tests {
    use super::against;

    #[test]
    fn a_port_that_was_taken_meanwhile_is_drawn_again() {
        let kafka = "java.net.BindException: Address already in use";
        let mariadb =
            "Can't start server: Bind on TCP/IP port. Got error: 98: Address already in use";
        assert!(against(kafka).contains("run again") && against(mariadb).contains("run again"));
        assert!(against("OutOfMemoryError").contains("change what they name"));
    }
}
