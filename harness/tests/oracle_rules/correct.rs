//! A correct run is proven, whatever the mode, the interleaving and the faults.

use crate::simulation::{Plan, simulate};
use proptest::prelude::*;
use stormproof_harness::oracle::checkpoint_reader::Mode;
use stormproof_harness::oracle::{Required, Verdict};

pub(crate) const MODES: [Mode; 4] = [
    Mode::ExactlyOnce,
    Mode::ExactlyOnceUnaligned,
    Mode::AtLeastOnce,
    Mode::AtLeastOnceFirstBarrier,
];

#[test]
fn runs_of_every_mode_are_proven_and_duplicates_are_exact() {
    for mode in MODES {
        for seed in 0..40 {
            let mut history = simulate(&Plan::new(seed, mode));
            let effects = history.audit.effects.len() as u64;
            let judgement = history.judge();
            assert_ne!(judgement.verdict, Verdict::Violated, "{mode:?} {seed}: {judgement:#?}");
            assert_eq!(judgement.effects, Some(effects));
            assert_eq!(judgement.lost, Some(0));
            assert_eq!(judgement.duplicates, Some(effects - judgement.records));
            assert_eq!(judgement.duplicates, judgement.duplicates_expected);
            assert!(judgement.duplicates <= judgement.duplicates_bound);
            let explained: u64 = judgement.failures.iter().map(|f| f.duplicates).sum();
            assert_eq!(Some(explained), judgement.duplicates, "each failure has its share");
            assert!(judgement.failures.iter().all(|f| f.duplicates <= f.bound), "{judgement:#?}");
        }
    }
}

#[test]
fn the_simulation_reaches_what_the_rules_are_about() {
    let (mut duplicates, mut orphans, mut proven) = (0, 0, 0);
    for seed in 0..40 {
        let judgement = simulate(&Plan::new(seed, Mode::AtLeastOnce)).judge();
        duplicates += judgement.duplicates.unwrap_or(0);
        proven += u32::from(judgement.verdict == Verdict::Proven);
        let mut strict = simulate(&Plan::new(seed, Mode::AtLeastOnce));
        strict.conditions.mode = Mode::ExactlyOnce;
        let strict = strict.judge();
        let check = strict.check("no-orphans").expect("it applies to exact cuts");
        orphans += u32::from(check.verdict == Verdict::Violated);
    }
    assert!(duplicates > 100, "{duplicates} duplicates in 40 runs");
    assert!(orphans > 10, "at-least-once cuts have orphans in {orphans} of 40 runs");
    assert!(proven > 30, "{proven} of 40 runs prove something");
}

#[test]
fn a_drained_run_without_faults_proves_what_it_shows() {
    let mut history = simulate(&Plan { crashes: 0, ..Plan::new(1, Mode::ExactlyOnce) });
    assert_eq!(history.judge().verdict, Verdict::Unknown, "nothing happened: a vacuous pass");
    history.conditions.required = Required::nothing();
    history.conditions.committed = None;
    let judgement = history.judge();
    for check in &judgement.checks {
        let needs_checkpoints = ["conservation", "offset-coverage"].contains(&check.id.as_str());
        let expected = if needs_checkpoints { Verdict::Unknown } else { Verdict::Proven };
        assert_eq!(check.verdict, expected, "{check:#?}");
    }
}

proptest! {
    #[test]
    fn a_correct_run_is_never_convicted(
        seed in any::<u64>(),
        mode in prop::sample::select(&MODES),
        partitions in 1u32..6,
        sinks in 1u16..5,
        records_per_partition in 1u64..300,
        keys_per_partition in 1u64..12,
        crashes in 0u32..7,
        retries in any::<bool>(),
        pipelined in any::<bool>(),
        torn in any::<bool>(),
    ) {
        let plan = Plan {
            partitions, sinks, records_per_partition, keys_per_partition, crashes, retries,
            pipelined, torn,
            ..Plan::new(seed, mode)
        };
        let judgement = simulate(&plan).judge();
        prop_assert!(judgement.verdict != Verdict::Violated, "{plan:?}: {judgement:#?}");
        prop_assert_eq!(judgement.duplicates, judgement.duplicates_expected);
    }
}
