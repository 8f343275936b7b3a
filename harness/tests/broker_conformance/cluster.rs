//! The broker under test, and clients for it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::executor::block_on;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// No answer takes longer, on a machine with much else to do.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The broker under test.
pub(crate) struct Cluster {
    pub(crate) brokers: String,
    /// The embedded one, unless a real one is given.
    pub(crate) own: Option<Own>,
}

/// An embedded broker of this test.
pub(crate) struct Own {
    pub(crate) data: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Own {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let (child, port) = launch(data.path(), 0);
        Self { data, child, port }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, on the same data and port.
    pub(crate) fn start_again(&mut self) {
        (self.child, self.port) = launch(self.data.path(), self.port);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(data: &Path, port: u16) -> (Child, u16) {
    let binary = env!("CARGO_BIN_EXE_stormproof");
    let mut child = Command::new(binary)
        .args(["keep", "--parent", &std::process::id().to_string(), "--", binary, "broker"])
        .arg("--data")
        .arg(data)
        .args(["--port", &port.to_string(), "--quiet"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the broker starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.trim().rsplit_once(':').unwrap_or_else(|| panic!("it said {line:?}")).1;
    (child, port.parse().unwrap())
}

impl Cluster {
    /// The broker that the tests are for.
    pub(crate) fn start() -> Self {
        match std::env::var("STORMPROOF_TEST_KAFKA") {
            Ok(brokers) => Self { brokers, own: None },
            Err(_) => Self::embedded(),
        }
    }

    /// The embedded one, whatever else is given.
    pub(crate) fn embedded() -> Self {
        let own = Own::start();
        Self { brokers: format!("127.0.0.1:{}", own.port), own: Some(own) }
    }

    pub(crate) fn own(&mut self) -> &mut Own {
        self.own.as_mut().expect("an embedded broker")
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("socket.timeout.ms", "60000");
        config
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }

    /// Makes a topic with a name of its own.
    pub(crate) fn topic(&self, partitions: i32) -> String {
        let name = unique("topic");
        self.create(&name, partitions).unwrap();
        let consumer = self.consumer("ready", &[]);
        eventually("the topic is there", || {
            let metadata = consumer.fetch_metadata(Some(&name), LIMIT).unwrap();
            let found = &metadata.topics()[0];
            found.partitions().len() == partitions as usize
                && found.partitions().iter().all(|partition| partition.leader() >= 0)
        });
        name
    }

    /// Records of such a topic stay, however old they say they are: a real Kafka looks for expired
    /// ones half a minute after its start, in the middle of some test.
    pub(crate) fn create(&self, name: &str, partitions: i32) -> Result<(), RDKafkaErrorCode> {
        let new = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let new = new.set("retention.ms", "-1");
        let made = block_on(self.admin().create_topics([&new], &options())).unwrap();
        made.into_iter().next().unwrap().map(drop).map_err(|(_, code)| code)
    }

    pub(crate) fn consumer(&self, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
        let mut config = self.config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "50");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().unwrap()
    }

    pub(crate) fn producer(&self, settings: &[(&str, &str)]) -> Sender {
        let mut config = self.config();
        config.set("linger.ms", "5");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        Sender { producer: config.create_with_context(Outcomes::default()).unwrap() }
    }

    /// A producer with a transactional id, ready to begin.
    pub(crate) fn transactional(&self, id: &str, settings: &[(&str, &str)]) -> Sender {
        let mut all = vec![("transactional.id", id)];
        all.extend(settings);
        let sender = self.producer(&all);
        sender.producer.init_transactions(LIMIT).unwrap();
        sender
    }

    /// Everything from `offset` to the end, as `isolation` sees it.
    pub(crate) fn read(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        isolation: &str,
    ) -> Vec<Seen> {
        let consumer = self.consumer("read", &[("isolation.level", isolation)]);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
        consumer.assign(&list).unwrap();
        let mut seen = Vec::new();
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < LIMIT, "no end of partition {partition} of {topic}");
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => seen.push(Seen::of(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => return seen,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
    }

    /// Values of a partition as `isolation` sees them.
    pub(crate) fn values(&self, topic: &str, partition: i32, isolation: &str) -> Vec<String> {
        let seen = self.read(topic, partition, 0, isolation).into_iter();
        seen.map(|seen| String::from_utf8(seen.value.unwrap()).unwrap()).collect()
    }
}

pub(crate) fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(LIMIT)).request_timeout(Some(LIMIT))
}

/// What a consumer saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp_ms: Option<i64>,
}

impl Seen {
    pub(crate) fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            timestamp_ms: message.timestamp().to_millis(),
        }
    }
}

/// What became of records, by number.
#[derive(Default)]
pub(crate) struct Outcomes(Mutex<BTreeMap<usize, Result<i64, KafkaError>>>);

impl rdkafka::ClientContext for Outcomes {
    // The tests look at outcomes; librdkafka's remarks about killed brokers are no news.
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Outcomes {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, outcome: &DeliveryResult<'_>, number: Box<usize>) {
        let outcome = match outcome {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.lock().unwrap().insert(*number, outcome);
    }
}

/// A producer that remembers what became of its records.
pub(crate) struct Sender {
    pub(crate) producer: ThreadedProducer<Outcomes>,
}

impl Sender {
    /// Hands one record over; `number` names it in the outcomes.
    pub(crate) fn hand_over(&self, topic: &str, partition: i32, number: usize, value: &str) {
        let mut record = BaseRecord::with_opaque_to(topic, Box::new(number))
            .partition(partition)
            .key("key")
            .payload(value);
        loop {
            match self.producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => panic!("{error}"),
            }
        }
    }

    /// Sends values into a partition and waits; returns their offsets.
    pub(crate) fn send(&self, topic: &str, partition: i32, values: &[&str]) -> Vec<i64> {
        for (number, value) in values.iter().enumerate() {
            self.hand_over(topic, partition, number, value);
        }
        let outcomes = self.outcomes();
        (0..values.len()).map(|number| *outcomes[&number].as_ref().unwrap()).collect()
    }

    /// Waits for all; returns what became of them, and forgets it.
    pub(crate) fn outcomes(&self) -> BTreeMap<usize, Result<i64, KafkaError>> {
        self.producer.flush(LIMIT).unwrap();
        std::mem::take(&mut self.producer.context().0.lock().unwrap())
    }

    /// What is known so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.producer.context().0.lock().unwrap().values().filter(|one| one.is_ok()).count()
    }
}

/// A name that no other test has.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{what}-{}-{now}-{number}", std::process::id())
}

/// Waits until `is_so`.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "waited for this: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
