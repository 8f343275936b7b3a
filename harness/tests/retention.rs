//! A job that keeps few checkpoints: what was restored is deleted long before the run is judged.

mod common;

use common::{json, said, scenario, stormproof};

const FEW_ARE_KEPT: &str = "
seed = 9
[load]
records = 30000
partitions = 8
rate_per_s = 5000
[job]
parallelism = 8
batch_interval_ms = 100
[checkpoint]
interval_ms = 100
retained = 2
[[faults.schedule]]
action = \"sigkill\"
when = { at_step = { step = \"acked\", armed_at_ms = 1000 } }
[[faults.schedule]]
action = \"sigkill\"
when = { at_step = { step = \"upload\", armed_at_ms = 2500 } }
[[faults.schedule]]
action = \"panic\"
when = { at_step = { step = \"metadata_durable\", armed_at_ms = 4000 } }
";

#[test]
fn a_run_whose_restored_checkpoints_were_deleted_since_is_proven_all_the_same() {
    let folder = scenario(FEW_ARE_KEPT);
    let run = stormproof(&["run", "--scenario", "storm.toml", "--out", "out", "-q"], folder.path());
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let out = folder.path().join("out");
    let result = json(&out.join("result.json"));
    assert_eq!(result["verdict"], "proven", "{}", result["verdict_reason"]);
    assert!(result["checkpoints_completed"].as_u64() > Some(20), "{result}");
    let kept = |place: &str| {
        let entries = std::fs::read_dir(out.join(place)).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("chk-")).collect::<Vec<_>>()
    };
    let (retained, restored) = (kept("checkpoints"), kept("restored"));
    assert_eq!((retained.len(), restored.len()), (2, 3), "{retained:?} {restored:?}");
    // The same evidence gives the same verdict; without it nobody is convicted.
    let again = stormproof(&["verify", "out", "--second-opinion"], folder.path());
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    std::fs::remove_dir_all(out.join("restored")).unwrap();
    let without = stormproof(&["verify", "out", "--second-opinion"], folder.path());
    assert_eq!(without.status.code(), Some(2), "{}", said(&without));
    assert!(said(&without).contains("was deleted since"), "{}", said(&without));
}
