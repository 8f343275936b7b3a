//! Rebalances, by hand and by time.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::oneshot::Receiver;

use super::membership::{Join, Joined};
use super::*;

const SESSION_MS: i64 = 6_000;
const REBALANCE_MS: i64 = 10_000;

fn join(groups: &mut Groups, member: &str, protocols: &[&str], now_ms: i64) -> Receiver<Joined> {
    let protocols = protocols.iter().map(|name| {
        ((*name).to_owned(), Bytes::copy_from_slice(format!("{member}:{name}").as_bytes()))
    });
    let join = Join {
        group: "g".to_owned(),
        member: member.to_owned(),
        client_id: "c".to_owned(),
        client_host: "h".to_owned(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocol_type: "consumer".to_owned(),
        protocols: protocols.collect(),
        needs_id_first: false,
    };
    groups.join(join, now_ms)
}

fn told(answer: &mut Receiver<Joined>) -> Joined {
    answer.try_recv().expect("answered")
}

fn sync(
    groups: &mut Groups,
    member: &str,
    generation: i32,
    assignments: &[(&str, &'static str)],
    now_ms: i64,
) -> Receiver<Result<Bytes, i16>> {
    let assignments: BTreeMap<String, Bytes> = assignments
        .iter()
        .map(|(member, what)| ((*member).to_owned(), Bytes::from_static(what.as_bytes())))
        .collect();
    groups.sync("g", member, generation, assignments, now_ms)
}

/// A stable group of two; their ids, the leader's first.
fn two(groups: &mut Groups) -> [String; 2] {
    let first = told(&mut join(groups, "", &["range"], 0));
    let mut second = join(groups, "", &["range"], 0);
    assert!(second.try_recv().is_err(), "the first one must join again");
    assert_eq!(groups.heartbeat("g", &first.member, 1, 0), Err(REBALANCE_IN_PROGRESS));
    let again = told(&mut join(groups, &first.member, &["range"], 0));
    let second = told(&mut second);
    assert_eq!((again.generation, second.generation), (2, 2));
    assert_eq!((again.members.len(), second.members.len()), (2, 0));
    let mut waiting = sync(groups, &second.member, 2, &[], 0);
    assert!(waiting.try_recv().is_err(), "the leader has not assigned");
    let all = [(again.member.as_str(), "a"), (second.member.as_str(), "b")];
    let mut leaders = sync(groups, &again.member, 2, &all, 0);
    assert_eq!(leaders.try_recv().unwrap(), Ok(Bytes::from_static(b"a")));
    assert_eq!(waiting.try_recv().unwrap(), Ok(Bytes::from_static(b"b")));
    [again.member, second.member]
}

#[test]
fn two_members_share_and_the_one_that_stays_gets_all() {
    let mut groups = Groups::default();
    let [leader, other] = two(&mut groups);
    assert_eq!(groups.heartbeat("g", &other, 2, 0), Ok(()));
    groups.leave("g", &leader, 0).unwrap();
    assert_eq!(groups.heartbeat("g", &other, 2, 0), Err(REBALANCE_IN_PROGRESS));
    let alone = told(&mut join(&mut groups, &other, &["range"], 0));
    assert_eq!((alone.leader, alone.generation), (other, 3));
    assert_eq!(groups.leave("g", &leader, 0), Err(UNKNOWN_MEMBER_ID));
}

#[test]
fn a_silent_member_is_removed_after_its_session() {
    let mut groups = Groups::default();
    let [_, other] = two(&mut groups);
    groups.tick(SESSION_MS);
    groups.heartbeat("g", &other, 2, SESSION_MS).unwrap();
    groups.tick(SESSION_MS + 1);
    let heard = groups.heartbeat("g", &other, 2, SESSION_MS + 1);
    assert_eq!(heard, Err(REBALANCE_IN_PROGRESS));
    assert_eq!(told(&mut join(&mut groups, &other, &["range"], SESSION_MS + 2)).generation, 3);
}

#[test]
fn nobody_waits_longer_than_the_rebalance_timeout() {
    let mut groups = Groups::default();
    let [leader, other] = two(&mut groups);
    let mut third = join(&mut groups, "", &["range"], 100);
    for now_ms in (1_000..REBALANCE_MS).step_by(1_000) {
        let _ = groups.heartbeat("g", &leader, 2, now_ms);
        let _ = groups.heartbeat("g", &other, 2, now_ms);
        groups.tick(now_ms);
        assert!(third.try_recv().is_err());
    }
    groups.tick(REBALANCE_MS + 100);
    let third = told(&mut third);
    assert_eq!((third.generation, third.members.len()), (3, 1));
    assert_eq!(groups.heartbeat("g", &leader, 2, REBALANCE_MS + 100), Err(UNKNOWN_MEMBER_ID));
}

#[test]
fn strangers_old_generations_and_other_protocols_are_refused() {
    let mut groups = Groups::default();
    let [leader, _] = two(&mut groups);
    assert_eq!(groups.heartbeat("g", "nobody", 2, 0), Err(UNKNOWN_MEMBER_ID));
    assert_eq!(groups.heartbeat("g", &leader, 1, 0), Err(ILLEGAL_GENERATION));
    assert_eq!(groups.may_commit("g", "", -1, 0), Err(UNKNOWN_MEMBER_ID));
    assert_eq!(groups.may_commit("g", &leader, 1, 0), Err(ILLEGAL_GENERATION));
    assert_eq!(groups.may_commit("g", &leader, 2, 0), Ok(()));
    assert_eq!(groups.may_commit("other", "", -1, 0), Ok(()));
    let stranger = told(&mut join(&mut groups, "nobody", &["range"], 0));
    assert_eq!(stranger.error_code, UNKNOWN_MEMBER_ID);
    let other = told(&mut join(&mut groups, "", &["sticky"], 0));
    assert_eq!(other.error_code, INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn the_leaders_first_choice_that_all_know_wins() {
    let mut groups = Groups::default();
    let first = told(&mut join(&mut groups, "", &["sticky", "range"], 0));
    assert_eq!(first.protocol, "sticky");
    let mut second = join(&mut groups, "", &["range", "other"], 0);
    let again = told(&mut join(&mut groups, &first.member, &["sticky", "range"], 0));
    assert_eq!((again.protocol, told(&mut second).protocol), ("range".into(), "range".into()));
}

#[test]
fn an_id_is_given_first_where_the_protocol_wants_it() {
    let mut groups = Groups::default();
    let ask = |member: &str| Join {
        group: "g".to_owned(),
        member: member.to_owned(),
        client_id: "c".to_owned(),
        client_host: "h".to_owned(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::new())],
        needs_id_first: true,
    };
    let promised = told(&mut groups.join(ask(""), 0));
    assert_eq!(promised.error_code, MEMBER_ID_REQUIRED);
    let late = told(&mut groups.join(ask(""), 0));
    assert_eq!(told(&mut groups.join(ask(&promised.member), 1)).error_code, 0);
    groups.tick(SESSION_MS);
    let refused = told(&mut groups.join(ask(&late.member), SESSION_MS));
    assert_eq!(refused.error_code, UNKNOWN_MEMBER_ID);
}

#[test]
fn impossible_requests_are_refused_and_empty_groups_forgotten() {
    let mut groups = Groups::default();
    let mut bad = Join {
        group: String::new(),
        member: String::new(),
        client_id: String::new(),
        client_host: String::new(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: 0,
        protocol_type: String::new(),
        protocols: Vec::new(),
        needs_id_first: false,
    };
    assert_eq!(groups.may_commit("", "", -1, 0), Err(INVALID_GROUP_ID));
    bad.session_timeout_ms = 5;
    bad.group = "g".to_owned();
    assert_eq!(told(&mut groups.join(bad, 0)).error_code, INVALID_SESSION_TIMEOUT);
    let member = told(&mut join(&mut groups, "", &["range"], 0)).member;
    groups.leave("g", &member, 0).unwrap();
    groups.tick(0);
    assert_eq!(groups.names().count(), 0);
}
