//! The proof of the oracle, small: seeded bugs are convicted and the sound engine is not, cells of
//! the kill matrix are reached, a planted failure is shrunk and replayed to the bit.

mod common;

use std::time::Duration;

use common::{said, stormproof};
use stormproof_chaos::matrix::Tally;
use stormproof_chaos::sim::Plan;
use stormproof_harness::proof::case::Case;
use stormproof_harness::proof::matrix::{Campaign, Table};
use stormproof_harness::proof::parallel_cores;
use stormproof_harness::run::Interrupt;

#[test]
fn a_sample_of_the_kill_matrix_is_reached_and_survived() {
    let campaign = Campaign { first_seed: 1, jobs: parallel_cores(), repeats: 1, every: 7 };
    let table = campaign.run(&Interrupt::default(), &|_, _| {});
    let (cells, pairs) = (table.of_cells, table.of_pairs);
    assert_eq!((cells.convicted, pairs.convicted), (0, 0), "{:#?}", table.cells);
    assert!(cells.survived > 50 && cells.impossible > 20, "{cells:?}");
    assert!(cells.missed * 10 <= cells.survived, "{cells:?}");
    assert!(pairs.survived > pairs.missed, "{pairs:?}");
}

#[test]
fn a_slice_of_the_matrix_is_reached_with_real_processes() {
    let folder = tempfile::tempdir().unwrap();
    // A stride that has no factor in common with the sides of the matrix.
    let args = ["matrix", "--env", "embedded", "--every", "223", "--parallelism", "4"];
    let ran = stormproof(&[&args[..], &["--out", "table.json", "-q"]].concat(), folder.path());
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    let json = std::fs::read(folder.path().join("table.json")).unwrap();
    let table: Table = serde_json::from_slice(&json).unwrap();
    let Tally { survived, convicted, impossible, missed } = table.of_cells;
    assert_eq!((convicted, missed), (0, 0), "{:#?}", table.cells);
    assert!(survived >= 3 && impossible >= 2 && table.schedules >= 3, "{table:#?}");
}

#[test]
fn without_seeded_bugs_the_command_says_how_to_get_them() {
    if cfg!(feature = "mutants") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let refused = stormproof(&["mutants"], folder.path());
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("--features mutants"), "{}", said(&refused));
}

#[test]
fn invariants_and_mutants_explain_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let list = said(&stormproof(&["explain"], folder.path()));
    assert!(list.contains("conservation") && list.contains("liveness"), "{list}");
    let one = said(&stormproof(&["explain", "offset-coverage"], folder.path()));
    for part in ["plain::cuts", "source", "one acknowledgement too few"] {
        assert!(one.contains(part), "{part}: {one}");
    }
    let unknown = stormproof(&["explain", "conservatoin"], folder.path());
    assert_eq!(unknown.status.code(), Some(2));
    assert!(said(&unknown).contains("`conservation`"), "{}", said(&unknown));
}

#[test]
fn the_same_plan_runs_the_same_way_to_the_bit() {
    for seed in 0..20 {
        let case = Case { plan: Plan::draw(seed), mutant: 0 };
        let (first, second) = (case.run(true), case.run(true));
        assert_eq!(first.fingerprint(), second.fingerprint(), "seed {seed}");
    }
}

#[cfg(feature = "mutants")]
mod with_seeded_bugs {
    use super::*;
    use stormproof_engine::mutants;
    use stormproof_harness::proof::hunt::Hunt;
    use stormproof_harness::sim::Saved;

    #[test]
    fn every_seeded_bug_is_convicted_and_the_sound_engine_is_not() {
        let hunt = Hunt {
            first_seed: 1,
            seeds: 1000,
            rounds: 1,
            jobs: parallel_cores(),
            only: None,
            time_limit: Some(Duration::from_secs(240)),
        };
        let report = hunt.run(&Interrupt::default(), &|_, _| {});
        let missed: Vec<u32> = report.missed().map(|hunted| hunted.number).collect();
        assert_eq!(missed, [] as [u32; 0], "{report:#?}");
        assert_eq!(report.mutants.len(), mutants::ALL.len());
        assert!(report.median() <= 50, "{report:#?}");
        assert_eq!(report.sound_convicted, []);
    }

    /// A plan of 30 faults under a seeded bug that breaks `rule`.
    fn planted(rule: &str) -> Case {
        let mut others = (1_000..).map(Plan::draw);
        let mut of_thirty = (0..200).map(|seed| {
            let mut plan = Plan::draw(seed);
            while plan.faults.len() + plan.windows.len() < 30 {
                let other = others.next().expect("seeds do not end");
                plan.faults.extend(other.faults);
                plan.windows.extend(other.windows);
            }
            Case { plan, mutant: mutants::BUFFER_IGNORED }
        });
        let breaks = |case: &Case| case.broken().iter().any(|broken| broken == rule);
        of_thirty.find(breaks).expect("one of 200 storms shows the bug")
    }

    #[test]
    fn thirty_faults_are_shrunk_to_three_and_replayed_to_the_bit() {
        let rule = "conservation";
        let case = planted(rule);
        let shrunk = case.shrunk(rule, Duration::from_secs(10)).plan;
        let faults = shrunk.plan.faults.len() + shrunk.plan.windows.len();
        assert!(faults <= 3, "{}", shrunk.size());
        assert!(shrunk.plan.load.records <= case.plan.load.records);

        let folder = tempfile::tempdir().unwrap();
        let ran = shrunk.run(true);
        let file = Saved::of(&shrunk, &ran).save(folder.path()).unwrap();
        let replay = stormproof(&["replay", file.to_str().unwrap()], folder.path());
        assert_eq!(replay.status.code(), Some(1), "{}", said(&replay));
        let witness = &ran.judged.reasons[1];
        assert!(said(&replay).contains(witness), "{witness:?} is not in {}", said(&replay));
        assert!(said(&replay).contains("the same run, to the bit"));

        // A file that says something else is noticed.
        let text = std::fs::read_to_string(&file).unwrap();
        let print = ran.fingerprint();
        std::fs::write(&file, text.replace(&print, &"0".repeat(print.len()))).unwrap();
        let other = stormproof(&["replay", file.to_str().unwrap()], folder.path());
        assert_eq!(other.status.code(), Some(2), "{}", said(&other));
    }
}
