//! The clients that write the load: in order, once, each with partitions of its own.
//!
//! A client that keeps the order has five requests under way to each broker, and one partition in
//! each request. Where a request waits for followers that alone limits the load, so a topic with
//! replicas is written by several.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
};

use super::generator::{LoadFigures, TICK};
use crate::clock::monotonic_us;

/// How long the last records may go without one more acknowledgement: a broker that was killed is
/// up again by then, on a busy machine, too.
const FLUSH_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at what was acknowledged.
const FLUSH_LOOK: Duration = Duration::from_secs(1);
/// How long the brokers may take to describe the topic.
const METADATA_LIMIT: Duration = Duration::from_secs(30);
/// Clients of a topic whose partitions have followers.
const CLIENTS_FOR_REPLICAS: usize = 8;

/// The clients of one load.
pub(super) struct Producers {
    brokers: String,
    figures: Arc<LoadFigures>,
    /// Partition `p` belongs to the client `p % clients.len()`.
    clients: Vec<BaseProducer<Deliveries>>,
}

impl Producers {
    /// As many clients as the topic asks for.
    pub(super) fn connect(
        brokers: &str,
        topic: &str,
        figures: &Arc<LoadFigures>,
    ) -> KafkaResult<Self> {
        let first = client(brokers, figures, 1)?;
        let metadata = first.client().fetch_metadata(Some(topic), METADATA_LIMIT)?;
        let mut partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        let has_followers = partitions.any(|partition| partition.replicas().len() > 1);
        let count = if has_followers { CLIENTS_FOR_REPLICAS } else { 1 };
        let mut clients = vec![first];
        if count > 1 {
            clients =
                (0..count).map(|_| client(brokers, figures, count)).collect::<Result<_, _>>()?;
        }
        Ok(Self { brokers: brokers.to_owned(), figures: Arc::clone(figures), clients })
    }

    /// Takes new clients for the old ones: what the log has lost may be what it knew of their
    /// numbers.
    pub(super) fn renew(&mut self) -> KafkaResult<()> {
        let count = self.clients.len();
        for one in &mut self.clients {
            *one = client(&self.brokers, &self.figures, count)?;
        }
        Ok(())
    }

    /// Hands a record over, waiting while the queue is full; `false` when the load is to stop.
    /// `late` is asked each time how late the record is by now, and writes it into the value.
    pub(super) fn send(
        &self,
        topic: &str,
        partition: u32,
        key: &[u8],
        value: &mut [u8],
        late: impl Fn(&mut [u8]),
    ) -> KafkaResult<bool> {
        let client = &self.clients[partition as usize % self.clients.len()];
        loop {
            late(value);
            let record =
                BaseRecord::to(topic).partition(partition as i32).key(key).payload(&*value);
            match client.send(record) {
                Ok(()) => return Ok(true),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    if self.figures.is_stopped() {
                        return Ok(false);
                    }
                    client.poll(TICK);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Takes what the brokers have answered, and waits up to `wait` for it.
    pub(super) fn poll(&self, wait: Duration) {
        let (first, others) = self.clients.split_first().expect("there is one");
        for other in others {
            // A call takes one answer; the callbacks run here and now.
            let mut before = self.figures.answered();
            loop {
                other.poll(Duration::ZERO);
                let now = self.figures.answered();
                if std::mem::replace(&mut before, now) == now {
                    break;
                }
            }
        }
        first.poll(wait);
    }

    /// Forgets what no request holds yet.
    pub(super) fn purge(&self) {
        for client in &self.clients {
            client.purge(PurgeConfig::default().queue());
        }
    }

    /// Waits until everything is acknowledged: as long as it takes, while there is progress.
    pub(super) fn flush(&self) -> KafkaResult<()> {
        let figures = &self.figures;
        let (mut last, mut since_us) = (0, monotonic_us());
        loop {
            // Each of them: one that waits must not keep the others' answers from being counted.
            let look = FLUSH_LOOK / self.clients.len() as u32;
            let flushed: Vec<_> = self.clients.iter().map(|client| client.flush(look)).collect();
            let Some(error) = flushed.into_iter().find_map(Result::err) else { return Ok(()) };
            let answered = figures.answered();
            // Who is told to stop does not wait for a slow log; what is under way gets its time.
            if answered != last && !figures.is_stopped() {
                (last, since_us) = (answered, monotonic_us());
            }
            if u128::from(monotonic_us() - since_us) > FLUSH_LIMIT.as_micros() {
                return Err(error);
            }
        }
    }
}

/// A client that writes in order and once, one of so many.
fn client(
    brokers: &str,
    figures: &Arc<LoadFigures>,
    of: usize,
) -> KafkaResult<BaseProducer<Deliveries>> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("batch.size", "65536")
        .set("linger.ms", "20")
        .set("queue.buffering.max.messages", (500_000 / of).to_string())
        .set("queue.buffering.max.kbytes", (65_536 / of).to_string())
        .set("message.max.bytes", "2000000")
        // A broker that comes back is used at once: the load is late by its absence, not by ours.
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "500")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "500")
        .set("socket.timeout.ms", "10000")
        .create_with_context(Deliveries { figures: Arc::clone(figures) })
}

/// Counts acknowledgements, and keeps what the client complains of.
struct Deliveries {
    figures: Arc<LoadFigures>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        if level as i32 <= RDKafkaLogLevel::Warning as i32 {
            self.figures.complain(message);
        }
    }

    fn error(&self, _error: KafkaError, reason: &str) {
        self.figures.complain(reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, outcome: &DeliveryResult<'_>, (): ()) {
        let counter = match outcome {
            Ok(_) => &self.figures.acknowledged,
            Err(_) => &self.figures.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
