//! The log itself loses records that it had acknowledged, and gives their offsets out again: below
//! the loss every rule holds and convicts as ever, above it nothing does, and nothing is proven.

use std::collections::BTreeSet;

use stormproof_harness::oracle::evidence::Effect;
use stormproof_harness::oracle::plain::second_opinion;
use stormproof_harness::oracle::{
    Input, Judgement, Kept, KeptAudit, KeptCheckpoints, LostRange, Verdict, compare, judge,
};
use stormproof_harness::workload::ledger::{Ledger, LedgerBuilder, Offset};

use crate::correct::MODES;
use crate::simulation::{History, Plan, simulate};

/// A history whose partitions each lost their last third, with what they lost.
fn history(seed: u64, mode: usize) -> (History, Vec<LostRange>) {
    let history = simulate(&Plan { crashes: 4, ..Plan::new(seed, MODES[mode]) });
    let lost = history.ledger.partitions().iter().map(|partition| {
        let (start, end) = (partition.start().0, partition.end().0);
        let from = Offset(start + (end - start) * 2 / 3);
        LostRange { partition: partition.id(), from, to: partition.end() }
    });
    let lost = lost.filter(|range| range.records() > 0).collect();
    (history, lost)
}

/// The ledger as it is read back after the loss: other records stand where some were lost.
fn read_back(history: &History, lost: &[LostRange]) -> Ledger {
    let mut builder = LedgerBuilder::new();
    for partition in history.ledger.partitions() {
        builder.set_bounds(partition.id(), partition.start(), partition.end());
        for offset in partition.offsets() {
            let key = format!("another-{offset}");
            builder.push(partition.id(), offset, Some(key.as_bytes()), None).unwrap();
        }
    }
    for (partition, from) in Kept::below(lost).cuts() {
        builder.cut(partition, from);
    }
    builder.finish().unwrap()
}

/// What both checkers say.
fn judged(history: &mut History, lost: &[LostRange]) -> Judgement {
    let ledger = read_back(history, lost);
    let kept = Kept::below(lost);
    let mut conditions = history.conditions.clone();
    conditions.log_lost = lost.to_vec();
    if let Some(committed) = &mut conditions.committed {
        for (partition, offset) in committed {
            *offset = kept.clip(*partition, *offset);
        }
    }
    let mut input = |ask: &mut dyn FnMut(Input<'_>)| {
        ask(Input {
            ledger: &ledger,
            checkpoints: &mut KeptCheckpoints { inner: &mut history.checkpoints, kept: &kept },
            audit: &mut KeptAudit { inner: &mut history.audit, kept: &kept },
            conditions: conditions.clone(),
        });
    };
    let (mut fast, mut plain) = (None, None);
    input(&mut |input| fast = Some(judge(input)));
    input(&mut |input| plain = Some(second_opinion(input).unwrap()));
    let (fast, plain) = (fast.unwrap(), plain.unwrap());
    let differences = compare(&fast, &plain);
    assert!(differences.is_empty(), "{differences:#?}");
    fast
}

fn violated(judgement: &Judgement) -> Vec<&str> {
    let is_violated =
        |check: &&stormproof_harness::oracle::Check| check.verdict == Verdict::Violated;
    judgement.checks.iter().filter(is_violated).map(|check| check.id.as_str()).collect()
}

/// Above the loss anything may be: effects of other records, none, or of records that never were.
fn scramble(history: &mut History, lost: &[LostRange]) {
    let kept = Kept::below(lost);
    let is_above = |effect: &Effect| kept.clip(effect.partition, effect.offset) < effect.offset;
    let mut n = 0;
    history.audit.effects.retain(|effect| {
        n += usize::from(is_above(effect));
        !is_above(effect) || n % 3 > 0
    });
    let mut n = 0;
    for effect in history.audit.effects.iter_mut().filter(|effect| is_above(effect)) {
        n += 1;
        if n % 4 == 0 {
            effect.offset = Offset(effect.offset.0 + 1_000);
        }
    }
    for row in &mut history.audit.results {
        row.value = None;
        row.record_count += 7;
    }
}

#[test]
fn what_lies_above_the_loss_convicts_nobody_and_proves_nothing() {
    let mut scrambled = 0;
    for (seed, mode) in (0..40).map(|seed| (seed, seed as usize % MODES.len())) {
        let (mut history, lost) = history(seed, mode);
        if lost.is_empty() {
            continue;
        }
        let whole = judged(&mut history, &lost);
        let unproven: BTreeSet<&str> = whole
            .checks
            .iter()
            .filter(|check| check.verdict != Verdict::Proven && check.id != "vacuity")
            .map(|check| check.id.as_str())
            .collect();
        assert_eq!(unproven, ["input-kept"].into(), "seed {seed}: {whole:#?}");
        assert_eq!(whole.verdict, Verdict::Unknown);
        scramble(&mut history, &lost);
        scrambled += usize::from(history.judge().verdict == Verdict::Violated);
        let judgement = judged(&mut history, &lost);
        assert_eq!(violated(&judgement), Vec::<&str>::new(), "seed {seed}");
        assert_eq!(judgement.verdict, Verdict::Unknown);
        let told = &judgement.check("input-kept").unwrap().summary;
        assert!(told.contains("the log itself lost") && told.contains("not the engine"), "{told}");
    }
    assert!(scrambled >= 30, "only {scrambled} histories were scrambled");
}

#[test]
fn what_lies_below_the_loss_convicts_as_ever() {
    let mut convicted = 0;
    for seed in 0..40 {
        let (mut history, lost) = history(seed, seed as usize % MODES.len());
        scramble(&mut history, &lost);
        let kept = Kept::below(&lost);
        let below = |e: &&Effect| kept.clip(e.partition, e.offset) == e.offset && e.offset.0 > 0;
        let first = history.audit.effects.iter().find(below).copied();
        let Some(gone) = first.filter(|gone| {
            lost.iter().any(|range| range.partition == gone.partition && gone.offset < range.from)
        }) else {
            continue;
        };
        let is_gone = |e: &Effect| (e.partition, e.offset) == (gone.partition, gone.offset);
        history.audit.effects.retain(|effect| !is_gone(effect));
        let judgement = judged(&mut history, &lost);
        assert!(violated(&judgement).contains(&"no-loss"), "seed {seed}: {judgement:#?}");
        convicted += 1;
    }
    assert!(convicted > 20, "only {convicted} histories had a record to take");
}
