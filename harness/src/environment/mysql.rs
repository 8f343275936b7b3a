//! A MySQL or MariaDB database that runs already: its address, its first answer, a run's tables.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;

use super::DatabaseAddress;
use crate::error::{ErrorKind, HarnessError, Result, environment};

/// The longest wait for the first answer.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// The database of one run.
pub(super) struct MysqlDatabase {
    url: String,
    run_id: String,
    version: String,
}

impl MysqlDatabase {
    pub(super) fn new(url: &str, run_id: &str) -> Self {
        Self { url: url.to_owned(), run_id: run_id.to_owned(), version: String::new() }
    }

    /// Whether the address is one.
    pub(super) fn check(&self) -> Result<()> {
        mysql_async::Opts::from_url(&self.url).map(|_| ()).map_err(|error| {
            environment(format!("this is no database address: {error}"))
                .at(without_password(&self.url))
                .remedy("write mysql://user:password@host:port/database")
        })
    }

    /// Asks the server for its version: it is there, and lets us in.
    pub(super) fn connect(&mut self) -> Result<DatabaseAddress> {
        self.version = ask_version(&self.url)?;
        Ok(DatabaseAddress::Mysql(self.url.clone()))
    }

    /// The server's version; empty before it was asked.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// What the names of this run's tables begin with.
    pub(super) fn table_prefix(&self) -> String {
        format!("storm_{}", self.run_id.replace('-', "_").to_lowercase())
    }
}

/// The server of `url`, as `host:port`.
pub(super) fn host_and_port(url: &str) -> String {
    let opts = mysql_async::Opts::from_url(url);
    opts.map_or_else(|_| url.to_owned(), |o| format!("{}:{}", o.ip_or_hostname(), o.tcp_port()))
}

/// The first real request.
///
/// # Errors
/// Of kind [`ErrorKind::Refused`] when the server answers and does not let us in.
pub(crate) fn ask_version(url: &str) -> Result<String> {
    let refuse = |error: &dyn std::fmt::Display| {
        environment(format!("the database does not answer: {error}"))
            .at(without_password(url))
            .remedy(
                "check host, port, user, password and database name of --database, and that the \
                 server runs",
            )
    };
    let ask = async {
        let mut connection = mysql_async::Conn::from_url(url).await?;
        let version: Option<String> = connection.query_first("SELECT VERSION()").await?;
        connection.disconnect().await?;
        Ok::<_, mysql_async::Error>(version)
    };
    // The timer needs the runtime: it is made inside.
    let asked = block_on(async { tokio::time::timeout(READY_LIMIT, ask).await })?;
    match asked {
        Ok(Ok(version)) => Ok(version.unwrap_or_default()),
        Ok(Err(error)) => {
            let mut told = refuse(&error);
            if matches!(&error, mysql_async::Error::Server(e) if is_refusal(e.code)) {
                told.kind = ErrorKind::Refused;
                told.what = format!("the database does not let us in: {error}");
            }
            Err(told)
        }
        Err(_) => Err(refuse(&format!("no answer in {} s", READY_LIMIT.as_secs()))),
    }
}

/// Access denied, unknown database, no privilege: asking again does not help.
fn is_refusal(code: u16) -> bool {
    matches!(code, 1044 | 1045 | 1049 | 1130 | 1142 | 1227 | 1698)
}

/// Runs a future on a runtime of its own.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, HarnessError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            environment(format!("cannot start a runtime: {error}"))
                .remedy("check the limits on file descriptors and threads (ulimit -a)")
        })?;
    Ok(runtime.block_on(work))
}

/// What stands for a password.
const HIDDEN: &str = ":***@";

/// Whether a URL is one of those that [`without_password`] makes.
pub(crate) fn lacks_password(url: &str) -> bool {
    url.contains(HIDDEN)
}

/// A URL that may be shown.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((user, place)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}{HIDDEN}{place}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("mysql://u:p@ss@h:1/d"), "mysql://u:***@h:1/d");
        assert_eq!(without_password("mysql://h/d"), "mysql://h/d");
    }
}
