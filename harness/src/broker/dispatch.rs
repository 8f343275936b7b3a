//! From a request's bytes to its handler, and from the handler's answer to bytes.

use std::rc::Rc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::apis::{self, Api};
use super::connection::Closed;
use super::counts;
use super::handlers::{admin, append, cluster, committed, fetch, members, offsets, transactions};
use super::node::{Endpoint, Node, Shared};
use super::refuse;

/// The other end of a connection, and what it is connected to.
pub(super) struct Client {
    pub(super) node: Shared,
    pub(super) endpoint: Rc<Endpoint>,
    pub(super) host: String,
}

/// A request's header.
pub(super) struct Asked {
    pub(super) key: ApiKey,
    pub(super) version: i16,
    pub(super) correlation: i32,
    pub(super) client_id: String,
}

/// The response to `request`; `None` when none is wanted.
pub(super) async fn answer(client: &Client, request: Bytes) -> Result<Option<BytesMut>, Closed> {
    let (asked, mut body) = read_header(request)?;
    let Some(api) = apis::find(asked.key) else {
        return refuse::unsupported(&asked).map(Some);
    };
    if asked.version < api.min || asked.version > api.max {
        return wrong_version(&asked, api).map(Some);
    }
    let body = &mut body;
    let node = || client.node.borrow_mut();
    macro_rules! sync {
        ($request:ty, $handler:expr) => {{
            let request: $request = decode(&asked, body)?;
            let handler: fn(&mut Node, &$request, &Asked) -> _ = $handler;
            let response = handler(&mut node(), &request, &asked);
            encode(&asked, &response).map(Some)
        }};
    }
    match asked.key {
        ApiKey::Produce => {
            let request: ProduceRequest = decode(&asked, body)?;
            let response = append::produce(&mut node(), &request);
            if request.acks == 0 { Ok(None) } else { encode(&asked, &response).map(Some) }
        }
        ApiKey::Fetch => {
            let request: FetchRequest = decode(&asked, body)?;
            encode(&asked, &fetch::fetch(&client.node, &request).await).map(Some)
        }
        ApiKey::JoinGroup => {
            let request: JoinGroupRequest = decode(&asked, body)?;
            encode(&asked, &members::join(client, request, &asked).await).map(Some)
        }
        ApiKey::SyncGroup => {
            let request: SyncGroupRequest = decode(&asked, body)?;
            encode(&asked, &members::sync(client, request).await).map(Some)
        }
        ApiKey::Metadata => {
            let request: MetadataRequest = decode(&asked, body)?;
            let response = cluster::metadata(&node(), &client.endpoint, &request, asked.version);
            encode(&asked, &response).map(Some)
        }
        ApiKey::FindCoordinator => {
            let _: FindCoordinatorRequest = decode(&asked, body)?;
            encode(&asked, &cluster::find_coordinator(&client.endpoint)).map(Some)
        }
        ApiKey::ApiVersions => {
            let _: ApiVersionsRequest = decode(&asked, body)?;
            encode(&asked, &cluster::api_versions(0)).map(Some)
        }
        ApiKey::ListOffsets => sync!(ListOffsetsRequest, offsets::list_offsets),
        ApiKey::DeleteRecords => sync!(DeleteRecordsRequest, offsets::delete_records),
        ApiKey::CreateTopics => sync!(CreateTopicsRequest, admin::create_topics),
        ApiKey::DeleteTopics => sync!(DeleteTopicsRequest, admin::delete_topics),
        ApiKey::CreatePartitions => sync!(CreatePartitionsRequest, admin::create_partitions),
        ApiKey::DescribeConfigs => sync!(DescribeConfigsRequest, admin::describe_configs),
        ApiKey::OffsetCommit => sync!(OffsetCommitRequest, committed::commit),
        ApiKey::OffsetFetch => sync!(OffsetFetchRequest, committed::fetch),
        ApiKey::TxnOffsetCommit => {
            sync!(TxnOffsetCommitRequest, committed::commit_in_transaction)
        }
        ApiKey::InitProducerId => sync!(InitProducerIdRequest, transactions::init_producer_id),
        ApiKey::AddPartitionsToTxn => {
            sync!(AddPartitionsToTxnRequest, transactions::add_partitions)
        }
        ApiKey::AddOffsetsToTxn => sync!(AddOffsetsToTxnRequest, transactions::add_offsets),
        ApiKey::EndTxn => sync!(EndTxnRequest, transactions::end),
        ApiKey::Heartbeat => sync!(HeartbeatRequest, members::heartbeat),
        ApiKey::LeaveGroup => sync!(LeaveGroupRequest, members::leave),
        ApiKey::ListGroups => sync!(ListGroupsRequest, members::list),
        ApiKey::DescribeGroups => sync!(DescribeGroupsRequest, members::describe),
        ApiKey::DeleteGroups => sync!(DeleteGroupsRequest, members::delete),
        // Everything in `APIS` is above; a test asks for each.
        _ => refuse::unsupported(&asked).map(Some),
    }
}

fn read_header(mut request: Bytes) -> Result<(Asked, Bytes), Closed> {
    let too_short = || Closed::Unanswerable("a request without a header".to_owned());
    if request.len() < 8 {
        return Err(too_short());
    }
    let (number, version) = (request.get_i16(), request.get_i16());
    let correlation = request.get_i32();
    let key = ApiKey::try_from(number).map_err(|()| {
        Closed::Unanswerable(format!("API key {number} (version {version}) does not exist here"))
    })?;
    let has_tags = key.request_header_version(version) >= 2;
    let client_id = take_client_id(&mut request).ok_or_else(too_short)?;
    if has_tags {
        skip_tags(&mut request).ok_or_else(too_short)?;
    }
    Ok((Asked { key, version, correlation, client_id }, request))
}

fn take_client_id(request: &mut Bytes) -> Option<String> {
    let length = request.try_get_i16().ok()?;
    let bytes = usize::try_from(length).unwrap_or(0);
    if request.len() < bytes {
        return None;
    }
    Some(String::from_utf8_lossy(&request.split_to(bytes)).into_owned())
}

/// Tagged fields of a header: none is known.
fn skip_tags(request: &mut Bytes) -> Option<()> {
    for _ in 0..unsigned(request)? {
        unsigned(request)?;
        let bytes = unsigned(request)? as usize;
        if request.len() < bytes {
            return None;
        }
        request.advance(bytes);
    }
    Some(())
}

fn unsigned(request: &mut Bytes) -> Option<u32> {
    let mut value = 0;
    for place in 0..5 {
        let byte = request.try_get_u8().ok()?;
        value |= u32::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn decode<T: Decodable>(asked: &Asked, body: &mut Bytes) -> Result<T, Closed> {
    counts::decode(body, asked.version).map_err(|error| {
        let (key, version) = (asked.key, asked.version);
        Closed::Unanswerable(format!("a {key:?} request, version {version}, is cut: {error}"))
    })
}

/// A response with its header and its length.
pub(super) fn encode<T: Encodable>(asked: &Asked, response: &T) -> Result<BytesMut, Closed> {
    let (key, version) = (asked.key, asked.version);
    let failed = |error: &dyn std::fmt::Display| {
        Closed::Unanswerable(format!("the answer to {key:?} version {version}: {error}"))
    };
    let size = response.compute_size(version).map_err(|error| failed(&error))?;
    let mut bytes = BytesMut::with_capacity(size + 16);
    bytes.put_i32(0);
    bytes.put_i32(asked.correlation);
    if key.response_header_version(version) >= 1 {
        bytes.put_u8(0);
    }
    response.encode(&mut bytes, version).map_err(|error| failed(&error))?;
    let length = (bytes.len() - 4) as i32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Kafka's answer to a version it does not know: for ApiVersions the list in the oldest form, so
/// that the client can choose; for others there is no form in which to answer, unless the codec
/// has one.
fn wrong_version(asked: &Asked, api: Api) -> Result<BytesMut, Closed> {
    if asked.key == ApiKey::ApiVersions {
        let oldest = Asked { version: 0, client_id: String::new(), ..*asked };
        return encode(&oldest, &cluster::api_versions(refuse::UNSUPPORTED_VERSION));
    }
    refuse::unsupported(asked).map_err(|_| {
        let (key, version, min, max) = (asked.key, asked.version, api.min, api.max);
        Closed::Unanswerable(format!("{key:?} version {version}; {min} to {max} are supported"))
    })
}
