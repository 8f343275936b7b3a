//! Requests that are not implemented: an UNSUPPORTED_VERSION in the form that the client expects,
//! where the response has a place for an error of the whole.

use bytes::BytesMut;
use kafka_protocol::messages::*;

use super::connection::Closed;
use super::dispatch::{Asked, encode};

/// Kafka's error code.
pub(super) const UNSUPPORTED_VERSION: i16 = 35;

/// The refusal of a request.
pub(super) fn unsupported(asked: &Asked) -> Result<BytesMut, Closed> {
    macro_rules! refuse {
        ($($key:ident => $response:ident),* $(,)?) => {
            match asked.key {
                $(ApiKey::$key => encode(
                    asked,
                    &$response::default().with_error_code(UNSUPPORTED_VERSION),
                ),)*
                key => Err(Closed::Unanswerable(format!(
                    "{key:?} version {} is not supported by this broker", asked.version
                ))),
            }
        };
    }
    refuse! {
        Fetch => FetchResponse,
        OffsetFetch => OffsetFetchResponse,
        FindCoordinator => FindCoordinatorResponse,
        JoinGroup => JoinGroupResponse,
        Heartbeat => HeartbeatResponse,
        LeaveGroup => LeaveGroupResponse,
        SyncGroup => SyncGroupResponse,
        ListGroups => ListGroupsResponse,
        InitProducerId => InitProducerIdResponse,
        AddOffsetsToTxn => AddOffsetsToTxnResponse,
        EndTxn => EndTxnResponse,
        SaslHandshake => SaslHandshakeResponse,
        SaslAuthenticate => SaslAuthenticateResponse,
        DescribeAcls => DescribeAclsResponse,
        CreateDelegationToken => CreateDelegationTokenResponse,
        RenewDelegationToken => RenewDelegationTokenResponse,
        ExpireDelegationToken => ExpireDelegationTokenResponse,
        DescribeDelegationToken => DescribeDelegationTokenResponse,
        DescribeLogDirs => DescribeLogDirsResponse,
        ElectLeaders => ElectLeadersResponse,
        AlterPartitionReassignments => AlterPartitionReassignmentsResponse,
        ListPartitionReassignments => ListPartitionReassignmentsResponse,
        OffsetDelete => OffsetDeleteResponse,
        DescribeClientQuotas => DescribeClientQuotasResponse,
        DescribeUserScramCredentials => DescribeUserScramCredentialsResponse,
        DescribeQuorum => DescribeQuorumResponse,
        UpdateFeatures => UpdateFeaturesResponse,
        DescribeCluster => DescribeClusterResponse,
        ListTransactions => ListTransactionsResponse,
        ConsumerGroupHeartbeat => ConsumerGroupHeartbeatResponse,
        GetTelemetrySubscriptions => GetTelemetrySubscriptionsResponse,
        PushTelemetry => PushTelemetryResponse,
    }
}
