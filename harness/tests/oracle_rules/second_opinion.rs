//! Two checkers agree on every history, correct or corrupted; and each corruption is convicted.

use proptest::prelude::*;
use stormproof_harness::oracle::plain::{Opinion, second_opinion};
use stormproof_harness::oracle::{Input, Judgement, Verdict, compare};

use crate::correct::MODES;
use crate::corruption::attempts::{commit_behind, hasty_savepoint, retry_doubled};
use crate::corruption::{Corruption, corrupt};
use crate::simulation::{Bug, History, Plan, simulate};

const BUGS: [Bug; 11] = [
    Bug::None,
    Bug::NoHolding,
    Bug::FirstBarrierUnlogged,
    Bug::BufferNotRefilled,
    Bug::ChannelStateIgnored,
    Bug::BufferAppended,
    Bug::BufferIgnored,
    Bug::OneBehind,
    Bug::SkipsAtRestore,
    Bug::OneAckShort,
    Bug::RestoresOldest,
];

fn opinion(history: &mut History) -> Opinion {
    second_opinion(Input {
        ledger: &history.ledger,
        checkpoints: &mut history.checkpoints,
        audit: &mut history.audit,
        conditions: history.conditions.clone(),
    })
    .expect("evidence in memory can be read")
}

/// Asks both checkers; they must agree in everything.
fn agreed(history: &mut History) -> Judgement {
    let (fast, plain) = (history.judge(), opinion(history));
    let differences = compare(&fast, &plain);
    assert!(differences.is_empty(), "{differences:#?}");
    fast
}

fn plans() -> impl Strategy<Value = Plan> {
    let sizes = (1u32..5, 1u16..5, 1u64..150, 1u64..8, 0u32..6);
    let odds = (any::<bool>(), any::<bool>(), any::<bool>());
    (any::<u64>(), prop::sample::select(&MODES), sizes, odds).prop_map(
        |(seed, mode, (partitions, sinks, records, keys, crashes), (retries, pipelined, torn))| {
            Plan {
                partitions,
                sinks,
                records_per_partition: records,
                keys_per_partition: keys,
                crashes,
                retries,
                pipelined,
                torn,
                ..Plan::new(seed, mode)
            }
        },
    )
}

/// What the oracle is told may be less than all: these circumstances change the questions.
/// A run that was cut short lacks effects that no checkpoint counts on yet.
fn tell(history: &mut History, drained: bool, keyed: bool, unconfirmed: bool) {
    history.conditions.drained = drained;
    history.conditions.keyed &= keyed;
    history.conditions.unconfirmed_at_snapshot |= unconfirmed;
    if !drained {
        let last = history.audit.fences.last().map(|fence| fence.attempt);
        let newest = history.checkpoints.checkpoints.last().map(|(id, _)| *id);
        let mut nth = 0;
        history.audit.effects.retain(|effect| {
            let late = Some(effect.sink_attempt) == last && Some(effect.tag) >= newest;
            nth += u32::from(late);
            !late || !nth.is_multiple_of(3)
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_checkers_agree_on_correct_histories(
        plan in plans(),
        drained in any::<bool>(),
        keyed in any::<bool>(),
        unconfirmed in any::<bool>(),
    ) {
        let mut history = simulate(&plan);
        tell(&mut history, drained, keyed, unconfirmed);
        let judgement = agreed(&mut history);
        prop_assert!(judgement.verdict != Verdict::Violated, "{:#?}", judgement);
    }

    #[test]
    fn the_checkers_agree_on_the_histories_of_broken_engines(
        plan in plans(),
        bug in prop::sample::select(&BUGS),
        drained in any::<bool>(),
    ) {
        let mut history = simulate(&plan.with(bug));
        tell(&mut history, drained, true, false);
        agreed(&mut history);
    }

    #[test]
    fn the_checkers_agree_on_corrupted_histories(
        plan in plans(),
        corruptions in prop::collection::vec(
            (prop::sample::select(&Corruption::ALL), any::<u64>()), 1..4),
        drained in any::<bool>(),
        unconfirmed in any::<bool>(),
        (calm, behind, savepoint, doubled) in any::<(bool, bool, bool, bool)>(),
    ) {
        let mut history = simulate(&plan);
        tell(&mut history, drained, true, unconfirmed);
        if calm {
            history.conditions.faults_landed = 0;
        }
        if behind {
            _ = commit_behind(&mut history);
        }
        if doubled {
            _ = retry_doubled(&mut history);
        }
        if savepoint {
            _ = hasty_savepoint(&mut history);
        }
        for (corruption, seed) in corruptions {
            _ = corrupt(&mut history, corruption, seed);
        }
        agreed(&mut history);
    }
}

/// Each way of corrupting a history is convicted by the rule meant for it, with a witness that
/// names the very record, by both checkers.
#[test]
fn every_corruption_is_convicted_with_its_anomaly_and_witness() {
    for corruption in Corruption::ALL {
        let mut convicted = 0;
        for seed in 0..24 {
            let mode = MODES[seed as usize % MODES.len()];
            let mut history = simulate(&Plan { crashes: 4, ..Plan::new(seed, mode) });
            let Some(broken) = corrupt(&mut history, corruption, seed) else { continue };
            let judgement = agreed(&mut history);
            let check = judgement.check(broken.rule).expect("the rule applies");
            assert_eq!(check.verdict, Verdict::Violated, "{corruption:?} {seed}: {judgement:#?}");
            let named = check.witnesses.iter().any(|w| broken.names(&w.site));
            assert!(named, "{corruption:?} {seed}: {broken:?} is not in {check:#?}");
            convicted += 1;
        }
        let least = corruption.least();
        assert!(convicted >= least, "{corruption:?} was possible in {convicted} of 24 histories");
    }
}

#[test]
fn a_checker_that_is_wrong_is_noticed() {
    let mut history = simulate(&Plan::new(5, MODES[0]));
    let (fast, plain) = (history.judge(), opinion(&mut history));
    let mut blind = plain.clone();
    blind.answers[0].verdict = Verdict::Unknown;
    assert_eq!(compare(&fast, &blind).len(), 1);
    let mut miscounted = plain;
    miscounted.duplicates += 1;
    assert_eq!(compare(&fast, &miscounted)[0].about, "duplicates");
}

#[test]
fn a_restored_orphan_that_was_not_written_yet_is_awaited_not_missing() {
    let mut awaited = 0;
    for seed in 0..40 {
        let mut history = simulate(&Plan::new(seed, MODES[2]));
        tell(&mut history, false, true, false);
        let judgement = agreed(&mut history);
        let check = judgement.check("duplicates-exact").expect("it applies");
        assert_ne!(check.verdict, Verdict::Violated, "{seed}: {check:#?}");
        awaited += u32::from(check.verdict == Verdict::Unknown);
    }
    assert!(awaited > 10, "{awaited} of 40");
}

/// Found by the second checker: the first one's witness took the row of a batch's first try for
/// there although its second try, tagged behind the checkpoint, is the one that counts.
#[test]
fn the_witness_of_a_hole_is_not_hidden_by_an_earlier_try() {
    let plan = Plan {
        partitions: 4,
        records_per_partition: 133,
        keys_per_partition: 1,
        crashes: 1,
        retries: true,
        ..Plan::new(10_475_059_543_954_705_677, MODES[1])
    };
    let mut history = simulate(&plan.with(Bug::BufferIgnored));
    tell(&mut history, false, true, false);
    agreed(&mut history);
}
