//! A connection that speaks the protocol by hand.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable as _, Request, encode_request_header_into_buffer};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::cluster::LIMIT;

pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn open(brokers: &str) -> Self {
        let address = brokers.split(',').next().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(3 * LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Asks in `version`; returns the response, which must be read to its last byte.
    pub(crate) fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.say(version, request);
        self.hear::<R>(version)
    }

    pub(crate) fn say<R: Request>(&mut self, version: i16, request: &R) {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(77);
        let mut bytes = BytesMut::new();
        bytes.put_i32(0);
        encode_request_header_into_buffer(&mut bytes, &header).unwrap();
        request.encode(&mut bytes, version).unwrap();
        let length = (bytes.len() - 4) as i32;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        self.0.write_all(&bytes).unwrap();
    }

    pub(crate) fn hear<R: Request>(&mut self, version: i16) -> R::Response {
        let mut response = self.hear_bytes().expect("an answer");
        let key = ApiKey::try_from(R::KEY).unwrap();
        let header_version = key.response_header_version(version);
        let header = ResponseHeader::decode(&mut response, header_version).unwrap();
        assert_eq!(header.correlation_id, 77);
        let decoded = R::Response::decode(&mut response, version).unwrap();
        assert!(response.is_empty(), "{} bytes too many", response.len());
        decoded
    }

    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The next response's bytes; `None` when the connection was closed.
    pub(crate) fn hear_bytes(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut bytes = vec![0; i32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut bytes).unwrap();
        Some(bytes.into())
    }
}

/// A batch of `values` as this producer would send it.
pub(crate) fn batch(
    producer: (i64, i16),
    sequence: i32,
    transactional: bool,
    values: &[&str],
) -> Bytes {
    let records: Vec<Record> = (0..)
        .zip(values)
        .map(|(i, value)| Record {
            transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: producer.0,
            producer_epoch: producer.1,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(i),
            sequence: if sequence < 0 { -1 } else { sequence + i },
            timestamp: 1_000,
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Default::default(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.freeze()
}

/// A produce request with one batch for partition 0.
pub(crate) fn produce(topic: &str, transactional_id: Option<&str>, batch: Bytes) -> ProduceRequest {
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch));
    let topic = TopicProduceData::default()
        .with_name(TopicName(topic.to_owned().into()))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(5_000)
        .with_transactional_id(transactional_id.map(|id| TransactionalId(id.to_owned().into())))
        .with_topic_data(vec![topic])
}

/// Error code and base offset of the only partition in a response.
pub(crate) fn outcome(response: &ProduceResponse) -> (i16, i64) {
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}
