//! One broker of several is struck: who leads its partitions meanwhile, and when it is one of the
//! replicas in sync again.
//!
//! Everything is asked of the cluster by a client of our own. Invariant: each wait has a limit.

use std::time::{Duration, Instant};

use super::Strike;
use crate::environment::{Addresses, Client, Replicas};

/// The longest wait for the other brokers to take over.
const MOVED_LIMIT: Duration = Duration::from_secs(30);
/// The longest wait for a broker that came back to have caught up.
const IN_SYNC_LIMIT: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A broker among others.
pub(super) struct Member {
    client: Client,
    topic: String,
    node: u32,
    /// Partitions that it led.
    led: usize,
}

impl Member {
    /// Broker `node`, before it is struck.
    pub(super) fn look(strike: &Strike, node: u32) -> Result<Self, String> {
        let at = &strike.addresses;
        let client = connect(at)?;
        let mut member = Self { client, topic: at.topic.clone(), node, led: 0 };
        let led_by = |replicas: &&Replicas| replicas.leader == Some(node);
        member.led = member.replicas()?.iter().filter(led_by).count();
        Ok(member)
    }

    fn replicas(&self) -> Result<Vec<Replicas>, String> {
        self.client.replication(&self.topic).map_err(|error| error.what)
    }

    /// Waits until the others lead all that it led; tells how long that took.
    pub(super) fn await_others(&self) -> Result<String, String> {
        let begun = Instant::now();
        let (node, led) = (self.node, self.led);
        let is_led = |replicas: &Replicas| replicas.leader.is_some_and(|leader| leader != node);
        wait(&self.client, &self.topic, MOVED_LIMIT, is_led)
            .map_err(|why| format!("the others did not take over from broker {node}: {why}"))?;
        Ok(format!(
            "{led} partitions of broker {node} got other leaders in {:.1} s",
            begun.elapsed().as_secs_f64()
        ))
    }

    /// Waits until every replica is in sync again.
    pub(super) fn await_in_sync(&self) -> Result<(), String> {
        wait(&self.client, &self.topic, IN_SYNC_LIMIT, |replicas| replicas.in_sync == replicas.all)
            .map_err(|why| format!("broker {} did not catch up: {why}", self.node))
    }
}

/// A client of all brokers.
pub(super) fn connect(at: &Addresses) -> Result<Client, String> {
    Client::connect(&at.brokers, &at.group).map_err(|error| error.what)
}

/// Waits until each partition of `topic` is as wanted.
pub(super) fn wait(
    client: &Client,
    topic: &str,
    limit: Duration,
    is_so: impl Fn(&Replicas) -> bool,
) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let open = client.replication(topic).map(|all| {
            let open = all.iter().filter(|replicas| !is_so(replicas)).count();
            if all.is_empty() { 1 } else { open }
        });
        match open {
            Ok(0) => return Ok(()),
            Ok(open) if begun.elapsed() > limit => {
                return Err(format!("{open} partitions are not so after {} s", limit.as_secs()));
            }
            Err(error) if begun.elapsed() > limit => return Err(error.what),
            _ => std::thread::sleep(LOOK_EVERY),
        }
    }
}
