//! MariaDB or MySQL from the installed programs, with a data folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::environment::leftovers::end_of_log;
use crate::environment::owned::{DATABASE, PASSWORD, USER};
use crate::environment::service::ProcessPlan;
use crate::error::{Result, environment};

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
    pub(super) fn prepare(&self, folder: &Path, port: u16) -> Result<ProcessPlan> {
        let data = folder.join("data");
        // Its own bootstrap server fails now and then while a machine is starting many others.
        if self.fill(folder, &data).is_err() {
            let _ = fs::remove_dir_all(&data);
            self.fill(folder, &data)?;
        }
        let accounts = folder.join("accounts.sql");
        fs::write(&accounts, accounts_sql())
            .map_err(|error| crate::run::cannot_write(&accounts, &error))?;
        Ok(ProcessPlan {
            name: "database".to_owned(),
            program: self.server().to_owned(),
            arguments: server_arguments(folder, &data, &accounts, port, &user()),
            variables: Vec::new(),
            folder: folder.parent().unwrap_or(folder).to_owned(),
        })
    }

    /// Writes the system tables into `data`, which does not exist.
    fn fill(&self, folder: &Path, data: &Path) -> Result<()> {
        let log = folder.join("install.log");
        let refuse = |what: &str| {
            environment(format!("the database's folder cannot be filled: {what}"))
                .at(folder.display().to_string())
                .remedy("make room in that folder, or name another with --data")
        };
        let output = fs::File::create(&log).map_err(|error| refuse(&error.to_string()))?;
        let errors = output.try_clone().map_err(|error| refuse(&error.to_string()))?;
        let mut fill = match self {
            Self::Mariadb { install, .. } => {
                let mut fill = Command::new(install);
                fill.args(["--no-defaults", "--skip-test-db"])
                    .arg("--auth-root-authentication-method=normal");
                fill
            }
            Self::Mysql { server } => {
                let mut fill = Command::new(server);
                fill.args(["--no-defaults", "--initialize-insecure"]);
                fill
            }
        };
        let filled = fill
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--user={}", user()))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .status()
            .map_err(|error| refuse(&error.to_string()))?;
        if !filled.success() {
            let log = fs::read(&log).unwrap_or_default();
            let said = errors_of(&log).unwrap_or_else(|| end_of_log(&log));
            return Err(refuse(&format!("{filled}{said}")));
        }
        Ok(())
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
