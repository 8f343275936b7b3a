//! Attempts that fail one after the other: a job that does not get over it is told to the user, not
//! waited for.

use stormproof_engine::runtime::JobEvent;

use super::folder::{MAKE_ROOM, RunFolder};
use crate::error::{HarnessError, engine, folder};

/// Attempts that fail one after the other without a completed checkpoint between them: the job
/// does not get over what fails it.
const FAILURES_LIMIT: u32 = 25;

/// Attempts in a row that find the disk full.
const FULL_DISK_LIMIT: u32 = 2;

/// Failures since the last completed checkpoint.
#[derive(Debug, Default)]
pub(super) struct Failures {
    in_a_row: u32,
}

impl Failures {
    /// Counts `event`; `is_struck` while a fault beside the engine may be what fails the attempts.
    ///
    /// # Errors
    /// When there were too many.
    pub(super) fn count(
        &mut self,
        event: &JobEvent,
        is_struck: bool,
        run: &RunFolder,
    ) -> Result<(), HarnessError> {
        let cause = match event {
            JobEvent::CheckpointCompleted { .. } => {
                self.in_a_row = 0;
                return Ok(());
            }
            JobEvent::AttemptFailed { cause, .. } | JobEvent::ClaimFailed { cause } => cause,
            _ => return Ok(()),
        };
        self.in_a_row = if is_struck { 1 } else { self.in_a_row + 1 };
        if is_full_disk(cause) && self.in_a_row >= FULL_DISK_LIMIT {
            let what = format!("the disk of the run is full: {cause}");
            return Err(folder(what).at(run.path().display().to_string()).remedy(MAKE_ROOM));
        }
        if self.in_a_row >= FAILURES_LIMIT {
            let what =
                format!("{FAILURES_LIMIT} attempts failed in a row, the last one with: {cause}");
            return Err(engine(what).at(run.engine_log().display().to_string()).remedy(
                "mend what the last one failed with; logs of the services, if there are any, are \
                 in the run's folder",
            ));
        }
        Ok(())
    }
}

fn is_full_disk(cause: &str) -> bool {
    ["No space left on device", "disk is full", "Disk quota exceeded"]
        .iter()
        .any(|said| cause.contains(said))
}
