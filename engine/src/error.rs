//! What can go wrong, and what the caller should do about it.
//!
//! The rule of the house, written once: an *error* is something the world does (a broker goes away,
//! a disk fills, a configuration is wrong); a *panic* is a broken invariant of this code or an
//! injected fault. Workers catch panics and fail the attempt; nothing panics at the user.

use thiserror::Error;

/// Result of the engine.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Errors of the engine, by what the caller should do.
#[derive(Debug, Clone, Error)]
pub enum EngineError {
    /// The job cannot be built: change the configuration. Restarting does not help.
    #[error("invalid job: {0}")]
    Config(String),
    /// The input cannot be processed as it stands (an offset is gone, a record is too large).
    /// Restarting would meet it again: the job ends.
    #[error("input refused: {0}")]
    Input(String),
    /// A service did not do what was asked; the attempt fails and the restart strategy decides.
    #[error("{service}: {what}")]
    Service {
        /// Which service ("kafka", "mysql", "checkpoint storage").
        service: &'static str,
        /// What happened, with the place and the remedy.
        what: String,
    },
    /// A later execution attempt owns the job: this one must stop and must not be restarted.
    #[error("fenced: {0}")]
    Fenced(String),
    /// A subtask panicked (a bug, or an injected fault).
    #[error("panic in {place}: {what}")]
    Panic {
        /// Vertex and subtask.
        place: String,
        /// The panic's message.
        what: String,
    },
}

impl EngineError {
    /// A service error.
    pub fn service(service: &'static str, what: impl Into<String>) -> Self {
        Self::Service { service, what: what.into() }
    }

    /// Whether another attempt may succeed where this one failed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Service { .. } | Self::Panic { .. })
    }
}
