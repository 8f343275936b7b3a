//! A binary that is asked to measure itself: `BINARY measure ...`, one line of JSON back.
//!
//! Invariant: base and head are asked the same way, each in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::build::Build;
use super::config::Wall;
use super::measure::Figures;
use super::measure::schedules::Outcomes;
use crate::error::{Result, environment};
use crate::program;

/// Limit of everything that is not measured by a time limit of the thresholds.
const LIMIT: Duration = Duration::from_secs(300);

/// A binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Its path.
    pub path: PathBuf,
}

impl Binary {
    /// The binary at `path`, if there is a file.
    ///
    /// # Errors
    /// When there is none.
    pub fn at(path: &Path, option: &str) -> Result<Self> {
        if !path.is_file() {
            return Err(environment(format!("there is no program {}", path.display()))
                .at(option.to_owned())
                .remedy("build it first: cargo build --release"));
        }
        // A bare name must not be looked up in PATH.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { path })
    }

    /// This very program.
    ///
    /// # Errors
    /// When the system does not say where it is.
    pub fn current() -> Result<Self> {
        let path = std::env::current_exe().map_err(|error| {
            environment(format!("this program cannot find itself: {error}"))
                .at("--head")
                .remedy("give its path with --head")
        })?;
        Ok(Self { path })
    }

    /// The build of the binary.
    ///
    /// # Errors
    /// When it cannot tell.
    pub fn build(&self) -> Result<Build> {
        self.ask(&["measure", "build"], LIMIT)
    }

    /// What becomes of simulated schedules.
    ///
    /// # Errors
    /// When it cannot simulate them.
    pub fn schedules(&self, first_seed: u64, seeds: u64) -> Result<Outcomes> {
        let (first_seed, seeds) = (first_seed.to_string(), seeds.to_string());
        self.ask(&["measure", "schedules", "--first-seed", &first_seed, "--seeds", &seeds], LIMIT)
    }

    /// One measurement of times, with `burn` planted.
    ///
    /// # Errors
    /// When it fails, or prints no figures.
    pub fn times(&self, wall: &Wall, burn: u64) -> Result<Figures> {
        let limit = Duration::from_secs(wall.time_limit_s);
        if !wall.arguments.is_empty() {
            let arguments: Vec<&str> = wall.arguments.iter().map(String::as_str).collect();
            return self.figures(&arguments, limit);
        }
        let (scenario, records) = (wall.scenario.display().to_string(), wall.records.to_string());
        let burn = burn.to_string();
        let arguments =
            ["measure", "rate", &scenario, "--records", records.as_str(), "--burn", burn.as_str()];
        self.figures(&arguments, limit)
    }

    fn figures(&self, arguments: &[&str], limit: Duration) -> Result<Figures> {
        let line = self.last_line(arguments, limit)?;
        let figures = match line.parse::<f64>() {
            Ok(value) => Figures::from([("value".to_owned(), value)]),
            Err(_) => self.parse(&line, arguments)?,
        };
        match figures.iter().find(|(_, value)| !(value.is_finite() && **value > 0.0)) {
            Some((name, value)) => Err(self.refused(arguments, &format!("{name} is {value}"))),
            None if figures.is_empty() => Err(self.refused(arguments, "it has no figure")),
            None => Ok(figures),
        }
    }

    fn ask<T: DeserializeOwned>(&self, arguments: &[&str], limit: Duration) -> Result<T> {
        let line = self.last_line(arguments, limit)?;
        self.parse(&line, arguments)
    }

    fn parse<T: DeserializeOwned>(&self, line: &str, arguments: &[&str]) -> Result<T> {
        serde_json::from_str(line).map_err(|error| {
            let shown: String = line.chars().take(80).collect();
            self.refused(arguments, &format!("its last line is no figures ({error}): {shown:?}"))
        })
    }

    fn last_line(&self, arguments: &[&str], limit: Duration) -> Result<String> {
        let ended = program::run(Command::new(&self.path).args(arguments), limit)?;
        if !ended.status.success() {
            return Err(self.refused(arguments, &ended.last_words()));
        }
        Ok(ended.stdout.trim().lines().last().unwrap_or_default().to_owned())
    }

    fn refused(&self, arguments: &[&str], why: &str) -> crate::error::HarnessError {
        environment(format!("it did not measure: {why}"))
            .at(format!("{} {}", self.path.display(), arguments.join(" ")))
            .remedy("run that by hand; binaries from before `stormproof measure` cannot do it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(line: &str) -> Result<Figures> {
        let binary = Binary::at(Path::new("/bin/echo"), "--base").expect("it is there");
        binary.figures(&[line], Duration::from_secs(10))
    }

    #[test]
    fn a_number_or_an_object_of_numbers_is_a_measurement() {
        assert_eq!(echo("12.5").expect("a number"), Figures::from([("value".to_owned(), 12.5)]));
        assert_eq!(echo("{\"a\":1,\"b\":2}").expect("an object").len(), 2);
        assert_eq!(echo("chatter\n7").expect("the last line")["value"], 7.0);
    }

    #[test]
    fn anything_else_is_refused_with_what_was_printed() {
        for line in ["", "fast", "0", "-1", "nan", "{}", "{\"a\":\"x\"}", "[1]"] {
            let error = echo(line).expect_err(line);
            assert!(error.place.is_some() && error.remedy.is_some(), "{line}");
        }
        let none = Binary::at(Path::new("/nonexistent"), "--base").expect_err("no file");
        assert_eq!(none.place.as_deref(), Some("--base"));
    }
}
