//! What a gate lets through: `ci/gates.toml`, read once and checked.
//!
//! Invariant: an unknown field is an error that names file, line, field and the nearest known one;
//! a threshold that could never fail, or never pass, is refused.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::trial::Rule;
use crate::error::{Result, scenario};
use crate::scenario::explain_toml;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Simulated schedules, by their verdicts.
    pub schedules: Schedules,
    /// Instructions, allocations and bytes.
    pub counts: Counts,
    /// Times of two binaries that take turns.
    pub wall: Wall,
    /// Slow drift over the stored history.
    pub drift: Drift,
}

/// `[schedules]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedules {
    /// The first seed.
    pub first_seed: u64,
    /// How many schedules.
    pub seeds: u64,
    /// How many fewer may be proven than in the baseline; what is violated always fails.
    pub fewer_proven: u64,
    /// What another course of the same seeds is, when no verdict is worse.
    pub changed_course: OnChange,
}

/// What a difference that is not for the worse leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnChange {
    /// It is told.
    Report,
    /// It fails, until the baseline is written anew.
    Fail,
}

/// `[counts]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// How many more instructions.
    pub instructions_percent: f64,
    /// How many more heap allocations, beyond one for a thousand records.
    pub allocations_percent: f64,
    /// How many more bytes of a record, of a state file, of a checkpoint.
    pub bytes_percent: f64,
    /// Limit of one program under valgrind, in seconds.
    pub time_limit_s: u64,
}

/// `[wall]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wall {
    /// A bench whose pipeline is `engine`.
    pub scenario: PathBuf,
    /// Records of one measurement.
    pub records: u64,
    /// Arguments for both programs instead: the last line they print is a number or a JSON object
    /// of numbers. Names that end in `_per_s` are better when higher, all others when lower.
    pub arguments: Vec<String>,
    /// Pairs before the first look.
    pub pairs: usize,
    /// Pairs after which a round ends without a verdict.
    pub max_pairs: usize,
    /// The smallest slowdown that matters.
    pub worse_percent: f64,
    /// Confidence of each interval.
    pub confidence_percent: f64,
    /// Limit of one measurement, in seconds.
    pub time_limit_s: u64,
}

/// `[drift]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drift {
    /// A folder of JSON lines.
    pub history: PathBuf,
    /// Newest runs that are looked at.
    pub window: usize,
    /// Runs from before this time (RFC 3339) are not looked at: what was accepted.
    pub accepted_until: String,
    /// The smallest drift that matters.
    pub worse_percent: f64,
    /// How often chance may look like a change point.
    pub significance: f64,
}

impl Default for Schedules {
    fn default() -> Self {
        Self { first_seed: 1, seeds: 1000, fewer_proven: 40, changed_course: OnChange::Report }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            instructions_percent: 1.5,
            allocations_percent: 5.0,
            bytes_percent: 0.5,
            time_limit_s: 120,
        }
    }
}

impl Default for Wall {
    fn default() -> Self {
        Self {
            scenario: PathBuf::from("benches/scenarios/engine.toml"),
            records: 5_000_000,
            arguments: Vec::new(),
            pairs: 6,
            max_pairs: 30,
            worse_percent: 2.0,
            confidence_percent: 95.0,
            time_limit_s: 60,
        }
    }
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            history: PathBuf::from("ci/history"),
            window: 60,
            accepted_until: String::new(),
            worse_percent: 3.0,
            significance: 0.01,
        }
    }
}

impl Wall {
    /// The rule of a trial.
    pub fn rule(&self) -> Rule {
        Rule {
            first_pairs: self.pairs,
            max_pairs: self.max_pairs,
            worse: self.worse_percent / 100.0,
            confidence: self.confidence_percent / 100.0,
        }
    }
}

impl Thresholds {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, has an unknown field, or a threshold that decides nothing.
    pub fn read(file: &Path) -> Result<Self> {
        let place = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| {
            scenario(format!("cannot read the thresholds: {error}"))
                .at(place.clone())
                .remedy("give their path with --config; ci/gates.toml is an example")
        })?;
        Self::parse(&text, &place)
    }

    /// Parses `text`, which came from `place`.
    ///
    /// # Errors
    /// As [`Thresholds::read`].
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let parsed: Self = toml::from_str(text).map_err(|error| {
            explain_toml(&error, text, place, "ci/gates.toml has every field with its type")
        })?;
        for (field, is_good, remedy) in parsed.conditions() {
            if !is_good {
                return Err(scenario(format!("{field} decides nothing"))
                    .at(format!("{place}: {field}"))
                    .remedy(remedy));
            }
        }
        Ok(parsed)
    }

    fn conditions(&self) -> [(&'static str, bool, &'static str); 12] {
        let percent = |value: f64| value > 0.0 && value <= 100.0;
        const PERCENT: &str = "choose more than 0 and at most 100";
        let (counts, wall, drift) = (&self.counts, &self.wall, &self.drift);
        [
            ("schedules.seeds", self.schedules.seeds > 0, "choose at least 1"),
            ("counts.instructions_percent", percent(counts.instructions_percent), PERCENT),
            ("counts.allocations_percent", percent(counts.allocations_percent), PERCENT),
            ("counts.bytes_percent", percent(counts.bytes_percent), PERCENT),
            ("counts.time_limit_s", counts.time_limit_s > 0, "choose at least 1"),
            ("wall.records", wall.records > 0, "choose at least 1"),
            ("wall.pairs", wall.pairs >= 5, "choose at least 5: fewer have no useful interval"),
            ("wall.max_pairs", wall.max_pairs >= wall.pairs, "choose at least wall.pairs"),
            ("wall.worse_percent", percent(wall.worse_percent), PERCENT),
            (
                "wall.confidence_percent",
                (50.0..100.0).contains(&wall.confidence_percent),
                "choose at least 50 and less than 100; 95 is usual",
            ),
            ("drift.worse_percent", percent(drift.worse_percent), PERCENT),
            (
                "drift.significance",
                drift.significance >= 0.002 && drift.significance <= 0.5,
                "choose between 0.002 (the finest that 499 shuffles tell) and 0.5",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_has_the_defaults_and_they_are_valid() {
        assert_eq!(Thresholds::parse("", "x").expect("valid"), Thresholds::default());
    }

    #[test]
    fn the_committed_file_is_valid_and_says_every_default() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/gates.toml");
        let committed = Thresholds::read(&file).expect("it is valid");
        let text = std::fs::read_to_string(file).expect("it was just read");
        for field in ["fewer_proven", "allocations_percent", "max_pairs", "significance"] {
            assert!(text.contains(field), "{field}");
        }
        assert_eq!(committed.schedules.changed_course, OnChange::Report);
    }

    #[test]
    fn an_unknown_field_is_told_the_nearest_with_its_place() {
        let error = Thresholds::parse("[wall]\nworse_precent = 3\n", "g.toml").expect_err("typo");
        assert_eq!(error.place.as_deref(), Some("g.toml:2:1"));
        assert!(error.render().contains("did you mean `worse_percent`?"), "{}", error.render());
    }

    #[test]
    fn what_decides_nothing_is_refused() {
        for line in [
            "[wall]\npairs = 4",
            "[wall]\nmax_pairs = 2",
            "[wall]\nworse_percent = 0",
            "[wall]\nconfidence_percent = 100",
            "[counts]\ninstructions_percent = -1",
            "[counts]\nbytes_percent = nan",
            "[schedules]\nseeds = 0",
            "[drift]\nsignificance = 0.0001",
        ] {
            let error = Thresholds::parse(line, "g.toml").expect_err(line);
            assert!(error.remedy.is_some() && error.place.is_some(), "{line}");
        }
    }
}
