//! One client for each worker's group of source subtasks.
//!
//! A client is kept when its reader ends and handed to the next attempt's: its connections and
//! metadata are worth a few hundred milliseconds of every recovery. That is safe because
//! assignments carry versions inside librdkafka: messages fetched for the old assignment are
//! discarded when the queue of the new one is read, and the reader refuses offsets that it has
//! passed. Clients whose reader met a fatal error are not kept.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;

use crate::connectors::kafka::config::KafkaSourceConfig;
use crate::connectors::kafka::log::{LogError, Meaning};
use crate::ids::WorkerIndex;

/// What the client tells besides its queues.
#[derive(Debug, Default)]
pub(super) struct SourceContext;

impl ClientContext for SourceContext {
    /// Errors also come out of the main queue, where the reader judges them.
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for SourceContext {}

pub(super) type Consumer = BaseConsumer<SourceContext>;

fn connect(config: &KafkaSourceConfig) -> Result<Arc<Consumer>, LogError> {
    let client = config.client_config().create_with_context(SourceContext);
    client.map(Arc::new).map_err(|error| LogError {
        meaning: Meaning::Refused,
        what: format!("kafka client: {error}; correct the source's `properties`"),
    })
}

/// Clients between two attempts, by worker.
#[derive(Default)]
pub(super) struct IdleClients(Mutex<BTreeMap<WorkerIndex, Arc<Consumer>>>);

impl IdleClients {
    /// The client that `worker` used before, or a new one.
    pub(super) fn lease(
        self: &Arc<Self>,
        worker: WorkerIndex,
        config: &KafkaSourceConfig,
    ) -> Result<Lease, LogError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&worker);
        let client = match kept {
            Some(client) => client,
            None => connect(config)?,
        };
        Ok(Lease { client: Some(client), idle: Arc::clone(self), worker, is_sound: true })
    }
}

impl Drop for IdleClients {
    fn drop(&mut self) {
        let idle = std::mem::take(self.0.get_mut().unwrap_or_else(PoisonError::into_inner));
        idle.into_values().for_each(discard);
    }
}

/// A client for as long as one reader uses it; afterwards it is kept, or closed if it is broken.
pub(super) struct Lease {
    /// Present until dropped.
    client: Option<Arc<Consumer>>,
    idle: Arc<IdleClients>,
    worker: WorkerIndex,
    is_sound: bool,
}

impl Lease {
    /// The client must not be used again.
    pub(super) fn condemn(&mut self) {
        self.is_sound = false;
    }
}

impl Deref for Lease {
    type Target = Arc<Consumer>;

    fn deref(&self) -> &Self::Target {
        self.client.as_ref().expect("a lease has its client until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if !self.is_sound {
            return discard(client);
        }
        let mut idle = self.idle.0.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = idle.insert(self.worker, client);
        drop(idle);
        if let Some(client) = replaced {
            discard(client);
        }
    }
}

/// Closes a client elsewhere: closing waits for the client's threads.
fn discard(client: Arc<Consumer>) {
    // Without a thread the client is closed right here, which is slow and still right.
    let closer = std::thread::Builder::new().name("kafka-close".to_owned());
    drop(closer.spawn(move || drop(client)));
}
