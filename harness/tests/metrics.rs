//! The engine's figures over HTTP: each is explained, each moves, and the port is an honest one.

mod common;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use common::{Running, said, scenario, stormproof};

const A_WHILE: Duration = Duration::from_secs(60);

/// More than the sink can take, in flight at every barrier, and one restart within the process.
const PRESSURE: &str = "
seed = 11
[load]
records = 600000
partitions = 32
rate_per_s = 150000
[job]
parallelism = 8
[checkpoint]
mode = \"exactly-once-unaligned\"
interval_ms = 300
[[faults.schedule]]
action = \"panic\"
when = { at_step = { step = \"upload\", checkpoint = { nth = 7 } } }
";

/// The figures of design section 3, each with what it stands for.
const FIGURES: [&str; 24] = [
    "source_records_total",
    "source_bytes_total",
    "sink_records_total",
    "sink_confirmed_records_total",
    "sink_pending_records",
    "sink_batches_total",
    "busy_us_total",
    "idle_us_total",
    "backpressured_us_total",
    "in_flight_bytes",
    "fetch_event_time_lag_us",
    "emit_event_time_lag_us",
    "pending_records",
    "committed_lag_records",
    "offset_commits_total",
    "job_attempt",
    "job_restarts_total",
    "checkpoints_completed_total",
    "last_checkpoint_duration_us",
    "last_checkpoint_start_delay_us",
    "last_checkpoint_alignment_us",
    "last_checkpoint_sync_us",
    "last_checkpoint_async_us",
    "last_checkpoint_state_bytes",
];

/// The answer's status line and body; `None` while the engine process is down.
fn get(address: &str, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.lines().next()?.to_owned(), body.to_owned()))
}

/// Adds each figure's sum over the workers to the largest seen so far.
fn observe(body: &str, largest: &mut BTreeMap<String, u64>) {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        let name = name.split('{').next().unwrap().strip_prefix("stormproof_").expect("our own");
        *sums.entry(name.to_owned()).or_default() += value.parse::<u64>().expect("a number");
    }
    for (name, sum) in sums {
        let slot = largest.entry(name).or_default();
        *slot = sum.max(*slot);
    }
}

#[test]
fn every_figure_is_explained_and_moves_while_a_storm_runs() {
    let folder = scenario(PRESSURE);
    let args = ["run", "--scenario", "storm.toml", "--out", "out", "--metrics-port", "0"];
    let mut run = Running::start(&args, folder.path());
    let line = run.hear("figures of the engine: http://127.0.0.1:", A_WHILE);
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let (mut largest, mut last) = (BTreeMap::new(), String::new());
    let begun = Instant::now();
    while !run.has_ended() && begun.elapsed() < A_WHILE {
        if let Some((status, body)) = get(&address, "/metrics") {
            assert_eq!(status, "HTTP/1.1 200 OK");
            observe(&body, &mut largest);
            last = body;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(run.end(A_WHILE), Some(0), "{}", run.heard());
    for name in FIGURES {
        assert!(
            largest.get(name).is_some_and(|most| *most > 0),
            "{name} did not move: {largest:?}"
        );
    }
    assert!(
        largest["last_checkpoint_in_flight_bytes"] > 0,
        "unaligned under pressure: {largest:?}"
    );
    for (name, _) in largest {
        let help = last.lines().find_map(|l| l.strip_prefix(&format!("# HELP stormproof_{name} ")));
        assert!(help.is_some_and(|help| help.len() > 10), "{name} is not explained");
        assert!(last.contains(&format!("# TYPE stormproof_{name} ")), "{name} has no type");
    }
    let events = std::fs::read_to_string(folder.path().join("out/events.jsonl")).unwrap();
    assert!(events.contains(&format!("http://{address}/metrics")), "the address is in the events");
}

#[test]
fn other_paths_say_where_the_figures_are() {
    let folder = scenario(PRESSURE);
    let args = ["run", "--scenario", "storm.toml", "--out", "out", "--metrics-port", "0"];
    let mut run = Running::start(&args, folder.path());
    let line = run.hear("figures of the engine: http://127.0.0.1:", A_WHILE);
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let (status, body) = get(&address, "/").expect("it answers");
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    assert!(body.contains("/metrics"), "{body}");
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_left() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = stormproof(&["run", "--metrics-port", &port, "--out", "out"], folder.path());
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for part in [port.as_str(), "--metrics-port", "0 for any"] {
        assert!(said(&output).contains(part), "{}", said(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
