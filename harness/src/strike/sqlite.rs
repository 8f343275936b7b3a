//! What is done to a database that is a file of this machine: another process holds its write lock.
//!
//! Nothing else strikes a file from outside: it has no server, no link and no settings of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{Outcome, Strike};

/// The longest wait for the lock that the engine may hold.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

fn open(file: &Path, busy: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(busy)?;
    Ok(connection)
}

/// Holds the write lock for a while; confirmed by a writer of our own that is turned away.
pub(super) fn lock_wait(strike: &Strike, file: &Path, ms: u64) -> Outcome {
    let hold = || -> rusqlite::Result<Outcome> {
        let mut holder = open(file, LOCK_LIMIT)?;
        let lock = holder.transaction_with_behavior(TransactionBehavior::Immediate)?;
        strike.struck();
        let begun = Instant::now();
        let mut other = open(file, Duration::ZERO)?;
        let seen = other.transaction_with_behavior(TransactionBehavior::Immediate).map(drop);
        std::thread::sleep(Duration::from_millis(ms).saturating_sub(begun.elapsed()));
        lock.rollback()?;
        Ok(match seen {
            Err(error) => Ok(format!(
                "the file was locked for {} ms, another writer was told: {error}",
                begun.elapsed().as_millis()
            )),
            Ok(()) => Err("another writer went through although the file was locked".to_owned()),
        })
    };
    hold().unwrap_or_else(|error| Err(format!("the file could not be locked: {error}")))
}
