//! One thing is changed in the tables of a correct run; the rule meant for it convicts.

use proptest::prelude::*;
use stormproof_harness::oracle::checkpoint_reader::Mode;
use stormproof_harness::oracle::evidence::Effect;
use stormproof_harness::oracle::{AttemptId, Check, Site, Verdict};
use stormproof_harness::workload::ledger::{Offset, PartitionId, hash_key, version_of};

use crate::correct::MODES;
use crate::simulation::{History, Plan, simulate};

/// A correct run with several restores, without in-doubt batches.
pub(crate) fn history() -> History {
    let history = simulate(&Plan { crashes: 4, ..Plan::new(5, Mode::ExactlyOnce) });
    assert!(history.restored().len() >= 3, "the seed makes restores");
    history
}

fn record(effect: &Effect) -> Site {
    Site::record(effect.partition, effect.offset)
}

/// The check's witnesses name the record, whichever attempt or checkpoint they add.
pub(crate) fn names(check: &Check, site: Site) -> bool {
    let of = |w: &Site| (w.partition, w.offset) == (site.partition, site.offset);
    check.witnesses.iter().any(|witness| of(&witness.site))
}

#[test]
fn the_untouched_history_is_proven() {
    assert_eq!(history().judge().verdict, Verdict::Proven);
}

#[test]
fn a_lost_record_is_attributed_to_the_restore_it_vanished_in() {
    let mut history = history();
    let lost = history.only_effect();
    assert_eq!(lost.sink_attempt, AttemptId(1), "it survived the first restore");
    history.audit.effects.retain(|effect| effect.seq != lost.seq);
    let check = history.convicted_by("no-loss");
    assert_eq!(check.witnesses[0].site, record(&lost));
    let restored = history.restored()[0];
    for part in [
        format!("offset {} of partition {} was below S", lost.offset, lost.partition),
        format!("absent after restore of {restored} by attempt 2"),
        "its partition first did not add up at checkpoint".to_owned(),
        "the nearest effects are of".to_owned(),
    ] {
        assert!(check.witnesses[0].text.contains(&part), "{part:?} in {check:#?}");
    }
    assert!(names(&history.convicted_by("duplicates-exact"), record(&lost)));
    let holes = history.convicted_by("conservation");
    assert!(names(&holes, record(&lost)), "{holes:#?}");
    assert!(holes.witnesses[0].text.contains("not in its buffers or channel state"));
}

#[test]
fn a_doubled_record_is_named_with_its_rows() {
    let mut history = history();
    let original = history.only_effect();
    let seq = history.audit.effects.last().map_or(0, |effect| effect.seq) + 1;
    let position = history.audit.effects.iter().position(|e| e.seq > original.seq).unwrap();
    let copy = Effect { batch: 999, ..original };
    history.audit.effects.insert(position, copy);
    for (at, effect) in history.audit.effects.iter_mut().enumerate() {
        effect.seq = at as u64 + 1;
    }
    for fence in history.audit.fences.iter_mut().filter(|f| f.after_seq >= original.seq) {
        fence.after_seq += 1;
    }
    assert_eq!(history.audit.effects.last().unwrap().seq, seq);
    let check = history.convicted_by("single-effect-per-attempt");
    assert!(names(&check, record(&original)));
    assert!(check.witnesses[0].text.contains("its rows:"), "{check:#?}");
    assert!(check.witnesses[0].text.contains("batch 999"), "{check:#?}");
    let check = history.convicted_by("duplicates-exact");
    assert!(names(&check, record(&original)));
    assert!(names(&history.convicted_by("conservation"), record(&original)));
    assert_eq!(history.judge().check("fencing").unwrap().verdict, Verdict::Proven);
}

#[test]
fn a_flood_of_doubled_records_breaks_the_bound() {
    let mut history = history();
    let bound = history.judge().duplicates_bound.unwrap();
    let last = *history.audit.effects.last().unwrap();
    let flood = (1..=bound + 1).map(|n| Effect { seq: last.seq + n, batch: 999 + n, ..last });
    history.audit.effects.extend(flood.collect::<Vec<_>>());
    let judgement = history.judge();
    let check = judgement.check("duplicates-bound").unwrap();
    assert_eq!(check.verdict, Verdict::Violated, "{check:#?}");
    assert!(judgement.duplicates > judgement.duplicates_bound);
}

#[test]
fn a_key_that_goes_back_within_an_attempt_is_out_of_order() {
    let mut history = history();
    let effects = &history.audit.effects;
    let key = |e: &Effect| history.ledger.partitions()[e.partition.0 as usize].key_hash(e.offset);
    let (first, second) = (0..effects.len())
        .flat_map(|a| (a + 1..effects.len()).map(move |b| (a, b)))
        .find(|(a, b)| {
            let (a, b) = (&effects[*a], &effects[*b]);
            let same = |f: fn(&Effect) -> (u32, u32, u32, u64)| f(a) == f(b);
            same(|e| (e.partition.0, e.source_attempt.0, e.sink_attempt.0, e.tag.0))
                && a.offset < b.offset
                && key(a).is_some()
                && key(a) == key(b)
        })
        .expect("a key has two effects");
    let (a, b) = (effects[first].offset, effects[second].offset);
    let effects = &mut history.audit.effects;
    (effects[first].offset, effects[second].offset) = (b, a);
    let moved = effects[second];
    let check = history.convicted_by("per-key-order");
    assert_eq!(check.witnesses[0].site, record(&moved).of(moved.sink_attempt));
    let judgement = history.judge();
    for id in ["no-loss", "duplicates-exact", "conservation"] {
        assert_eq!(judgement.check(id).unwrap().verdict, Verdict::Proven, "{id}");
    }
}

#[test]
fn results_rows_must_hold_the_highest_version_its_value_and_count() {
    let clean = history();
    let facts = clean.ledger.keys().find(|facts| facts.records > 1).unwrap();
    let site = Site::record(facts.partition, facts.offset);
    let row = clean.audit.results.iter().position(|r| r.key_hash == facts.hash).unwrap();

    let mut stale = clean.clone();
    let earlier = clean.ledger.partitions()[facts.partition.0 as usize]
        .offsets()
        .find(|o| {
            let partition = &clean.ledger.partitions()[facts.partition.0 as usize];
            partition.key_hash(*o) == Some(facts.hash)
        })
        .unwrap();
    stale.audit.results[row].version = version_of(facts.partition, earlier);
    let check = stale.convicted_by("final-values");
    assert_eq!(check.witnesses[0].site, site);
    assert!(check.witnesses[0].text.contains("a stale row"), "{check:#?}");

    let mut other_value = clean.clone();
    other_value.audit.results[row].value = Some(b"something else".to_vec());
    assert_eq!(other_value.convicted_by("final-values").witnesses[0].site, site);

    let mut ahead = clean.clone();
    ahead.audit.results[row].version += 65_536;
    assert_eq!(ahead.convicted_by("final-values").witnesses[0].site, site);

    let mut miscounted = clean.clone();
    miscounted.audit.results[row].record_count += 1;
    assert_eq!(miscounted.convicted_by("final-values").witnesses[0].site, site);
    miscounted.conditions.mode = Mode::AtLeastOnce;
    assert_eq!(miscounted.judge().check("final-values").unwrap().verdict, Verdict::Proven);
    miscounted.audit.results[row].record_count = facts.records - 1;
    assert_eq!(miscounted.convicted_by("final-values").witnesses[0].site, site);

    let mut missing = clean.clone();
    missing.audit.results.remove(row);
    assert!(missing.convicted_by("final-values").witnesses[0].text.contains("has no row"));

    let mut twice = clean.clone();
    let copy = twice.audit.results[row].clone();
    twice.audit.results.push(copy);
    assert!(twice.convicted_by("final-values").witnesses[0].text.contains("more than one"));

    let mut unknown = clean;
    let mut made_up = unknown.audit.results[row].clone();
    made_up.key = b"k9-made-up".to_vec();
    made_up.key_hash = hash_key(&made_up.key);
    unknown.audit.results.push(made_up);
    assert!(unknown.convicted_by("final-values").witnesses[0].text.contains("k9-made-up"));
}

#[test]
fn an_effect_behind_a_later_fence_is_a_zombies() {
    let mut history = history();
    let seq = history.audit.effects.last().unwrap().seq + 1;
    let at = history.audit.effects.iter().position(|e| e.sink_attempt == AttemptId(1)).unwrap();
    let zombie = history.audit.effects.remove(at);
    history.audit.effects.push(Effect { seq, ..zombie });
    let check = history.convicted_by("fencing");
    assert_eq!(check.witnesses[0].site, record(&zombie).of(AttemptId(1)));
    assert!(check.witnesses[0].text.contains("after attempt 2 had taken its fence"));

    history.audit.effects.last_mut().unwrap().sink_attempt = AttemptId(77);
    let check = history.convicted_by("fencing");
    assert!(check.witnesses[0].text.contains("attempt 77, which never took its fence"));
    history.convicted_by("duplicates-exact");
}

#[test]
fn an_effect_without_a_record_is_a_phantom() {
    let clean = history();
    let last = *clean.audit.effects.last().unwrap();
    let seq = last.seq + 1;
    for phantom in [
        Effect { seq, offset: Offset(9_999), batch: 999, ..last },
        Effect { seq, partition: PartitionId(42), batch: 999, ..last },
        Effect { seq, index: 1, batch: 999, ..last },
    ] {
        let mut history = clean.clone();
        history.audit.effects.push(phantom);
        let check = history.convicted_by("no-phantom");
        assert_eq!(check.witnesses[0].site, record(&phantom).of(phantom.sink_attempt));
        history.convicted_by("duplicates-exact");
    }
}

#[test]
fn an_offset_in_a_gap_of_the_log_is_a_phantom() {
    let mut history = history();
    let partition = &history.ledger.partitions()[0];
    let gap = (0..partition.end().0).map(Offset).find(|o| partition.position(*o).is_none());
    let gap = gap.expect("the simulated log has gaps");
    let last = *history.audit.effects.last().unwrap();
    let id = partition.id();
    let phantom = Effect { seq: last.seq + 1, partition: id, offset: gap, batch: 999, ..last };
    history.audit.effects.push(phantom);
    let check = history.convicted_by("no-phantom");
    assert_eq!(check.witnesses[0].site, record(&phantom).of(phantom.sink_attempt));
}

#[test]
fn a_hole_is_not_covered_up_by_a_double() {
    let mut history = history();
    let cut = history.restored()[0];
    let splits = history.checkpoint(cut).1.splits.clone();
    let effects = &mut history.audit.effects;
    let survivors = |e: &Effect| {
        let next = splits[e.partition.0 as usize].next_offset;
        e.sink_attempt == AttemptId(1) && e.tag < cut && e.offset < next
    };
    let hole = effects.iter().position(survivors).expect("one survives");
    let double = effects.iter().position(|e| {
        survivors(e) && e.partition == effects[hole].partition && e.offset > effects[hole].offset
    });
    let (lost, doubled) = (effects[hole], effects[double.expect("another one survives")]);
    // The numbers of effects and of records still agree.
    effects[hole].offset = doubled.offset;
    let check = history.convicted_by("conservation");
    assert!(names(&check, record(&lost)), "{check:#?}");
    assert!(names(&check, record(&doubled)), "{check:#?}");
    let check = history.convicted_by("duplicates-exact");
    assert!(names(&check, record(&lost)) && names(&check, record(&doubled)), "{check:#?}");
}

proptest! {
    #[test]
    fn removing_the_only_effect_of_a_record_is_always_convicted(
        seed in any::<u64>(),
        mode in prop::sample::select(&MODES),
        pick in any::<prop::sample::Index>(),
    ) {
        let mut history = simulate(&Plan::new(seed, mode));
        let counts = history.multiplicities();
        let single: Vec<Effect> = history.audit.effects.iter()
            .filter(|e| counts[&(e.partition, e.offset)] == 1).copied().collect();
        prop_assume!(!single.is_empty());
        let lost = single[pick.index(single.len())];
        history.audit.effects.retain(|effect| effect.seq != lost.seq);
        let check = history.convicted_by("no-loss");
        prop_assert_eq!(check.witnesses[0].site, record(&lost));
        let check = history.convicted_by("duplicates-exact");
        prop_assert_eq!(check.witnesses[0].site, record(&lost));
    }

    #[test]
    fn writing_any_effect_twice_is_always_convicted(
        seed in any::<u64>(),
        mode in prop::sample::select(&MODES),
        pick in any::<prop::sample::Index>(),
    ) {
        let mut history = simulate(&Plan::new(seed, mode));
        let at = pick.index(history.audit.effects.len());
        let copy = Effect { batch: 99_999, ..history.audit.effects[at] };
        history.audit.effects.insert(at + 1, copy);
        let check = history.convicted_by("single-effect-per-attempt");
        prop_assert_eq!(check.witnesses[0].site, record(&copy).of(copy.sink_attempt));
    }

    #[test]
    fn a_surviving_tag_moved_past_a_restored_cut_is_always_convicted(
        seed in any::<u64>(),
        mode in prop::sample::select(&MODES),
        pick in any::<prop::sample::Index>(),
    ) {
        let mut history = simulate(&Plan::new(seed, mode));
        let restored = history.restored();
        prop_assume!(!restored.is_empty());
        let cut = restored[pick.index(restored.len())];
        let maker = history.checkpoint(cut).0.attempt;
        // Below S, so that it is no orphan of an at-least-once cut.
        let splits = history.checkpoint(cut).1.splits.clone();
        let below = |e: &Effect| e.offset < splits[e.partition.0 as usize].next_offset;
        let moved = history.audit.effects.iter_mut().find(|e| {
            e.sink_attempt == maker && e.source_attempt == maker && e.tag < cut && below(e)
        });
        let Some(moved) = moved else { return Ok(()) };
        moved.tag = cut;
        let site = record(moved);
        let check = history.convicted_by("conservation");
        prop_assert!(names(&check, site), "{:#?}", check);
    }
}
