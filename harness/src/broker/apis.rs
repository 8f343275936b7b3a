//! What is implemented, and in which versions: the one place that says so.

use kafka_protocol::messages::ApiKey;

/// An API with the versions that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Api {
    pub(super) key: ApiKey,
    pub(super) min: i16,
    pub(super) max: i16,
}

const fn api(key: ApiKey, min: i16, max: i16) -> Api {
    Api { key, min, max }
}

/// All of them. Upper bounds lie below topic ids (which are not kept), static members of groups
/// and batched coordinator look-ups.
pub(super) const APIS: [Api; 25] = [
    api(ApiKey::Produce, 3, 9),
    api(ApiKey::Fetch, 4, 11),
    api(ApiKey::ListOffsets, 1, 7),
    api(ApiKey::Metadata, 0, 9),
    api(ApiKey::OffsetCommit, 2, 6),
    api(ApiKey::OffsetFetch, 1, 7),
    api(ApiKey::FindCoordinator, 0, 3),
    api(ApiKey::JoinGroup, 0, 4),
    api(ApiKey::Heartbeat, 0, 2),
    api(ApiKey::LeaveGroup, 0, 2),
    api(ApiKey::SyncGroup, 0, 2),
    api(ApiKey::DescribeGroups, 0, 4),
    api(ApiKey::ListGroups, 0, 4),
    api(ApiKey::ApiVersions, 0, 4),
    api(ApiKey::CreateTopics, 2, 6),
    api(ApiKey::DeleteTopics, 1, 5),
    api(ApiKey::DeleteRecords, 0, 2),
    api(ApiKey::InitProducerId, 0, 4),
    api(ApiKey::AddPartitionsToTxn, 0, 3),
    api(ApiKey::AddOffsetsToTxn, 0, 3),
    api(ApiKey::EndTxn, 0, 3),
    api(ApiKey::TxnOffsetCommit, 0, 3),
    api(ApiKey::DescribeConfigs, 1, 4),
    api(ApiKey::CreatePartitions, 0, 3),
    api(ApiKey::DeleteGroups, 0, 2),
];

/// The API of this key, if it is implemented.
pub(super) fn find(key: ApiKey) -> Option<Api> {
    APIS.into_iter().find(|api| api.key == key)
}
