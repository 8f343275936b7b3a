//! The load generator: open loop, on its own thread, on an intended schedule.
//!
//! Record `i` is due at `start + i / rate`, whatever happened to the ones before it; its value
//! carries that intended time and how late it was handed over. Being late is measured and told, never made up for by waiting less.
//!
//! A load that is held open goes on, slower, after its last record until it is let go: a fault that
//! comes late, on a slow machine, still finds records to strike.
//!
//! Invariant: but for those times the records are a function of load and seed alone: same seed, same
//! keys, same bytes, same partitions in the same order. What arrived is not decided here; the ledger reads it back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use rdkafka::error::{KafkaError, KafkaResult};

use super::producers::Producers;
use crate::clock::monotonic_us;
use crate::error::{HarnessError, Result, environment};
use crate::scenario::Load;

/// Between two looks at the clock.
pub(super) const TICK: Duration = Duration::from_millis(2);
/// Records sent between two polls of the client, when late.
const BURST: u64 = 512;
/// A load that is held open is so many times slower than the planned one.
const OPEN_SLOWER: u64 = 4;
/// Bytes of a value before the seeded ones: id, intended time, lateness.
pub(crate) const VALUE_HEADER_BYTES: u64 = 20;
/// Seeded bytes from which values are cut.
const FILLER_BYTES: usize = 64 * 1024;

/// What the generator has done so far; read by anyone, written by its thread.
#[derive(Debug, Default)]
pub struct LoadFigures {
    /// Records handed to the client.
    pub sent: AtomicU64,
    /// Records that the log has acknowledged.
    pub acknowledged: AtomicU64,
    /// Records that the log has refused.
    pub failed: AtomicU64,
    /// The latest hand-over, in microseconds after the intended time.
    pub slip_max_us: AtomicU64,
    stop: AtomicBool,
    held_open: AtomicBool,
    hushed: AtomicBool,
    quiet: AtomicBool,
    /// What the client complained of last.
    complaint: Mutex<Option<String>>,
}

impl LoadFigures {
    /// The load goes on after its last record, until it is let go.
    pub fn hold_open(&self) {
        self.held_open.store(true, Ordering::Relaxed);
    }

    /// The load ends with its last record.
    pub fn let_go(&self) {
        self.held_open.store(false, Ordering::Relaxed);
    }

    /// The load hands nothing over until it may go on, and tells when all is acknowledged. What is
    /// due meanwhile is late.
    pub fn hush(&self) {
        self.hushed.store(true, Ordering::SeqCst);
    }

    /// The load goes on, as a producer that the log has not seen before.
    pub fn go_on(&self) {
        self.hushed.store(false, Ordering::SeqCst);
    }

    /// Whether all that was handed over is acknowledged, and nothing more is.
    pub fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::SeqCst)
    }

    /// Ends the load early.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Records of which the log has said what became of them.
    pub(super) fn answered(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed)
    }

    /// Whether the load is to end early.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Keeps what a client complains of.
    pub(super) fn complain(&self, what: &str) {
        *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.to_owned());
    }

    fn complaint(&self) -> Option<String> {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running generator.
pub struct Generator {
    figures: Arc<LoadFigures>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Generator {
    /// Starts `load` on `topic` at once.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn start(brokers: &str, topic: &str, load: &Load, seed: u64) -> Result<Self> {
        let figures = Arc::new(LoadFigures::default());
        let refuse = |error| refused(brokers, &error, &figures);
        let producers = Producers::connect(brokers, topic, &figures).map_err(refuse)?;
        let (topic, load, brokers) = (topic.to_owned(), load.clone(), brokers.to_owned());
        let shared = Arc::clone(&figures);
        let thread = std::thread::Builder::new()
            .name("generator".to_owned())
            .spawn(move || {
                let mut records = Records::new(&load, seed);
                let outcome = send_all(producers, &topic, &mut records, &shared);
                shared.quiet.store(true, Ordering::SeqCst);
                outcome.map_err(|error| refused(&brokers, &error, &shared))
            })
            .map_err(|error| environment(format!("cannot start the generator: {error}")))?;
        Ok(Self { figures, thread: Some(thread) })
    }

    /// Its figures.
    pub fn figures(&self) -> &Arc<LoadFigures> {
        &self.figures
    }

    /// Whether the last record is acknowledged, or the generator gave up.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When records could not be handed to the log.
    pub fn join(&mut self) -> Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(environment("the load generator panicked")),
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.figures.stop();
        let _ = self.join();
    }
}

fn refused(brokers: &str, error: &KafkaError, figures: &LoadFigures) -> HarnessError {
    let [sent, acknowledged, failed] = [&figures.sent, &figures.acknowledged, &figures.failed]
        .map(|figure| figure.load(Ordering::Relaxed));
    let words = figures.complaint().map_or_else(String::new, |words| format!("; last: {words}"));
    environment(format!(
        "the load cannot be written: {error}; of {sent} records {acknowledged} were acknowledged \
         and {failed} refused{words}"
    ))
    .at(format!("kafka at {brokers}"))
    .remedy("check that the broker takes writes, and its limits on message size")
}

fn send_all(
    mut producers: Producers,
    topic: &str,
    records: &mut Records,
    figures: &LoadFigures,
) -> KafkaResult<()> {
    let start_us = monotonic_us();
    while !figures.is_stopped() {
        if figures.hushed.load(Ordering::SeqCst) {
            stay_quiet(&producers, figures)?;
            producers.renew()?;
            continue;
        }
        let is_held_open = figures.held_open.load(Ordering::Relaxed);
        if records.is_done() && !is_held_open {
            break;
        }
        let due = records.due(monotonic_us() - start_us, is_held_open);
        if due <= records.next {
            producers.poll(TICK);
            continue;
        }
        for _ in records.next..due.min(records.next + BURST) {
            send_next(&producers, topic, records, figures, start_us)?;
        }
        figures.sent.store(records.next, Ordering::Relaxed);
        producers.poll(Duration::ZERO);
    }
    if figures.is_stopped() {
        producers.purge();
    }
    producers.flush()
}

/// Waits until all is acknowledged, and then until the load may go on.
fn stay_quiet(producers: &Producers, figures: &LoadFigures) -> KafkaResult<()> {
    producers.flush()?;
    figures.quiet.store(true, Ordering::SeqCst);
    while figures.hushed.load(Ordering::SeqCst) && !figures.is_stopped() {
        std::thread::sleep(TICK);
    }
    figures.quiet.store(false, Ordering::SeqCst);
    Ok(())
}

fn send_next(
    producers: &Producers,
    topic: &str,
    records: &mut Records,
    figures: &LoadFigures,
    start_us: u64,
) -> KafkaResult<()> {
    let intended_us = start_us + records.intended_us();
    records.fill(intended_us);
    let partition = records.partition();
    // Handing over again after a full queue is handing over later.
    let late = |value: &mut [u8]| set_late(value, monotonic_us() - intended_us);
    if !producers.send(topic, partition, &records.key, &mut records.value, late)? {
        return Ok(());
    }
    figures.slip_max_us.fetch_max(monotonic_us() - intended_us, Ordering::Relaxed);
    records.next += 1;
    Ok(())
}

/// The records of a load, one after the other.
struct Records {
    load: Load,
    rng: Pcg64Mcg,
    filler: Vec<u8>,
    next: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Records {
    fn new(load: &Load, seed: u64) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let filler_bytes = FILLER_BYTES + load.record_bytes as usize;
        let filler = (0..filler_bytes).map(|_| rng.random()).collect();
        Self { load: load.clone(), rng, filler, next: 0, key: Vec::new(), value: Vec::new() }
    }

    fn is_done(&self) -> bool {
        self.next >= self.load.records
    }

    /// Records that are due after so long.
    fn due(&self, elapsed_us: u64, is_held_open: bool) -> u64 {
        let of = |us: u64, rate: u64| (u128::from(us) * u128::from(rate) / 1_000_000) as u64;
        let due = of(elapsed_us, self.load.rate_per_s).saturating_add(1).min(self.load.records);
        if due < self.load.records || !is_held_open {
            return due;
        }
        let after_us = elapsed_us.saturating_sub(self.planned_us());
        due.saturating_add(of(after_us, self.rate_after()))
    }

    /// When the next record is due, in microseconds after the start.
    fn intended_us(&self) -> u64 {
        let of = |n: u64, rate: u64| (u128::from(n) * 1_000_000 / u128::from(rate)) as u64;
        match self.next.checked_sub(self.load.records) {
            Some(after) => self.planned_us() + of(after + 1, self.rate_after()),
            None => of(self.next, self.load.rate_per_s),
        }
    }

    /// When the last planned record is over, in microseconds after the start.
    fn planned_us(&self) -> u64 {
        (u128::from(self.load.records) * 1_000_000 / u128::from(self.load.rate_per_s)) as u64
    }

    /// Records per second of a load that is held open.
    fn rate_after(&self) -> u64 {
        (self.load.rate_per_s / OPEN_SLOWER).max(1)
    }

    fn partition(&self) -> u32 {
        let run = self.next / u64::from(self.load.run_length);
        (run % u64::from(self.load.partitions)) as u32
    }

    /// Makes key and value of the next record.
    fn fill(&mut self, intended_us: u64) {
        use std::io::Write as _;
        let keys_per_partition = (self.load.keys / u64::from(self.load.partitions)).max(1);
        let n = self.rng.random_range(0..keys_per_partition);
        let cut = self.rng.random_range(0..FILLER_BYTES);
        self.key.clear();
        let _ = write!(self.key, "k{}-{n}", self.partition());
        let body_bytes = self.load.record_bytes as usize - VALUE_HEADER_BYTES as usize;
        self.value.clear();
        self.value.extend_from_slice(&self.next.to_le_bytes());
        self.value.extend_from_slice(&(intended_us as i64).to_le_bytes());
        self.value.extend_from_slice(&0_u32.to_le_bytes());
        self.value.extend_from_slice(&self.filler[cut..cut + body_bytes]);
    }
}

/// Writes into a value how much later than intended it is handed over.
fn set_late(value: &mut [u8], late_us: u64) {
    let late_us = u32::try_from(late_us).unwrap_or(u32::MAX);
    value[16..20].copy_from_slice(&late_us.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(records: u64) -> Load {
        Load {
            records,
            record_bytes: 40,
            rate_per_s: 1_000,
            keys: 60,
            partitions: 3,
            run_length: 4,
        }
    }

    fn all(seed: u64) -> Vec<(u32, Vec<u8>, Vec<u8>)> {
        let mut records = Records::new(&load(30), seed);
        let mut all = Vec::new();
        while !records.is_done() {
            records.fill(records.intended_us());
            set_late(&mut records.value, 7);
            all.push((records.partition(), records.key.clone(), records.value.clone()));
            records.next += 1;
        }
        all
    }

    #[test]
    fn same_seed_same_records() {
        assert_eq!(all(5), all(5));
        assert_ne!(all(5), all(6));
    }

    #[test]
    fn records_are_as_the_formats_page_says() {
        for (i, (partition, key, value)) in all(5).iter().enumerate() {
            assert_eq!(*partition as usize, i / 4 % 3);
            assert!(key.starts_with(format!("k{partition}-").as_bytes()));
            assert_eq!(value.len(), 40);
            assert_eq!(value[..8], (i as u64).to_le_bytes());
            assert_eq!(value[8..16], (i as i64 * 1_000).to_le_bytes());
            assert_eq!(value[16..20], 7_u32.to_le_bytes());
        }
    }

    #[test]
    fn records_are_due_on_schedule_whatever_happened() {
        let records = Records::new(&load(30), 1);
        assert_eq!(records.due(0, false), 1);
        assert_eq!(records.due(9_999, true), 10);
        assert_eq!(records.due(10_000, false), 11);
        assert_eq!(records.due(u64::MAX, false), 30);
    }

    #[test]
    fn a_load_that_is_held_open_goes_on_slower_and_on_its_own_schedule() {
        let mut records = Records::new(&load(30), 1);
        assert_eq!(records.due(29_999, true), 30);
        // 250 records a second after the planned thirtieth of a second.
        assert_eq!(records.due(34_000, true), 31);
        assert_eq!(records.due(1_030_000, true), 280);
        assert_eq!(records.due(1_030_000, false), 30);
        for (next, intended_us) in [(29, 29_000), (30, 34_000), (31, 38_000)] {
            records.next = next;
            assert_eq!(records.intended_us(), intended_us);
            assert!(records.due(intended_us, true) > next, "record {next} is due when it is due");
        }
    }
}
