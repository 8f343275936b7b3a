//! End to end on real files: a SQLite database and checkpoint files written as
//! docs/formats.md says, without the oracle's own types for them.

use std::path::Path;

use stormproof_harness::oracle::checkpoint_reader::{
    CheckpointFolder, CheckpointSource, Listed, Mode,
};
use stormproof_harness::oracle::plain::second_opinion;
use stormproof_harness::oracle::{
    AuditSource, CheckpointId, Input, Judgement, SqliteAudit, Verdict, compare, judge,
};
use stormproof_harness::workload::ledger::Ledger;

use crate::simulation::{History, Plan, simulate, write_checkpoints, write_tables};

fn history() -> History {
    let plan = Plan { crashes: 4, retries: true, ..Plan::new(11, Mode::ExactlyOnceUnaligned) };
    let history = simulate(&plan);
    assert!(history.restored().len() >= 2, "the seed makes restores");
    history
}

/// Judges from files only; the ledger is the one that was saved.
fn judge_folder(root: &Path, history: &History) -> Judgement {
    let ledger = Ledger::load(&root.join("ledger.bin")).expect("a ledger");
    judge(Input {
        ledger: &ledger,
        checkpoints: &mut CheckpointFolder::new(root.join("checkpoints")),
        audit: &mut SqliteAudit::open(&root.join("storm.db"), "storm").expect("a database"),
        conditions: history.conditions.clone(),
    })
}

fn write(history: &History, root: &Path) {
    history.ledger.save(&root.join("ledger.bin")).expect("saved");
    write_checkpoints(history, &root.join("checkpoints"));
    write_tables(&history.audit, &root.join("storm.db"));
}

#[test]
fn a_run_on_disk_is_judged_like_the_same_run_in_memory() {
    let root = tempfile::tempdir().expect("a folder");
    let mut history = history();
    write(&history, root.path());
    let judgement = judge_folder(root.path(), &history);
    assert_eq!(judgement.verdict, Verdict::Proven, "{judgement:#?}");
    assert_eq!(judgement, history.judge());
}

#[test]
fn the_readers_return_what_was_written() {
    let root = tempfile::tempdir().expect("a folder");
    let mut history = history();
    write(&history, root.path());
    let mut folder = CheckpointFolder::new(root.path().join("checkpoints"));
    for listed in folder.list().expect("listed") {
        let manifest = listed.manifest.expect("whole");
        let state = folder.state(&manifest).expect("whole");
        let (expected_manifest, expected) = history.checkpoint(listed.id);
        expected_manifest.files.clone_from(&manifest.files);
        assert_eq!((&manifest, &state), (&*expected_manifest, &*expected));
    }
    let mut audit = SqliteAudit::open(&root.path().join("storm.db"), "storm").expect("opened");
    let mut effects = Vec::new();
    audit.effects(&mut |effect| effects.push(*effect)).expect("read");
    assert_eq!(effects, history.audit.effects);
    assert_eq!(audit.fences().expect("read"), history.audit.fences);
    let retried = audit.retried_batches().expect("read");
    assert!(!retried.is_empty());
    assert_eq!(retried, history.audit.retried_batches().expect("read"));
}

#[test]
fn damage_on_disk_is_told_apart() {
    let root = tempfile::tempdir().expect("a folder");
    let history = history();
    write(&history, root.path());
    let id = *history.restored().last().unwrap();
    let folder = root.path().join(format!("checkpoints/chk-{:08}", id.0));
    let manifest = folder.join("manifest.json");
    let whole = std::fs::read(&manifest).expect("read");

    let reason = |expected: &str| {
        let judgement = judge_folder(root.path(), &history);
        let check = judgement.check("restore-newest").unwrap();
        assert_eq!(check.verdict, Verdict::Violated, "{check:#?}");
        let named = check.witnesses.iter().any(|w| w.text.contains(expected));
        assert!(named, "{expected:?} in {check:#?}");
    };
    std::fs::write(&manifest, &whole[..whole.len() / 2]).expect("written");
    reason("it ends within its first line");
    std::fs::write(&manifest, &whole[..whole.len() - 3]).expect("written");
    reason("its second line is not a whole checksum");
    let mut flipped = whole.clone();
    flipped[20] ^= 1;
    std::fs::write(&manifest, &flipped).expect("written");
    reason("its checksum is");
    std::fs::remove_file(&manifest).expect("removed");
    reason("it was never completed");
    std::fs::write(&manifest, &whole).expect("written");

    let state = std::fs::read_dir(&folder).expect("listed").find_map(|entry| {
        let path = entry.expect("an entry").path();
        (path.extension()? == "state").then_some(path)
    });
    let state = state.expect("a state file");
    let bytes = std::fs::read(&state).expect("read");
    let mut flipped = bytes.clone();
    flipped[30] ^= 1;
    std::fs::write(&state, &flipped).expect("written");
    reason("its checksum is");
    std::fs::write(&state, &bytes[..bytes.len() - 10]).expect("written");
    reason("it should have");
    std::fs::remove_file(&state).expect("removed");
    reason("state file chk-");
    std::fs::write(&state, &bytes).expect("written");
    assert_eq!(judge_folder(root.path(), &history).verdict, Verdict::Proven);
}

/// Deletes all but the newest checkpoint, as retention does.
fn retire(root: &Path) {
    let checkpoints = root.join("checkpoints");
    let listed = CheckpointFolder::new(&checkpoints).list().expect("listed");
    let (_, old) = listed.split_last().expect("there are some");
    for Listed { id, .. } in old {
        std::fs::remove_dir_all(checkpoints.join(format!("chk-{:08}", id.0))).expect("removed");
    }
}

#[test]
fn what_retention_deleted_is_unknown_and_convicts_nobody() {
    let root = tempfile::tempdir().expect("a folder");
    let mut history = history();
    write(&history, root.path());
    retire(root.path());
    let newest = |history: &History| {
        let judgement = judge_folder(root.path(), history);
        let ledger = Ledger::load(&root.path().join("ledger.bin")).expect("a ledger");
        let opinion = second_opinion(Input {
            ledger: &ledger,
            checkpoints: &mut CheckpointFolder::new(root.path().join("checkpoints")),
            audit: &mut SqliteAudit::open(&root.path().join("storm.db"), "storm").unwrap(),
            conditions: history.conditions.clone(),
        });
        let differences = compare(&judgement, &opinion.expect("it can be read"));
        assert!(differences.is_empty(), "{differences:#?}");
        (judgement.check("restore-newest").unwrap().verdict, judgement.verdict)
    };
    assert_eq!(newest(&history), (Verdict::Violated, Verdict::Violated), "nothing is ever deleted");
    history.conditions.retained_checkpoints = Some(2);
    assert_eq!(newest(&history), (Verdict::Violated, Verdict::Violated), "one more was to stay");
    history.conditions.retained_checkpoints = Some(1);
    assert_eq!(newest(&history), (Verdict::Unknown, Verdict::Unknown));
}

#[test]
fn restored_checkpoints_that_were_kept_from_retention_are_proof_enough() {
    let root = tempfile::tempdir().expect("a folder");
    let mut history = history();
    write(&history, root.path());
    for id in history.restored() {
        let name = format!("chk-{:08}", id.0);
        let (from, to) = (root.path().join("checkpoints").join(&name), root.path().join(&name));
        std::fs::create_dir(&to).expect("a folder");
        for file in std::fs::read_dir(from).expect("listed").flatten() {
            std::fs::hard_link(file.path(), to.join(file.file_name())).expect("linked");
        }
    }
    history.conditions.retained_checkpoints = Some(1);
    let judged = || {
        judge(Input {
            ledger: &history.ledger,
            checkpoints: &mut CheckpointFolder::new(root.path().join("checkpoints"))
                .with_spare(root.path()),
            audit: &mut SqliteAudit::open(&root.path().join("storm.db"), "storm").unwrap(),
            conditions: history.conditions.clone(),
        })
    };
    // A fault damaged one after it had been restored, for the next attempt to find.
    let id = *history.restored().last().unwrap();
    let manifest = root.path().join(format!("checkpoints/chk-{:08}/manifest.json", id.0));
    let whole = std::fs::read(&manifest).expect("read");
    for content in [&b"{"[..], &whole] {
        std::fs::remove_file(&manifest).expect("removed");
        std::fs::write(&manifest, content).expect("written");
        assert_eq!(judged().verdict, Verdict::Proven, "{:#?}", judged());
    }
    retire(root.path());
    assert_eq!(judged().verdict, Verdict::Proven, "{:#?}", judged());
    // Retention was faster: the manifest, which is linked last, is not there.
    for id in history.restored() {
        let manifest = root.path().join(format!("chk-{:08}/manifest.json", id.0));
        std::fs::remove_file(manifest).expect("removed");
    }
    assert_eq!(judged().verdict, Verdict::Unknown, "{:#?}", judged());
}

#[test]
fn a_manifest_that_points_outside_is_torn() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("checkpoints/chk-00000001");
    std::fs::create_dir_all(&folder).expect("a folder");
    let line = concat!(
        r#"{"format":1,"job":"storm","checkpoint":1,"attempt":1,"mode":"exactly-once","#,
        r#""kind":"savepoint","vertices":[],"subtasks_expected":0,"subtasks_acknowledged":0,"#,
        r#""files":[{"path":"../secret.state","bytes":9,"crc32":0,"worker":0}],"#,
        r#""triggered_us":1,"completed_us":2}"#
    );
    let text = format!("{line}\ncrc32:{:08x}\n", crc32fast::hash(line.as_bytes()));
    std::fs::write(folder.join("manifest.json"), text).expect("written");
    let mut checkpoints = CheckpointFolder::new(root.path().join("checkpoints"));
    let listed = checkpoints.list().expect("listed").remove(0);
    assert_eq!(listed.id, CheckpointId(1));
    let torn = checkpoints.state(&listed.manifest.expect("whole")).expect_err("torn");
    assert!(torn.reason.contains("leaves the checkpoint folder"), "{}", torn.reason);
}

#[test]
fn a_missing_database_or_table_says_which() {
    let root = tempfile::tempdir().expect("a folder");
    let missing = SqliteAudit::open(&root.path().join("none.db"), "storm").expect_err("missing");
    assert!(missing.to_string().contains("none.db"), "{missing}");
    assert!(!root.path().join("none.db").exists(), "reading creates nothing");
    let history = history();
    write(&history, root.path());
    let mut other = SqliteAudit::open(&root.path().join("storm.db"), "gale").expect("opened");
    let error = other.fences().expect_err("no such table");
    assert!(error.to_string().contains("gale_fence"), "{error}");
    let hostile = SqliteAudit::open(&root.path().join("storm.db"), "x; drop table y");
    assert!(hostile.expect_err("refused").to_string().contains("letters"));
}
