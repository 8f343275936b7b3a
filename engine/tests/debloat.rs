//! Buffer debloating: credit shrinks while a receiver is behind, and comes back when it is not.

use stormproof_engine::exchange::Debloat;

const PERIOD_US: u64 = 20_000;

/// Steps through `periods`, each with so many bytes taken, and the same bytes waiting after it.
fn run(debloat: &mut Debloat, from: u64, periods: u64, taken: u64, queued: u64) -> Option<u64> {
    let mut last = None;
    for period in from..from + periods {
        let now_us = (period + 1) * PERIOD_US;
        last = debloat.on_step(now_us, (period + 1) * taken, queued).or(last);
    }
    last
}

#[test]
fn a_receiver_that_is_behind_shrinks_credit_to_its_pace() {
    // 10 sources, 100 ms target; 200 KB in each 20 ms = 1 MB in flight = 100 KB for each.
    let mut debloat = Debloat::new(100_000, 1 << 20, 10);
    let credit = run(&mut debloat, 0, 40, 200_000, 5_000_000).expect("it changes");
    assert!((100_000..110_000).contains(&credit), "{credit}");
}

#[test]
fn a_receiver_that_runs_dry_gets_its_credit_back() {
    let mut debloat = Debloat::new(100_000, 1 << 20, 10);
    run(&mut debloat, 0, 40, 20_000, 5_000_000).expect("it shrinks");
    let credit = run(&mut debloat, 40, 40, 20_000, 0).expect("it grows");
    assert_eq!(credit, 1 << 20);
}

#[test]
fn a_blocked_receiver_keeps_a_floor_and_target_0_never_shrinks() {
    let mut debloat = Debloat::new(100_000, 1 << 20, 10);
    assert_eq!(run(&mut debloat, 0, 60, 0, 5_000_000), Some(1024));
    let mut fixed = Debloat::new(0, 1 << 20, 10);
    assert_eq!(run(&mut fixed, 0, 60, 0, 5_000_000), None);
}
