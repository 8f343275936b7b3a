//! Reading somebody else's tables, from MySQL (or MariaDB) or SQLite.
//!
//! Invariants: read only; names go into queries only when they are plain words; numbers that are
//! null or negative are an error, never a guess.

use std::fmt;
use std::path::PathBuf;

use mysql_async::Opts;
use rusqlite::{Connection, OpenFlags};

use super::{Asked, unreadable};
use crate::environment::without_password;
use crate::error::{Result, scenario};
use crate::oracle::stream_mysql;
use crate::workload::ledger::{Ledger, Offset, PartitionId, hash_key, hash_value};

/// Where the tables are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseAt {
    /// `mysql://user:password@host:port/name`.
    Mysql(String),
    /// `sqlite:FILE`.
    Sqlite(PathBuf),
}

impl fmt::Display for DatabaseAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql(url) => f.write_str(&without_password(url)),
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
        }
    }
}

impl std::str::FromStr for DatabaseAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(file) = text.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(PathBuf::from(file)));
        }
        match Opts::from_url(text) {
            Ok(_) if text.starts_with("mysql://") => Ok(Self::Mysql(text.to_owned())),
            Ok(_) => Err("use mysql://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE".to_owned()),
            Err(error) => {
                Err(format!("{error}; use mysql://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE"))
            }
        }
    }
}

/// The table of effects and what its columns are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The table.
    pub table: String,
    /// The input record's partition.
    pub partition: String,
    /// The input record's offset.
    pub offset: String,
    /// The order in which rows were written, if the table knows it.
    pub order: Option<String>,
    /// Which execution of the job wrote the row, if the table knows it.
    pub attempt: Option<String>,
}

impl Columns {
    /// From a table and `name=column` pairs.
    ///
    /// # Errors
    /// When a name is unknown, or is no plain word.
    pub fn new(table: &str, pairs: &[String]) -> Result<Self> {
        let mut columns = Self {
            table: table.to_owned(),
            partition: "partition_id".to_owned(),
            offset: "record_offset".to_owned(),
            order: None,
            attempt: None,
        };
        let refuse = |what: String| {
            scenario(what)
                .at("--columns")
                .remedy("for example --columns partition=p,offset=o,order=id,attempt=run")
        };
        for pair in pairs {
            let (name, column) = pair
                .split_once('=')
                .ok_or_else(|| refuse(format!("{pair:?} is not NAME=COLUMN")))?;
            let column = column.to_owned();
            match name {
                "partition" => columns.partition = column,
                "offset" => columns.offset = column,
                "order" => columns.order = Some(column),
                "attempt" => columns.attempt = Some(column),
                _ => {
                    return Err(refuse(format!(
                        "there is no {name:?}: partition, offset, order, attempt"
                    )));
                }
            }
        }
        let names = [&columns.table, &columns.partition, &columns.offset];
        let named = names.into_iter().chain(&columns.order).chain(&columns.attempt);
        for name in named {
            plain(name).map_err(&refuse)?;
        }
        Ok(columns)
    }
}

/// A name that may stand in a query.
fn plain(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '$';
    match !name.is_empty() && name.chars().all(is_plain) {
        true => Ok(()),
        false => Err(format!("{name:?} is no plain name of a table or column")),
    }
}

fn quoted(name: &str) -> String {
    name.split('.').map(|part| format!("`{part}`")).collect::<Vec<_>>().join(".")
}

/// A table with the last value of each key: columns `record_key` and `record_value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Results {
    /// The table.
    pub table: String,
}

impl Results {
    /// A table of results.
    ///
    /// # Errors
    /// When the name is no plain word.
    pub fn new(table: &str) -> Result<Self> {
        plain(table).map_err(|what| scenario(what).at("--results"))?;
        Ok(Self { table: table.to_owned() })
    }
}

/// What the table of results was compared to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ResultsSeen {
    /// Keys of the input that live in one partition.
    pub(super) keys: u64,
    /// Of these: with the value of their last record.
    pub(super) right: u64,
    /// The first few that are not.
    pub(super) wrong: Vec<String>,
    /// Rows of keys that the input does not have.
    pub(super) unknown: u64,
}

/// One effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    /// The input record's partition.
    pub(super) partition: PartitionId,
    /// The input record's offset.
    pub(super) offset: Offset,
    /// The execution that wrote it; 0 when the table does not know.
    pub(super) attempt: i64,
}

type Row = (Option<i64>, Option<i64>, Option<i64>);

/// Rows of the table.
pub(super) fn count(asked: &Asked) -> Result<u64> {
    let sql = format!("SELECT COUNT(*), 0, 0 FROM {}", quoted(&asked.columns.table));
    let mut rows = 0;
    each(asked, &sql, &mut |(n, _, _)| {
        rows = n.unwrap_or(0).unsigned_abs();
        Ok(())
    })?;
    Ok(rows)
}

/// Every effect, in the order of the table's own order column if it has one.
pub(super) fn effects(asked: &Asked, visit: &mut dyn FnMut(&Effect)) -> Result<()> {
    let columns = &asked.columns;
    let integer = match asked.database {
        DatabaseAt::Mysql(_) => "SIGNED",
        DatabaseAt::Sqlite(_) => "INTEGER",
    };
    let cast = |column: &str| format!("CAST({} AS {integer})", quoted(column));
    let attempt = columns.attempt.as_ref().map_or_else(|| "0".to_owned(), |column| cast(column));
    let mut sql = format!(
        "SELECT {}, {}, {attempt} FROM {}",
        cast(&columns.partition),
        cast(&columns.offset),
        quoted(&columns.table)
    );
    if let Some(order) = &columns.order {
        sql.push_str(&format!(" ORDER BY {}", quoted(order)));
    }
    let mut at = 0_u64;
    each(asked, &sql, &mut |(partition, offset, attempt)| {
        at += 1;
        let number = |value: Option<i64>, name: &str| {
            let value = value.ok_or_else(|| format!("row {at}: {name} is null"))?;
            u64::try_from(value).map_err(|_| format!("row {at}: {name} is {value}"))
        };
        let partition = number(partition, &columns.partition)?;
        let partition = u32::try_from(partition)
            .map_err(|_| format!("row {at}: there is no partition {partition}"))?;
        visit(&Effect {
            partition: PartitionId(partition),
            offset: Offset(number(offset, &columns.offset)?),
            attempt: attempt.unwrap_or(0),
        });
        Ok(())
    })
}

/// Compares the table of results with the last value of each key.
pub(super) fn results(asked: &Asked, results: &Results, ledger: &Ledger) -> Result<ResultsSeen> {
    let sql = format!("SELECT record_key, record_value FROM {}", quoted(&results.table));
    // A key in several partitions has no order of its own in the log.
    let keys = ledger.keys().filter(|key| key.partitions == 1).count() as u64;
    let mut seen = ResultsSeen { keys, ..ResultsSeen::default() };
    let mut visit = |key: Vec<u8>, value: Option<Vec<u8>>| {
        let name = String::from_utf8_lossy(&key).into_owned();
        match ledger.key(hash_key(&key)) {
            None => seen.unknown += 1,
            Some(facts) if facts.partitions > 1 => {}
            Some(facts) if facts.value_hash == hash_value(value.as_deref()) => seen.right += 1,
            Some(facts) if seen.wrong.len() < 5 => seen.wrong.push(format!(
                "key {name:?} does not have the value of offset {} of partition {}",
                facts.offset, facts.partition
            )),
            Some(_) => {}
        }
    };
    match &asked.database {
        DatabaseAt::Mysql(url) => {
            stream_mysql(url, &results.table, &sql, &mut |(key, value): (Vec<u8>, _)| {
                visit(key, value);
                Ok(())
            })
            .map_err(|error| unreadable(asked, &error))?;
        }
        DatabaseAt::Sqlite(file) => {
            let read = || {
                let connection = open(file)?;
                let mut statement = connection.prepare(&sql)?;
                let mut rows = statement.query(())?;
                while let Some(row) = rows.next()? {
                    let key = row.get_ref(0)?.as_bytes()?.to_vec();
                    visit(key, row.get_ref(1)?.as_bytes_or_null()?.map(<[u8]>::to_vec));
                }
                Ok::<(), rusqlite::Error>(())
            };
            let mut read = read;
            read().map_err(|error| unreadable(asked, &error))?;
        }
    }
    Ok(seen)
}

fn open(file: &std::path::Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(file, flags)
}

/// Runs a query of three numbers.
fn each(asked: &Asked, sql: &str, visit: &mut dyn FnMut(Row) -> Result<(), String>) -> Result<()> {
    match &asked.database {
        DatabaseAt::Mysql(url) => {
            stream_mysql(url, &asked.columns.table, sql, visit).map_err(|e| unreadable(asked, &e))
        }
        DatabaseAt::Sqlite(file) => {
            let mut run = || {
                let connection = open(file).map_err(|error| error.to_string())?;
                let mut statement = connection.prepare(sql).map_err(|error| error.to_string())?;
                let mut rows = statement.query(()).map_err(|error| error.to_string())?;
                while let Some(row) = rows.next().map_err(|error| error.to_string())? {
                    let read = || Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                    visit(read().map_err(|error: rusqlite::Error| error.to_string())?)?;
                }
                Ok(())
            };
            run().map_err(|error: String| unreadable(asked, &error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_or_refused() {
        let pairs = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let columns = Columns::new("shop.effects", &pairs(&["partition=p", "order=id"])).unwrap();
        assert_eq!((columns.partition.as_str(), columns.order.as_deref()), ("p", Some("id")));
        for bad in [&["partition=a b"][..], &["offset"], &["colour=x"], &["order=a`; --"]] {
            assert!(Columns::new("t", &pairs(bad)).is_err(), "{bad:?}");
        }
        assert!(Columns::new("t; drop", &[]).is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        let at: DatabaseAt = "mysql://me:secret@127.0.0.1:3306/shop".parse().unwrap();
        assert!(!at.to_string().contains("secret"), "{at}");
        assert!("postgres://x".parse::<DatabaseAt>().is_err());
    }
}
