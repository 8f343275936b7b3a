use bytes::{BufMut as _, BytesMut};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{MetadataRequest, OffsetCommitRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::Encodable as _;

use super::*;

fn refused<T: Decodable>(bytes: &[u8], version: i16) -> String {
    let decoded = decode::<T>(&mut Bytes::copy_from_slice(bytes), version);
    decoded.err().expect("a count that is a lie is refused")
}

#[test]
fn an_array_of_two_billion_is_refused_before_memory_is_reserved() {
    // Reserved as the codec does it, these would be 100 GiB and more: the process would end.
    refused::<MetadataRequest>(&i32::MAX.to_be_bytes(), 1);
    // Flexible: an unsigned varint of five bytes.
    refused::<MetadataRequest>(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0], 9);
    let mut nested = BytesMut::new();
    nested.put_i16(-1);
    nested.put_i16(1);
    nested.put_i32(30_000);
    nested.put_i32(1);
    nested.put_i16(1);
    nested.put_u8(b't');
    nested.put_i32(i32::MAX - 1);
    refused::<ProduceRequest>(&nested, 3);
}

#[test]
fn numbers_that_are_no_counts_come_through_as_they_are() {
    let partition = |index| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(i64::MAX)
            .with_committed_leader_epoch(i32::MAX)
    };
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName("t".to_owned().into()))
        .with_partitions((0..2_000).map(partition).collect());
    let request = OffsetCommitRequest::default()
        .with_generation_id_or_member_epoch(i32::MAX)
        .with_retention_time_ms(-1)
        .with_topics(vec![topic]);
    for version in 2..=8 {
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes, version).unwrap();
        let decoded = decode::<OffsetCommitRequest>(&mut bytes.freeze(), version).unwrap();
        assert_eq!(decoded.generation_id_or_member_epoch, i32::MAX, "version {version}");
        assert_eq!(decoded.topics[0].partitions.len(), 2_000);
        assert_eq!(decoded.topics[0].partitions[1_999].committed_offset, i64::MAX);
    }
}

#[test]
fn an_array_that_fills_its_request_is_taken() {
    let name = |i: usize| Some(TopicName(format!("t{i}").into()));
    let topics = (0..5_000).map(|i| MetadataRequestTopic::default().with_name(name(i)));
    let request = MetadataRequest::default().with_topics(Some(topics.collect()));
    for version in [1, 8, 9] {
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes, version).unwrap();
        let decoded = decode::<MetadataRequest>(&mut bytes.freeze(), version).unwrap();
        assert_eq!(decoded.topics.unwrap().len(), 5_000, "version {version}");
    }
}
