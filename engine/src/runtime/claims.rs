//! Claims: the attempts of a job, written down one after the other in the checkpoint storage.
//!
//! Each attempt's number is put there once, by whoever runs it; so numbers are unique over all
//! processes that share the storage, and an attempt can see that a later one has taken over.

use super::job::JobSeams;
use crate::error::Result;
use crate::ids::AttemptId;
use crate::seam::{SnapshotStorage, Ticket};

const FOLDER: &str = "attempts";

/// The latest attempt that anybody has claimed; 0 when there is none.
///
/// # Errors
/// When the storage cannot be listed.
pub(super) fn latest(storage: &dyn SnapshotStorage) -> Result<AttemptId> {
    let id_of = |path: &String| {
        let digits = path.strip_prefix("attempts/attempt-")?.strip_suffix(".json")?;
        digits.parse::<u32>().ok()
    };
    let claimed = storage.list(FOLDER)?;
    Ok(AttemptId(claimed.iter().filter_map(id_of).max().unwrap_or(0)))
}

/// Writes a claim down; the ticket holds `false` when somebody else was faster.
pub(super) fn claim(seams: &JobSeams, job: &str, attempt: AttemptId) -> Ticket<Result<bool>> {
    let path = format!("{FOLDER}/attempt-{:08}.json", attempt.0);
    let claim = format!("{{\"job\":{job:?},\"attempt\":{attempt}}}\n");
    seams.storage.put_new(&path, claim.into())
}
