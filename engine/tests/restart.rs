//! Restart strategies: pauses as Flink counts them.

use stormproof_engine::runtime::{RestartPolicy, RestartStrategy};

const GROWING: RestartStrategy = RestartStrategy::ExponentialDelay {
    initial_ms: 10,
    max_ms: 60,
    factor: 2.0,
    reset_after_ms: 100,
};

#[test]
fn a_pause_grows_up_to_its_maximum() {
    let mut policy = RestartPolicy::new(GROWING);
    let mut now_us = 0;
    let mut pauses = Vec::new();
    for _ in 0..5 {
        let pause_ms = policy.on_failure(now_us).expect("another attempt");
        pauses.push(pause_ms);
        now_us += pause_ms * 1_000 + 1;
    }
    assert_eq!(pauses, [10, 20, 40, 60, 60]);
}

#[test]
fn the_quiet_that_starts_it_over_is_counted_from_the_end_of_the_pause() {
    let mut policy = RestartPolicy::new(GROWING);
    assert_eq!(policy.on_failure(0), Some(10));
    // 109 ms after the failure, and 99 ms after the pause.
    assert_eq!(policy.on_failure(109_999), Some(20));
    // 100 ms after the pause of 20.
    assert_eq!(policy.on_failure(229_999), Some(10));
}

#[test]
fn a_fixed_pause_ends_with_the_restarts_allowed() {
    let strategy = RestartStrategy::FixedDelay { delay_ms: 7, max_restarts: 2 };
    let mut policy = RestartPolicy::new(strategy);
    let pauses: Vec<_> = (0..3).map(|n| policy.on_failure(n * 1_000_000)).collect();
    assert_eq!(pauses, [Some(7), Some(7), None]);
}
