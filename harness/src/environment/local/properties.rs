//! The properties of Kafka's processes: the only node, one broker of several, their controller.
//!
//! Several brokers have a controller of their own: so any of them may be killed, even all but one,
//! and the others are still led. Invariant: each process of a cluster names the same controller.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// The number of a controller that is no broker: no broker has it.
const CONTROLLER_ID: u32 = 100;

/// The ports of a broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listeners {
    /// What the engine is told to connect to: the proxy.
    pub(super) advertised: SocketAddr,
    /// Where the proxy connects to.
    pub(super) engine: u16,
    /// For load, monitor and oracle: past the proxy.
    pub(super) direct: u16,
}

/// What a process of Kafka is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// The only node, broker and controller.
    Single(Listeners),
    /// A broker of several.
    Broker {
        /// Its number, from 1.
        node: u32,
        /// Replicas of internal topics.
        replicas: u32,
        /// Its ports.
        listeners: Listeners,
    },
    /// The controller of several brokers.
    Controller,
}

impl Role {
    /// What people call it, its folder and its log.
    pub(super) fn label(self) -> String {
        match self {
            Self::Single(_) => "broker".to_owned(),
            Self::Broker { node, .. } => format!("broker-{node}"),
            Self::Controller => "controller".to_owned(),
        }
    }

    /// Its heap: enough for 2000 partitions, and for the metadata of them.
    pub(super) fn heap(self) -> &'static str {
        match self {
            Self::Single(_) => "-Xmx768m",
            Self::Broker { .. } => "-Xmx384m",
            Self::Controller => "-Xmx256m",
        }
    }

    /// The file `server.properties` of a process in `folder`, whose controller is at `controller`.
    pub(super) fn properties(self, folder: &Path, controller: u16) -> String {
        let (id, controller_id, roles) = match self {
            Self::Single(_) => (1, 1, "broker,controller"),
            Self::Broker { node, .. } => (node, CONTROLLER_ID, "broker"),
            Self::Controller => (CONTROLLER_ID, CONTROLLER_ID, "controller"),
        };
        let mut page = format!(
            "process.roles={roles}\n\
             node.id={id}\n\
             controller.quorum.voters={controller_id}@127.0.0.1:{controller}\n\
             log.dirs={}\n",
            folder.join("data").display()
        );
        let own = format!("CONTROLLER://127.0.0.1:{controller}");
        match self {
            Self::Single(ports) => listen(&mut page, ports, Some(&own)),
            Self::Broker { listeners, .. } => listen(&mut page, listeners, None),
            Self::Controller => {
                let _ = writeln!(page, "listeners={own}");
            }
        }
        // A name that stands twice has the value that comes last.
        page.push_str(COMMON);
        if let Self::Broker { replicas, .. } = self {
            for topic in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"]
            {
                let _ = writeln!(page, "{topic}.replication.factor={replicas}");
            }
        }
        if !matches!(self, Self::Single(_)) {
            page.push_str(OF_SEVERAL);
        }
        page
    }
}

fn listen(page: &mut String, ports: Listeners, also: Option<&str>) {
    let Listeners { advertised, engine, direct } = ports;
    let also = also.map_or_else(String::new, |listener| format!(",{listener}"));
    let _ = writeln!(
        page,
        "listeners=ENGINE://127.0.0.1:{engine},DIRECT://127.0.0.1:{direct}{also}\n\
         advertised.listeners=ENGINE://{advertised},DIRECT://127.0.0.1:{direct}"
    );
}

/// What a single broker of a run needs, wherever it runs: internal topics without replicas, small
/// indexes, and a session that a broker which only starves on a busy machine outlives: fencing one
/// of 2000 partitions takes seconds itself, and with 2 s a broker was fenced again and again and
/// never came back. A killed one waits that long for its own ghost to go. The group
/// coordinator writes at once: a broker that is killed with a deleted group in an unwritten batch
/// comes back with a coordinator that disagrees with its own log, and commits nothing any more.
pub(in crate::environment) const COMMON: &str = "\
listener.security.protocol.map=ENGINE:PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
controller.quorum.election.timeout.ms=200
controller.quorum.election.backoff.max.ms=200
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
controlled.shutdown.enable=false
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.coordinator.append.linger.ms=0
log.index.size.max.bytes=262144
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
num.recovery.threads.per.data.dir=8
message.max.bytes=4000000
";

/// What several do otherwise: a broker that is asked to end hands over what it leads.
const OF_SEVERAL: &str = "\
broker.heartbeat.interval.ms=1000
controlled.shutdown.enable=true
num.replica.fetchers=3
num.recovery.threads.per.data.dir=2
";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(role: Role) -> Vec<(String, String)> {
        let page = role.properties(Path::new("/d"), 9);
        let pairs = page.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn last<'a>(page: &'a [(String, String)], name: &str) -> Option<&'a str> {
        page.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn brokers_and_their_controller_name_the_same_voter_and_only_brokers_serve_clients() {
        let listeners = Listeners { advertised: ([127, 0, 0, 1], 5).into(), engine: 6, direct: 7 };
        let single = of(Role::Single(listeners));
        let broker = of(Role::Broker { node: 2, replicas: 3, listeners });
        let controller = of(Role::Controller);
        let voters = "controller.quorum.voters";
        assert_eq!(last(&broker, voters), last(&controller, voters));
        assert_eq!(last(&broker, voters), Some("100@127.0.0.1:9"));
        assert_eq!(last(&single, voters), Some("1@127.0.0.1:9"));
        assert_eq!(last(&controller, "listeners"), Some("CONTROLLER://127.0.0.1:9"));
        assert_eq!(last(&controller, "advertised.listeners"), None);
        assert!(!last(&broker, "listeners").unwrap().contains("CONTROLLER"));
        assert_eq!(last(&single, "offsets.topic.replication.factor"), Some("1"));
        assert_eq!(last(&broker, "offsets.topic.replication.factor"), Some("3"));
        // The controller is who counts a broker's silence.
        let silence = "broker.session.timeout.ms";
        assert_eq!(last(&controller, silence), last(&broker, silence));
    }
}
