//! All groups, by name.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::oneshot::{Receiver, channel};

use super::membership::{Join, Joined, Membership, Phase, Synced};
use super::view::GroupView;
use super::{
    INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT, MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS,
    UNKNOWN_MEMBER_ID,
};

/// Kafka's limits on a session's timeout, in milliseconds.
const SESSION_TIMEOUT_MS: std::ops::RangeInclusive<i64> = 6_000..=1_800_000;

#[derive(Default)]
pub(in crate::broker) struct Groups {
    groups: BTreeMap<String, Membership>,
    next_member: u64,
}

impl Groups {
    /// Enters a group. The answer comes when its other members have joined too.
    pub(in crate::broker) fn join(&mut self, mut join: Join, now_ms: i64) -> Receiver<Joined> {
        let (answer, receiver) = channel();
        let refused = if join.group.is_empty() {
            Some(INVALID_GROUP_ID)
        } else if !SESSION_TIMEOUT_MS.contains(&join.session_timeout_ms) {
            Some(INVALID_SESSION_TIMEOUT)
        } else {
            None
        };
        if let Some(code) = refused {
            let _ = answer.send(Joined::refused(code, &join.member));
            return receiver;
        }
        let is_new = join.member.is_empty();
        let group = self.groups.entry(join.group.clone()).or_default();
        if is_new {
            self.next_member += 1;
            // Ids from before a restart of the broker must not come again.
            join.member = format!("{}-{now_ms}-{}", join.client_id, self.next_member);
            if join.needs_id_first {
                group.promise(&join.member, now_ms + join.session_timeout_ms);
                let _ = answer.send(Joined::refused(MEMBER_ID_REQUIRED, &join.member));
                return receiver;
            }
        }
        group.join(join, is_new, answer, now_ms);
        receiver
    }

    /// Wants a member's assignment. The answer comes when the leader has made it.
    pub(in crate::broker) fn sync(
        &mut self,
        group: &str,
        member: &str,
        generation: i32,
        assignments: BTreeMap<String, Bytes>,
        now_ms: i64,
    ) -> Receiver<Synced> {
        let (answer, receiver) = channel();
        match self.groups.get_mut(group) {
            Some(found) => found.sync(member, generation, assignments, answer, now_ms),
            None => drop(answer.send(Err(UNKNOWN_MEMBER_ID))),
        }
        receiver
    }

    /// A member lives; it is told when it must join again.
    pub(in crate::broker) fn heartbeat(
        &mut self,
        group: &str,
        member: &str,
        generation: i32,
        now_ms: i64,
    ) -> Result<(), i16> {
        let group = self.groups.get_mut(group).ok_or(UNKNOWN_MEMBER_ID)?;
        group.check(member, generation, now_ms)?;
        match group.phase {
            Phase::Joining { .. } => Err(REBALANCE_IN_PROGRESS),
            _ => Ok(()),
        }
    }

    /// Whether offsets may be committed: by a member of this generation, or by anybody when the
    /// group has no members.
    pub(in crate::broker) fn may_commit(
        &mut self,
        group: &str,
        member: &str,
        generation: i32,
        now_ms: i64,
    ) -> Result<(), i16> {
        if group.is_empty() {
            return Err(INVALID_GROUP_ID);
        }
        if generation < 0 && !self.has_members(group) {
            return Ok(());
        }
        let group = self.groups.get_mut(group).ok_or(UNKNOWN_MEMBER_ID)?;
        group.check(member, generation, now_ms)?;
        match group.phase {
            Phase::Syncing => Err(REBALANCE_IN_PROGRESS),
            _ => Ok(()),
        }
    }

    /// A member leaves.
    pub(in crate::broker) fn leave(
        &mut self,
        group: &str,
        member: &str,
        now_ms: i64,
    ) -> Result<(), i16> {
        self.groups.get_mut(group).ok_or(UNKNOWN_MEMBER_ID)?.leave(member, now_ms)
    }

    /// Lets time pass.
    pub(in crate::broker) fn tick(&mut self, now_ms: i64) {
        self.groups.retain(|_, group| {
            group.tick(now_ms);
            !group.is_forgotten()
        });
    }

    /// Whether a group has members.
    pub(in crate::broker) fn has_members(&self, group: &str) -> bool {
        self.groups.get(group).is_some_and(|group| !group.members.is_empty())
    }

    /// Forgets a group without members; whether there was one.
    pub(in crate::broker) fn forget(&mut self, group: &str) -> bool {
        self.groups.remove(group).is_some()
    }

    /// Groups that have members.
    pub(in crate::broker) fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// A group as others see it.
    pub(in crate::broker) fn view(&self, group: &str) -> GroupView {
        self.groups.get(group).map(GroupView::of).unwrap_or_default()
    }
}
