//! The protocol itself: what is advertised is answered, what is not is refused.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;

use crate::cluster::Cluster;
use crate::raw::{Connection, batch, outcome, produce};

const UNSUPPORTED_VERSION: i16 = 35;
const CORRUPT_MESSAGE: i16 = 2;
const INVALID_RECORD: i16 = 87;

fn advertised(connection: &mut Connection) -> ApiVersionsResponse {
    let response = connection.ask(0, &ApiVersionsRequest::default());
    assert_eq!(response.error_code, 0);
    response
}

/// Asks an empty request in every advertised version; every answer must be readable.
fn ask_all<R: Request + Default>(connection: &mut Connection, versions: &ApiVersionsResponse) {
    let found = versions.api_keys.iter().find(|api| api.api_key == R::KEY);
    let api = found.unwrap_or_else(|| panic!("key {} is not advertised", R::KEY));
    for version in api.min_version..=api.max_version {
        connection.ask(version, &R::default());
    }
}

#[test]
fn embedded_every_advertised_version_is_answered() {
    let cluster = Cluster::embedded();
    let mut connection = Connection::open(&cluster.brokers);
    let versions = advertised(&mut connection);
    let mut asked = 0;
    macro_rules! ask {
        ($($request:ty),* $(,)?) => { $(
            ask_all::<$request>(&mut connection, &versions);
            asked += 1;
        )* };
    }
    // Produce wants acknowledgements: without, there is no answer.
    let api = versions.api_keys.iter().find(|api| api.api_key == 0).unwrap();
    for version in api.min_version..=api.max_version {
        connection.ask(version, &ProduceRequest::default().with_acks(1));
    }
    ask!(
        FetchRequest,
        ListOffsetsRequest,
        MetadataRequest,
        OffsetCommitRequest,
        OffsetFetchRequest,
        FindCoordinatorRequest,
        JoinGroupRequest,
        HeartbeatRequest,
        LeaveGroupRequest,
        SyncGroupRequest,
        DescribeGroupsRequest,
        ListGroupsRequest,
        ApiVersionsRequest,
        CreateTopicsRequest,
        DeleteTopicsRequest,
        DeleteRecordsRequest,
        InitProducerIdRequest,
        AddPartitionsToTxnRequest,
        AddOffsetsToTxnRequest,
        EndTxnRequest,
        TxnOffsetCommitRequest,
        DescribeConfigsRequest,
        CreatePartitionsRequest,
        DeleteGroupsRequest,
    );
    assert_eq!(asked + 1, versions.api_keys.len(), "an API is advertised that was not asked");
}

#[test]
fn an_unknown_version_of_the_first_request_is_answered_in_the_oldest() {
    let cluster = Cluster::start();
    let mut connection = Connection::open(&cluster.brokers);
    // ApiVersions, version 99, as a client of the future would send it.
    let body = [&[0, 18, 0, 99, 0, 0, 0, 77, 0xff, 0xff, 0][..], &[2, b'x', 2, b'y', 0]].concat();
    connection.say_bytes(&(body.len() as u32).to_be_bytes());
    connection.say_bytes(&body);
    let response = connection.hear::<ApiVersionsRequest>(0);
    assert_eq!(response.error_code, UNSUPPORTED_VERSION);
    assert!(!response.api_keys.is_empty());
}

#[test]
fn embedded_what_is_not_implemented_is_refused_and_the_connection_goes_on() {
    let cluster = Cluster::embedded();
    let mut connection = Connection::open(&cluster.brokers);
    let refused = connection.ask(1, &DescribeAclsRequest::default());
    assert_eq!(refused.error_code, UNSUPPORTED_VERSION);
    let refused = connection.ask(0, &ConsumerGroupHeartbeatRequest::default());
    assert_eq!(refused.error_code, UNSUPPORTED_VERSION);
    let refused = connection.ask(9, &JoinGroupRequest::default());
    assert_eq!(refused.error_code, UNSUPPORTED_VERSION);
    advertised(&mut connection);
}

#[test]
fn embedded_nonsense_closes_its_own_connection_only() {
    let cluster = Cluster::embedded();
    let mut good = Connection::open(&cluster.brokers);
    advertised(&mut good);
    for nonsense in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 64],
        &[0, 0, 0, 3, 1, 2, 3],
        &[0, 0, 0, 0],
        // An API that nobody has.
        &[0, 0, 0, 10, 0x7f, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0],
    ] {
        let mut bad = Connection::open(&cluster.brokers);
        bad.say_bytes(nonsense);
        assert_eq!(bad.hear_bytes(), None, "{nonsense:?}");
        advertised(&mut good);
    }
}

/// Whoever says that an array has two billion elements loses its connection, and nobody else.
#[test]
fn embedded_an_array_larger_than_its_request_costs_no_memory() {
    let cluster = Cluster::embedded();
    let mut good = Connection::open(&cluster.brokers);
    for api in advertised(&mut good).api_keys {
        for version in api.min_version..=api.max_version {
            let mut bad = Connection::open(&cluster.brokers);
            let mut request = Vec::from(api.api_key.to_be_bytes());
            request.extend_from_slice(&version.to_be_bytes());
            request.extend_from_slice(&[0, 0, 0, 77, 0xff, 0xff]);
            // Wherever an array begins, it has as many elements as a number can say.
            request.extend_from_slice(&[0x7f; 64]);
            bad.say_bytes(&(request.len() as u32).to_be_bytes());
            bad.say_bytes(&request);
            bad.hear_bytes();
        }
    }
    advertised(&mut good);
}

#[test]
fn a_batch_that_was_damaged_on_its_way_is_refused() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let mut connection = Connection::open(&cluster.brokers);
    let good = batch((-1, -1), -1, false, &["hello"]);
    let mut damaged = good.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let refused = connection.ask(7, &produce(&topic, None, damaged.into()));
    assert_eq!(outcome(&refused).0, CORRUPT_MESSAGE);
    let two = [&good[..], &good[..]].concat();
    let refused = connection.ask(7, &produce(&topic, None, two.into()));
    assert_eq!(outcome(&refused).0, INVALID_RECORD);
    let taken = connection.ask(7, &produce(&topic, None, good));
    assert_eq!(outcome(&taken), (0, 0));
}
