//! The experiment's Kafka sink: one producer for each worker, flushed at the barrier or not.
//!
//! Invariants: with [`Guarantee::AtLeastOnce`] a checkpoint is acknowledged only when every record
//! before its barrier is; a dropped sink takes what it has not sent with it, as a process would
//! that dies. A record's key in the topic is its place in the input.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
};
use stormproof_engine::api::{GroupContext, GroupState, Sink, SinkFactory, StateSnapshot};
use stormproof_engine::error::{EngineError, Result};
use stormproof_engine::ids::{CheckpointId, SubtaskIndex};
use stormproof_engine::record::Record;
use stormproof_engine::seam::TimeUs;

/// Backpressure begins with so many records that are not confirmed.
const MAX_PENDING: u64 = 50_000;

/// Flink's delivery guarantees, but for transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarantee {
    /// No flush at the barrier.
    None,
    /// A flush at the barrier; the checkpoint waits for it.
    AtLeastOnce,
}

/// What is swept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) linger_ms: u32,
    pub(super) batch_bytes: u32,
    pub(super) guarantee: Guarantee,
}

/// Makes the sinks.
#[derive(Clone, Debug)]
pub(super) struct KafkaSinkFactory {
    brokers: String,
    topic: Arc<str>,
    partitions: u32,
    settings: Settings,
}

impl KafkaSinkFactory {
    pub(super) fn new(brokers: &str, topic: &str, partitions: u32, settings: Settings) -> Self {
        Self { brokers: brokers.to_owned(), topic: topic.into(), partitions, settings }
    }
}

/// Records between two barriers belong together; so many such groups are told apart.
const GROUPS: usize = 8;

/// Counts what the broker has confirmed and refused.
#[derive(Debug, Default)]
struct Counted {
    /// By group: records that are not confirmed.
    pending: [AtomicU64; GROUPS],
    confirmed: AtomicU64,
    refused: AtomicU64,
}

#[derive(Clone, Debug)]
struct Deliveries(Arc<Counted>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, group: usize) {
        self.0.pending[group % GROUPS].fetch_sub(1, Ordering::Relaxed);
        let counter = if result.is_ok() { &self.0.confirmed } else { &self.0.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl SinkFactory for KafkaSinkFactory {
    fn open(&self, context: GroupContext, _state: GroupState) -> Result<Box<dyn Sink>> {
        let counted = Arc::new(Counted::default());
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("linger.ms", self.settings.linger_ms.to_string())
            .set("batch.size", self.settings.batch_bytes.to_string())
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "20000")
            .create_with_context(Deliveries(Arc::clone(&counted)))
            .map_err(|error| failed(&error))?;
        Ok(Box::new(KafkaSink {
            topic: Arc::clone(&self.topic),
            partitions: self.partitions,
            guarantee: self.settings.guarantee,
            producer,
            counted,
            context,
            sent: 0,
            told: 0,
            group: 0,
            waits: false,
        }))
    }
}

fn failed(error: &KafkaError) -> EngineError {
    EngineError::Config(format!("the experiment's Kafka sink: {error}"))
}

struct KafkaSink {
    topic: Arc<str>,
    partitions: u32,
    guarantee: Guarantee,
    producer: BaseProducer<Deliveries>,
    counted: Arc<Counted>,
    context: GroupContext,
    sent: u64,
    /// Confirmations that the metrics have.
    told: u64,
    /// The group of what is written now.
    group: usize,
    /// Whether a checkpoint waits for what was written before its barrier.
    waits: bool,
}

impl KafkaSink {
    fn confirmed(&self) -> u64 {
        self.counted.confirmed.load(Ordering::Relaxed)
    }
}

impl Sink for KafkaSink {
    fn is_ready(&self) -> bool {
        self.pending_records() < MAX_PENDING
    }

    fn write(&mut self, _subtask: SubtaskIndex, record: Record, _now_us: TimeUs) -> Result<()> {
        let view = record.view();
        let provenance = view.provenance();
        let mut key = [0; 12];
        key[..4].copy_from_slice(&provenance.partition.0.to_be_bytes());
        key[4..].copy_from_slice(&provenance.offset.0.to_be_bytes());
        self.counted.pending[self.group].fetch_add(1, Ordering::Relaxed);
        let partition = (u64::from(view.target().0) % u64::from(self.partitions)) as i32;
        loop {
            let message = BaseRecord::with_opaque_to(&self.topic, self.group)
                .key(&key)
                .payload(view.value().unwrap_or_default())
                .partition(partition);
            match self.producer.send(message) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(failed(&error)),
            }
        }
        self.sent += 1;
        Ok(())
    }

    fn poll(&mut self, _now_us: TimeUs) -> Result<bool> {
        self.producer.poll(Duration::ZERO);
        let confirmed = self.confirmed();
        self.context.metrics.sink_confirmed_records.add(confirmed - self.told);
        let refused = self.counted.refused.load(Ordering::Relaxed);
        if refused > 0 {
            let what = format!("the experiment's Kafka sink: {refused} records were refused");
            return Err(EngineError::Config(what));
        }
        Ok(std::mem::replace(&mut self.told, confirmed) != confirmed)
    }

    fn prepare_barrier(
        &mut self,
        _checkpoint: CheckpointId,
        drain: bool,
        _now_us: TimeUs,
    ) -> Result<()> {
        if drain || self.guarantee == Guarantee::AtLeastOnce {
            self.waits = true;
            self.group = (self.group + 1) % GROUPS;
        }
        Ok(())
    }

    fn snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        _subtask: SubtaskIndex,
        _state: &mut StateSnapshot,
    ) -> Result<()> {
        Ok(())
    }

    fn is_settled(&mut self, _checkpoint: CheckpointId) -> Result<bool> {
        // What came after the barrier may be confirmed before what came before it.
        let is_pending = |counted: &Counted, now: usize| {
            let groups = counted.pending.iter().enumerate();
            groups.filter(|(at, _)| *at != now).any(|(_, n)| n.load(Ordering::Relaxed) > 0)
        };
        if self.waits && is_pending(&self.counted, self.group) {
            // Pushes out what lingers. Not finished in time is what the next call is for.
            let _ = self.producer.flush(Duration::from_millis(1));
            return Ok(!is_pending(&self.counted, self.group));
        }
        Ok(true)
    }

    fn pending_records(&self) -> u64 {
        self.sent - self.confirmed()
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }
}
