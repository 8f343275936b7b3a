//! Committed lag as an outside monitor sees it: a sawtooth between r·d and r·(T + d), with the rate
//! r, the checkpoint interval T, and d from a barrier to the commit of its offsets.

use std::fs;
use std::process::Command;

use serde_json::Value;

const RATE_PER_S: f64 = 4_000.0;
const INTERVAL_S: f64 = 3.0;

#[test]
fn committed_lag_is_the_sawtooth_that_the_formula_says() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = "seed = 9\n[load]\nrecords = 60000\nrate_per_s = 4000\n[job]\nparallelism = 16\n\
        [checkpoint]\ninterval_ms = 3000\n[faults]\nschedule = []\n";
    fs::write(folder.path().join("calm.toml"), scenario).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_stormproof"))
        .args(["run", "--scenario", "calm.toml", "--out", "out", "-q"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    // Without a fault nothing is proven; the figures are there all the same.
    assert_eq!(run.status.code(), Some(2), "{}", String::from_utf8_lossy(&run.stderr));
    let json = fs::read(folder.path().join("out/result.json")).unwrap();
    let result: Value = serde_json::from_slice(&json).unwrap();

    let sawtooth = &result["sawtooth"];
    let teeth = sawtooth["teeth"].as_array().unwrap();
    eprintln!("{sawtooth:#}");
    assert!(teeth.len() >= 2, "only {} whole teeth", teeth.len());
    assert_eq!(sawtooth["agrees"], true, "{sawtooth:#}");
    for tooth in teeth {
        let of = |name: &str| tooth[name].as_f64().unwrap();
        assert!(of("interval_s") >= INTERVAL_S * 0.9, "{tooth}");
        assert!(of("high_records") > of("low_records") + RATE_PER_S * INTERVAL_S / 2.0, "{tooth}");
    }

    // The engine's own figures of the same time: what it knows is never far from the broker's word.
    let timeline = result["timeline"].as_array().unwrap();
    let told: Vec<_> = timeline.iter().filter(|sample| !sample["engine_lag"].is_null()).collect();
    assert!(told.len() > timeline.len() / 2, "{} of {} samples", told.len(), timeline.len());
    let most = |name: &str| {
        let of = |sample: &&Value| sample["engine_lag"][name].as_f64().unwrap();
        told.iter().map(of).fold(0.0, f64::max)
    };
    let high =
        teeth.iter().map(|tooth| tooth["high_records"].as_f64().unwrap()).fold(0.0, f64::max);
    let tolerance = sawtooth["tolerance_records"].as_f64().unwrap() + RATE_PER_S;
    let committed = most("committed_lag_records");
    assert!((committed - high).abs() <= tolerance, "engine {committed}, broker {high}");
    // Records are read at once: the committed lag is not a lag of reading.
    assert!(most("pending_records") < high / 2.0, "{} pending", most("pending_records"));
    assert!(most("emit_ms") > 0.0 && most("emit_ms") < INTERVAL_S * 1e3, "{}", most("emit_ms"));
}
