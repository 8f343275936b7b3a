//! Committed lag as an outside monitor sees it: a sawtooth between r·d and r·(T + d), with the rate
//! r, the checkpoint interval T, and d from a barrier to the commit of its offsets.

use std::fs;
use std::process::Command;

use serde_json::Value;

const RATE_PER_S: f64 = 4_000.0;
const INTERVAL_S: f64 = 3.0;
/// The monitor asks twice a second and the sampler four times: a tooth's tip is seen that late.
const SEEN_LATE_S: f64 = 0.8;

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

    let checkpoints: Vec<(f64, f64)> = result["checkpoints"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| Some((c["triggered_s"].as_f64()?, c["completed_s"].as_f64()?)))
        .collect();
    let load = result["timeline"].as_array().unwrap().iter().map(|sample| {
        let of = |name: &str| sample[name].as_f64().unwrap();
        (of("t_s"), of("committed_lag_records"), of("produced"))
    });
    let load: Vec<_> = load.filter(|(_, _, produced)| (1.0..60_000.0).contains(produced)).collect();
    let mut teeth = 0;
    for pair in checkpoints.windows(2) {
        let ((_, committed), (_, next)) = (pair[0], pair[1]);
        let d = pair[1].1 - pair[1].0;
        let tooth: Vec<f64> = load
            .iter()
            .filter(|(t, ..)| (committed..next + SEEN_LATE_S).contains(t))
            .map(|(_, lag, _)| *lag)
            .collect();
        let is_whole = load.first().is_some_and(|(t, ..)| *t < committed - SEEN_LATE_S)
            && load.last().is_some_and(|(t, ..)| *t > next + SEEN_LATE_S);
        if !is_whole {
            continue;
        }
        teeth += 1;
        let low = tooth.iter().copied().fold(f64::INFINITY, f64::min);
        let high = tooth.iter().copied().fold(0.0, f64::max);
        let interval_s = next - committed;
        let (low_by_formula, high_by_formula) = (RATE_PER_S * d, RATE_PER_S * (interval_s + d));
        let tolerance = RATE_PER_S * SEEN_LATE_S;
        let told = format!(
            "low {low} (formula {low_by_formula:.0}), high {high} (formula {high_by_formula:.0}), \
             d {d:.3} s, interval {interval_s:.2} s"
        );
        eprintln!("{told}");
        assert!((low - low_by_formula).abs() <= tolerance, "{told}");
        assert!((high - high_by_formula).abs() <= tolerance, "{told}");
        assert!(interval_s >= INTERVAL_S * 0.9, "{told}");
    }
    assert!(teeth >= 2, "only {teeth} whole teeth in {} checkpoints", checkpoints.len());
}
