//! A broker that has just come back knows the leaders of some partitions only. librdkafka takes its
//! answer for something else and reads past it (its issue 5280); `corrections` keeps it from that.
//! Without the correction every answer of this test leaves 500 partitions that are never filled in:
//! what becomes of them depends on what the memory holds.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_response::{
    FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, FetchRequest, FetchResponse, MetadataResponse,
    RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
// Links what the engine links.
use stormproof_engine as _;

const TOPIC: &str = "storm";
const TOPIC_ID: &str = "00000000-0000-0000-0000-000000000007";
const PARTITIONS: i32 = 1000;
const NODE: BrokerId = BrokerId(1);
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
/// The first version whose answers say where the new leaders are.
const FETCH_WITH_ENDPOINTS: i16 = 16;
const ANSWERS: usize = 5;

/// Answers clients on a port of its own, and counts the fetches.
fn start_broker() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let fetches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fetches);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, fetches) = (stream.unwrap(), Arc::clone(&counted));
            // A client that has ended takes its connection along.
            thread::spawn(move || serve(stream, address, &fetches));
        }
    });
    (address, fetches)
}

fn serve(mut stream: TcpStream, address: SocketAddr, fetches: &AtomicUsize) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut request = vec![0; i32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request)?;
        let answer = answer(Bytes::from(request), address, fetches);
        stream.write_all(&(answer.len() as i32).to_be_bytes())?;
        stream.write_all(&answer)?;
    }
}

fn answer(mut request: Bytes, address: SocketAddr, fetches: &AtomicUsize) -> BytesMut {
    let key = ApiKey::try_from(i16::from_be_bytes([request[0], request[1]])).unwrap();
    let version = i16::from_be_bytes([request[2], request[3]]);
    let header = RequestHeader::decode(&mut request, key.request_header_version(version)).unwrap();
    let mut bytes = BytesMut::new();
    let own = ResponseHeader::default().with_correlation_id(header.correlation_id);
    own.encode(&mut bytes, key.response_header_version(version)).unwrap();
    match key {
        ApiKey::ApiVersions => api_versions().encode(&mut bytes, version),
        ApiKey::Metadata => metadata(address).encode(&mut bytes, version),
        ApiKey::Fetch => {
            let request = FetchRequest::decode(&mut request, version).unwrap();
            if version >= FETCH_WITH_ENDPOINTS {
                fetches.fetch_add(1, Ordering::Relaxed);
            }
            fetch(&request, address).encode(&mut bytes, version)
        }
        other => panic!("{other:?} was not offered"),
    }
    .unwrap();
    bytes
}

fn api_versions() -> ApiVersionsResponse {
    let offer = |(key, min, max)| {
        ApiVersion::default().with_api_key(key as i16).with_min_version(min).with_max_version(max)
    };
    // Without Produce the client takes the broker for one that does not know today's batches.
    let offered = [
        (ApiKey::Produce, 3, 12),
        (ApiKey::ApiVersions, 0, 3),
        (ApiKey::Metadata, 0, 12),
        (ApiKey::Fetch, 4, FETCH_WITH_ENDPOINTS),
    ];
    ApiVersionsResponse::default().with_api_keys(offered.map(offer).to_vec())
}

fn metadata(address: SocketAddr) -> MetadataResponse {
    let partition = |index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(NODE)
            .with_leader_epoch(1)
            .with_replica_nodes(vec![NODE])
            .with_isr_nodes(vec![NODE])
    };
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_static_str(TOPIC))))
        .with_topic_id(TOPIC_ID.parse().unwrap())
        .with_partitions((0..PARTITIONS).map(partition).collect());
    let broker = MetadataResponseBroker::default()
        .with_node_id(NODE)
        .with_host(StrBytes::from_string(address.ip().to_string()))
        .with_port(i32::from(address.port()));
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_controller_id(NODE)
        .with_topics(vec![topic])
}

/// No partition is led yet; of every other one it is known who will.
fn fetch(request: &FetchRequest, address: SocketAddr) -> FetchResponse {
    thread::sleep(Duration::from_millis(10));
    let partition = |index: i32| {
        let leader = if index % 2 == 0 { NODE } else { BrokerId(-1) };
        let leader = LeaderIdAndEpoch::default().with_leader_id(leader).with_leader_epoch(2);
        PartitionData::default()
            .with_partition_index(index)
            .with_error_code(NOT_LEADER_OR_FOLLOWER)
            .with_high_watermark(-1)
            .with_current_leader(leader)
    };
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| partition(asked.partition));
        FetchableTopicResponse::default()
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.collect())
    });
    let endpoint = NodeEndpoint::default()
        .with_node_id(NODE)
        .with_host(StrBytes::from_string(address.ip().to_string()))
        .with_port(i32::from(address.port()));
    FetchResponse::default().with_responses(topics.collect()).with_node_endpoints(vec![endpoint])
}

/// Hears what the client warns of.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl ClientContext for Heard {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.lock().unwrap().push(format!("{facility} {message}"));
    }
}

impl ConsumerContext for Heard {}

#[test]
fn a_client_is_not_misled_by_a_broker_that_knows_some_leaders_only() {
    let (address, fetches) = start_broker();
    let consumer: BaseConsumer<Heard> = ClientConfig::new()
        .set_log_level(RDKafkaLogLevel::Warning)
        .set("bootstrap.servers", address.to_string())
        .set("group.id", "storm")
        .set("enable.auto.commit", "false")
        .create_with_context(Heard::default())
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(TOPIC, partition, Offset::Offset(0)).unwrap();
    }
    consumer.assign(&list).unwrap();
    let limit = Instant::now() + Duration::from_secs(60);
    while fetches.load(Ordering::Relaxed) < ANSWERS {
        assert!(Instant::now() < limit, "{} fetches in a minute", fetches.load(Ordering::Relaxed));
        drop(consumer.poll(Duration::from_millis(50)));
    }
    let heard = consumer.context().0.lock().unwrap();
    // It takes what it finds there for partitions, and looks for their leaders.
    let strange: Vec<_> = heard.iter().filter(|line| line.starts_with("METADATAUPDATE")).collect();
    assert!(strange.is_empty(), "{} strange partitions, such as {}", strange.len(), strange[0]);
}
