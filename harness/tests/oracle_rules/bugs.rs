//! Seeded bugs of the miniature engine are convicted by the rule meant for them.

use stormproof_harness::oracle::checkpoint_reader::Mode;
use stormproof_harness::oracle::{Check, Verdict};

use crate::simulation::{Bug, Plan, simulate};

const SEEDS: u64 = 60;

/// Runs the bug under many schedules; returns the convictions of each rule.
fn convictions<const N: usize>(mode: Mode, bug: Bug, rules: [&str; N]) -> [Vec<Check>; N] {
    let mut found = [const { Vec::new() }; N];
    for seed in 0..SEEDS {
        let judgement = simulate(&Plan::new(seed, mode).with(bug)).judge();
        for (rule, found) in rules.iter().zip(&mut found) {
            let check = judgement.check(rule).expect("the rule applies");
            if check.verdict == Verdict::Violated {
                assert!(!check.witnesses.is_empty(), "{check:#?}");
                found.push(check.clone());
            }
        }
    }
    found
}

fn some_witness(checks: &[Check], text: &str) -> bool {
    checks.iter().flat_map(|check| &check.witnesses).any(|witness| witness.text.contains(text))
}

#[test]
fn a_buffer_that_is_not_refilled_loses_its_records() {
    let [lost, exact] =
        convictions(Mode::ExactlyOnce, Bug::BufferNotRefilled, ["no-loss", "duplicates-exact"]);
    // Most of these records had an effect that the restore discarded: only the exact rule sees it.
    assert!(lost.len() > 5 && exact.len() > 20, "{} {}", lost.len(), exact.len());
    assert!(some_witness(&lost, "was in the buffer of sink subtask"), "{lost:#?}");
    assert!(some_witness(&lost, "absent after its restore by attempt"));
}

#[test]
fn channel_state_that_is_not_brought_back_loses_its_records() {
    let [lost, exact] = convictions(
        Mode::ExactlyOnceUnaligned,
        Bug::ChannelStateIgnored,
        ["no-loss", "duplicates-exact"],
    );
    assert!(lost.len() > 5 && exact.len() > 20, "{} {}", lost.len(), exact.len());
    assert!(some_witness(&lost, "was in the channel state of source"), "{lost:#?}");
}

#[test]
fn exactly_once_without_holding_makes_orphans() {
    let [orphans, conservation] =
        convictions(Mode::ExactlyOnce, Bug::NoHolding, ["no-orphans", "conservation"]);
    assert!(orphans.len() > 20, "{} of {SEEDS}", orphans.len());
    assert_eq!(orphans.len(), conservation.len());
}

#[test]
fn the_raw_first_barrier_rule_is_convicted_at_a_checkpoint_without_any_crash() {
    let mut convicted = 0;
    for seed in 0..SEEDS {
        let plan = Plan { crashes: 1, ..Plan::new(seed, Mode::AtLeastOnceFirstBarrier) };
        let mut history = simulate(&plan.with(Bug::FirstBarrierUnlogged));
        // Only what the first attempt did counts here: no restore is needed.
        history.audit.fences.truncate(1);
        history.audit.effects.retain(|effect| effect.sink_attempt.0 == 1);
        history.conditions.drained = false;
        let judgement = history.judge();
        let check = judgement.check("conservation").expect("it applies");
        convicted += u32::from(check.verdict == Verdict::Violated);
    }
    assert!(convicted > 20, "{convicted} of {SEEDS}");
}

#[test]
fn appended_list_state_is_there_twice() {
    let [conservation, exact] =
        convictions(Mode::ExactlyOnce, Bug::BufferAppended, ["conservation", "duplicates-exact"]);
    assert!(conservation.len() > 10, "{} of {SEEDS}", conservation.len());
    assert!(!exact.is_empty(), "restored copies survive twice");
    assert!(some_witness(&conservation, "is there 2 times before checkpoint"));
    assert!(some_witness(&conservation, "in its state: the buffer of sink subtask"));
}

#[test]
fn appended_list_state_is_told_from_unconfirmed_transactions() {
    let mut convicted = 0;
    for seed in 0..SEEDS {
        let plan = Plan::new(seed, Mode::ExactlyOnce).with(Bug::BufferAppended);
        let mut history = simulate(&plan);
        history.conditions.unconfirmed_at_snapshot = true;
        let judgement = history.judge();
        let check = judgement.check("conservation").expect("it applies");
        let told = |text: &str| check.witnesses.iter().any(|w| w.text.contains(text));
        convicted += u32::from(told("was confirmed by then"));
    }
    assert!(convicted > 10, "{convicted} of {SEEDS}");
}

#[test]
fn a_sink_that_leaves_its_buffer_out_is_convicted_at_the_checkpoint() {
    let [conservation, lost] =
        convictions(Mode::AtLeastOnce, Bug::BufferIgnored, ["conservation", "no-loss"]);
    assert!(conservation.len() > 20, "{} of {SEEDS}", conservation.len());
    assert!(some_witness(&lost, "not in its buffers or channel state"));
}

#[test]
fn sources_must_begin_where_the_checkpoint_says() {
    let [exact] = convictions(Mode::ExactlyOnce, Bug::OneBehind, ["duplicates-exact"]);
    assert!(exact.len() > 20, "{} of {SEEDS}", exact.len());
    assert!(some_witness(&exact, "outside of its source attempt's share of the input"));

    let [lost] = convictions(Mode::ExactlyOnce, Bug::SkipsAtRestore, ["no-loss"]);
    assert!(lost.len() > 20, "{} of {SEEDS}", lost.len());
    assert!(some_witness(&lost, "was for attempt"), "{lost:#?}");
}

#[test]
fn checkpoints_need_all_acknowledgements() {
    let [coverage] = convictions(Mode::ExactlyOnce, Bug::OneAckShort, ["offset-coverage"]);
    assert!(coverage.len() > 20, "{} of {SEEDS}", coverage.len());
    assert!(some_witness(&coverage, "with 4 of 5 acknowledgements"), "{coverage:#?}");
}

#[test]
fn restoring_an_old_checkpoint_is_convicted() {
    let [newest] = convictions(Mode::AtLeastOnce, Bug::RestoresOldest, ["restore-newest"]);
    assert!(newest.len() > 5, "{} of {SEEDS}", newest.len());
}
