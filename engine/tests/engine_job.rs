//! A bounded job through the whole engine: every record arrives exactly once without failures,
//! at least once with them, in every mode; state counts exactly once where it must.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use stormproof_engine::graph::{JobGraph, Partitioner};
use stormproof_engine::ids::*;
use stormproof_engine::runtime::*;
use stormproof_engine::seam::*;
use support::*;

struct Scenario {
    parallelism: u16,
    mode: CheckpointMode,
    partitioner: Partitioner,
    records: u64,
    probe: Probe,
}

struct Outcome {
    effects: Vec<Effect>,
    events: Vec<JobEvent>,
}

fn run(scenario: Scenario) -> Outcome {
    run_with(scenario, |_| ())
}

fn run_with(scenario: Scenario, change: impl FnOnce(&mut JobConfig)) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let effects: Effects = Arc::default();
    let events: Arc<Mutex<Vec<JobEvent>>> = Arc::default();
    let p = scenario.parallelism;
    let mut graph = JobGraph::builder();
    let log = LogSource {
        partitions: u32::from(p),
        records: scenario.records,
        keys: 5,
        run: 4,
        is_bounded: true,
    };
    let source = graph.source("source", p, Arc::new(log));
    let count = graph.operator("count", p, Arc::new(CountByKey));
    let sink = CollectSink { effects: Arc::clone(&effects), batch: 10, per_step: 0 };
    let sink = graph.sink("sink", p, Arc::new(sink));
    graph.connect(source, count, scenario.partitioner);
    graph.connect(count, sink, Partitioner::Forward);
    let mut config = JobConfig {
        workers: 2,
        checkpoint: CheckpointConfig {
            mode: scenario.mode,
            interval_ms: 4,
            retained: 2,
            ..CheckpointConfig::default()
        },
        restart: RestartStrategy::FixedDelay { delay_ms: 1, max_restarts: 20 },
        ..JobConfig::default()
    };
    change(&mut config);
    let heard = Arc::clone(&events);
    let listen = move |e: &JobEvent| {
        if !matches!(e, JobEvent::Metrics { .. }) {
            heard.lock().unwrap().push(e.clone());
        }
    };
    let seams = seams(&runtime, scenario.probe, listen);
    let job = Job::new(graph.build().unwrap(), config, seams);
    let control = job.control();
    let watchdog = std::thread::spawn(move || {
        std::thread::park_timeout(std::time::Duration::from_secs(60));
        control.cancel();
    });
    let outcome = job.run();
    watchdog.thread().unpark();
    watchdog.join().unwrap();
    let events = events.lock().unwrap().clone();
    assert_eq!(outcome.unwrap(), JobOutcome::Drained, "{events:#?}");
    let effects = effects.lock().unwrap().clone();
    Outcome { effects, events }
}

/// Panics at a step of the first checkpoint that reaches it, a given number of times.
struct Killer {
    step: Step,
    left: AtomicU32,
    last: Mutex<CheckpointId>,
}

impl StepHook for Killer {
    fn hit(&self, step: Step, at: &StepContext) -> StepAction {
        let mut last = self.last.lock().unwrap();
        let is_later = at.checkpoint > CheckpointId(last.0 + 1);
        if step == self.step && is_later && self.left.load(Ordering::Relaxed) > 0 {
            self.left.fetch_sub(1, Ordering::Relaxed);
            *last = at.checkpoint;
            drop(last);
            panic!("killed at {step}");
        }
        StepAction::Proceed
    }
}

fn killer(step: Step, times: u32) -> Probe {
    let probe = Probe::new(Killer {
        step,
        left: AtomicU32::new(times),
        last: Mutex::new(CheckpointId::NONE),
    });
    probe.set_armed(true);
    probe
}

fn completed(events: &[JobEvent]) -> usize {
    events.iter().filter(|e| matches!(e, JobEvent::CheckpointCompleted { .. })).count()
}

#[test]
fn every_record_arrives_exactly_once_without_failures() {
    for mode in CheckpointMode::ALL {
        for partitioner in [
            Partitioner::KeyBy,
            Partitioner::Rebalance,
            Partitioner::Rescale,
            Partitioner::Shuffle,
            Partitioner::Forward,
        ] {
            let scenario = Scenario {
                parallelism: 40,
                mode,
                partitioner,
                records: 2000,
                probe: Probe::default(),
            };
            let outcome = run(scenario);
            let seen = multiplicities(&outcome.effects);
            assert_eq!(seen.len(), 40 * 2000, "{mode:?} {partitioner:?}");
            assert_eq!(outcome.effects.len(), 40 * 2000, "{mode:?} {partitioner:?}");
            assert!(completed(&outcome.events) >= 1);
        }
    }
}

#[test]
fn a_broadcast_record_arrives_once_at_every_subtask() {
    for mode in CheckpointMode::ALL {
        let scenario = Scenario {
            parallelism: 12,
            mode,
            partitioner: Partitioner::Broadcast,
            records: 400,
            probe: Probe::default(),
        };
        let outcome = run(scenario);
        let seen = multiplicities(&outcome.effects);
        assert_eq!(seen.len(), 12 * 400, "{mode:?}");
        assert!(seen.values().all(|times| *times == 12), "{mode:?}: once for each subtask");
        let subtasks: BTreeSet<u16> = outcome.effects.iter().map(|e| e.subtask).collect();
        assert_eq!(subtasks.len(), 12, "{mode:?}");
    }
}

#[test]
fn nothing_is_lost_when_subtasks_die_at_any_step() {
    let steps = Step::ALL.iter().filter(|s| s.is_mid_checkpoint());
    for mode in CheckpointMode::ALL {
        for step in steps.clone() {
            let probe = killer(*step, 3);
            let scenario = Scenario {
                parallelism: 20,
                mode,
                partitioner: Partitioner::KeyBy,
                records: 20_000,
                probe,
            };
            let outcome = run(scenario);
            let seen = multiplicities(&outcome.effects);
            assert_eq!(seen.len(), 20 * 20_000, "{mode:?} {step:?}");
            let failures = outcome
                .events
                .iter()
                .filter(|e| matches!(e, JobEvent::AttemptFailed { .. }))
                .count();
            // A mode that never holds a channel never aligns; one that starts with the first
            // barrier is "aligned" only after the end of input. Elsewhere kills must land; how many
            // before the input ends depends on the machine.
            let never = match step {
                Step::Aligning => mode != CheckpointMode::ExactlyOnce,
                Step::Aligned => {
                    !matches!(mode, CheckpointMode::ExactlyOnce | CheckpointMode::AtLeastOnce)
                }
                _ => false,
            };
            assert!(never || (1..=3).contains(&failures), "{mode:?} {step:?}: {failures} kills");
            if mode != CheckpointMode::AtLeastOnce {
                let largest = outcome.effects.iter().map(|e| e.count).max().unwrap();
                assert_eq!(largest, 20_000 / 5, "state counts exactly once, {mode:?} {step:?}");
            }
        }
    }
}

#[test]
fn credit_that_lies_in_open_buffers_comes_back() {
    const HOUR_MS: u64 = 3_600_000;
    let scenario = Scenario {
        parallelism: 4,
        mode: CheckpointMode::ExactlyOnce,
        partitioner: Partitioner::KeyBy,
        records: 500,
        probe: Probe::default(),
    };
    // Buffers never fill, and nothing but a lack of credit sends them.
    let outcome = run_with(scenario, |config| {
        config.checkpoint.interval_ms = HOUR_MS;
        config.exchange.credit_bytes = 200;
        config.exchange.flush_interval_us = HOUR_MS * 1_000;
    });
    assert_eq!(outcome.effects.len(), 4 * 500);
}

#[test]
fn two_thousand_subtasks_checkpoint() {
    let scenario = Scenario {
        parallelism: 2000,
        mode: CheckpointMode::ExactlyOnce,
        partitioner: Partitioner::KeyBy,
        records: 500,
        probe: Probe::default(),
    };
    let outcome = run(scenario);
    assert_eq!(outcome.effects.len(), 2000 * 500);
    assert!(completed(&outcome.events) >= 1);
}
