//! What the server's and the driver's errors mean, and what to do about them.

use std::time::Duration;

use mysql_async::{DriverError, Error, ServerError};

use crate::connectors::sql::SERVICE;
use crate::connectors::sql::backend::{SqlFailure, WriteOutcome};
use crate::error::EngineError;

/// Judges errors of one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge<'a> {
    /// The database, without a password.
    pub(super) place: &'a str,
    /// Bytes of the batch's largest row; 0 where there is no batch.
    pub(super) row_bytes: usize,
}

/// A call took too long.
pub(super) fn deadline_passed(place: &str, limit: Duration) -> SqlFailure {
    SqlFailure::Transient(format!("{place}: no answer in {limit:?}"))
}

/// A row's packet holds more than its frame: the statement's head, hashes and numbers.
const ROW_OVERHEAD_BYTES: usize = 4 * 1024;

impl Judge<'_> {
    /// Refuses a row that does not fit into the server's largest packet.
    pub(super) fn check_size(&self, packet_bytes: usize) -> Result<(), SqlFailure> {
        if self.row_bytes + ROW_OVERHEAD_BYTES <= packet_bytes {
            return Ok(());
        }
        Err(self.too_large(&format!("the server takes packets of {packet_bytes} bytes")))
    }

    /// What an error before the commit means.
    pub(super) fn failure(&self, error: &Error) -> SqlFailure {
        match error {
            Error::Server(server) => self.server_failure(server),
            Error::Driver(DriverError::PacketTooLarge) => self.too_large(error),
            Error::Driver(DriverError::UnknownAuthPlugin { .. })
            | Error::Driver(DriverError::MysqlOldPasswordDisabled)
            | Error::Driver(DriverError::CleartextPluginDisabled) => {
                self.config(error, "give the account a password plugin that the client speaks")
            }
            Error::Url(_) => self.config(error, "correct the address"),
            Error::Io(_) | Error::Driver(_) | Error::Other(_) => {
                SqlFailure::Transient(format!("{}: {error}", self.place))
            }
        }
    }

    fn server_failure(&self, error: &ServerError) -> SqlFailure {
        match error.code {
            // Access denied; unknown database; no privilege.
            1045 | 1698 => self.config(error, "correct the user or the password"),
            1049 => self.config(error, "create the database or correct its name"),
            1044 | 1142 | 1143 | 1227 => self
                .config(error, "grant the user SELECT, INSERT, UPDATE and CREATE on the database"),
            // Packet too large; data too long for its column.
            1153 | 1406 => self.too_large(error),
            // Read only.
            1290 | 1792 | 1836 => self
                .service(error, "the server is read-only: make it writable, or name the primary"),
            // Disk or table full.
            1021 | 1114 => self.service(error, "free space on the server's disk"),
            // Too many connections, shutdown, lock wait, deadlock, interrupted, killed, and the
            // codes with which a cluster's node says that it is not ready.
            1040
            | 1047
            | 1053
            | 1077..=1080
            | 1129
            | 1152
            | 1158..=1161
            | 1180
            | 1184
            | 1203
            | 1205
            | 1213
            | 1317
            | 1927
            | 3024
            | 4031 => SqlFailure::Transient(format!("{}: {error}", self.place)),
            _ => self.service(error, "correct what the message names"),
        }
    }

    /// What an error that answers COMMIT means: the server's refusals are certain, all else is not.
    pub(super) fn commit_outcome(&self, error: &Error) -> WriteOutcome {
        match error {
            Error::Server(server) if matches!(server.code, 1205 | 1213) => {
                WriteOutcome::Failed(self.server_failure(server))
            }
            _ => WriteOutcome::InDoubt(format!("{}: COMMIT: {error}", self.place)),
        }
    }

    fn too_large(&self, error: &dyn std::fmt::Display) -> SqlFailure {
        SqlFailure::Permanent(EngineError::Input(format!(
            "{}: a row of {} bytes does not fit: {error}; raise max_allowed_packet on the server \
             above twice that size (a value may have 16 MB at most), or send smaller records",
            self.place, self.row_bytes
        )))
    }

    fn config(&self, error: &dyn std::fmt::Display, remedy: &str) -> SqlFailure {
        let what = format!("{}: {error}; {remedy}", self.place);
        SqlFailure::Permanent(EngineError::Config(what))
    }

    fn service(&self, error: &dyn std::fmt::Display, remedy: &str) -> SqlFailure {
        let what = format!("{}: {error}; {remedy}", self.place);
        SqlFailure::Permanent(EngineError::service(SERVICE, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16) -> Error {
        let (message, state) = ("message".to_owned(), "HY000".to_owned());
        Error::Server(ServerError { code, message, state })
    }

    const JUDGE: Judge<'_> = Judge { place: "mysql://u@h:3306/d", row_bytes: 1_048_576 };

    #[test]
    fn what_passes_is_tried_again() {
        for code in [1205, 1213, 1040, 1053, 1927] {
            assert!(matches!(JUDGE.failure(&server(code)), SqlFailure::Transient(_)), "{code}");
        }
    }

    #[test]
    fn what_does_not_pass_names_the_remedy() {
        for (code, remedy) in [
            (1045, "password"),
            (1049, "create the database"),
            (1153, "1048576 bytes"),
            (1153, "max_allowed_packet"),
            (1290, "read-only"),
        ] {
            let SqlFailure::Permanent(error) = JUDGE.failure(&server(code)) else {
                panic!("{code} would be tried again");
            };
            assert!(error.to_string().contains(remedy), "{code}: {error}");
        }
    }

    #[test]
    fn an_unanswered_commit_is_in_doubt() {
        let closed = Error::Driver(DriverError::ConnectionClosed);
        assert!(matches!(JUDGE.commit_outcome(&closed), WriteOutcome::InDoubt(_)));
        assert!(matches!(JUDGE.commit_outcome(&server(1180)), WriteOutcome::InDoubt(_)));
        assert!(matches!(JUDGE.commit_outcome(&server(1213)), WriteOutcome::Failed(_)));
    }
}
