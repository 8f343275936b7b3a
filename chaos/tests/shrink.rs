//! Shrinking finds the needle, keeps to its time, and never returns what does not fail.

use std::cell::Cell;

use proptest::prelude::*;
use stormproof_chaos::shrink::{Knob, Shrinkable, shrink};

/// A plan of numbered faults and two numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Toy {
    faults: Vec<u32>,
    parallelism: u64,
    records: u64,
    has_retries: bool,
}

impl Shrinkable for Toy {
    fn faults(&self) -> usize {
        self.faults.len()
    }

    fn keeping(&self, places: &[usize]) -> Self {
        let faults = places.iter().map(|at| self.faults[*at]).collect();
        Self { faults, ..self.clone() }
    }

    fn knobs(&self) -> Vec<Knob> {
        vec![
            Knob { name: "parallelism", value: self.parallelism, least: 1 },
            Knob { name: "records", value: self.records, least: 0 },
        ]
    }

    fn with(&self, knob: &Knob, value: u64) -> Self {
        match knob.name {
            "parallelism" => Self { parallelism: value, ..self.clone() },
            _ => Self { records: value, ..self.clone() },
        }
    }

    fn simpler(&self) -> Vec<Self> {
        let without = self.has_retries.then(|| Self { has_retries: false, ..self.clone() });
        without.into_iter().collect()
    }
}

fn big(faults: u32) -> Toy {
    Toy { faults: (0..faults).collect(), parallelism: 2_000, records: 50_000, has_retries: true }
}

#[test]
fn two_needles_among_thirty_faults_and_three_numbers() {
    let fails = |plan: &Toy| {
        plan.faults.contains(&7)
            && plan.faults.contains(&23)
            && plan.parallelism >= 3
            && plan.records >= 1_234
    };
    let shrunk = shrink(big(30), fails, || false);
    let least = Toy { faults: vec![7, 23], parallelism: 3, records: 1_234, has_retries: false };
    assert_eq!(shrunk.plan, least);
    assert!(shrunk.is_least);
    assert!(shrunk.tries < 200, "{} tries", shrunk.tries);
}

#[test]
fn a_bug_that_needs_no_fault_loses_all_of_them_at_once() {
    let shrunk = shrink(big(500), |_| true, || false);
    assert_eq!(shrunk.plan.faults, Vec::<u32>::new());
    assert_eq!((shrunk.plan.parallelism, shrunk.plan.records), (1, 0));
    assert!(shrunk.tries < 10, "{} tries", shrunk.tries);
}

#[test]
fn the_time_limit_holds_and_the_best_so_far_is_returned() {
    let tries = Cell::new(0);
    let fails = |plan: &Toy| {
        tries.set(tries.get() + 1);
        plan.faults.contains(&7)
    };
    let shrunk = shrink(big(30), fails, || tries.get() >= 4);
    assert_eq!((tries.get(), shrunk.tries), (4, 4));
    assert!(!shrunk.is_least);
    assert!(shrunk.plan.faults.contains(&7) && shrunk.plan.faults.len() < 30);
}

proptest! {
    #[test]
    fn what_is_returned_fails_and_no_single_fault_can_be_spared(
        needles in prop::collection::btree_set(0u32..40, 0..5),
        odd in 1u64..50,
    ) {
        // Not monotonous in the number of records.
        let fails = |plan: &Toy| {
            needles.iter().all(|needle| plan.faults.contains(needle)) && plan.records.is_multiple_of(odd)
        };
        let start = Toy { records: 50_000 / odd * odd, ..big(40) };
        let shrunk = shrink(start, fails, || false);
        prop_assert!(fails(&shrunk.plan));
        prop_assert_eq!(shrunk.plan.faults.len(), needles.len());
    }
}
