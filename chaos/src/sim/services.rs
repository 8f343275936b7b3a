//! The simulated services by themselves, for whoever wants to compare them with real ones.
//!
//! Time moves when it is waited for: [`SimServices::wait`] lets events happen until an answer is
//! there.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use stormproof_engine::connectors::kafka::LogService;
use stormproof_engine::connectors::sql::SqlBackend;
use stormproof_engine::seam::{SnapshotStorage, Ticket};

use super::connection::Backend;
use super::core::{Core, Event, Span};
use super::database::{Database, DatabaseTraits};
use super::evidence::Evidence;
use super::plan::Retries;
use super::store::{Store, StoreHandle};
use super::topic::{LogHandle, Stored, Topic};
use super::weather::{Disturbance, Weather};

/// Key and value of a record.
pub type KeyValue = (Option<Bytes>, Option<Bytes>);

/// The services.
#[derive(Debug)]
pub struct SimServices {
    core: Arc<Core>,
    weather: Arc<Weather>,
    store: Arc<Store>,
    database: Arc<Database>,
    topic: Arc<Topic>,
}

impl SimServices {
    /// Sound services; the topic's partitions hold `records`, all of them visible.
    pub fn new(seed: u64, records: Vec<Vec<KeyValue>>) -> Self {
        let core = Core::new(seed, false);
        let weather = Weather::new(Arc::clone(&core), &[]);
        let span = Span { min_us: 50, max_us: 500 };
        let traits =
            DatabaseTraits { latency: span, lock_timeout_us: 50_000, idle_timeout_us: 100_000 };
        let stored = |(key, value)| Stored { key, value, event_time_us: 0 };
        let ends: Vec<usize> = records.iter().map(Vec::len).collect();
        let records =
            records.into_iter().map(|of| of.into_iter().map(stored).map(Some).collect()).collect();
        // Whoever commits here may do so at any time.
        let topic = Topic::new(Arc::clone(&core), Arc::clone(&weather), span, 0, records, (0, 0));
        for (partition, end) in (0..).zip(ends) {
            topic.on_arrival(partition, end as u32);
        }
        // Whoever calls here may try as often as it likes.
        let retries = Retries { most: u32::MAX, ..Retries::default() };
        Self {
            store: Store::new(Arc::clone(&core), Arc::clone(&weather), span, 0, 0, 0),
            database: Database::new(Arc::clone(&core), Arc::clone(&weather), traits, retries),
            topic,
            core,
            weather,
        }
    }

    /// The checkpoint storage.
    pub fn storage(&self) -> Arc<dyn SnapshotStorage> {
        Arc::new(StoreHandle(Arc::clone(&self.store)))
    }

    /// The database.
    pub fn backend(&self) -> Arc<dyn SqlBackend> {
        Arc::new(Backend::new(Arc::clone(&self.core), Arc::clone(&self.database)))
    }

    /// The log.
    pub fn log(&self) -> Arc<dyn LogService> {
        Arc::new(LogHandle(Arc::clone(&self.topic)))
    }

    /// From now on every call is struck by `disturbance`, or none is.
    pub fn disturb(&self, disturbance: Disturbance, is_on: bool) {
        self.weather.set(disturbance, is_on);
    }

    /// Retention removes what is below `low` of a partition.
    pub fn truncate(&self, partition: u32, low: u64) {
        self.topic.truncate(partition, low);
    }

    /// Somebody else locks the owner's row, or lets it go.
    pub fn lock_owner(&self, is_locked: bool) {
        self.database.lock_owner(is_locked);
    }

    /// Lets the next event happen. `false`: nothing is left to happen.
    pub fn step(&self) -> bool {
        match self.core.next() {
            Some(Event::Store(event)) => self.store.on_event(event),
            Some(Event::Database(event)) => self.database.on_event(event),
            Some(Event::Commit(id)) => self.topic.on_commit(id),
            Some(_) => {}
            None => return false,
        }
        true
    }

    /// Lets events happen until the ticket is fulfilled; `None` when that will never be.
    pub fn wait<T>(&self, ticket: &Ticket<T>) -> Option<T> {
        loop {
            if let Some(outcome) = ticket.try_take() {
                return Some(outcome);
            }
            if !self.step() {
                return None;
            }
        }
    }

    /// The tables, and nothing else.
    pub fn tables(&self) -> Evidence {
        let (audit, fences, results) = self.database.evidence();
        Evidence { audit, fences, results, objects: BTreeMap::new(), ..Evidence::default() }
    }
}
