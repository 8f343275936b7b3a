//! The database: SQLite, MariaDB and the simulated one.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use stormproof_chaos::sim::Disturbance;
use stormproof_engine::connectors::sql::{
    Batch, BatchNumber, BatchTry, Effect, ResolveOutcome, SqlConnection, SqlFailure, Tables,
    WholeValue, WriteOutcome, WriteTerms,
};
use stormproof_engine::error::EngineError;
use stormproof_engine::ids::*;
use stormproof_engine::record::{Payload, Provenance, Record, Route};

use super::database::Database;

fn all(check: impl Fn(&Database)) {
    check(&Database::sqlite());
    if let Some(database) = Database::mysql() {
        check(&database);
    }
    for seed in 0..20 {
        check(&Database::simulated(seed));
    }
}

fn terms(database: &Database, attempt: u32, versions_guarded: bool) -> Arc<WriteTerms> {
    Arc::new(WriteTerms {
        attempt: AttemptId(attempt),
        tables: Tables::with_prefix(database.prefix()),
        versions_guarded,
        mapper: Arc::new(WholeValue),
        call_timeout: Duration::from_secs(8),
    })
}

fn begin(database: &Database, attempt: u32, restored: u64) -> Result<(), EngineError> {
    let terms = terms(database, attempt, true);
    let limit = Duration::from_secs(30);
    let ticket = database.backend().begin_attempt(&terms, CheckpointId(restored), limit);
    database.wait(&ticket)
}

fn connect(database: &Database, attempt: u32) -> Box<dyn SqlConnection> {
    database.backend().connect(terms(database, attempt, true))
}

/// Offset, key and value.
type Row = (u64, Option<&'static str>, Option<&'static str>);

fn batch(attempt: u32, number: u64, rows: &[Row]) -> Arc<Batch> {
    let effect = |(offset, key, value): &Row| {
        let payload = Payload {
            provenance: Provenance {
                partition: PartitionId(3),
                offset: Offset(*offset),
                index: 0,
                source_attempt: AttemptId(attempt),
            },
            event_time_us: 0,
            key: key.map(str::as_bytes),
            value: value.map(str::as_bytes),
        };
        let (source, target) = (SubtaskIndex(0), SubtaskIndex(5));
        let mut frame = BytesMut::new();
        payload.encode(Route { source, target }, &mut frame);
        let record = Record::at(&frame.freeze(), 0);
        Effect { record, subtask: SubtaskIndex(5), checkpoint: CheckpointId(9) }
    };
    let effects = rows.iter().map(effect).collect();
    Arc::new(Batch { attempt: AttemptId(attempt), number: BatchNumber::new(1, number), effects })
}

const FIRST_TRY: BatchTry = BatchTry { number: 0, sent_us: 17 };

fn write(
    database: &Database,
    connection: &mut Box<dyn SqlConnection>,
    batch: &Arc<Batch>,
) -> WriteOutcome {
    let ticket = connection.write(batch, FIRST_TRY);
    database.wait(&ticket)
}

fn is_found(
    database: &Database,
    connection: &mut Box<dyn SqlConnection>,
    batch: &Arc<Batch>,
) -> bool {
    let ticket = connection.resolve(batch);
    match database.wait(&ticket) {
        ResolveOutcome::Found => true,
        ResolveOutcome::Missing => false,
        ResolveOutcome::Failed(failure) => panic!("{}: {failure:?}", database.name()),
    }
}

fn confirmed(outcome: &WriteOutcome) -> bool {
    matches!(outcome, WriteOutcome::Confirmed)
}

#[test]
fn a_batch_is_one_transaction_with_its_rows_in_order() {
    all(|database| {
        begin(database, 1, 0).expect("the fence");
        let mut connection = connect(database, 1);
        let one =
            batch(1, 1, &[(4, Some("a"), Some("a4")), (5, None, Some("x")), (6, Some("b"), None)]);
        let outcome = write(database, &mut connection, &one);
        assert!(confirmed(&outcome), "{}: {outcome:?}", database.name());
        let tables = database.tables();
        let offsets: Vec<u64> = tables.effects.iter().map(|row| row.offset.0).collect();
        assert_eq!(offsets, [4, 5, 6], "{}", database.name());
        assert!(tables.effects.is_sorted_by(|a, b| a.seq < b.seq));
        let row = tables.effects[0];
        assert_eq!((row.partition.0, row.subtask, row.tag.0, row.sent_us), (3, 5, 9, 17));
        assert_eq!((row.batch, row.batch_try), (one.number.0, 0));
        assert_eq!(tables.results.len(), 2, "a record without a key has nothing to upsert");
        let values: Vec<_> = tables.results.iter().map(|row| row.value.clone()).collect();
        assert!(values.contains(&None) && values.contains(&Some(b"a4".to_vec())));
        assert!(is_found(database, &mut connection, &one));
        assert!(!is_found(database, &mut connection, &batch(1, 2, &[(4, None, None)])));
    });
}

#[test]
fn a_higher_version_stays_if_versions_are_guarded() {
    all(|database| {
        begin(database, 1, 0).expect("the fence");
        for (is_guarded, expected) in [(true, "newer"), (false, "older")] {
            let backend = database.backend();
            let mut connection = backend.connect(terms(database, 1, is_guarded));
            let number = u64::from(is_guarded) * 10;
            for (n, row) in [(1, (8, Some("k"), Some("newer"))), (2, (7, Some("k"), Some("older")))]
            {
                let outcome = write(database, &mut connection, &batch(1, number + n, &[row]));
                assert!(confirmed(&outcome), "{}: {outcome:?}", database.name());
            }
            let results = database.tables().results;
            assert_eq!(results.len(), 1);
            assert_eq!(
                results[0].value.as_deref(),
                Some(expected.as_bytes()),
                "{}",
                database.name()
            );
        }
    });
}

#[test]
fn a_fenced_attempt_changes_nothing() {
    all(|database| {
        begin(database, 1, 0).expect("the fence");
        let mut old = connect(database, 1);
        assert!(confirmed(&write(database, &mut old, &batch(1, 1, &[(0, Some("k"), Some("1"))]))));
        begin(database, 2, 7).expect("the next fence");
        begin(database, 2, 7).expect("the same fence again changes nothing");
        let refused = write(database, &mut old, &batch(1, 2, &[(1, Some("k"), Some("2"))]));
        let is_fenced =
            matches!(refused, WriteOutcome::Failed(SqlFailure::Permanent(EngineError::Fenced(_))));
        assert!(is_fenced, "{}: {refused:?}", database.name());
        assert!(matches!(begin(database, 1, 0), Err(EngineError::Fenced(_))));
        let tables = database.tables();
        assert_eq!(tables.effects.len(), 1, "{}", database.name());
        assert_eq!(tables.results[0].value.as_deref(), Some(&b"1"[..]));
        let fences: Vec<_> =
            tables.fences.iter().map(|f| (f.attempt.0, f.restored.0, f.after_seq)).collect();
        assert_eq!(fences, [(1, 0, 0), (2, 7, tables.effects[0].seq)], "{}", database.name());
    });
}

#[test]
fn a_connection_that_is_dropped_leaves_all_of_a_batch_or_nothing() {
    all(|database| {
        begin(database, 1, 0).expect("the fence");
        let mut connection = connect(database, 1);
        let rows =
            [(0, Some("a"), Some("0")), (1, Some("b"), Some("1")), (2, Some("c"), Some("2"))];
        drop(connection.write(&batch(1, 1, &rows), FIRST_TRY));
        drop(connection);
        // The fence waits for whatever is still under way: afterwards nothing changes any more.
        begin(database, 2, 0).expect("the next fence");
        let before = database.tables();
        assert!([0, 3].contains(&before.effects.len()), "{}: {before:?}", database.name());
        assert_eq!(before.effects.len(), before.results.len(), "{}", database.name());
        let mut next = connect(database, 2);
        let outcome = write(database, &mut next, &batch(2, 1, &[(9, Some("z"), Some("9"))]));
        assert!(confirmed(&outcome), "{}: {outcome:?}", database.name());
        let after = database.tables();
        assert_eq!(after.effects.len(), before.effects.len() + 1, "{}", database.name());
    });
}

#[test]
fn two_writers_of_a_key_leave_its_highest_version() {
    all(|database| {
        begin(database, 1, 0).expect("the fence");
        let (mut one, mut two) = (connect(database, 1), connect(database, 1));
        let first = batch(1, 1, &[(3, Some("k"), Some("3")), (5, Some("m"), Some("5"))]);
        let second = batch(1, 2, &[(4, Some("k"), Some("4")), (6, Some("m"), Some("6"))]);
        let tickets = (one.write(&first, FIRST_TRY), two.write(&second, FIRST_TRY));
        let outcomes = (database.wait(&tickets.0), database.wait(&tickets.1));
        assert!(confirmed(&outcomes.0) && confirmed(&outcomes.1), "{outcomes:?}");
        let tables = database.tables();
        assert_eq!(tables.effects.len(), 4, "{}", database.name());
        let mut values: Vec<_> = tables.results.iter().filter_map(|r| r.value.clone()).collect();
        values.sort();
        assert_eq!(values, [b"4".to_vec(), b"6".to_vec()], "{}", database.name());
    });
}

#[test]
fn a_lock_that_is_not_free_in_time_is_a_transient_failure_that_leaves_nothing() {
    all(|database| {
        begin(database, 1, 0).expect("the fence");
        let mut connection = connect(database, 1);
        let one = batch(1, 1, &[(0, Some("k"), Some("v"))]);
        let outcome = database.while_locked(|| write(database, &mut connection, &one));
        let is_transient = matches!(outcome, WriteOutcome::Failed(SqlFailure::Transient(_)));
        assert!(is_transient, "{}: {outcome:?}", database.name());
        assert_eq!(database.tables().effects.len(), 0, "{}", database.name());
        assert!(!is_found(database, &mut connection, &one), "{}", database.name());
        assert!(confirmed(&write(database, &mut connection, &one)), "{}", database.name());
    });
}

#[test]
fn what_is_in_doubt_is_found_if_and_only_if_it_was_committed() {
    let mut seen = [0, 0];
    for seed in 0..200 {
        let database = Database::simulated(seed);
        begin(&database, 1, 0).expect("the fence");
        let mut connection = connect(&database, 1);
        let one = batch(1, 1, &[(0, Some("k"), Some("v"))]);
        let Database::Simulated { services, .. } = &database else { unreachable!() };
        services.disturb(Disturbance::DatabaseCommitInDoubt, true);
        let outcome = write(&database, &mut connection, &one);
        assert!(matches!(outcome, WriteOutcome::InDoubt(_)), "{outcome:?}");
        services.disturb(Disturbance::DatabaseCommitInDoubt, false);
        let found = is_found(&database, &mut connection, &one);
        assert_eq!(found, database.tables().effects.len() == 1, "seed {seed}");
        begin(&database, 2, 0).expect("the next fence");
        assert_eq!(found, database.tables().effects.len() == 1, "seed {seed}: it came later");
        seen[usize::from(found)] += 1;
    }
    assert!(seen[0] > 20 && seen[1] > 20, "both outcomes happen: {seen:?}");
}
