//! Claim 18: linger.ms and batch.size make the Kafka sink faster.
//!
//! A job writes into a topic through [`sink`]: swept over both settings with a flush at every
//! checkpoint; then crashed once, with the flush and without, and the topic is read back.

mod sink;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use stormproof_engine::seam::{Probe, Step, StepAction, StepContext, StepHook};
use stormproof_reports::claims::{Axis, Fact, Figure, Kind, Outcome, Series, Shown};

use self::sink::{Guarantee, KafkaSinkFactory, Settings};
use super::bed::Bed;
use super::services::{Broker, NOT_REAL, on_each};
use super::{Context, fact, ran};
use crate::error::{Result, environment};

const PARTITIONS: u32 = 8;
const LINGERS_MS: [u32; 3] = [0, 5, 50];
const BATCHES: [u32; 3] = [1 << 10, 16 << 10, 256 << 10];
/// The crash test: so many records at this rate.
const CRASH_RATE: u64 = 20_000;
const CRASH_RECORDS: u64 = 30_000;

/// What one broker has shown.
struct Tried {
    /// Records/s by batch size, then by linger.
    rates: Vec<Vec<f64>>,
    lost_flushed: u64,
    lost_unflushed: u64,
}

impl Tried {
    fn slowest(&self) -> f64 {
        self.rates[0][0]
    }

    fn fastest(&self) -> f64 {
        self.rates.iter().flatten().copied().fold(0.0, f64::max)
    }
}

fn sweep(context: &Context, broker: &Broker, settings: Settings) -> Result<f64> {
    let records = 200_000 / context.smaller;
    let sink = KafkaSinkFactory::new(&broker.brokers, &broker.topic, PARTITIONS, settings);
    let bed = Bed {
        parallelism: context.parallelism,
        records: Some(records),
        interval_ms: 200,
        sink: Some(Arc::new(sink)),
        ..Bed::default()
    };
    let measured = bed.run()?;
    Ok(records as f64 / measured.elapsed.as_secs_f64())
}

/// Panics one subtask, once, when it is notified of the second checkpoint or a later one.
struct CrashOnce(AtomicBool);

impl StepHook for CrashOnce {
    fn hit(&self, step: Step, at: &StepContext) -> StepAction {
        if step == Step::Notified && at.checkpoint.0 >= 2 && !self.0.swap(true, Ordering::AcqRel) {
            // Without the panic hook: nobody is to read a backtrace of what was ordered.
            std::panic::resume_unwind(Box::new("crashed by the experiment"));
        }
        StepAction::Proceed
    }
}

/// Records that are not in the topic after a crash.
fn lost(context: &Context, broker: &Broker, guarantee: Guarantee) -> Result<u64> {
    let before = ends(broker)?;
    let settings = Settings { linger_ms: 1_000, batch_bytes: 1 << 20, guarantee };
    let sink = KafkaSinkFactory::new(&broker.brokers, &broker.topic, PARTITIONS, settings);
    let probe = Probe::new(CrashOnce(AtomicBool::new(false)));
    probe.set_armed(true);
    let bed = Bed {
        parallelism: context.parallelism.min(200),
        records: Some(CRASH_RECORDS),
        rate_per_s: CRASH_RATE,
        interval_ms: 300,
        sink: Some(Arc::new(sink)),
        probe: Some(probe),
        restarts: 3,
        ..Bed::default()
    };
    bed.run()?;
    let there = read(broker, &before)?;
    Ok(CRASH_RECORDS.saturating_sub(there.len() as u64))
}

fn consumer(broker: &Broker) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.brokers).set("group.id", "claims");
    config.set("enable.auto.commit", "false").set("fetch.wait.max.ms", "20");
    config.create().map_err(|error| no_answer(broker, &error))
}

fn no_answer(broker: &Broker, error: &dyn std::fmt::Display) -> crate::error::HarnessError {
    environment(format!("the topic cannot be read: {error}"))
        .at(format!("{} at {}", broker.name, broker.brokers))
        .remedy("run the claim again; the broker may be overloaded")
}

fn ends(broker: &Broker) -> Result<Vec<i64>> {
    let consumer = consumer(broker)?;
    let end = |partition: u32| {
        let (_, high) = consumer
            .fetch_watermarks(&broker.topic, partition as i32, Duration::from_secs(10))
            .map_err(|error| no_answer(broker, &error))?;
        Ok(high)
    };
    (0..PARTITIONS).map(end).collect()
}

/// The records that were written since `from`, by their number in the input.
fn read(broker: &Broker, from: &[i64]) -> Result<BTreeSet<Vec<u8>>> {
    let to = ends(broker)?;
    let consumer = consumer(broker)?;
    let mut list = TopicPartitionList::new();
    for (partition, from) in (0..).zip(from) {
        let added = list.add_partition_offset(&broker.topic, partition, Offset::Offset(*from));
        added.map_err(|error| no_answer(broker, &error))?;
    }
    consumer.assign(&list).map_err(|error| no_answer(broker, &error))?;
    let mut left: i64 = to.iter().zip(from).map(|(to, from)| to - from).sum();
    let (mut there, by) = (BTreeSet::new(), Instant::now() + Duration::from_secs(30));
    while left > 0 && Instant::now() < by {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                left -= 1;
                there.insert(message.key().unwrap_or_default().to_vec());
            }
            Some(Err(error)) => return Err(no_answer(broker, &error)),
            None => {}
        }
    }
    if left > 0 {
        return Err(no_answer(broker, &format!("{left} records did not come")));
    }
    Ok(there)
}

fn attempt(context: &Context, broker: &Broker) -> Result<Tried> {
    let mut rates = Vec::new();
    for batch_bytes in BATCHES {
        let each = LINGERS_MS.map(|linger_ms| {
            let guarantee = Guarantee::AtLeastOnce;
            sweep(context, broker, Settings { linger_ms, batch_bytes, guarantee })
        });
        rates.push(each.into_iter().collect::<Result<Vec<_>>>()?);
    }
    Ok(Tried {
        rates,
        lost_flushed: lost(context, broker, Guarantee::AtLeastOnce)?,
        lost_unflushed: lost(context, broker, Guarantee::None)?,
    })
}

/// Facts about one broker, each named after it.
fn facts(name: &str, tried: &Tried) -> (Fact, [Fact; 2]) {
    let k = |rate: f64| format!("{:.0} k/s", rate / 1e3);
    let faster = fact(
        format!("on {name}: larger batches that wait are faster"),
        tried.fastest() > 1.2 * tried.slowest(),
        format!(
            "{} with linger.ms 0 and batch.size 1 KiB, {} at best, flushed at every checkpoint",
            k(tried.slowest()),
            k(tried.fastest())
        ),
    );
    let of = |lost: u64| format!("{lost} of {CRASH_RECORDS} records lost by one crash");
    let beyond = [
        fact(
            format!("on {name}: with a flush at every checkpoint nothing is lost"),
            tried.lost_flushed == 0,
            of(tried.lost_flushed),
        ),
        fact(
            format!("on {name}: without one (guarantee NONE) what lingers is lost"),
            tried.lost_unflushed > 0,
            of(tried.lost_unflushed),
        ),
    ];
    (faster, beyond)
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let tried = on_each(context, PARTITIONS, |broker| attempt(context, broker))?;
    let (mut says, mut beyond) = (Vec::new(), Vec::new());
    for (name, tried) in &tried {
        let (faster, more) = facts(name, tried);
        says.push(faster);
        beyond.extend(more);
    }
    let names: Vec<&str> = tried.iter().map(|(name, _)| *name).collect();
    let remark = if names.len() == 1 { format!("; {NOT_REAL}") } else { String::new() };
    let batches = BATCHES.map(|bytes| format!("batch.size {} KiB", bytes >> 10)).to_vec();
    let by_linger = |at: usize| tried[0].1.rates.iter().map(move |rates| rates[at]);
    ran(Shown {
        premises: vec![fact("a broker answered", !tried.is_empty(), names.join(", "))],
        says,
        beyond,
        why:
            "Batches save requests; but what waits in a client is in no checkpoint, so the barrier \
              must push it out and wait for the answers."
                .to_owned(),
        measured_on: format!("the real engine into {}{remark}", names.join(" and ")),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: format!("Records/s into {}, flushed at every checkpoint (200 ms)", names[0]),
            x: Axis::of("producer"),
            y: Axis::of("records/s"),
            kind: Kind::Bars(batches),
            series: LINGERS_MS
                .iter()
                .enumerate()
                .map(|(at, ms)| Series::bars(format!("linger.ms {ms}"), by_linger(at)))
                .collect(),
        }),
    })
}
