//! What a bench runs: a TOML file, validated once.

use std::path::Path;

use serde::Deserialize;
use stormproof_engine::runtime::CheckpointMode;

use crate::error::{Result, scenario};

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PipelineKind {
    /// Generator in the engine -> key by -> blackhole: the engine alone.
    Engine,
    /// Kafka -> key by -> blackhole.
    KafkaBlackhole,
    /// Generator in the engine -> key by -> database.
    GeneratorSql,
    /// Kafka -> key by -> database.
    KafkaSql,
}

impl PipelineKind {
    /// Whether the load is written into a topic by a generator outside of the engine.
    pub(super) fn reads_kafka(self) -> bool {
        matches!(self, Self::KafkaBlackhole | Self::KafkaSql)
    }

    /// Whether effects go to a database.
    pub(super) fn writes_sql(self) -> bool {
        matches!(self, Self::GeneratorSql | Self::KafkaSql)
    }
}

/// A bench.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchScenario {
    /// Its name in results.
    pub name: String,
    /// What runs.
    pub pipeline: PipelineKind,
    /// Subtasks of every vertex.
    #[serde(default = "defaults::parallelism")]
    pub parallelism: u16,
    /// Checkpoint mode.
    #[serde(default)]
    pub mode: CheckpointMode,
    /// Checkpoint interval.
    #[serde(default = "defaults::checkpoint_interval_ms")]
    pub checkpoint_interval_ms: u64,
    /// Bytes of a value.
    #[serde(default = "defaults::record_bytes")]
    pub record_bytes: u32,
    /// Different keys.
    #[serde(default = "defaults::keys")]
    pub keys: u64,
    /// Partitions of the topic; pipelines from Kafka only.
    #[serde(default = "defaults::partitions")]
    pub partitions: u32,
    /// `mysql://user:password@host:port/database`; without it SQLite in a temporary folder.
    #[serde(default)]
    pub database: Option<String>,
    /// Length of the load of a trial.
    #[serde(default = "defaults::trial_s")]
    pub trial_s: u64,
    /// How long draining may take after the load.
    #[serde(default = "defaults::drain_s")]
    pub drain_s: u64,
    /// Trials at the rate that was found.
    #[serde(default = "defaults::repetitions")]
    pub repetitions: u32,
    /// Where the search begins, records/s.
    pub search_from_per_s: u64,
    /// Where it ends at the latest.
    pub search_to_per_s: u64,
    /// How near the found rate is to one that was not sustainable.
    #[serde(default = "defaults::precision_percent")]
    pub precision_percent: u64,
}

mod defaults {
    pub(super) fn parallelism() -> u16 {
        2000
    }
    pub(super) fn checkpoint_interval_ms() -> u64 {
        1000
    }
    pub(super) fn record_bytes() -> u32 {
        100
    }
    pub(super) fn keys() -> u64 {
        100_000
    }
    pub(super) fn partitions() -> u32 {
        2000
    }
    pub(super) fn trial_s() -> u64 {
        5
    }
    pub(super) fn drain_s() -> u64 {
        3
    }
    pub(super) fn repetitions() -> u32 {
        5
    }
    pub(super) fn precision_percent() -> u64 {
        5
    }
}

impl BenchScenario {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or asks for the impossible.
    pub fn read(file: &Path) -> Result<Self> {
        let place = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| {
            scenario(format!("cannot read the bench: {error}"))
                .at(place.clone())
                .remedy("give the path of a TOML file; benches/scenarios has some")
        })?;
        Self::parse(&text, &place)
    }

    /// Parses `text`, which came from `place`.
    ///
    /// # Errors
    /// When it is no bench, or asks for the impossible.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let parsed: Self = toml::from_str(text).map_err(|error| {
            scenario(error.message().to_owned())
                .at(place)
                .remedy("compare it with the files in benches/scenarios")
        })?;
        let refuse = |what: &str, remedy: &str| Err(scenario(what).at(place).remedy(remedy));
        if parsed.parallelism == 0 || parsed.partitions == 0 || parsed.keys == 0 {
            return refuse(
                "parallelism, partitions and keys are at least 1",
                "raise the one that is 0",
            );
        }
        if parsed.record_bytes < 20 {
            return refuse(
                "a record has at least 20 bytes: its number, its times",
                "set record_bytes to 20 or more",
            );
        }
        if parsed.repetitions == 0 {
            return refuse(
                "a rate that is not repeated is not known to hold",
                "set repetitions to 5 or more",
            );
        }
        if parsed.trial_s < 2 {
            return refuse("a trial of less than 2 s shows no slope", "set trial_s to 2 or more");
        }
        if parsed.search_from_per_s == 0 || parsed.search_from_per_s > parsed.search_to_per_s {
            return refuse(
                "the search has no range",
                "set search_from_per_s to at least 1 and search_to_per_s not below it",
            );
        }
        if !(1..=50).contains(&parsed.precision_percent) {
            return refuse("the precision is not a share", "set precision_percent to 1..50");
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "name = 'x'\npipeline = 'engine'\nsearch_from_per_s = 10\n\
                            search_to_per_s = 100\n";

    #[test]
    fn the_smallest_bench_has_the_documented_defaults() {
        let bench = BenchScenario::parse(SMALLEST, "x.toml").expect("it is valid");
        assert_eq!((bench.parallelism, bench.repetitions, bench.trial_s), (2000, 5, 5));
    }

    #[test]
    fn the_impossible_is_refused_with_its_place() {
        for line in [
            "parallelism = 0",
            "record_bytes = 3",
            "repetitions = 0",
            "trial_s = 1",
            "precison_percent = 5",
        ] {
            let refused = BenchScenario::parse(&format!("{SMALLEST}{line}\n"), "x.toml");
            let error = refused.expect_err(line);
            assert_eq!(error.place.as_deref(), Some("x.toml"), "{line}");
            assert!(error.remedy.is_some(), "{line}");
        }
    }

    #[test]
    fn every_committed_bench_is_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/scenarios");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            BenchScenario::read(&entry.expect("it can be listed").path()).expect("it is valid");
            seen += 1;
        }
        assert!(seen >= 4, "{seen} benches");
    }
}
