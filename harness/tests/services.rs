//! Environments that own their services: what is left behind, and what is said when they cannot
//! start. Local needs `KAFKA_HOME` and an installed MariaDB, containers an engine and the images of
//! `STORMPROOF_TEST_KAFKA_IMAGE` and `STORMPROOF_TEST_DATABASE_IMAGE`.
//!
//! Without them these tests say so and pass, unless `STORMPROOF_REQUIRE_SERVICES=1`.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{command, needs, said};
use serde_json::Value;

const RUN: [&str; 6] = ["run", "--parallelism", "20", "--records", "20000", "--quiet"];

/// Whether what a test needs is there.
fn can_run(test: &str, variables: &[&str]) -> bool {
    variables.iter().all(|name| needs::variable(test, needs::SERVICES, name).is_some())
}

const LOCAL: [&str; 1] = ["KAFKA_HOME"];
const CONTAINERS: [&str; 2] = ["STORMPROOF_TEST_KAFKA_IMAGE", "STORMPROOF_TEST_DATABASE_IMAGE"];

/// Runs in containers come one after the other: tests find them by the names of the services.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Options of a run in containers, with another image of Kafka if one is given.
fn images(kafka: Option<&str>) -> Vec<String> {
    let of = |name: &str| std::env::var(name).expect("looked at before");
    let kafka = kafka.map_or_else(|| of(CONTAINERS[0]), str::to_owned);
    let options = ["--env", "containers", "--kafka-image", &kafka, "--database-image"];
    let mut all = options.map(str::to_owned).to_vec();
    all.push(of(CONTAINERS[1]));
    all
}

fn result(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("result.json")).unwrap()).unwrap()
}

/// What is in the folder for services' data.
fn data_left(data: &Path) -> Vec<PathBuf> {
    fs::read_dir(data).unwrap().flatten().map(|entry| entry.path()).collect()
}

/// Processes whose command line names `data`.
fn processes_of(data: &Path) -> Vec<u32> {
    let name = data.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let is_harness = String::from_utf8_lossy(&line).contains("\0--data\0");
        if String::from_utf8_lossy(&line).contains(&name) && !is_harness {
            found.push(pid);
        }
    }
    found
}

fn wait_for(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A long local run in the background.
fn begin(folder: &Path, data: &Path) -> Child {
    let mut run = command(&RUN, folder);
    run.args(["--duration", "600", "--env", "local", "--out", "out", "--data"]).arg(data);
    run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_local_run_with_broken_services_is_proven_and_leaves_nothing() {
    if !can_run("a local run", &LOCAL) {
        return;
    }
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let scenario = "seed = 5\n[job]\nparallelism = 20\n[load]\nrecords = 40000\nrate_per_s = 4000\n\
        [environment]\nkind = \"local\"\n\
        [[faults.schedule]]\naction = \"sigkill\"\nwhen = { at_ms = 2500 }\n\
        [[faults.schedule]]\naction = \"sigkill\"\ntarget = \"database\"\nwhen = { at_ms = 4500 }\n\
        [[faults.schedule]]\naction = { network-partition = { ms = 700 } }\n\
        target = \"broker-link\"\nwhen = { at_ms = 7000 }\n";
    fs::write(folder.path().join("storm.toml"), scenario).unwrap();
    let mut run =
        command(&["run", "--scenario", "storm.toml", "--out", "out", "-q"], folder.path());
    let run = run.arg("--data").arg(data.path()).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let result = result(&folder.path().join("out"));
    assert_eq!((&result["verdict"], &result["faults_landed"]), (&"proven".into(), &3.into()));
    for fault in result["faults"].as_array().unwrap() {
        assert!(fault["recovered_s"].as_f64() > fault["healed_s"].as_f64(), "{fault}");
    }
    // The database is gone, its tables were kept: the same evidence gives the same verdict.
    let verify = command(&["verify", "out", "--second-opinion"], folder.path()).output().unwrap();
    assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));
    assert_eq!(data_left(data.path()), Vec::<PathBuf>::new());
    assert_eq!(processes_of(data.path()), Vec::<u32>::new());
    let log = folder.path().join("out/broker.log");
    assert!(!log.exists(), "logs are kept when a run is not proven");
}

#[test]
fn a_service_that_nobody_starts_again_ends_the_run() {
    if !can_run("a database killed by hand", &LOCAL) {
        return;
    }
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let scenario = "seed = 5\n[job]\nparallelism = 20\n[load]\nrecords = 40000\n\
        rate_per_s = 100\n[environment]\nkind = \"local\"\nready_limit_s = 25\n";
    fs::write(folder.path().join("calm.toml"), scenario).unwrap();
    let mut run = command(&["run", "--scenario", "calm.toml", "--out", "out"], folder.path());
    run.arg("--data").arg(data.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = run.spawn().unwrap();
    let events = || fs::read_to_string(folder.path().join("out/events.jsonl")).unwrap_or_default();
    wait_for("a checkpoint", Duration::from_secs(60), || events().contains("checkpoint_completed"));
    let pid_file = data_left(data.path())[0].join("database.pid");
    let mark = fs::read_to_string(pid_file).unwrap();
    let pid: i32 = mark.split(':').next().unwrap().parse().unwrap();
    nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
    let killed = Instant::now();
    let run = run.wait_with_output().unwrap();
    assert!(killed.elapsed() < Duration::from_secs(60), "{}", said(&run));
    assert_eq!(run.status.code(), Some(2), "{}", said(&run));
    let told = said(&run);
    assert!(told.contains("the database ended, and no fault did it"), "{told}");
    let reason = result(&folder.path().join("out"))["verdict_reason"].to_string();
    assert!(reason.contains("nobody has started it again for 25 s"), "{reason}");
    assert_eq!(data_left(data.path()), Vec::<PathBuf>::new(), "{told}");
}

#[test]
fn a_harness_that_was_killed_leaves_no_process_and_clean_takes_the_rest() {
    if !can_run("a killed local run", &LOCAL) {
        return;
    }
    for moment_ms in [150, 900, 2_500, 7_000] {
        let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut run = begin(folder.path(), data.path());
        std::thread::sleep(Duration::from_millis(moment_ms));
        run.kill().unwrap();
        run.wait().unwrap();
        wait_for("the services' end", Duration::from_secs(10), || {
            processes_of(data.path()).is_empty()
        });
        let clean = command(&["clean", "--data"], folder.path()).arg(data.path()).output().unwrap();
        assert_eq!(clean.status.code(), Some(0), "{}", said(&clean));
        assert_eq!(data_left(data.path()), Vec::<PathBuf>::new(), "{}", said(&clean));
    }
}

#[test]
fn an_interrupted_start_ends_at_once_and_leaves_nothing() {
    if !can_run("an interrupted local run", &LOCAL) {
        return;
    }
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut run = begin(folder.path(), data.path());
    wait_for("the services", Duration::from_secs(20), || !processes_of(data.path()).is_empty());
    let pid = nix::unistd::Pid::from_raw(run.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    wait_for("the end", Duration::from_secs(20), || run.try_wait().unwrap().is_some());
    assert_eq!(run.wait().unwrap().code(), Some(2));
    assert_eq!(data_left(data.path()), Vec::<PathBuf>::new());
    assert_eq!(processes_of(data.path()), Vec::<u32>::new());
}

#[test]
fn a_broker_that_does_not_come_up_is_told_with_its_log_and_within_its_time() {
    if !can_run("a slow broker", &LOCAL) {
        return;
    }
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let home = folder.path().join("kafka/libs");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("kafka_2.13-4.1.1.jar"), "no jar").unwrap();
    let begun = Instant::now();
    let mut run = command(&RUN, folder.path());
    let run = run.args(["--env", "local", "--kafka-home", "kafka", "--data"]).arg(data.path());
    let run = run.output().unwrap();
    assert_eq!(run.status.code(), Some(2), "{}", said(&run));
    assert!(said(&run).contains("StorageTool") && said(&run).contains("remedy:"), "{}", said(&run));

    let scenario = "[environment]\nkind = \"local\"\nready_limit_s = 1\n";
    fs::write(folder.path().join("hasty.toml"), scenario).unwrap();
    let mut run = command(&RUN, folder.path());
    let run = run.args(["--scenario", "hasty.toml", "--data"]).arg(data.path()).output().unwrap();
    assert_eq!(run.status.code(), Some(2), "{}", said(&run));
    assert!(said(&run).contains("was not ready in 1 s"), "{}", said(&run));
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    assert_eq!(data_left(data.path()), Vec::<PathBuf>::new());
    let log = whole_log(&run);
    let runs = log.parent().unwrap().parent().unwrap();
    assert!(folder.path().join(runs).ends_with("stormproof-runs"), "{}", log.display());
    assert!(folder.path().join(&log).is_file(), "{}", said(&run));
    for run in fs::read_dir(folder.path().join(runs)).unwrap().flatten() {
        for file in fs::read_dir(run.path()).unwrap().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            assert!(name.ends_with(".log"), "a run that did not begin left {name}");
        }
    }
}

/// The log that an error names.
fn whole_log(run: &Output) -> PathBuf {
    let said = said(run);
    let (_, named) = said.split_once("its whole log is ").expect(&said);
    PathBuf::from(named.lines().next().unwrap())
}

#[test]
fn no_kafka_and_no_engine_are_told_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let mut local = command(&RUN, folder.path());
    let local = local.args(["--env", "local"]).env_remove("KAFKA_HOME").output().unwrap();
    assert_eq!(local.status.code(), Some(2));
    assert!(said(&local).contains("--kafka-home"), "{}", said(&local));
    let mut absent = command(&RUN, folder.path());
    let absent = absent.args(["--env", "containers"]).env("DOCKER_HOST", "unix:///nowhere.sock");
    let absent = absent.output().unwrap();
    assert_eq!(absent.status.code(), Some(2));
    assert!(said(&absent).contains("unix:///nowhere.sock"), "{}", said(&absent));
    assert!(said(&absent).contains("dockerd"), "{}", said(&absent));
}

#[test]
fn containers_are_killed_by_hand_and_the_run_says_so_and_leaves_nothing() {
    if !can_run("a run in containers", &CONTAINERS) {
        return;
    }
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut run = command(&RUN, folder.path());
    // Long enough that faults strike what the database has of the load, on a busy machine, too.
    run.args(images(None)).args(["--duration", "16", "--out", "out"]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = || containers("status=running", "database");
    wait_for("the load", Duration::from_secs(90), || {
        !id().is_empty() && folder.path().join("out/events.jsonl").exists()
    });
    std::thread::sleep(Duration::from_secs(4));
    docker(&["kill", id().trim()]);
    std::thread::sleep(Duration::from_secs(1));
    docker(&["start", containers("status=exited", "database").trim()]);
    let run = run.wait_with_output().unwrap();
    let result = result(&folder.path().join("out"));
    let broker = fs::read_to_string(folder.path().join("out/broker.log")).unwrap_or_default();
    let told = format!("{}\n{}\n{broker}", result["verdict_reason"], said(&run));
    assert_eq!(run.status.code(), Some(0), "{told}");
    assert_eq!(result["lost"], 0);
    let notes: Vec<_> = result["notes"].as_array().unwrap().iter().collect();
    let is_told = |note: &&&Value| {
        let note = note.as_str().unwrap();
        note.contains("the database ended")
    };
    assert_eq!(notes.iter().filter(is_told).count(), 1, "{notes:?}");
    assert!(!format!("{notes:?}").contains("the broker ended"), "{notes:?}");
    assert_eq!(containers("label=stormproof.owner", "database"), "");
}

#[test]
fn clean_takes_the_containers_of_a_harness_that_was_killed() {
    if !can_run("a killed run in containers", &CONTAINERS) {
        return;
    }
    let _turn = turn();
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut run = command(&RUN, folder.path());
    run.args(images(None)).args(["--duration", "600", "--out", "out", "--data"]).arg(data.path());
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the containers", Duration::from_secs(60), || {
        ["broker", "database"].iter().all(|name| !containers("status=running", name).is_empty())
    });
    run.kill().unwrap();
    run.wait().unwrap();
    let clean = command(&["clean", "--data"], folder.path()).arg(data.path()).output().unwrap();
    assert_eq!(clean.status.code(), Some(0), "{}", said(&clean));
    for service in ["broker", "database"] {
        assert_eq!(containers("label=stormproof.owner", service), "", "{}", said(&clean));
    }
    assert_eq!(data_left(data.path()), Vec::<PathBuf>::new(), "{}", said(&clean));
}

#[test]
fn an_image_that_is_no_database_is_told_with_the_remedy_and_leaves_no_container() {
    if !can_run("an image that does not start", &CONTAINERS) {
        return;
    }
    let _turn = turn();
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut options = images(None);
    // The base of ours has no entry point.
    *options.last_mut().unwrap() = "stormproof/debian:bookworm".to_owned();
    let mut run = command(&RUN, folder.path());
    let run = run.args(options).arg("--data").arg(data.path()).output().unwrap();
    assert_eq!(run.status.code(), Some(2), "{}", said(&run));
    assert!(said(&run).contains("from image stormproof/debian:bookworm"), "{}", said(&run));
    assert!(said(&run).contains("--database-image"), "{}", said(&run));
    for service in ["broker", "database"] {
        assert_eq!(containers("label=stormproof.owner", service), "", "{}", said(&run));
    }
    assert_eq!(data_left(data.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_run_in_containers_that_is_interrupted_twice_removes_them_without_a_panic() {
    if !can_run("an interrupted run in containers", &CONTAINERS) {
        return;
    }
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut run = command(&RUN, folder.path());
    run.args(images(None)).args(["--duration", "600", "--out", "out"]);
    let run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the load", Duration::from_secs(90), || {
        folder.path().join("out/events.jsonl").exists()
    });
    let pid = nix::unistd::Pid::from_raw(run.id() as i32);
    for signal in [nix::sys::signal::Signal::SIGINT, nix::sys::signal::Signal::SIGTERM] {
        nix::sys::signal::kill(pid, signal).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let run = run.wait_with_output().unwrap();
    assert_eq!(run.status.code(), Some(2), "{}", said(&run));
    assert!(!said(&run).contains("panicked"), "{}", said(&run));
    for service in ["broker", "database"] {
        assert_eq!(containers("label=stormproof.owner", service), "", "{}", said(&run));
    }
}

#[test]
fn a_wrong_image_is_told_with_the_remedy() {
    if !can_run("a wrong image", &CONTAINERS) {
        return;
    }
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut run = command(&RUN, folder.path());
    let run = run.args(images(Some("stormproof/no-such:1"))).output().unwrap();
    assert_eq!(run.status.code(), Some(2), "{}", said(&run));
    assert!(said(&run).contains("stormproof/no-such:1"), "{}", said(&run));
    assert!(said(&run).contains("--kafka-image"), "{}", said(&run));
}

fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("the engine's command line");
    assert!(output.status.success(), "docker {args:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn containers(filter: &str, name: &str) -> String {
    let name = format!("name=stormproof-.*-{name}");
    docker(&["ps", "-aq", "--filter", filter, "--filter", &name])
}
