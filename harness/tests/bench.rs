//! `stormproof bench`: a whole measurement, small.

mod common;

use common::{json, said, scenario, stormproof};

const SMALL: &str = "
name = 'small'
pipeline = 'engine'
parallelism = 4
checkpoint_interval_ms = 100
keys = 100
partitions = 4
trial_s = 2
drain_s = 2
repetitions = 1
search_from_per_s = 2000
search_to_per_s = 2000
";

#[test]
fn a_bench_finds_a_rate_repeats_it_and_times_a_recovery() {
    let folder = scenario(SMALL);
    let run = stormproof(&["bench", "storm.toml", "--out", "out"], folder.path());
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let file = std::fs::read_dir(folder.path().join("out")).unwrap().next().unwrap().unwrap();
    let result = json(&file.path());
    assert_eq!(result["bench"]["sustainable_records_per_s"], 2000, "{result}");
    let repeated = result["bench"]["repeated"].as_array().unwrap();
    assert_eq!(repeated.len(), 1);
    assert!(repeated[0]["latency"]["p99_us"].as_u64() > Some(0), "{result}");
    assert!(result["checkpoints"].as_array().unwrap().len() > 5, "{result}");
    let recovery = &result["recoveries"][0];
    for part in ["detect_ms", "restart_ms", "restore_ms", "first_output_ms"] {
        assert!(recovery[part].as_f64().is_some(), "{part}: {recovery}");
    }
    assert!(said(&run).contains("fewer than 5 repetitions"), "{}", said(&run));
}

#[test]
fn a_bench_without_repetitions_is_refused() {
    let folder = scenario(SMALL);
    let run = stormproof(&["bench", "storm.toml", "--repetitions", "0"], folder.path());
    assert!(!run.status.success() && said(&run).contains("repetitions"), "{}", said(&run));
}
