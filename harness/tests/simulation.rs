//! The simulation: deterministic over processes, silent about a correct engine, complete as a plan.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use stormproof_chaos::sim::{self, Plan};
use stormproof_engine::mutants;
use stormproof_harness::proof::case::{Case, Ran};
use stormproof_harness::run::Interrupt;
use stormproof_harness::sim::campaign::Campaign;
use stormproof_harness::sim::{Outcome, Saved, judge, second_opinion};

/// Seeds that no earlier run of this test has seen.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    since.as_micros() as u64 & 0xff_ffff_ffff
}

/// What one process prints of a seed: the plan, every event with its time, the verdict.
fn printed(seed: u64) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stormproof"));
    let output = command.args(["sim", "--seed", &seed.to_string()]).output().expect("it starts");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn two_processes_print_the_same_trace_of_a_seed() {
    let first = fresh_seed();
    for seed in first..first + 50 {
        let (one, two) = (printed(seed), printed(seed));
        assert!(one.len() > 2_000, "seed {seed}: no trace of {} bytes", one.len());
        assert!(one == two, "seed {seed}: two processes, two traces");
    }
    eprintln!("fresh seeds {first} to {}", first + 49);
}

#[test]
fn a_correct_engine_is_never_convicted() {
    let first_seed = fresh_seed();
    let campaign = Campaign {
        first_seed,
        seeds: 3_000,
        jobs: 2,
        time_limit: None,
        parallelism: None,
        out: None,
    };
    let summary = campaign.run(&Interrupt::default(), &|_| {}).expect("nothing is saved");
    assert_eq!(summary.failures, [], "seeds from {first_seed}");
    assert_eq!(summary.schedules, 3_000);
    assert!(summary.of(Outcome::Proven) > 500, "seeds from {first_seed}: {summary:?}");
    assert!(summary.restores > 500 && summary.cells.len() > 50, "{summary:?}");
    eprintln!("fresh seeds {first_seed} to {}", first_seed + 2_999);
}

/// Of the sound engine and, where they are compiled in, of one with a seeded bug in every second
/// schedule: what breaks a rule for one checker breaks it for the other, with the same witness.
#[test]
fn the_plain_checker_sees_the_same_schedules() {
    let first = fresh_seed();
    let bugs = if cfg!(feature = "mutants") { mutants::ALL } else { &[] };
    let mut violated = 0;
    for n in 0..400 {
        let bug = (n as usize / 2).checked_rem(bugs.len()).map(|at| &bugs[at]);
        let mutant = bug.filter(|_| n % 2 == 1).map_or(0, |bug| bug.number);
        let case = Case { plan: Plan::draw(first + n), mutant };
        let Ran { run, judged } = case.run(false);
        violated += u32::from(judged.outcome == Outcome::Violated);
        let differences = second_opinion(&case.plan, &run, &judged).expect("it is in memory");
        assert_eq!(differences, [], "seed {}, mutant {mutant}", first + n);
    }
    assert!(violated > 10 || bugs.is_empty(), "{violated} of the seeds from {first}");
    eprintln!("fresh seeds {first} to {}", first + 399);
}

#[test]
fn a_plan_survives_its_file_and_runs_the_same() {
    for seed in 0..50 {
        let plan = Plan::draw(seed);
        let read: Plan = serde_json::from_str(&plan.to_json()).expect("a plan");
        assert_eq!(read, plan, "seed {seed}");
        let (one, two) = (sim::run(&plan, true), sim::run(&read, true));
        assert_eq!(one.trace, two.trace, "seed {seed}");
        assert_eq!(one.evidence, two.evidence, "seed {seed}");
        assert_eq!(judge(&plan, &one), judge(&read, &two), "seed {seed}");
    }
}

#[test]
fn two_thousand_subtasks_are_simulated_and_judged() {
    let plan = Plan::draw_sized(1, 2000);
    let run = sim::run(&plan, false);
    let judged = judge(&plan, &run);
    assert!(judged.outcome != Outcome::Violated, "{:#?}", judged.reasons);
    assert!(run.evidence.audit.len() >= plan.load.records as usize);
}

/// Plans that once convicted the engine or made it panic, each named after what was wrong: with the
/// engine, with the oracle or with a simulated service.
#[test]
fn what_was_found_stays_fixed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds");
    let mut plans = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of seeds") {
        let file = entry.expect("it can be listed").path();
        let json = std::fs::read(&file).expect("a file");
        let saved: Saved = serde_json::from_slice(&json).expect("a saved schedule");
        let judged = judge(&saved.plan, &sim::run(&saved.plan, false));
        let name = file.display();
        assert!(judged.outcome != Outcome::Violated, "{name}: {:#?}", judged.reasons);
        plans += 1;
    }
    assert!(plans >= 20, "the seeds were moved");
}
