//! MariaDB or MySQL from the installed programs, with a data folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::Host;
use crate::environment::leftovers::end_of_log;
use crate::environment::owned::{DATABASE, PASSWORD, USER};
use crate::environment::service::ProcessPlan;
use crate::error::{Result, environment};

/// The longest that filling an empty data folder may take.
const FILL_LIMIT: Duration = Duration::from_secs(60);
/// Folders that hold servers and are often missing on an ordinary user's path.
const ALSO: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec"];

/// The server's programs.
#[derive(Debug)]
pub(super) enum Mysqld {
    /// `mariadbd` and `mariadb-install-db`.
    Mariadb { server: PathBuf, install: PathBuf },
    /// `mysqld` of Oracle's MySQL, which prepares its folder itself.
    Mysql { server: PathBuf },
}

/// The run's database on `port` of loopback.
pub(super) fn url(port: u16) -> String {
    crate::environment::owned::url(&format!("127.0.0.1:{port}"))
}

/// What the program that fills a new folder is called.
const FILLER: &str = "database-install";

/// A program on the path, or where servers are.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(ALSO.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

impl Mysqld {
    /// The installed server.
    pub(super) fn find() -> Result<Self> {
        if let (Some(server), Some(install)) = (on_path("mariadbd"), on_path("mariadb-install-db"))
        {
            return Ok(Self::Mariadb { server, install });
        }
        on_path("mysqld").map(|server| Self::Mysql { server }).ok_or_else(|| {
            environment("there is neither mariadbd nor mysqld on this machine")
                .at("PATH, /usr/sbin")
                .remedy("install mariadb-server, or use --env containers or --env embedded")
        })
    }

    fn server(&self) -> &Path {
        match self {
            Self::Mariadb { server, .. } | Self::Mysql { server } => server,
        }
    }

    /// Fills the data folder inside `folder`; returns how the server is started on `port`.
    pub(super) fn prepare(&self, folder: &Path, port: u16, host: &Host) -> Result<ProcessPlan> {
        let data = folder.join("data");
        // Its own bootstrap server fails now and then while a machine is starting many others.
        if self.fill(folder, &data, host).is_err() {
            host.stop.check()?;
            let _ = fs::remove_dir_all(&data);
            let log = plan(folder, FILLER, self.server(), Vec::new()).log();
            self.fill(folder, &data, host).map_err(|error| host.with_log_of(error, &log))?;
        }
        let accounts = folder.join("accounts.sql");
        fs::write(&accounts, accounts_sql())
            .map_err(|error| crate::run::cannot_write(&accounts, &error))?;
        let mut arguments = server_arguments(folder, &data, &accounts, port, &user());
        if matches!(self, Self::Mysql { .. }) {
            // Its second protocol would listen on a port that is not the run's.
            arguments.push("--loose-mysqlx=OFF".to_owned());
        }
        Ok(plan(folder, "database", self.server(), arguments))
    }

    /// Writes the system tables into `data`, which does not exist.
    fn fill(&self, folder: &Path, data: &Path, host: &Host) -> Result<()> {
        let (program, options): (_, &[&str]) = match self {
            Self::Mariadb { install, .. } => (
                install,
                &["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"],
            ),
            Self::Mysql { server } => (server, &["--no-defaults", "--initialize-insecure"]),
        };
        let mut arguments: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        arguments.push(format!("--datadir={}", data.display()));
        arguments.push(format!("--user={}", user()));
        let fill = plan(folder, FILLER, program, arguments);
        let refuse = |what: &str| {
            environment(format!("the database's folder cannot be filled: {what}"))
                .at(folder.display().to_string())
                .remedy("make room in that folder, or name another with --data")
        };
        // What a first try said is not what a second one says.
        let _ = fs::remove_file(fill.log());
        match fill.run_to_end(FILL_LIMIT, &host.stop)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                let log = fs::read(fill.log()).unwrap_or_default();
                let said = errors_of(&log).unwrap_or_else(|| end_of_log(&log));
                Err(refuse(&format!("{status}{said}")))
            }
            None => Err(refuse(&format!("not done in {} s", FILL_LIMIT.as_secs()))),
        }
    }
}

/// How a program of the database in `folder` is started.
fn plan(folder: &Path, name: &str, program: &Path, arguments: Vec<String>) -> ProcessPlan {
    ProcessPlan {
        name: name.to_owned(),
        program: program.to_owned(),
        arguments,
        variables: Vec::new(),
        folder: folder.parent().unwrap_or(folder).to_owned(),
    }
}

/// The server's own words: the installer ends with advice, and what went wrong stands before it.
fn errors_of(log: &[u8]) -> Option<String> {
    let log = String::from_utf8_lossy(log);
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("[ERROR]")).take(5).collect();
    (!errors.is_empty()).then(|| end_of_log(errors.join("\n").as_bytes()))
}

/// Its effects are the same each time: it is read at every start.
fn accounts_sql() -> String {
    // One statement on a line: so the server reads it.
    format!(
        "CREATE DATABASE IF NOT EXISTS {DATABASE};\n\
         CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT ALL ON {DATABASE}.* TO '{USER}'@'127.0.0.1';\n\
         CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';\n\
         ALTER USER 'root'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n"
    )
}

fn server_arguments(
    folder: &Path,
    data: &Path,
    accounts: &Path,
    port: u16,
    user: &str,
) -> Vec<String> {
    // A socket's path may have 107 bytes at most, so it is a short one.
    let socket = folder.join("s");
    vec![
        "--no-defaults".to_owned(),
        format!("--user={user}"),
        format!("--datadir={}", data.display()),
        format!("--socket={}", socket.display()),
        format!("--pid-file={}", folder.join("server.pid").display()),
        format!("--init-file={}", accounts.display()),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--max-allowed-packet=16M".to_owned(),
        "--innodb-buffer-pool-size=256M".to_owned(),
        "--innodb-flush-log-at-trx-commit=2".to_owned(),
        "--max-connections=200".to_owned(),
    ]
}

fn user() -> String {
    let uid = nix::unistd::getuid();
    nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |u| u.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_errors_go_before_the_installers_advice() {
        let log =
            b"Installing\n2026-11-25 [ERROR] InnoDB: no room\n\nPlease check all of the above\n";
        let said = errors_of(log).expect("there is one");
        assert!(said.contains("no room") && !said.contains("Please"), "{said}");
        assert_eq!(errors_of(b"Please check all of the above\n"), None);
    }
}
