//! A case: a plan, the seeded bug that is on, and what it breaks. It can be run, saved, run again
//! to the bit, and made smaller.

use std::time::{Duration, Instant};

use stormproof_chaos::shrink::{Knob, Shrinkable, Shrunk, shrink};
use stormproof_chaos::sim::{self, Parallelism, Plan, SimRun};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Result, scenario};
use crate::sim::{Saved, SimJudgement, judge};

/// A plan under a seeded bug; 0 is the sound engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The plan.
    pub plan: Plan,
    /// The bug's number.
    pub mutant: u32,
}

/// What became of a case.
#[derive(Debug)]
pub struct Ran {
    /// The run.
    pub run: SimRun,
    /// The oracle's answer.
    pub judged: SimJudgement,
}

impl Case {
    /// The case that was saved.
    ///
    /// # Errors
    /// When it needs a seeded bug and they are not compiled in.
    pub fn of(saved: &Saved) -> Result<Self> {
        if saved.mutant > 0 && cfg!(not(feature = "mutants")) {
            let what =
                format!("the schedule needs mutant {}, which is not compiled in", saved.mutant);
            return Err(scenario(what)
                .at(format!("seed {}", saved.plan.seed))
                .remedy("build with `cargo run --release --features mutants -- ...`"));
        }
        Ok(Self { plan: saved.plan.clone(), mutant: saved.mutant })
    }

    /// How large it is, in words.
    pub fn size(&self) -> String {
        let first = self.plan.topology.parallelism[0];
        format!(
            "{} faults, parallelism {}/{}/{}, {} records, checkpoints every {} ms",
            self.faults(),
            first.source,
            first.count,
            first.sink,
            self.plan.load.records,
            self.plan.checkpoint.interval_ms
        )
    }

    /// Runs and judges it.
    pub fn run(&self, is_traced: bool) -> Ran {
        let run = with_mutant(self.mutant, || sim::run(&self.plan, is_traced));
        let judged = judge(&self.plan, &run);
        Ran { run, judged }
    }

    /// The rules it breaks.
    pub fn broken(&self) -> Vec<String> {
        self.run(false).judged.broken
    }

    /// The smallest case that still breaks `rule`, as far as the time allows.
    pub fn shrunk(&self, rule: &str, limit: Duration) -> Shrunk<Self> {
        let started = Instant::now();
        let fails = |case: &Self| case.broken().iter().any(|broken| broken == rule);
        shrink(self.clone(), fails, || started.elapsed() >= limit)
    }
}

impl Ran {
    /// A fingerprint of everything that happened: equal for equal runs, to the bit.
    pub fn fingerprint(&self) -> String {
        let mut hash = Xxh3::new();
        for line in &self.run.trace {
            hash.update(line.as_bytes());
            hash.update(b"\n");
        }
        hash.update(format!("{:?}{:?}", self.run.end, self.run.landed).as_bytes());
        hash.update(format!("{:?}", self.run.evidence).as_bytes());
        format!("{:032x}", hash.digest128())
    }
}

/// Runs `work` with a seeded bug on.
#[cfg(feature = "mutants")]
pub(crate) fn with_mutant<T>(mutant: u32, work: impl FnOnce() -> T) -> T {
    stormproof_engine::mutants::on_this_thread(mutant, work)
}

/// Runs `work`; seeded bugs are not compiled in.
#[cfg(not(feature = "mutants"))]
pub(crate) fn with_mutant<T>(mutant: u32, work: impl FnOnce() -> T) -> T {
    assert_eq!(mutant, 0, "mutants are refused where they are not compiled in");
    work()
}

impl Shrinkable for Case {
    fn faults(&self) -> usize {
        self.plan.faults.len() + self.plan.windows.len() + self.plan.truncations.len()
    }

    fn keeping(&self, places: &[usize]) -> Self {
        let Plan { faults, windows, truncations, .. } = &self.plan;
        let (of_windows, of_truncations) = (faults.len(), faults.len() + windows.len());
        let plan = Plan {
            faults: kept(faults, places, 0),
            windows: kept(windows, places, of_windows),
            truncations: kept(truncations, places, of_truncations),
            ..self.plan.clone()
        };
        Self { plan, ..self.clone() }
    }

    fn knobs(&self) -> Vec<Knob> {
        let plan = &self.plan;
        let first = plan.topology.parallelism[0];
        let most = first.source.max(first.count).max(first.sink);
        let knob = |name, value: u64, least| Knob { name, value, least };
        vec![
            knob("parallelism", most.into(), 1),
            knob("source", first.source.into(), 1),
            knob("count", first.count.into(), 1),
            knob("sink", first.sink.into(), 1),
            knob("workers", plan.topology.workers.into(), 1),
            knob("records", plan.load.records.into(), 1),
            knob("partitions", plan.topology.partitions.into(), 1),
            knob("keys", plan.load.keys.into(), 1),
            // Counted from the end, so that less means fewer checkpoints.
            knob("checkpoints", checkpoints(plan), 1),
            knob("connections", plan.sink.connections.into(), 1),
            knob("safety", plan.safety_us / 1000, 1),
        ]
    }

    fn with(&self, knob: &Knob, value: u64) -> Self {
        let mut plan = self.plan.clone();
        let narrow = |p: &mut Parallelism, to: u16| {
            *p = Parallelism {
                source: p.source.min(to),
                count: p.count.min(to),
                sink: p.sink.min(to),
            };
        };
        let each = &mut plan.topology.parallelism;
        match knob.name {
            "parallelism" => each.iter_mut().for_each(|p| narrow(p, value as u16)),
            "source" => each.iter_mut().for_each(|p| p.source = p.source.min(value as u16)),
            "count" => each.iter_mut().for_each(|p| p.count = p.count.min(value as u16)),
            "sink" => each.iter_mut().for_each(|p| p.sink = p.sink.min(value as u16)),
            "workers" => plan.topology.workers = value as u16,
            "records" => plan.load.records = value as u32,
            "partitions" => plan.topology.partitions = value as u32,
            "keys" => plan.load.keys = value as u32,
            "checkpoints" => plan.checkpoint.interval_ms = (plan.safety_us / 1000 / value).max(1),
            "connections" => plan.sink.connections = value as u16,
            _ => plan.safety_us = value * 1000,
        }
        Self { plan, ..self.clone() }.consistent()
    }

    fn simpler(&self) -> Vec<Self> {
        let plan = &self.plan;
        let mut simpler: Vec<Plan> = Vec::new();
        let mut add = |is_new: bool, change: &dyn Fn(&mut Plan)| {
            if is_new {
                let mut plan = plan.clone();
                change(&mut plan);
                simpler.push(plan);
            }
        };
        let list = &plan.topology.parallelism;
        add(list.len() > 1, &|plan| plan.topology.parallelism.truncate(1));
        add(plan.topology.later_workers.is_some(), &|plan| plan.topology.later_workers = None);
        add(plan.sink.later_design.is_some(), &|plan| plan.sink.later_design = None);
        add(plan.exchange.large_credit_bytes > 0, &|plan| plan.exchange.large_credit_bytes = 0);
        add(plan.exchange.records_per_step > 0, &|plan| plan.exchange.records_per_step = 0);
        add(plan.topology.hold_us > 0, &|plan| plan.topology.hold_us = 0);
        add(plan.load.null_keys_per_mille > 0, &|plan| plan.load.null_keys_per_mille = 0);
        add(plan.load.hot_per_mille > 0, &|plan| plan.load.hot_per_mille = 0);
        add(plan.load.skew_per_mille > 0, &|plan| plan.load.skew_per_mille = 0);
        add(plan.load.value_bytes > 0, &|plan| plan.load.value_bytes = 0);
        add(plan.load.key_bytes > 0, &|plan| plan.load.key_bytes = 0);
        add(plan.load.has_empty_key, &|plan| plan.load.has_empty_key = false);
        add(plan.load.huge_value_bytes > 0, &|plan| plan.load.huge_value_bytes = 0);
        add(plan.growing_pause.is_some(), &|plan| plan.growing_pause = None);
        add(plan.services.torn_per_mille > 0, &|plan| plan.services.torn_per_mille = 0);
        add(plan.services.rots_per_mille > 0, &|plan| plan.services.rots_per_mille = 0);
        add(plan.services.rot_takes_files, &|plan| plan.services.rot_takes_files = false);
        add(plan.services.late_us > 0, &|plan| plan.services.late_us = 0);
        add(plan.pace.late_credit_per_mille > 0, &|plan| plan.pace.late_credit_per_mille = 0);
        add(plan.checkpoint.alignment_timeout_ms.is_some(), &|plan| {
            plan.checkpoint.alignment_timeout_ms = None;
        });
        add(plan.checkpoint.max_concurrent > 1, &|plan| plan.checkpoint.max_concurrent = 1);
        let cases = simpler.into_iter().map(|plan| Self { plan, ..self.clone() });
        cases.map(Self::consistent).collect()
    }
}

impl Case {
    /// A plan that was changed keeps what plans promise: forward edges join equals.
    fn consistent(mut self) -> Self {
        use stormproof_engine::graph::Partitioner;
        let topology = &mut self.plan.topology;
        for parallelism in &mut topology.parallelism {
            if topology.into_sink == Partitioner::Forward {
                let both = parallelism.count.min(parallelism.sink);
                (parallelism.count, parallelism.sink) = (both, both);
            }
            if topology.into_count == Partitioner::Forward {
                let both = parallelism.source.min(parallelism.count);
                (parallelism.source, parallelism.count) = (both, both);
            }
        }
        self.plan.truncations.retain(|t| t.partition < self.plan.topology.partitions);
        self
    }
}

/// Checkpoints of the safety phase, by their interval.
fn checkpoints(plan: &Plan) -> u64 {
    (plan.safety_us / 1000 / plan.checkpoint.interval_ms.max(1)).max(1)
}

/// Of a list that begins at place `first`, the elements at `places`.
fn kept<T: Clone>(list: &[T], places: &[usize], first: usize) -> Vec<T> {
    let own = places.iter().filter_map(|place| place.checked_sub(first));
    own.filter_map(|place| list.get(place).cloned()).collect()
}
