//! Checkpoints: barriers, coordination, files, restore, redistribution.
//!
//! Everything that decides is pure ([`BarrierHandler`], [`Coordinator`], [`redistribute()`],
//! [`choose`] over what it is given); what touches storage is the worker's upload and the runtime.

mod barrier;
mod coordinator;
mod manifest;
mod redistribute;
mod restore;
mod state_file;

pub use barrier::{BarrierHandler, Decision};
pub use coordinator::{Acknowledgement, Command, Coordinator, JobFacts};
pub use manifest::{Manifest, ManifestVertex, StateFileRef};
pub use redistribute::{JobState, redistribute};
pub use restore::{
    Choice, Inventory, RestoredCheckpoint, checkpoint_folder, choose, deletion_order, manifest_path,
};
pub use state_file::{Section, StateFileWriter, read_state_file};
