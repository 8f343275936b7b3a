//! Claim 8: watch currentFetchEventTimeLag.
//!
//! A job reads a topic under an open-loop load; after a while its sink takes less than arrives. The
//! figures are the engine's own (FLIP-33's names); how old records really are, the sink sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stormproof_engine::api::{GroupContext, GroupState, Sink, SinkFactory};
use stormproof_engine::connectors::immediate::{Immediate, Take};
use stormproof_engine::connectors::kafka::{KafkaSourceConfig, KafkaSourceFactory};
use stormproof_engine::error::Result as EngineResult;
use stormproof_engine::ids::SubtaskIndex;
use stormproof_engine::record::RecordView;
use stormproof_engine::runtime::JobEvent;
use stormproof_engine::seam::{Clock, TimeUs};
use stormproof_reports::claims::{Axis, Figure, Kind, Outcome, Series, Shown};

use super::bed::{Bed, Measured};
use super::services::{Broker, NOT_REAL, on_each};
use super::{Context, fact, ran};
use crate::error::{Result, engine};
use crate::scenario::Load;
use crate::workload::generator::Generator;

const PARTITIONS: u32 = 8;
const RATE_PER_S: u64 = 1_500;
/// What the sink takes once it is slow.
const SLOW_PER_S: u64 = 700;
/// The sink is slow from here on; the job ends.
const SLOW_AT_S: f64 = 5.0;
const END_S: f64 = 10.0;

/// A sink that takes what comes, and later less.
#[derive(Debug, Default)]
struct Paced {
    /// Records taken since it is slow.
    taken_slowly: AtomicU64,
    /// The age of the last record that was taken, in microseconds.
    age_us: AtomicU64,
}

#[derive(Clone, Debug)]
struct PacedFactory(Arc<Paced>);

impl SinkFactory for PacedFactory {
    fn open(&self, context: GroupContext, _state: GroupState) -> EngineResult<Box<dyn Sink>> {
        let paced = PacedSink { shared: Arc::clone(&self.0), clock: context.clock };
        Ok(Box::new(Immediate::new(context.metrics, paced)))
    }
}

struct PacedSink {
    shared: Arc<Paced>,
    clock: Arc<dyn Clock>,
}

impl Take for PacedSink {
    fn is_ready(&self) -> bool {
        let slow_us = self.clock.now_us().saturating_sub((SLOW_AT_S * 1e6) as u64);
        let allowed = slow_us * SLOW_PER_S / 1_000_000;
        slow_us == 0 || self.shared.taken_slowly.load(Ordering::Relaxed) < allowed
    }

    fn take(&mut self, _subtask: SubtaskIndex, record: RecordView<'_>, now_us: TimeUs) {
        if now_us > (SLOW_AT_S * 1e6) as u64 {
            self.shared.taken_slowly.fetch_add(1, Ordering::Relaxed);
        }
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age_us = wall.as_micros() as i64 - record.event_time_us();
        self.shared.age_us.store(age_us.max(0) as u64, Ordering::Relaxed);
    }
}

/// A figure over time.
type Line = Vec<(f64, f64)>;

/// What one broker's job has shown; lags in seconds.
struct Seen {
    fetch: Line,
    emit: Line,
    pending: Line,
    committed: Line,
    /// How old the record was that the sink took last.
    age: Line,
}

fn figure(measured: &Measured, name: &str, unit: f64) -> Line {
    let values = measured.events.iter().filter_map(|told| match &told.event {
        JobEvent::Metrics { figures, .. } => {
            let (_, value) = figures.iter().find(|(figure, _)| figure == name)?;
            Some((told.t_us as f64 / 1e6, *value as f64 / unit))
        }
        _ => None,
    });
    values.collect()
}

fn most(line: &Line, from_s: f64, to_s: f64) -> f64 {
    let within = line.iter().filter(|(t, _)| (from_s..to_s).contains(t));
    within.map(|(_, value)| *value).fold(0.0, f64::max)
}

fn watch(broker: &Broker) -> Result<Seen> {
    let config = KafkaSourceConfig {
        brokers: broker.brokers.clone(),
        topic: broker.topic.clone(),
        group: "claims-lag".to_owned(),
        ..KafkaSourceConfig::default()
    };
    let source = KafkaSourceFactory::new(config).map_err(|error| engine(error.to_string()))?;
    let paced = Arc::new(Paced::default());
    let bed = Bed {
        parallelism: PARTITIONS as u16,
        // Gauges of several workers are added up.
        workers: 1,
        interval_ms: 2_000,
        credit_bytes: 2_000,
        source: Some(Arc::new(source)),
        sink: Some(Arc::new(PacedFactory(Arc::clone(&paced)))),
        limit: Duration::from_secs_f64(END_S),
        ..Bed::default()
    };
    let load = Load {
        records: RATE_PER_S * 60,
        record_bytes: 100,
        rate_per_s: RATE_PER_S,
        keys: 1_000,
        partitions: PARTITIONS,
        run_length: 4,
    };
    let generator = Generator::start(&broker.brokers, &broker.topic, &load, 1)?;
    let mut age = Line::new();
    let measured = bed.run_with(|| {
        let begun = std::time::Instant::now();
        while begun.elapsed().as_secs_f64() < END_S - 0.2 {
            std::thread::sleep(Duration::from_millis(100));
            let age_s = paced.age_us.load(Ordering::Relaxed) as f64 / 1e6;
            age.push((begun.elapsed().as_secs_f64(), age_s));
        }
    })?;
    drop(generator);
    Ok(Seen {
        fetch: figure(&measured, "fetch_event_time_lag_us", 1e6),
        emit: figure(&measured, "emit_event_time_lag_us", 1e6),
        pending: figure(&measured, "pending_records", 1.0),
        committed: figure(&measured, "committed_lag_records", 1.0),
        age,
    })
}

/// Runs it.
pub(super) fn experiment(context: &Context) -> Result<Outcome> {
    let mut tried = on_each(context, PARTITIONS, watch)?;
    let (mut premises, mut says, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
    for (name, seen) in &tried {
        let calm = |line: &Line| most(line, 1.5, SLOW_AT_S);
        let slow = |line: &Line| most(line, SLOW_AT_S + 1.0, END_S);
        premises.push(fact(
            format!("on {name}: a slow sink made records wait"),
            slow(&seen.age) > 1.0 && calm(&seen.age) < 0.8,
            format!(
                "the oldest had {:.2} s at the sink; {:.2} s before",
                slow(&seen.age),
                calm(&seen.age)
            ),
        ));
        says.push(fact(
            format!("on {name}: while all is well it is small, whatever the committed lag says"),
            calm(&seen.fetch) < 0.8 && calm(&seen.committed) > RATE_PER_S as f64,
            format!(
                "{:.3} s, while {:.0} records are uncommitted",
                calm(&seen.fetch),
                calm(&seen.committed)
            ),
        ));
        beyond.push(fact(
            format!("on {name}: under backpressure it misses what waits behind the fetch; the emit lag does not"),
            slow(&seen.emit) > 2.0 * slow(&seen.fetch),
            format!("fetch lag {:.2} s, emit lag {:.2} s", slow(&seen.fetch), slow(&seen.emit)),
        ));
        beyond.push(fact(
            format!("on {name}: and pending records count it"),
            slow(&seen.pending) > 500.0 && slow(&seen.pending) > 2.0 * calm(&seen.pending),
            format!("{:.0} records, {:.0} before", slow(&seen.pending), calm(&seen.pending)),
        ));
    }
    let remark = if tried.len() == 1 { format!("; {NOT_REAL}") } else { String::new() };
    let names = tried.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" and ");
    let (_, first) = tried.remove(0);
    ran(Shown {
        premises,
        says,
        beyond,
        why: "A client fetches ahead: a record is in memory early and waits there. Flink's Kafka \
              source therefore shows the emit lag and pending records, and no fetch lag."
            .to_owned(),
        measured_on: format!("the real engine reading {names}{remark}"),
        schedule: Vec::new(),
        figure: Some(Figure {
            title: format!(
                "{RATE_PER_S} records/s; from {SLOW_AT_S} s on the sink takes {SLOW_PER_S}"
            ),
            x: Axis::of("time, s"),
            y: Axis::of("lag, s"),
            kind: Kind::Lines,
            series: vec![
                Series::new("fetch lag", first.fetch),
                Series::new("emit lag", first.emit),
                Series::new("age at the sink", first.age),
            ],
        }),
    })
}
