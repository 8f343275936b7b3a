//! Consumer groups: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, ListGroups, DescribeGroups,
//! DeleteGroups.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse, SyncGroupRequest,
    SyncGroupResponse,
};

use super::{code, text};
use crate::broker::dispatch::{Asked, Client};
use crate::broker::group::{Join, Joined, REBALANCE_IN_PROGRESS};
use crate::broker::node::{Node, now_ms};

/// Kafka's error code for a group that cannot be deleted.
const NON_EMPTY_GROUP: i16 = 68;

/// Enters a group: answered when all its members have.
pub(in crate::broker) async fn join(
    client: &Client,
    request: JoinGroupRequest,
    asked: &Asked,
) -> JoinGroupResponse {
    let session_timeout_ms = i64::from(request.session_timeout_ms);
    let rebalance_timeout_ms = match request.rebalance_timeout_ms {
        // Version 0 has none: it is the session's.
        ..=0 => session_timeout_ms,
        given => i64::from(given),
    };
    let protocols = request.protocols.into_iter();
    let join = Join {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        client_id: asked.client_id.clone(),
        client_host: client.host.clone(),
        session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.map(|each| (each.name.to_string(), each.metadata)).collect(),
        // Since version 4 a member learns its id first, and joins then.
        needs_id_first: asked.version >= 4,
    };
    let answer = client.node.borrow_mut().groups.join(join, now_ms());
    // A group that was deleted or a broker that ends: the member tries again.
    let outcome = answer.await.unwrap_or_else(|_| Joined::refused(REBALANCE_IN_PROGRESS, ""));
    let members = outcome.members.into_iter().map(|(member, metadata)| {
        JoinGroupResponseMember::default().with_member_id(text(member)).with_metadata(metadata)
    });
    JoinGroupResponse::default()
        .with_error_code(outcome.error_code)
        .with_generation_id(outcome.generation)
        .with_protocol_name(Some(text(outcome.protocol)))
        .with_leader(text(outcome.leader))
        .with_member_id(text(outcome.member))
        .with_members(members.collect())
}

/// Gets a member's assignment: answered when the leader has made it.
pub(in crate::broker) async fn sync(
    client: &Client,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    let assignments = request.assignments.into_iter();
    let assignments =
        assignments.map(|each| (each.member_id.to_string(), each.assignment)).collect();
    let (group, member) = (&request.group_id, &request.member_id);
    let generation = request.generation_id;
    let answer =
        client.node.borrow_mut().groups.sync(group, member, generation, assignments, now_ms());
    let response = SyncGroupResponse::default();
    match answer.await.unwrap_or(Err(REBALANCE_IN_PROGRESS)) {
        Ok(assignment) => response.with_assignment(assignment),
        Err(error_code) => response.with_error_code(error_code),
    }
}

/// A member lives.
pub(in crate::broker) fn heartbeat(
    node: &mut Node,
    request: &HeartbeatRequest,
    _asked: &Asked,
) -> HeartbeatResponse {
    let (group, member) = (&request.group_id, &request.member_id);
    let heard = node.groups.heartbeat(group, member, request.generation_id, now_ms());
    HeartbeatResponse::default().with_error_code(heard.err().unwrap_or(0))
}

/// A member leaves.
pub(in crate::broker) fn leave(
    node: &mut Node,
    request: &LeaveGroupRequest,
    _asked: &Asked,
) -> LeaveGroupResponse {
    let left = node.groups.leave(&request.group_id, &request.member_id, now_ms());
    LeaveGroupResponse::default().with_error_code(left.err().unwrap_or(0))
}

/// All groups: those with members and those with offsets.
pub(in crate::broker) fn list(
    node: &mut Node,
    request: &ListGroupsRequest,
    _asked: &Asked,
) -> ListGroupsResponse {
    let mut names: Vec<String> = node.groups.names().map(str::to_owned).collect();
    names.extend(node.log.groups().map(str::to_owned));
    names.sort();
    names.dedup();
    let wanted = &request.states_filter;
    let groups = names.into_iter().filter_map(|name| {
        let view = node.groups.view(&name);
        let is_wanted = wanted.is_empty() || wanted.iter().any(|state| **state == *view.state);
        is_wanted.then(|| {
            ListedGroup::default()
                .with_group_id(GroupId(text(name)))
                .with_protocol_type(text(view.protocol_type))
                .with_group_state(text(view.state))
        })
    });
    ListGroupsResponse::default().with_groups(groups.collect())
}

/// Groups with their members.
pub(in crate::broker) fn describe(
    node: &mut Node,
    request: &DescribeGroupsRequest,
    _asked: &Asked,
) -> DescribeGroupsResponse {
    let groups = request.groups.iter().map(|group| {
        let view = node.groups.view(group);
        let is_known = view.is_known || node.log.all_committed(group).is_some();
        let members = view.members.into_iter().map(|member| {
            DescribedGroupMember::default()
                .with_member_id(text(member.id))
                .with_client_id(text(member.client_id))
                .with_client_host(text(format!("/{}", member.client_host)))
                .with_member_metadata(member.metadata)
                .with_member_assignment(member.assignment)
        });
        DescribedGroup::default()
            .with_group_id(group.clone())
            .with_group_state(text(if is_known { view.state } else { "Dead" }))
            .with_protocol_type(text(view.protocol_type))
            .with_protocol_data(text(view.protocol))
            .with_members(members.collect())
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

/// Deletes groups that have no members, with their offsets.
pub(in crate::broker) fn delete(
    node: &mut Node,
    request: &DeleteGroupsRequest,
    _asked: &Asked,
) -> DeleteGroupsResponse {
    let results = request.groups_names.iter().map(|group| {
        let error_code = if node.groups.has_members(group) {
            NON_EMPTY_GROUP
        } else {
            let was_known = node.groups.forget(group);
            match node.log.delete_group(group) {
                Err(stormproof_chaos::log::LogError::GroupIdNotFound) if was_known => 0,
                deleted => code(&deleted),
            }
        };
        DeletableGroupResult::default().with_group_id(group.clone()).with_error_code(error_code)
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
