//! From an address to a database. A password never appears in a message.

use std::path::PathBuf;
use std::sync::Arc;

use mysql_async::{Opts, OptsBuilder};
use tokio::runtime::Handle;

use super::backend::SqlBackend;
use super::mysql::MysqlBackend;
use super::sqlite::SqliteBackend;
use crate::error::{EngineError, Result};

const FORMS: &str = "use mysql://user:password@host:port/database or sqlite:path";

/// The database at `url`.
///
/// # Errors
/// When it is not an address of a database that the sink speaks.
pub fn backend_for(url: &str, runtime: &Handle) -> Result<Arc<dyn SqlBackend>> {
    Ok(match parse(url)? {
        Address::Mysql(opts) => Arc::new(MysqlBackend::new(*opts, runtime.clone())),
        Address::Sqlite(path) => Arc::new(SqliteBackend::new(path)),
    })
}

#[derive(Debug)]
enum Address {
    Mysql(Box<OptsBuilder>),
    Sqlite(PathBuf),
}

fn parse(url: &str) -> Result<Address> {
    let refuse = |what: &str| Err(EngineError::Config(format!("sql sink: {what}; {FORMS}")));
    let Some((scheme, rest)) = url.split_once(':') else {
        return refuse("the address has no scheme");
    };
    match scheme {
        "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
            "" => refuse("the SQLite address has no path"),
            path => Ok(Address::Sqlite(PathBuf::from(path))),
        },
        "mysql" | "mariadb" => {
            let Ok(opts) = Opts::from_url(&format!("mysql:{rest}")) else {
                return refuse("the MySQL address cannot be understood");
            };
            if opts.db_name().is_none_or(str::is_empty) {
                return refuse("the MySQL address names no database");
            }
            Ok(Address::Mysql(Box::new(OptsBuilder::from_opts(opts))))
        }
        other => refuse(&format!("`{other}:` is not a database the sink speaks")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_its_forms() {
        for url in ["mysql://u:secret@h:3307/d", "mariadb://u@h/d?tcp_nodelay=true"] {
            assert!(matches!(parse(url), Ok(Address::Mysql(_))), "{url}");
        }
        for (url, expected) in
            [("sqlite:a/b.db", "a/b.db"), ("sqlite:/a.db", "/a.db"), ("sqlite:///a.db", "/a.db")]
        {
            let Ok(Address::Sqlite(path)) = parse(url) else { panic!("{url}") };
            assert_eq!(path, PathBuf::from(expected));
        }
    }

    #[test]
    fn refuses_the_rest_without_telling_the_password() {
        for url in [
            "secret",
            "sqlite:",
            "postgres://u:secret@h/d",
            "mysql://u:secret@h",
            "mysql://u:secret@h:99999/d",
            "mysql://u:secret@h/d?no_such_parameter=1",
        ] {
            let message = parse(url).expect_err("was accepted").to_string();
            assert!(message.contains(FORMS) && !message.contains("secret"), "{message}");
        }
    }
}
