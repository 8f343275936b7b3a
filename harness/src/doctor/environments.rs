//! The four environments and the tools beside them.

use std::net::TcpListener;
use std::path::Path;

use super::{Asked, Finding, Problem, State};
use crate::environment::service::Engine;
use crate::environment::{Client, ask_version, local_inventory, without_password};
use crate::gate::callgrind;

/// Every environment that there is.
pub(super) fn all(asked: &Asked) -> Vec<Finding> {
    vec![embedded(), local(asked), containers(asked), external(asked)]
}

fn problem(what: String, remedy: &str) -> Problem {
    Problem { what, remedy: remedy.to_owned() }
}

fn embedded() -> Finding {
    let mut problems = Vec::new();
    if let Err(error) = TcpListener::bind(("127.0.0.1", 0)) {
        problems.push(problem(
            format!("no port of loopback can be opened: {error}"),
            "bring up loopback (ip link set lo up), or raise the limit on open files (ulimit -n)",
        ));
    }
    if let Err(error) = std::env::current_exe() {
        problems.push(problem(
            format!("this program's own file cannot be found: {error}"),
            "start the program from where it is installed: the broker is the same file",
        ));
    }
    for (folder, remedy) in [
        (std::env::temp_dir(), "set TMPDIR to a folder that can be written"),
        (Path::new(".").to_owned(), "change to a folder that can be written, or use --out DIR"),
    ] {
        if let Err(error) = try_to_write(&folder) {
            problems
                .push(problem(format!("{} cannot be written: {error}", folder.display()), remedy));
        }
    }
    let facts = vec!["broker and database are in this program: nothing to install".to_owned()];
    Finding::new("embedded", facts, problems)
}

/// Writes a small file and takes it away.
fn try_to_write(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!(".stormproof-doctor-{}", std::process::id()));
    std::fs::write(&file, b"x")?;
    std::fs::remove_file(&file)
}

fn local(asked: &Asked) -> Finding {
    let (facts, problems) = local_inventory(asked.kafka_home.as_deref());
    Finding::new("local", facts, problems.into_iter().map(Problem::from).collect())
}

fn containers(asked: &Asked) -> Finding {
    let engine = match Engine::connect() {
        Ok(engine) => engine,
        Err(error) => {
            let mut problems = vec![Problem::from(error)];
            if !is_on_path("docker") && !is_on_path("podman") {
                problems.push(problem(
                    "neither docker nor podman is installed".to_owned(),
                    "apt-get install docker.io, or any engine with Docker's API",
                ));
            }
            return Finding::new("containers", Vec::new(), problems);
        }
    };
    let mut facts = vec![format!("container engine {}", engine.version())];
    for image in [&asked.kafka_image, &asked.database_image] {
        facts.push(match engine.has_image(image) {
            true => format!("image {image} is here"),
            false => format!(
                "image {image} is not here: it will be pulled (ci/images/build makes \
                              both without a registry)"
            ),
        });
    }
    Finding::new("containers", facts, Vec::new())
}

fn external(asked: &Asked) -> Finding {
    let (mut facts, mut problems) = (Vec::new(), Vec::new());
    if let Some(brokers) = &asked.brokers {
        match Client::connect(brokers, "stormproof-doctor") {
            Ok(_) => facts.push(format!("a broker answers at {brokers}")),
            Err(error) => problems.push(Problem::from(error)),
        }
    }
    if let Some(database) = &asked.database {
        match ask_version(database) {
            Ok(version) => {
                facts.push(format!(
                    "a database {version} answers at {}",
                    without_password(database)
                ));
            }
            Err(error) => problems.push(Problem::from(error)),
        }
    }
    let mut found = Finding::new("external", facts, problems);
    if found.state == State::Ready && (asked.brokers.is_none() || asked.database.is_none()) {
        found.state = State::Untried;
        found.problems.push(problem(
            "addresses were not given".to_owned(),
            "stormproof doctor --brokers HOST:9092 --database mysql://USER:PASSWORD@HOST/NAME",
        ));
    }
    found
}

/// Tools that parts of the program use.
pub(super) fn tools() -> Vec<Finding> {
    let valgrind = match callgrind::version() {
        Some(version) => Finding::new("valgrind", vec![format!("{version}, for the gate")], vec![]),
        None => {
            let what = "the gate cannot count instructions and allocations: no verdict on them";
            let remedy = "apt-get install valgrind";
            Finding::new("valgrind", Vec::new(), vec![problem(what.to_owned(), remedy)])
        }
    };
    vec![valgrind]
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_environment_is_ready_where_tests_run() {
        let found = embedded();
        assert_eq!((found.state, found.problems.len()), (State::Ready, 0), "{found:?}");
    }

    #[test]
    fn a_folder_that_is_none_cannot_be_written() {
        assert!(try_to_write(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn external_is_untried_without_addresses_and_missing_when_nobody_answers() {
        let untried = external(&Asked::default());
        assert_eq!(untried.state, State::Untried);
        let asked = Asked {
            // Port 1 of loopback: nobody listens there.
            database: Some("mysql://u:secret@127.0.0.1:1/storm".to_owned()),
            ..Asked::default()
        };
        let found = external(&asked);
        assert_eq!(found.state, State::Missing, "{found:?}");
        let shown = format!("{found:?}");
        assert!(!shown.contains("secret") && !found.problems[0].remedy.is_empty(), "{shown}");
    }
}
