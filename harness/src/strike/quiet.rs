//! The load is silent for a while: what the log holds stands still, and can be compared.
//!
//! Invariant: the load goes on when [`Quiet`] is dropped, whatever happened meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::workload::generator::LoadFigures;

/// The longest wait for the last acknowledgement.
const QUIET_LIMIT: Duration = Duration::from_secs(40);

/// Silence, until it is dropped.
pub(crate) struct Quiet(Option<Arc<LoadFigures>>);

impl Quiet {
    /// Waits until everything that was handed over is acknowledged. Without a load all is silent.
    pub(crate) fn over(load: Option<&Arc<LoadFigures>>) -> Result<Self, String> {
        let quiet = Self(load.cloned());
        let Some(load) = load else { return Ok(quiet) };
        load.hush();
        let begun = Instant::now();
        while !load.is_quiet() {
            if begun.elapsed() > QUIET_LIMIT {
                return Err("the load was not acknowledged to its last record".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(quiet)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(load) = &self.0 {
            load.go_on();
        }
    }
}
