//! The SQL sink against real databases: one suite, run with SQLite always and with MySQL or
//! MariaDB when `STORMPROOF_TEST_MYSQL_URL` names a server.

#![allow(clippy::disallowed_methods, reason = "tests run on real threads and real time")]

mod connector_support;

use std::collections::BTreeMap;
use std::sync::Arc;

use stormproof_engine::api::{GroupState, SinkFactory as _};
use stormproof_engine::connectors::sql::{BufferDesign, SqlSinkConfig, SqlSinkFactory, WholeValue};
use stormproof_engine::error::EngineError;
use stormproof_engine::ids::*;

use connector_support::database::{Database, Outcome};
use connector_support::{HandClock, SinkDriver, context, record, record_with, taken, wait_until};

/// Runs each test with both databases.
macro_rules! suite {
    ($($test:ident,)*) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test(&super::Database::sqlite()); })*
        }
        mod mysql {
            $(#[test] fn $test() {
                if let Some(database) = super::Database::mysql() { super::$test(&database); }
            })*
        }
    };
}

suite! {
    flushes_by_rows_and_by_age,
    keeps_the_order_of_a_subtask,
    buffer_in_state_snapshots_what_no_transaction_holds,
    flush_on_barrier_leaves_nothing_behind,
    drain_flushes_everything,
    tags_say_which_checkpoint_came_before,
    a_restored_buffer_goes_first,
    null_keys_have_no_result,
    empty_and_large_values_survive,
    the_highest_version_stays,
    without_the_guard_the_last_writer_wins,
    a_transaction_has_limits,
    a_zombie_is_fenced,
    the_fence_can_be_taken_twice,
    dropping_with_work_under_way_does_not_block,
}

fn config(database: &Database) -> SqlSinkConfig {
    SqlSinkConfig { table_prefix: database.prefix.clone(), ..SqlSinkConfig::default() }
}

fn factory(database: &Database, config: SqlSinkConfig) -> SqlSinkFactory {
    SqlSinkFactory::new(&database.url, config, Arc::new(WholeValue), database.runtime.handle())
        .expect("a factory")
}

/// A sink of attempt `attempt` with 4 subtasks, after its fence.
fn begin(factory: &SqlSinkFactory, attempt: u32, restored: u64, state: GroupState) -> SinkDriver {
    taken(&factory.begin_attempt(AttemptId(attempt), CheckpointId(restored))).expect("the fence");
    open(factory, attempt, restored, state)
}

fn open(factory: &SqlSinkFactory, attempt: u32, restored: u64, state: GroupState) -> SinkDriver {
    let clock = Arc::new(HandClock::default());
    let context = context(attempt, restored, 0..4, clock.clone());
    let sink = factory.open(context.clone(), state).expect("a sink");
    SinkDriver { sink, context, clock }
}

fn fresh(database: &Database, config: SqlSinkConfig) -> SinkDriver {
    begin(&factory(database, config), 1, 0, GroupState::default())
}

fn flushes_by_rows_and_by_age(database: &Database) {
    let mut driver = fresh(database, config(database));
    for offset in 0..99 {
        driver.write(1, record(0, offset, "a", "v"));
    }
    driver.poll_idle(99);
    assert_eq!(database.offsets().len(), 0, "99 rows wait for company");
    driver.write(1, record(0, 99, "a", "v"));
    driver.poll_until_pending(0);
    assert_eq!(database.offsets(), (0..100).collect::<Vec<_>>());

    driver.write(2, record(0, 100, "a", "v"));
    driver.clock.advance_ms(600);
    driver.write(2, record(0, 101, "a", "v"));
    driver.clock.advance_ms(399);
    driver.poll_idle(2);
    driver.clock.advance_ms(1);
    driver.poll_until_pending(0);
    assert_eq!(database.offsets().len(), 102, "the oldest row is a second old");
    assert_eq!(driver.context.metrics.sink_confirmed_records.get(), 102);
}

fn keeps_the_order_of_a_subtask(database: &Database) {
    let mut driver = fresh(database, config(database));
    for offset in 0..1_000 {
        for subtask in 0..4 {
            driver.write(subtask, record(u32::from(subtask), offset, &format!("k{subtask}"), "v"));
        }
        if offset % 64 == 0 {
            driver.poll().expect("the sink works");
        }
    }
    driver.checkpoint(1, true);
    let audit = database.audit();
    assert_eq!(audit.len(), 4_000);
    for subtask in 0..4 {
        let offsets: Vec<_> =
            audit.iter().filter(|row| row.subtask == subtask).map(|row| row.offset).collect();
        assert_eq!(offsets, (0..1_000).collect::<Vec<_>>(), "subtask {subtask}");
    }
    let batches: std::collections::BTreeSet<_> = audit.iter().map(|row| row.batch).collect();
    assert!(batches.len() < 40, "{} transactions for 40 flushes: not coalesced", batches.len());
    assert!(audit.iter().all(|row| row.batch_try == 0));
}

fn buffer_in_state_snapshots_what_no_transaction_holds(database: &Database) {
    let mut driver = fresh(database, config(database));
    for offset in 0..230 {
        driver.write(3, record(0, offset, "a", "v"));
    }
    // Nothing was polled before the barrier: the writer takes the 200 flushed rows at the barrier.
    let lists = driver.checkpoint(1, false);
    assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 0, 30]);
    let first = stormproof_engine::record::Record::from_state(lists[3][0].clone());
    assert_eq!(first.expect("a frame").view().provenance().offset, Offset(200));
    assert_eq!(database.offsets(), (0..200).collect::<Vec<_>>(), "settled means confirmed");
    driver.poll_idle(30);
}

fn flush_on_barrier_leaves_nothing_behind(database: &Database) {
    let design = BufferDesign::FlushOnBarrier;
    let mut driver = fresh(database, SqlSinkConfig { design, ..config(database) });
    for offset in 0..230 {
        driver.write(3, record(0, offset, "a", "v"));
    }
    let lists = driver.checkpoint(1, false);
    assert!(lists.iter().all(Vec::is_empty), "a row is still in state");
    assert_eq!(database.offsets(), (0..230).collect::<Vec<_>>());
    assert!(database.audit().iter().all(|row| row.checkpoint == 0), "rows before the barrier");
}

fn drain_flushes_everything(database: &Database) {
    let mut driver = fresh(database, config(database));
    for offset in 0..5_555 {
        driver.write((offset % 4) as u16, record(0, offset, &format!("k{offset}"), "v"));
    }
    let lists = driver.checkpoint(1, true);
    assert!(lists.iter().all(Vec::is_empty));
    assert_eq!(driver.sink.pending_records(), 0);
    let audit = database.audit();
    assert_eq!(audit.len(), 5_555);
    assert!(audit.iter().all(|row| row.checkpoint == 0), "handed over before the barrier");
    assert_eq!(database.results().len(), 5_555);
}

fn tags_say_which_checkpoint_came_before(database: &Database) {
    let mut driver = begin(&factory(database, config(database)), 7, 40, GroupState::default());
    driver.write(0, record(0, 0, "a", "v"));
    driver.write(1, record(1, 0, "a", "v"));
    let lists = driver.checkpoint(41, false);
    assert_eq!(lists.concat().len(), 2, "both rows are in state");
    driver.clock.advance_ms(1_000);
    driver.write(1, record(1, 1, "a", "v"));
    driver.poll_until_pending(1);
    driver.checkpoint(42, true);
    driver.write(2, record(2, 0, "a", "v"));
    driver.clock.advance_ms(1_000);
    driver.poll_until_pending(0);
    let mut tags: Vec<_> =
        database.audit().iter().map(|row| (row.partition, row.offset, row.checkpoint)).collect();
    tags.sort_unstable();
    // In the state of 41, so written after it; drained at 42, so written before it.
    assert_eq!(tags, [(0, 0, 41), (1, 0, 41), (1, 1, 41), (2, 0, 42)]);
    assert!(database.audit().iter().all(|row| row.sink_attempt == 7 && row.source_attempt == 1));
}

fn a_restored_buffer_goes_first(database: &Database) {
    let factory = factory(database, config(database));
    let mut first = begin(&factory, 1, 0, GroupState::default());
    for offset in 0..150 {
        first.write(2, record(9, offset, "a", "old"));
    }
    let lists = first.checkpoint(5, false);
    assert_eq!(lists[2].len(), 50);
    drop(first);
    let state = GroupState::restored().with_list(SubtaskIndex(2), "buffer", lists[2].clone());
    let mut second = begin(&factory, 2, 5, state);
    second.write(2, record(9, 150, "a", "new"));
    assert_eq!(second.sink.pending_records(), 51);
    second.poll_until_pending(0);
    let audit = database.audit();
    assert_eq!(
        audit.iter().map(|row| row.offset).collect::<Vec<_>>(),
        (0..151).collect::<Vec<_>>()
    );
    assert!(audit[100..].iter().all(|row| row.sink_attempt == 2 && row.checkpoint == 5));
    assert_eq!(database.values()["a"], "new");
    let fence = database.integers(&format!(
        "SELECT attempt, restored, after_seq FROM {}_fence ORDER BY attempt",
        database.prefix
    ));
    assert_eq!(fence, [[1, 0, 0], [2, 5, audit[99].seq as i64]]);
}

fn null_keys_have_no_result(database: &Database) {
    let mut driver = fresh(database, config(database));
    driver.write(0, record_with(0, 0, None, Some(b"v")));
    driver.write(0, record_with(0, 1, Some(b""), Some(b"empty key")));
    driver.write(0, record_with(0, 2, None, None));
    driver.checkpoint(1, true);
    assert_eq!(database.offsets(), [0, 1, 2], "every record is an effect");
    let results = database.results();
    assert_eq!(results.len(), 1);
    assert_eq!(results[&Vec::new()].value.as_deref(), Some(&b"empty key"[..]));
}

fn empty_and_large_values_survive(database: &Database) {
    let mut driver = fresh(database, config(database));
    let megabyte: Vec<u8> = (0..1_048_576_u32).map(|n| (n % 251) as u8).collect();
    driver.write(0, record_with(3, 0, Some(b"empty"), Some(b"")));
    driver.write(0, record_with(3, 1, Some(b"null"), None));
    for n in 0..5 {
        driver.write(n % 2, record_with(3, 2 + u64::from(n), Some(&[n as u8]), Some(&megabyte)));
    }
    driver.checkpoint(1, true);
    let results = database.results();
    let outcome = |value, offset| Outcome { value, version: offset * 65_536 + 3, count: 0 };
    let mut expected = BTreeMap::from([
        (b"empty".to_vec(), outcome(Some(Vec::new()), 0)),
        (b"null".to_vec(), outcome(None, 1)),
    ]);
    for n in 0..5 {
        expected.insert(vec![n], outcome(Some(megabyte.clone()), 2 + u64::from(n)));
    }
    assert!(results == expected, "a value is not what was written");
}

fn the_highest_version_stays(database: &Database) {
    let mut driver = fresh(database, config(database));
    // Twice in one batch, the older one last; then an older one in a later batch.
    for (offset, key) in [(5, "a"), (3, "a"), (7, "b")] {
        driver.write(0, record(0, offset, key, &format!("{key}{offset}")));
    }
    driver.checkpoint(1, true);
    for (offset, key) in [(4, "a"), (8, "b"), (6, "b")] {
        driver.write(1, record(0, offset, key, &format!("{key}{offset}")));
    }
    driver.checkpoint(2, true);
    let expected = [("a", "a5"), ("b", "b8")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(database.values(), BTreeMap::from(expected));
    // The same version again replaces: a replay is not older than the first time.
    driver.write(2, record(0, 8, "b", "b8 again"));
    driver.checkpoint(3, true);
    assert_eq!(database.values()["b"], "b8 again");
}

fn without_the_guard_the_last_writer_wins(database: &Database) {
    let unguarded = SqlSinkConfig { versions_guarded: false, ..config(database) };
    let mut driver = fresh(database, unguarded);
    for (offset, key) in [(5, "a"), (3, "a")] {
        driver.write(0, record(0, offset, key, &format!("{key}{offset}")));
    }
    driver.checkpoint(1, true);
    assert_eq!(database.values()["a"], "a3");
    driver.write(1, record(0, 1, "a", "a1"));
    driver.checkpoint(2, true);
    assert_eq!(database.values()["a"], "a1", "the anomaly cannot be shown");
}

fn a_transaction_has_limits(database: &Database) {
    let limits = SqlSinkConfig {
        connections_per_worker: 1,
        transaction_rows: 250,
        transaction_bytes: 100_000,
        ..config(database)
    };
    let mut driver = fresh(database, limits);
    for offset in 0..600 {
        driver.write(0, record(0, offset, "a", "small"));
    }
    let (large, huge) = ("x".repeat(40_000), "x".repeat(200_000));
    for (offset, value) in [(600, &large), (601, &large), (602, &large), (603, &huge)] {
        driver.write(0, record(0, offset, "a", value));
    }
    driver.write(0, record(0, 604, "a", "small"));
    driver.checkpoint(1, true);
    let mut sizes = BTreeMap::<u64, u64>::new();
    for row in database.audit() {
        *sizes.entry(row.batch).or_default() += 1;
    }
    assert_eq!(sizes.into_values().collect::<Vec<_>>(), [250, 250, 102, 1, 1, 1]);
}

fn a_zombie_is_fenced(database: &Database) {
    let factory = factory(database, config(database));
    let mut zombie = begin(&factory, 1, 0, GroupState::default());
    zombie.write(0, record(0, 0, "a", "first"));
    zombie.checkpoint(1, true);
    zombie.write(0, record(0, 9, "a", "from the grave"));

    let mut heir = begin(&factory, 2, 1, GroupState::restored());
    zombie.clock.advance_ms(1_000);
    let mut refusal = None;
    wait_until("the zombie to be refused", || {
        refusal = zombie.poll().err();
        refusal.is_some()
    });
    assert!(matches!(refusal, Some(EngineError::Fenced(_))), "{refusal:?}");
    assert_eq!(database.offsets(), [0], "the zombie wrote");

    heir.write(0, record(0, 1, "a", "second"));
    heir.checkpoint(2, true);
    assert_eq!(database.values()["a"], "second");
    let again = taken(&factory.begin_attempt(AttemptId(1), CheckpointId(0)));
    assert!(matches!(again, Err(EngineError::Fenced(_))), "{again:?}");
}

fn the_fence_can_be_taken_twice(database: &Database) {
    let factory = factory(database, config(database));
    let mut driver = begin(&factory, 3, 2, GroupState::restored());
    driver.write(0, record(0, 0, "a", "v"));
    driver.checkpoint(3, true);
    // Its answer was lost: the same attempt asks again and finds its fence where it was.
    taken(&factory.begin_attempt(AttemptId(3), CheckpointId(2))).expect("its own fence");
    let fence =
        database.integers(&format!("SELECT attempt, after_seq FROM {}_fence", database.prefix));
    assert_eq!(fence, [[3, 0]]);
}

fn dropping_with_work_under_way_does_not_block(database: &Database) {
    let factory = factory(database, config(database));
    let mut driver = begin(&factory, 1, 0, GroupState::default());
    for offset in 0..10_000 {
        driver.write((offset % 4) as u16, record(0, offset, &format!("k{offset}"), "v"));
    }
    driver.poll().expect("the sink works");
    let begun = std::time::Instant::now();
    drop(driver);
    assert!(begun.elapsed().as_millis() < 50, "dropping took {:?}", begun.elapsed());
    let mut heir = begin(&factory, 2, 0, GroupState::default());
    let before = database.offsets().len();
    heir.poll_idle(0);
    assert_eq!(database.offsets().len(), before, "the old attempt wrote after the fence");
}
