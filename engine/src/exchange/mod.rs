//! The exchange: logical all-to-all channels on physical lanes between workers.
//!
//! P x P channels keep their semantics (order per channel, barriers, credit); what exists in
//! memory is one [`Lane`] for each edge and pair of workers, and one counter for each upstream
//! subtask and lane. Memory and wake-ups grow with W x W and P x W, never with P x P.

mod capture;
mod channel_set;
mod debloat;
mod inbox;
mod lane;
mod outputs;
mod run;

pub use channel_set::ChannelSet;
pub use debloat::{Debloat, FLOOR_BYTES as DEBLOAT_FLOOR_BYTES, PERIOD_US as DEBLOAT_PERIOD_US};
pub use inbox::{Inbox, Item, Refunds};
pub use lane::{Barrier, Lane, LaneBuffer, Mark, MarkKind, Wake};
pub use outputs::{OpenBuffer, OutputEdge, Outputs};
pub use run::Run;
