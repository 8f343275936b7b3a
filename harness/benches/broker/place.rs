//! Where the records go.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// The topic of the rates, and that of the latencies.
pub(crate) const TOPIC: &str = "rates";
pub(crate) const LATENCY_TOPIC: &str = "latencies";

/// Which broker.
pub(crate) enum Kind {
    Mock,
    Embedded,
    Given(String),
}

impl Kind {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Mock => "mock",
            Self::Embedded => "embedded",
            Self::Given(brokers) => brokers,
        }
    }
}

/// All that are compared.
pub(crate) fn kinds() -> Vec<Kind> {
    let given = std::env::var("BROKERS").ok().map(Kind::Given);
    [Kind::Mock, Kind::Embedded].into_iter().chain(given).collect()
}

enum Held {
    Mock { _cluster: MockCluster<'static, DefaultProducerContext> },
    Embedded { child: Child, _data: tempfile::TempDir },
    Given,
}

/// A broker with its topics.
pub(crate) struct Place {
    pub(crate) brokers: String,
    held: Held,
}

impl Place {
    pub(crate) fn start(kind: &Kind, partitions: i32) -> Self {
        let (brokers, held) = match kind {
            Kind::Mock => {
                let cluster = MockCluster::new(1).expect("a mock cluster");
                let brokers = cluster.bootstrap_servers();
                for (topic, partitions) in [(TOPIC, partitions), (LATENCY_TOPIC, 1)] {
                    cluster.create_topic(topic, partitions, 1).expect("a topic");
                }
                (brokers, Held::Mock { _cluster: cluster })
            }
            Kind::Embedded => {
                let data = tempfile::tempdir().expect("a folder");
                let (child, brokers) = launch(data.path());
                (brokers, Held::Embedded { child, _data: data })
            }
            Kind::Given(brokers) => (brokers.clone(), Held::Given),
        };
        let place = Self { brokers, held };
        if !matches!(place.held, Held::Mock { .. }) {
            place.make_topics(partitions);
        }
        place
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    fn make_topics(&self, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("a client");
        let options = AdminOptions::new();
        futures::executor::block_on(async {
            let names = [TOPIC, LATENCY_TOPIC];
            // A broker that is given may have them from the last time.
            let _ = admin.delete_topics(&names, &options).await;
            std::thread::sleep(std::time::Duration::from_millis(500));
            let topic =
                |name, partitions| NewTopic::new(name, partitions, TopicReplication::Fixed(1));
            let new = [topic(TOPIC, partitions), topic(LATENCY_TOPIC, 1)];
            let made = admin.create_topics(&new, &options).await.expect("an answer");
            assert!(made.iter().all(Result::is_ok), "{made:?}");
        });
    }

    /// The largest resident memory of the broker's process; of this one for the mock cluster.
    pub(crate) fn memory_mib(&self) -> f64 {
        let pid = match &self.held {
            Held::Embedded { child, .. } => child.id().to_string(),
            Held::Mock { .. } => "self".to_owned(),
            Held::Given => return 0.0,
        };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Held::Embedded { child, .. } = &mut self.held {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn launch(data: &std::path::Path) -> (Child, String) {
    let binary = env!("CARGO_BIN_EXE_stormproof");
    let mut child = Command::new(binary)
        .args(["keep", "--parent", &std::process::id().to_string(), "--", binary, "broker"])
        .args(["--port", "0", "--quiet", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the broker starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let brokers = line.trim().strip_prefix("ready ").expect("it is ready").to_owned();
    (child, brokers)
}
