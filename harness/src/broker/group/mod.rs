//! Consumer groups' memberships, by Kafka's classic protocol.
//!
//! *Follow a rebalance:* a member joins ([`Groups::join`]) and waits; when all have, or the
//! rebalance timeout is over, everyone learns the generation and the leader the members; the
//! leader's [`Groups::sync`] brings the assignments, and everyone's sync is answered.
//!
//! Pure but for the channels that hold answers back: time is given. Invariants: one generation at
//! a time; a member that is silent for longer than its session is removed; nobody waits for a
//! member that is gone. Not kept over a restart of the broker.

mod groups;
mod membership;
mod view;

#[cfg(test)]
mod tests;

pub(super) use groups::Groups;
pub(super) use membership::{Join, Joined};

/// Kafka's error codes.
pub(super) const REBALANCE_IN_PROGRESS: i16 = 27;
const ILLEGAL_GENERATION: i16 = 22;
const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
const INVALID_GROUP_ID: i16 = 24;
const UNKNOWN_MEMBER_ID: i16 = 25;
const INVALID_SESSION_TIMEOUT: i16 = 26;
const MEMBER_ID_REQUIRED: i16 = 79;
