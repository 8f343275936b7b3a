//! From raw to validated: defaults filled in, limits checked, each problem with its place.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::RangeInclusive;

use stormproof_chaos::fault::{Fault, FaultAction};
use stormproof_engine::mutants;
use stormproof_engine::runtime::{CheckpointConfig, CheckpointMode, RestartStrategy};

use super::place::place;
use super::raw::RawCheckpoint;
use super::{FaultPlan, JobShape, Load, RawScenario, Scenario};
use crate::error::{Result, scenario};
use crate::workload::generator::VALUE_HEADER_BYTES;

/// Records per second unless told otherwise.
pub(super) const DEFAULT_RATE_PER_S: u64 = 40_000;
/// Completed checkpoints that are kept: all of them, for the oracle judges each.
const DEFAULT_RETAINED: usize = 1_000;
/// Time for start, drain and judgement, beyond the load and the recoveries.
const TIME_LIMIT_MARGIN_S: u64 = 180;
/// What a fault of a service takes of the load, on average; and one of the engine.
const SERVICE_FAULT_MS: u64 = 3_000;
const FAULT_MS: u64 = 1_500;
/// What a fault of a service may cost: a killed broker has to come back.
const TIME_LIMIT_PER_SERVICE_FAULT_S: u64 = 30;
/// The longest wait for a service that is started.
pub(super) const DEFAULT_READY_LIMIT_S: u64 = 90;
/// What a fault may cost, generously.
const TIME_LIMIT_PER_FAULT_S: u64 = 10;

/// Validates a raw scenario. A seed that is not given is drawn from the operating system.
///
/// # Errors
/// The first value that is out of its limits.
pub fn validate(raw: RawScenario) -> Result<Scenario> {
    let job = job(&raw)?;
    let load = load(&raw, &job)?;
    let mutant = mutant(raw.mutant)?;
    let checkpoint = checkpoint(&raw.checkpoint, mutant)?;
    let restart = restart(raw.restart)?;
    let ready_limit_s = raw.environment.ready_limit_s.unwrap_or(DEFAULT_READY_LIMIT_S);
    let environment = place(raw.environment, &load)?;
    let faults = match (raw.faults.count, raw.faults.schedule) {
        (Some(_), Some(_)) => {
            return Err(scenario("faults are both counted and written by hand")
                .at("faults.count and [[faults.schedule]]")
                .remedy("keep one: a count draws a storm from the seed"));
        }
        (_, Some(_)) if raw.faults.services.is_some_and(|services| services > 0) => {
            return Err(scenario("faults of services are both counted and written by hand")
                .at("faults.services (--service-faults) and [[faults.schedule]]")
                .remedy("keep one: a count draws them from the seed"));
        }
        (_, Some(schedule)) => FaultPlan::ByHand(schedule),
        (count, None) => {
            FaultPlan::Storm(
                in_range("faults.count", u64::from(count.unwrap_or(12)), 0..=1_000)? as u32
            )
        }
    };
    let service_faults =
        in_range("faults.services", u64::from(raw.faults.services.unwrap_or(0)), 0..=1_000)? as u32;
    outlasts(&load, &faults, service_faults)?;
    let fault_count = match &faults {
        FaultPlan::Storm(count) => u64::from(*count),
        FaultPlan::ByHand(faults) => faults.len() as u64,
    };
    let time_limit_s = raw.time_limit_s.unwrap_or_else(|| {
        load.duration_ms() / 1_000
            + TIME_LIMIT_MARGIN_S
            + fault_count * TIME_LIMIT_PER_FAULT_S
            + u64::from(service_faults) * TIME_LIMIT_PER_SERVICE_FAULT_S
    });
    let seed = raw.seed.unwrap_or_else(random_seed);
    let validated = Scenario {
        name: raw.name.unwrap_or_else(|| "main".to_owned()),
        seed: in_range("seed", seed, 0..=i64::MAX as u64)?,
        time_limit_s: in_range("time_limit_s", time_limit_s, 1..=86_400)?,
        metrics_port: raw.metrics_port,
        load,
        job,
        checkpoint,
        restart,
        faults,
        service_faults,
        environment,
        ready_limit_s: in_range("environment.ready_limit_s", ready_limit_s, 1..=3_600)?,
        mutant,
    };
    let kills = |fault: &Fault| fault.action == FaultAction::Sigkill;
    if validated.job.rescale_to.is_some() && !validated.schedule()?.faults.iter().any(kills) {
        return Err(scenario(
            "the job is rescaled when its process is killed, and nothing kills it",
        )
        .at("job.rescale_to (--rescale-to)")
        .remedy("schedule a sigkill (faults.count = 2 or more draws one), or take it out"));
    }
    validated.schedule()?;
    validated.check_brokers()?;
    Ok(validated)
}

/// Faults of services come one at a time, each after the job got over the one before, and most of
/// them strike what is on its way: the load has to last as long as they do.
fn outlasts(load: &Load, faults: &FaultPlan, service_faults: u32) -> Result<()> {
    let FaultPlan::Storm(count) = faults else { return Ok(()) };
    let needed_ms = u64::from(service_faults) * SERVICE_FAULT_MS + u64::from(*count) * FAULT_MS;
    if service_faults == 0 || load.records == 0 || load.duration_ms() >= needed_ms {
        return Ok(());
    }
    Err(scenario(format!(
        "a load of {} s is over before {service_faults} faults of services and {count} others are",
        load.duration_ms() / 1_000
    ))
    .at("load.records, load.rate_per_s (--duration), faults.services (--service-faults)")
    .remedy(format!("give it at least {} s, or ask for fewer faults", needed_ms.div_ceil(1_000))))
}

fn job(raw: &RawScenario) -> Result<JobShape> {
    let raw = &raw.job;
    let parallelism = in_range("job.parallelism", raw.parallelism.unwrap_or(2_000), 1..=32_768)?;
    Ok(JobShape {
        parallelism: parallelism as u16,
        rescale_to: match raw.rescale_to.filter(|to| *to > 0) {
            Some(to) => Some(in_range("job.rescale_to", to, 1..=32_768)? as u16),
            None => None,
        },
        workers: in_range("job.workers", raw.workers.unwrap_or(0), 0..=1_024)? as u16,
        partitioner: raw.partitioner.unwrap_or_default(),
        sink_design: raw.sink_design.unwrap_or_default(),
        batch_rows: in_range(
            "job.batch_rows",
            u64::from(raw.batch_rows.unwrap_or(100)),
            1..=10_000,
        )? as u32,
        batch_interval_ms: in_range(
            "job.batch_interval_ms",
            raw.batch_interval_ms.unwrap_or(1_000),
            1..=60_000,
        )?,
        credit_bytes: in_range("job.credit_bytes", raw.credit_bytes.unwrap_or(0), 0..=1 << 30)?,
    })
}

fn load(raw: &RawScenario, job: &JobShape) -> Result<Load> {
    let raw = &raw.load;
    let partitions = match raw.partitions.unwrap_or(0) {
        0 => u64::from(job.parallelism),
        given => u64::from(given),
    };
    let partitions = in_range("load.partitions", partitions, 1..=65_535)?;
    let record_bytes = u64::from(raw.record_bytes.unwrap_or(100));
    let keys = raw.keys.unwrap_or(20_000);
    Ok(Load {
        records: in_range("load.records", raw.records.unwrap_or(1_000_000), 0..=10_000_000_000)?,
        record_bytes: in_range("load.record_bytes", record_bytes, VALUE_HEADER_BYTES..=1_000_000)?
            as u32,
        rate_per_s: in_range(
            "load.rate_per_s",
            raw.rate_per_s.unwrap_or(DEFAULT_RATE_PER_S),
            1..=10_000_000,
        )?,
        keys: in_range("load.keys", keys, 1..=1_000_000_000)?.max(partitions),
        partitions: partitions as u32,
        run_length: in_range(
            "load.run_length",
            u64::from(raw.run_length.unwrap_or(64)),
            1..=100_000,
        )? as u32,
    })
}

fn checkpoint(raw: &RawCheckpoint, mutant: u8) -> Result<CheckpointConfig> {
    let default = CheckpointConfig::default();
    // These are about the barriers of one mode; elsewhere they do nothing.
    let home = match u32::from(mutant) {
        mutants::FIRST_BARRIER_UNLOGGED => Some(CheckpointMode::AtLeastOnceFirstBarrier),
        mutants::QUEUE_OVERTAKEN | mutants::LOGS_TOO_MUCH | mutants::LAST_LOG_MISSING => {
            Some(CheckpointMode::ExactlyOnceUnaligned)
        }
        _ => None,
    };
    if let (Some(home), Some(mode)) = (home, raw.mode)
        && mode != home
    {
        return Err(scenario(format!("mutant {mutant} does nothing in mode {}", mode.name()))
            .at("checkpoint.mode (--mode)")
            .remedy(format!("take it out, or choose {}", home.name())));
    }
    let config = CheckpointConfig {
        mode: raw.mode.or(home).unwrap_or(default.mode),
        interval_ms: raw.interval_ms.unwrap_or(default.interval_ms),
        min_pause_ms: raw.min_pause_ms.unwrap_or(default.min_pause_ms),
        timeout_ms: raw.timeout_ms.unwrap_or(default.timeout_ms),
        max_concurrent: raw.max_concurrent.unwrap_or(default.max_concurrent),
        tolerable_failures: raw.tolerable_failures.unwrap_or(default.tolerable_failures),
        alignment_timeout_ms: raw.alignment_timeout_ms,
        retained: raw.retained.unwrap_or(DEFAULT_RETAINED),
    };
    in_range("checkpoint.interval_ms", config.interval_ms, 10..=3_600_000)?;
    in_range("checkpoint.min_pause_ms", config.min_pause_ms, 0..=3_600_000)?;
    in_range("checkpoint.timeout_ms", config.timeout_ms, 100..=3_600_000)?;
    in_range("checkpoint.max_concurrent", config.max_concurrent as u64, 1..=100)?;
    in_range("checkpoint.retained", config.retained as u64, 1..=100_000)?;
    if config.alignment_timeout_ms.is_some() && config.mode != CheckpointMode::ExactlyOnce {
        return Err(scenario(format!("mode {} aligns nothing", config.mode.name()))
            .at("checkpoint.alignment_timeout_ms")
            .remedy("take it out, or choose mode = \"exactly-once\""));
    }
    if config.min_pause_ms > 0 && config.max_concurrent > 1 {
        return Err(scenario("a minimum pause implies one checkpoint at a time")
            .at("checkpoint.max_concurrent")
            .remedy("set max_concurrent = 1, or min_pause_ms = 0"));
    }
    Ok(config)
}

fn restart(raw: Option<RestartStrategy>) -> Result<RestartStrategy> {
    let strategy = raw.unwrap_or_default();
    if let RestartStrategy::ExponentialDelay { initial_ms, max_ms, factor, .. } = strategy {
        in_range("restart.initial_ms", initial_ms, 0..=max_ms)?;
        if !(1.0..=1000.0).contains(&factor) {
            return Err(scenario(format!("restart.factor = {factor} is out of range"))
                .at("restart.factor")
                .remedy("choose a value from 1 to 1000"));
        }
    }
    Ok(strategy)
}

fn mutant(raw: Option<u8>) -> Result<u8> {
    match raw {
        Some(mutant) if mutant > 0 && cfg!(not(feature = "mutants")) => {
            Err(scenario(format!("mutant {mutant} is not compiled in"))
                .at("--mutant")
                .remedy("build with `cargo run --release --features mutants -- run --mutant N`"))
        }
        Some(mutant) if mutant > 0 && mutants::numbered(u32::from(mutant)).is_none() => {
            Err(scenario(format!("there is no mutant {mutant}"))
                .at("--mutant")
                .remedy("`stormproof explain mutants` lists them; 0 is none"))
        }
        mutant => Ok(mutant.unwrap_or(0)),
    }
}

fn in_range(name: &str, value: u64, limits: RangeInclusive<u64>) -> Result<u64> {
    if limits.contains(&value) {
        return Ok(value);
    }
    let option = match name {
        "job.parallelism" => " (--parallelism)",
        "job.rescale_to" => " (--rescale-to)",
        "job.workers" => " (--workers)",
        "load.records" => " (--records)",
        "faults.services" => " (--service-faults)",
        "seed" => " (--seed)",
        _ => "",
    };
    Err(scenario(format!("{name} = {value} is out of range"))
        .at(format!("{name}{option}"))
        .remedy(format!("choose a value from {} to {}", limits.start(), limits.end())))
}

/// A seed from the operating system's randomness, short enough to be typed.
fn random_seed() -> u64 {
    RandomState::new().hash_one(std::process::id()) >> 32
}
