//! Idempotent producers, by hand: what a client never shows.

use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest};

use crate::cluster::{Cluster, eventually};
use crate::raw::{Connection, batch, outcome, produce};

const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const INVALID_PRODUCER_EPOCH: i16 = 47;

fn new_producer(connection: &mut Connection) -> (i64, i16) {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000);
    let mut made = None;
    // A broker that has just started may not have its ids yet.
    eventually("there is a producer id", || {
        let response = connection.ask(2, &request);
        made = Some((response.producer_id.0, response.producer_epoch));
        response.error_code == 0
    });
    made.expect("eventually")
}

#[test]
fn a_batch_sent_twice_is_there_once_and_both_answers_have_its_offset() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let mut connection = Connection::open(&cluster.brokers);
    let producer = new_producer(&mut connection);
    let mut send = |sequence, values: &[&str]| {
        let request: ProduceRequest =
            produce(&topic, None, batch(producer, sequence, false, values));
        outcome(&connection.ask(7, &request))
    };
    assert_eq!(send(0, &["a", "b"]), (0, 0));
    assert_eq!(send(2, &["c"]), (0, 2));
    assert_eq!(send(0, &["a", "b"]), (0, 0));
    assert_eq!(send(2, &["c"]), (0, 2));
    assert_eq!(send(3, &["d"]), (0, 3));
    assert_eq!(cluster.values(&topic, 0, "read_uncommitted"), ["a", "b", "c", "d"]);
}

#[test]
fn a_gap_is_refused() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let mut connection = Connection::open(&cluster.brokers);
    let producer = new_producer(&mut connection);
    let mut send = |epoch, sequence| {
        let batch = batch((producer.0, epoch), sequence, false, &["x"]);
        outcome(&connection.ask(7, &produce(&topic, None, batch)))
    };
    assert_eq!(send(0, 0), (0, 0));
    assert_eq!(send(0, 2).0, OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(send(0, 1), (0, 1));
    // A new epoch begins at zero, and the old one is over.
    assert_eq!(send(1, 2).0, OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(send(1, 0), (0, 2));
    assert_eq!(send(0, 2).0, INVALID_PRODUCER_EPOCH);
    assert_eq!(cluster.values(&topic, 0, "read_uncommitted").len(), 3);
}
