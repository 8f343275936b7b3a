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
    // Nor is anybody where the deletion was cut short: it begins with the manifest.
    let half_deleted = out.join("checkpoints").join(restored.iter().max().expect("three"));
    std::fs::create_dir(&half_deleted).unwrap();
    std::fs::write(half_deleted.join("a1-w0.state"), b"state").unwrap();
    let half = stormproof(&["verify", "out", "--second-opinion"], folder.path());
    assert_eq!(half.status.code(), Some(2), "{}", said(&half));
    assert!(said(&half).contains("was deleted since"), "{}", said(&half));
    // What has a manifest was not deleted, and must be whole.
    std::fs::write(half_deleted.join("manifest.json"), b"{").unwrap();
    let torn = stormproof(&["verify", "out", "--second-opinion"], folder.path());
    assert_eq!(torn.status.code(), Some(1), "{}", said(&torn));
}
