//! The brokers that claims about Kafka are tried on: the embedded one, and a real one where its
//! distribution was given.
//!
//! Invariant: what was started is ended, and its folder removed, when the [`Broker`] is dropped.

use super::Context;
use crate::environment::leftovers::ServiceFolder;
use crate::environment::{Embedded, Environment, Host, Local};
use crate::error::Result;
use crate::scenario::{KafkaCluster, Load};

/// What is told of experiments that had no real Kafka.
pub(super) const NOT_REAL: &str =
    "not on real Kafka here: needs --env local and a distribution (KAFKA_HOME)";

/// A broker with a topic.
pub(super) struct Broker {
    /// What it is.
    pub(super) name: &'static str,
    pub(super) brokers: String,
    pub(super) topic: String,
    environment: Box<dyn Environment>,
    _folder: ServiceFolder,
}

impl Broker {
    fn start(context: &Context, is_real: bool, partitions: u32) -> Result<Self> {
        let run_id = format!("claims{}", crate::clock::monotonic_us());
        let files = ServiceFolder::create(Some(&std::env::temp_dir()), &run_id)?;
        let host = Host::quiet(&run_id);
        let environment: Box<dyn Environment> = match is_real {
            true => Box::new(Local::new(
                context.kafka_home.as_deref(),
                None,
                KafkaCluster::SINGLE,
                host,
            )),
            false => Box::new(Embedded::new(files.path(), None, host)),
        };
        let name = if is_real { "Kafka" } else { "the embedded broker" };
        let mut broker = Self {
            name,
            brokers: String::new(),
            topic: String::new(),
            environment,
            _folder: files,
        };
        let load = Load {
            records: 1,
            record_bytes: 100,
            rate_per_s: 1,
            keys: 1,
            partitions,
            run_length: 1,
        };
        let addresses = broker.environment.start(&load)?;
        (broker.brokers, broker.topic) = (addresses.brokers, addresses.topic);
        Ok(broker)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.environment.stop();
    }
}

/// Tries something on the embedded broker, then on a real one if there is any.
pub(super) fn on_each<T>(
    context: &Context,
    partitions: u32,
    experiment: impl Fn(&Broker) -> Result<T>,
) -> Result<Vec<(&'static str, T)>> {
    let kinds = [Some(false), context.kafka_home.as_ref().map(|_| true)];
    let each = kinds.into_iter().flatten().map(|is_real| {
        let broker = Broker::start(context, is_real, partitions)?;
        Ok((broker.name, experiment(&broker)?))
    });
    each.collect()
}
