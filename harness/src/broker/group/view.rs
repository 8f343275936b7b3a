//! A group as an administrator sees it.

use bytes::Bytes;

use super::membership::{Membership, Phase};

/// A member.
pub(in crate::broker) struct MemberView {
    pub(in crate::broker) id: String,
    pub(in crate::broker) client_id: String,
    pub(in crate::broker) client_host: String,
    pub(in crate::broker) metadata: Bytes,
    pub(in crate::broker) assignment: Bytes,
}

/// A group.
pub(in crate::broker) struct GroupView {
    pub(in crate::broker) is_known: bool,
    /// Kafka's name of its state.
    pub(in crate::broker) state: &'static str,
    pub(in crate::broker) protocol_type: String,
    pub(in crate::broker) protocol: String,
    pub(in crate::broker) members: Vec<MemberView>,
}

impl Default for GroupView {
    /// A group without members.
    fn default() -> Self {
        Self {
            is_known: false,
            state: "Empty",
            protocol_type: String::new(),
            protocol: String::new(),
            members: Vec::new(),
        }
    }
}

impl GroupView {
    pub(super) fn of(group: &Membership) -> Self {
        let metadata = |protocols: &[(String, Bytes)]| {
            let chosen = protocols.iter().find(|(name, _)| *name == group.protocol);
            chosen.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
        };
        let members = group.members.iter().map(|(id, member)| MemberView {
            id: id.clone(),
            client_id: member.join.client_id.clone(),
            client_host: member.join.client_host.clone(),
            metadata: metadata(&member.join.protocols),
            assignment: member.assignment.clone(),
        });
        Self {
            is_known: true,
            state: match group.phase {
                Phase::Empty => "Empty",
                Phase::Joining { .. } => "PreparingRebalance",
                Phase::Syncing => "CompletingRebalance",
                Phase::Stable => "Stable",
            },
            protocol_type: group.protocol_type().to_owned(),
            protocol: group.protocol.clone(),
            members: members.collect(),
        }
    }
}
