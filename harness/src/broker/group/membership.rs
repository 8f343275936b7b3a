//! One group: its members, its generation, and what it waits for.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tokio::sync::oneshot::Sender;

use super::{
    ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID,
};

/// A request to join.
pub(in crate::broker) struct Join {
    pub(in crate::broker) group: String,
    pub(in crate::broker) member: String,
    pub(in crate::broker) client_id: String,
    pub(in crate::broker) client_host: String,
    pub(in crate::broker) session_timeout_ms: i64,
    pub(in crate::broker) rebalance_timeout_ms: i64,
    pub(in crate::broker) protocol_type: String,
    pub(in crate::broker) protocols: Vec<(String, Bytes)>,
    pub(in crate::broker) needs_id_first: bool,
}

/// The answer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::broker) struct Joined {
    pub(in crate::broker) error_code: i16,
    pub(in crate::broker) generation: i32,
    pub(in crate::broker) protocol: String,
    pub(in crate::broker) leader: String,
    pub(in crate::broker) member: String,
    /// For the leader: everyone, with what they said.
    pub(in crate::broker) members: Vec<(String, Bytes)>,
}

impl Joined {
    pub(in crate::broker) fn refused(error_code: i16, member: &str) -> Self {
        let member = member.to_owned();
        Self { error_code, generation: -1, member, ..Self::default() }
    }
}

/// A member's assignment, or the error code.
pub(super) type Synced = Result<Bytes, i16>;

pub(super) struct Member {
    pub(super) join: Join,
    pub(super) assignment: Bytes,
    seen_ms: i64,
    joining: Option<Sender<Joined>>,
    syncing: Option<Sender<Synced>>,
}

impl Member {
    fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.join.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    fn is_silent(&self, now_ms: i64) -> bool {
        let waits = self.joining.as_ref().is_some_and(|answer| !answer.is_closed());
        !waits && now_ms - self.seen_ms > self.join.session_timeout_ms
    }
}

/// What the group does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody is there.
    #[default]
    Empty,
    /// Until all have joined, but no longer than this.
    Joining {
        until_ms: i64,
    },
    /// Until the leader has assigned.
    Syncing,
    Stable,
}

#[derive(Default)]
pub(super) struct Membership {
    pub(super) members: BTreeMap<String, Member>,
    /// Ids that were given out, with the time until which they may be used.
    promised: BTreeMap<String, i64>,
    pub(super) phase: Phase,
    generation: i32,
    pub(super) protocol: String,
    leader: String,
}

impl Membership {
    /// Keeps an id for a member that is about to join.
    pub(super) fn promise(&mut self, member: &str, until_ms: i64) {
        self.promised.insert(member.to_owned(), until_ms);
    }

    pub(super) fn protocol_type(&self) -> &str {
        self.members.values().next().map_or("", |member| &member.join.protocol_type)
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.members.is_empty() && self.promised.is_empty()
    }

    /// A member (with its id) joins.
    pub(super) fn join(&mut self, join: Join, is_new: bool, answer: Sender<Joined>, now_ms: i64) {
        let id = join.member.clone();
        let was_promised = self.promised.remove(&id).is_some();
        if !self.members.contains_key(&id) && !was_promised && !is_new {
            let _ = answer.send(Joined::refused(UNKNOWN_MEMBER_ID, &id));
            return;
        }
        if !self.fits(&join) {
            let _ = answer.send(Joined::refused(INCONSISTENT_GROUP_PROTOCOL, &id));
            return;
        }
        let old = self.members.get_mut(&id);
        let is_unchanged = old.is_some_and(|old| old.join.protocols == join.protocols);
        let may_go_on = match self.phase {
            Phase::Stable => is_unchanged && id != self.leader,
            Phase::Syncing => is_unchanged,
            Phase::Joining { .. } | Phase::Empty => false,
        };
        let assignment = self.members.remove(&id).map(|old| old.assignment).unwrap_or_default();
        let (joining, syncing) = (Some(answer), None);
        let member = Member { join, assignment, seen_ms: now_ms, joining, syncing };
        self.members.insert(id.clone(), member);
        if may_go_on {
            self.answer_join(&id, now_ms);
            return;
        }
        if !matches!(self.phase, Phase::Joining { .. }) {
            self.rebalance(now_ms);
        }
        self.end_join_if_all_have(now_ms);
    }

    /// Whether it speaks the others' protocol.
    fn fits(&self, join: &Join) -> bool {
        let others = || self.members.iter().filter(|(id, _)| **id != join.member);
        let same_type = others().all(|(_, other)| other.join.protocol_type == join.protocol_type);
        let is_common = |name: &str| {
            others().all(|(_, other)| other.join.protocols.iter().any(|(known, _)| known == name))
        };
        same_type && join.protocols.iter().any(|(name, _)| is_common(name))
    }

    fn rebalance(&mut self, now_ms: i64) {
        let wait = self.members.values().map(|member| member.join.rebalance_timeout_ms).max();
        self.phase = match wait {
            Some(wait_ms) => Phase::Joining { until_ms: now_ms + wait_ms },
            None => Phase::Empty,
        };
        for member in self.members.values_mut() {
            if let Some(answer) = member.syncing.take() {
                let _ = answer.send(Err(REBALANCE_IN_PROGRESS));
            }
        }
    }

    fn end_join_if_all_have(&mut self, now_ms: i64) {
        let all_have = self.members.values().all(|member| member.joining.is_some());
        if matches!(self.phase, Phase::Joining { .. }) && all_have {
            self.end_join(now_ms);
        }
    }

    /// Begins the next generation with those that have joined.
    fn end_join(&mut self, now_ms: i64) {
        self.members.retain(|_, member| member.joining.is_some());
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            return;
        }
        self.generation += 1;
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().expect("not empty").clone();
        }
        self.protocol = self.common_protocol();
        self.phase = Phase::Syncing;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        ids.iter().for_each(|id| self.answer_join(id, now_ms));
    }

    /// The leader's first choice that everyone knows; `fits` has made sure that there is one.
    fn common_protocol(&self) -> String {
        let names = |member: &Member| -> BTreeSet<String> {
            member.join.protocols.iter().map(|(name, _)| name.clone()).collect()
        };
        let known: Vec<_> = self.members.values().map(names).collect();
        let mut wanted = self.members[&self.leader].join.protocols.iter().map(|(name, _)| name);
        let common = wanted.find(|name| known.iter().all(|names| names.contains(*name)));
        common.cloned().unwrap_or_default()
    }

    fn answer_join(&mut self, id: &str, now_ms: i64) {
        let is_leader = id == self.leader;
        let everyone = self.members.iter().filter(|_| is_leader);
        let members = everyone.map(|(id, member)| (id.clone(), member.metadata(&self.protocol)));
        let joined = Joined {
            error_code: 0,
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member: id.to_owned(),
            members: members.collect(),
        };
        let Some(member) = self.members.get_mut(id) else { return };
        member.seen_ms = now_ms;
        if let Some(answer) = member.joining.take() {
            let _ = answer.send(joined);
        }
    }

    /// Whether this member belongs to this generation; and it lives.
    pub(super) fn check(&mut self, id: &str, generation: i32, now_ms: i64) -> Result<(), i16> {
        let member = self.members.get_mut(id).ok_or(UNKNOWN_MEMBER_ID)?;
        if generation != self.generation {
            return Err(ILLEGAL_GENERATION);
        }
        member.seen_ms = now_ms;
        Ok(())
    }

    /// A member wants its assignment; the leader brings everyone's.
    pub(super) fn sync(
        &mut self,
        id: &str,
        generation: i32,
        mut assignments: BTreeMap<String, Bytes>,
        answer: Sender<Synced>,
        now_ms: i64,
    ) {
        if let Err(code) = self.check(id, generation, now_ms) {
            let _ = answer.send(Err(code));
            return;
        }
        let is_leader = id == self.leader;
        let member = self.members.get_mut(id).expect("checked before");
        match self.phase {
            Phase::Stable => drop(answer.send(Ok(member.assignment.clone()))),
            Phase::Joining { .. } | Phase::Empty => {
                let _ = answer.send(Err(REBALANCE_IN_PROGRESS));
            }
            Phase::Syncing => {
                member.syncing = Some(answer);
                if is_leader {
                    self.phase = Phase::Stable;
                    for (id, member) in &mut self.members {
                        member.assignment = assignments.remove(id).unwrap_or_default();
                        if let Some(answer) = member.syncing.take() {
                            let _ = answer.send(Ok(member.assignment.clone()));
                        }
                    }
                }
            }
        }
    }

    /// A member leaves.
    pub(super) fn leave(&mut self, id: &str, now_ms: i64) -> Result<(), i16> {
        let was_promised = self.promised.remove(id).is_some();
        match self.members.remove(id) {
            None if was_promised => Ok(()),
            None => Err(UNKNOWN_MEMBER_ID),
            Some(_) => {
                self.after_removal(now_ms);
                Ok(())
            }
        }
    }

    fn after_removal(&mut self, now_ms: i64) {
        if !matches!(self.phase, Phase::Joining { .. }) || self.members.is_empty() {
            self.rebalance(now_ms);
        }
        self.end_join_if_all_have(now_ms);
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now_ms: i64) {
        self.promised.retain(|_, until_ms| *until_ms > now_ms);
        let before = self.members.len();
        self.members.retain(|_, member| !member.is_silent(now_ms));
        if self.members.len() < before {
            self.after_removal(now_ms);
        }
        if let Phase::Joining { until_ms } = self.phase
            && now_ms >= until_ms
        {
            self.end_join(now_ms);
        }
    }
}
