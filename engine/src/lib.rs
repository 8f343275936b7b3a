//! placeholder map
pub mod api;
pub mod error;
pub mod ids;
pub mod metrics;
pub mod record;
pub mod runtime;
pub mod seam;
