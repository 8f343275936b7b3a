//! The seam: everything the engine core needs from the world comes through here.
//!
//! Time, storage, named steps (failpoints), sight and wake-ups are traits or handles, so that the same
//! core runs on threads against real services and on the simulator's scheduler in virtual time.
//! The core itself never reads a clock, draws a random number, spawns, sleeps or awaits.

mod clock;
mod sight;
mod step;
mod storage;
mod ticket;

pub use clock::{Clock, MonotonicClock, TimeUs};
pub use sight::Sight;
pub use step::{Probe, Step, StepAction, StepContext, StepHook};
pub use storage::{ObjectStorage, SnapshotStorage};
pub use ticket::{Ticket, TicketSender};
