//! Kafka from a distribution folder (KRaft): how one of its processes is prepared and started.
//!
//! The folder is a distribution as it is downloaded (`bin/`, `libs/`) or only a folder of its jars;
//! `ci/images/kafka-home` makes one from Maven Central. No script of the distribution is used: the
//! broker's class is started by `java` itself, so that a signal reaches the broker and nobody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::properties::Role;
use crate::environment::Host;
use crate::environment::leftovers::end_of_log;
use crate::environment::service::ProcessPlan;
use crate::error::{HarnessError, Result, environment};

/// What formatting needs.
const FORMAT_HEAP: &str = "-Xmx128m";
/// The longest that formatting an empty folder may take.
const FORMAT_LIMIT: Duration = Duration::from_secs(60);
/// The cluster's id: 16 bytes in base 64. A cluster of one run needs no better one.
const CLUSTER: &str = "c3Rvcm1wcm9vZi1ydW4xMg";
const REMEDY: &str = "name a Kafka distribution (4.x) with --kafka-home or KAFKA_HOME; \
                      ci/images/kafka-home makes one from Maven Central";

/// A distribution folder and a Java to run it.
#[derive(Debug)]
pub(super) struct KafkaHome {
    libs: PathBuf,
    java: PathBuf,
    version: String,
}

impl KafkaHome {
    /// The distribution in `given`, or in `KAFKA_HOME`.
    pub(super) fn find(given: Option<&Path>) -> Result<Self> {
        let (libs, version) = Self::libs(given)?;
        Ok(Self { libs, java: java()?, version })
    }

    /// The folder of jars, and the broker's version in it.
    pub(super) fn libs(given: Option<&Path>) -> Result<(PathBuf, String)> {
        let home = given.map(Path::to_owned).or_else(|| {
            std::env::var_os("KAFKA_HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
        });
        let Some(home) = home else {
            return Err(environment("no Kafka distribution is named")
                .at("--env local")
                .remedy(REMEDY));
        };
        let found = [home.join("libs"), home.clone()]
            .into_iter()
            .find_map(|libs| broker_version(&libs).map(|version| (libs, version)));
        found.ok_or_else(|| {
            environment(
                "there is no Kafka in this folder: neither libs/ nor the folder itself holds a \
                 jar kafka_2.13-*.jar",
            )
            .at(home.display().to_string())
            .remedy(REMEDY)
        })
    }

    /// The broker's version.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Formats the storage in `folder`; returns how the process is started. Its controller's port
    /// is `controller`.
    pub(super) fn prepare(
        &self,
        folder: &Path,
        role: Role,
        controller: u16,
        host: &Host,
    ) -> Result<ProcessPlan> {
        let properties = folder.join("server.properties");
        fs::write(&properties, role.properties(folder, controller))
            .map_err(|error| crate::run::cannot_write(&properties, &error))?;
        let logging = folder.join("log4j2.properties");
        fs::write(&logging, LOGGING).map_err(|e| crate::run::cannot_write(&logging, &e))?;
        let plan = |name: String, arguments: Vec<String>| ProcessPlan {
            name,
            program: self.java.clone(),
            arguments,
            variables: Vec::new(),
            folder: folder.parent().unwrap_or(folder).to_owned(),
        };
        let mut arguments = self.java_arguments(FORMAT_HEAP, &logging);
        let tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"];
        arguments.extend(tool.map(str::to_owned));
        arguments.push(properties.display().to_string());
        format(&plan(format!("{}-format", role.label()), arguments), host)?;
        let mut arguments = self.java_arguments(role.heap(), &logging);
        arguments.extend(["kafka.Kafka".to_owned(), properties.display().to_string()]);
        Ok(plan(role.label(), arguments))
    }

    fn java_arguments(&self, heap: &str, logging: &Path) -> Vec<String> {
        let fixed = [heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];
        let mut arguments: Vec<String> = fixed.map(str::to_owned).to_vec();
        arguments.push(format!("-Dlog4j2.configurationFile={}", logging.display()));
        arguments.extend(["-cp".to_owned(), format!("{}/*", self.libs.display())]);
        arguments
    }
}

/// Formats the storage of a process of Kafka.
fn format(plan: &ProcessPlan, host: &Host) -> Result<()> {
    let refuse = |what: &str| {
        let error = environment(format!("the broker's storage cannot be formatted: {what}"))
            .at(plan.folder.display().to_string())
            .remedy("check that this is Kafka 4.x and Java 17 or later");
        host.with_log_of(error, &plan.log())
    };
    match plan.run_to_end(FORMAT_LIMIT, &host.stop)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => {
            let said = end_of_log(&fs::read(plan.log()).unwrap_or_default());
            Err(refuse(&format!("{status}{said}")))
        }
        None => Err(refuse(&format!("not done in {} s", FORMAT_LIMIT.as_secs()))),
    }
}

/// The version in the name of the broker's jar.
fn broker_version(libs: &Path) -> Option<String> {
    fs::read_dir(libs).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let rest = name.strip_prefix("kafka_2.")?.strip_suffix(".jar")?;
        let (_, version) = rest.split_once('-')?;
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
    })
}

/// The Java of `JAVA_HOME`, or the one on the path.
pub(super) fn java() -> Result<PathBuf> {
    let named = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let found = named.filter(|java| java.is_file()).or_else(|| super::mysqld::on_path("java"));
    found.ok_or_else(no_java)
}

fn no_java() -> HarnessError {
    environment("there is no Java to run Kafka with")
        .at("JAVA_HOME, PATH")
        .remedy("install a JRE 17 or later (openjdk-17-jre-headless)")
}

const LOGGING: &str = "\
rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = STDOUT
appender.stdout.type = Console
appender.stdout.name = STDOUT
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = [%d] %p %m (%c)%n
logger.server.name = kafka.server
logger.server.level = info
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_kafka_is_told_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let error = KafkaHome::find(Some(folder.path())).unwrap_err();
        assert!(error.what.contains("no Kafka in this folder"), "{}", error.what);
        assert!(error.remedy.unwrap().contains("ci/images/kafka-home"));
        assert_eq!(error.place, Some(folder.path().display().to_string()));
    }

    #[test]
    fn the_version_is_read_off_the_brokers_jar() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["kafka-clients-4.1.1.jar", "kafka_2.13-4.1.1.jar", "scala.jar"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(broker_version(folder.path()).as_deref(), Some("4.1.1"));
        fs::remove_file(folder.path().join("kafka_2.13-4.1.1.jar")).unwrap();
        assert_eq!(broker_version(folder.path()), None);
    }
}
