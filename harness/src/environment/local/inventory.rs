//! What of the local environment is on this machine, and everything that is missing of it.
//!
//! It looks, and asks programs for their versions; it starts no service.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::kafka_home::{KafkaHome, java};
use super::mysqld::Mysqld;
use crate::error::{HarnessError, Result, environment};
use crate::program;

/// The oldest Java that Kafka 4 runs on.
const JAVA: u32 = 17;

/// Facts and problems, in this order: broker, Java, database.
pub(crate) fn inventory(kafka_home: Option<&Path>) -> (Vec<String>, Vec<HarnessError>) {
    let broker = KafkaHome::libs(kafka_home)
        .map(|(libs, version)| format!("Kafka {version} in {}", libs.display()));
    let database = Mysqld::find().map(|found| match found {
        Mysqld::Mariadb { server, .. } => format!("MariaDB: {}", server.display()),
        Mysqld::Mysql { server } => format!("MySQL: {}", server.display()),
    });
    let (mut facts, mut problems) = (Vec::new(), Vec::new());
    for found in [broker, java_version(), database] {
        match found {
            Ok(fact) => facts.push(fact),
            Err(problem) => problems.push(problem),
        }
    }
    (facts, problems)
}

fn java_version() -> Result<String> {
    let java = java()?;
    let refuse = |what: String| {
        environment(what)
            .at(java.display().to_string())
            .remedy("install a JRE 17 or later (apt-get install openjdk-17-jre-headless)")
    };
    let ended = program::run(Command::new(&java).arg("-version"), Duration::from_secs(20))?;
    let said = format!("{}{}", ended.stderr, ended.stdout);
    let Some(major) = major(&said) else {
        return Err(refuse("this Java does not say its version".to_owned()));
    };
    if major < JAVA {
        return Err(refuse(format!("Kafka 4 needs Java {JAVA}, this is Java {major}")));
    }
    Ok(format!("Java {major}: {}", java.display()))
}

/// The major version in what `java -version` says; `1.8.0` is 8.
fn major(said: &str) -> Option<u32> {
    let version = said.split('"').nth(1)?;
    let mut parts = version.split(['.', '-', '+', '_']);
    let first = parts.next()?.parse().ok()?;
    if first == 1 { parts.next()?.parse().ok() } else { Some(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_java_are_told_apart() {
        assert_eq!(major("openjdk version \"17.0.9\" 2023-10-17\nmore"), Some(17));
        assert_eq!(major("java version \"1.8.0_391\""), Some(8));
        assert_eq!(major("openjdk version \"22-ea\" 2024"), Some(22));
        assert_eq!(major("no such thing"), None);
    }

    #[test]
    fn everything_that_is_missing_is_told_with_a_remedy() {
        let (facts, problems) = inventory(Some(Path::new("/nonexistent/kafka")));
        assert!(!problems.is_empty() && facts.len() + problems.len() == 3);
        assert!(problems.iter().all(|problem| problem.remedy.is_some()), "{problems:?}");
        assert!(problems[0].render().contains("/nonexistent/kafka"), "{}", problems[0].render());
    }
}
