//! The engine's identifiers, one newtype each, so that an offset is never taken for a checkpoint.
//!
//! Invariant: ids are plain numbers that survive a trip through files and databases unchanged.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($repr:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $repr);

        impl $name {
            /// The id as an index into a table.
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A vertex of the job graph, numbered in topological order.
    VertexId(u16)
}
id! {
    /// An edge of the job graph.
    EdgeId(u16)
}
id! {
    /// One parallel instance of a vertex: `0..parallelism`.
    SubtaskIndex(u16)
}
id! {
    /// A worker: one thread, or one lane of the simulator.
    WorkerIndex(u16)
}
id! {
    /// A checkpoint; ids grow over the life of a job. 0 means "none".
    CheckpointId(u64)
}
id! {
    /// An execution attempt of the whole job; 1 is the first.
    AttemptId(u32)
}
id! {
    /// A share of the key space: `xxh3(key) % max_parallelism`.
    KeyGroup(u16)
}
id! {
    /// A partition of an input topic.
    PartitionId(u32)
}
id! {
    /// A position in a partition.
    Offset(u64)
}

impl CheckpointId {
    /// No checkpoint: the job started fresh.
    pub const NONE: Self = Self(0);

    /// The id after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
