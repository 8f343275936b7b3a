//! `stormproof doctor`: what can run here, what is missing, and the remedy.

use std::path::PathBuf;

use clap::Args;

use super::args::OutputArgs;
use crate::doctor::{Asked, Examination, Finding, State, examine};
use crate::error::Result;
use crate::output::Console;
use crate::scenario::{DATABASE_IMAGE, EnvironmentKind, KAFKA_IMAGE};

pub(super) const HELP: &str = "\
Exit codes:
  0  the environment that was asked for (embedded, unless --env says so) can run
  2  it cannot, or it was not tried";

/// What `doctor` is asked.
#[derive(Clone, Debug, Args)]
pub(super) struct DoctorArgs {
    /// The environment that decides the exit code [default: embedded].
    #[arg(
        long,
        value_name = "WHERE",
        value_enum,
        default_value = "embedded",
        hide_default_value = true
    )]
    env: EnvironmentKind,
    /// Kafka's distribution folder (local) [default: KAFKA_HOME].
    #[arg(long, value_name = "DIR")]
    kafka_home: Option<PathBuf>,
    /// Kafka's image (containers).
    #[arg(long, value_name = "NAME:TAG", default_value = KAFKA_IMAGE)]
    kafka_image: String,
    /// The database's image (containers).
    #[arg(long, value_name = "NAME:TAG", default_value = DATABASE_IMAGE)]
    database_image: String,
    /// Kafka's bootstrap servers, to try them (external).
    #[arg(long, value_name = "HOST:PORT,...")]
    brokers: Option<String>,
    /// The database, to try it (external).
    #[arg(long, value_name = "mysql://USER:PASSWORD@HOST:PORT/NAME")]
    database: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl DoctorArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }
}

/// Examines this machine; returns the exit code.
pub(super) fn doctor(args: &DoctorArgs) -> Result<u8> {
    let console = args.console();
    let found = examine(&Asked {
        kafka_home: args.kafka_home.clone(),
        kafka_image: args.kafka_image.clone(),
        database_image: args.database_image.clone(),
        brokers: args.brokers.clone(),
        database: args.database.clone(),
    });
    if console.json {
        let json = serde_json::to_string_pretty(&found).expect("an examination is plain data");
        console.result(&json);
    } else {
        console.result(table(&found, console.has_colour()).trim_end());
    }
    let wanted = match args.env {
        EnvironmentKind::Embedded => "embedded",
        EnvironmentKind::Local => "local",
        EnvironmentKind::Containers => "containers",
        EnvironmentKind::External => "external",
    };
    let is_ready = |finding: &&Finding| finding.name == wanted && finding.state == State::Ready;
    Ok(if found.environments.iter().any(|finding| is_ready(&finding)) { 0 } else { 2 })
}

fn table(found: &Examination, has_colour: bool) -> String {
    let mut lines = Vec::new();
    for (title, findings) in [
        ("Environments (--env)", &found.environments),
        ("Tools", &found.tools),
        ("Limits", &found.limits),
    ] {
        lines.push(format!("{title}:"));
        for finding in findings {
            lines.extend(rows(finding, has_colour));
        }
        lines.push(String::new());
    }
    lines.join("\n")
}

fn rows(finding: &Finding, has_colour: bool) -> Vec<String> {
    let word = format!("{:<8}", finding.state.word());
    let word = match (has_colour, finding.state) {
        (false, _) => word,
        (true, State::Ready) => format!("\u{1b}[1;32m{word}\u{1b}[0m"),
        (true, State::Missing) => format!("\u{1b}[1;31m{word}\u{1b}[0m"),
        (true, State::Poor | State::Untried) => format!("\u{1b}[1;33m{word}\u{1b}[0m"),
    };
    let mut told: Vec<String> = finding.facts.clone();
    for problem in &finding.problems {
        told.push(problem.what.clone());
        told.push(format!("-> {}", problem.remedy));
    }
    let mut rows = Vec::new();
    for (n, line) in told.iter().enumerate() {
        let visible: String = line.chars().filter(|c| !c.is_control()).collect();
        rows.push(match n {
            0 => format!("  {:<11} {word}  {visible}", finding.name),
            _ => format!("  {:<11} {:<8}  {visible}", "", ""),
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Problem;

    #[test]
    fn a_problem_stands_with_its_remedy_and_without_colour_nothing_escapes() {
        let finding = Finding {
            name: "local",
            state: State::Missing,
            facts: vec!["Java 17".to_owned()],
            problems: vec![Problem { what: "no\u{1b}[31m Kafka".into(), remedy: "get it".into() }],
        };
        let expected = [
            "  local       missing   Java 17",
            "                        no[31m Kafka",
            "                        -> get it",
        ];
        assert_eq!(rows(&finding, false), expected);
        assert!(rows(&finding, true)[0].contains("\u{1b}[1;31mmissing"));
    }
}
