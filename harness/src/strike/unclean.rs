//! An unclean leader election: the log loses records that it had acknowledged.
//!
//! *Follow it:* the load is silent and every replica in sync; all brokers but one are killed; that
//! one acknowledges records alone, and the job reads them; the load is silent again; the one is
//! killed, the others come back, and the topic may elect a leader that was not in sync. Each
//! partition then ends where it ended when the others died: what came after is gone, and the same
//! offsets are given out again.
//!
//! Invariants: what was lost is measured between two silences, so it is exact; the one comes back
//! and everything is in sync again at the end. Whether the engine may go on is not decided here.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::{connect, wait};
use super::quiet::Quiet;
use super::topic::Changed;
use super::{News, Outcome, READY_LIMIT, Strike};
use crate::environment::{Client, Replicas, Service, Stop};
use crate::oracle::LostRange;
use crate::workload::ledger::{Offset, PartitionId};

/// The longest wait for the cluster to agree.
const AGREED_LIMIT: Duration = Duration::from_secs(60);

/// Carries it out; `alone` is the broker that dies last.
pub(super) fn strike(strike: &Strike, alone: &Arc<Service>, lasts: Duration) -> Outcome {
    let others: Vec<_> = strike.brokers.iter().filter(|one| !Arc::ptr_eq(one, alone)).collect();
    let Some(node) = alone.node().filter(|_| !others.is_empty()) else {
        return Err("there is one broker only, and nobody else to elect: --kafka-brokers 3".into());
    };
    let client = connect(&strike.addresses)?;
    let quiet = Quiet::over(strike.load.as_ref())?;
    let agreed = |what: &str, is_so: &dyn Fn(&Replicas) -> bool| {
        wait(&client, &strike.addresses.topic, AGREED_LIMIT, is_so)
            .map_err(|why| format!("{what}: {why}"))
    };
    agreed("not every replica is in sync", &|one| one.in_sync == one.all)?;
    let unclean = Changed::set(&strike.addresses, &[("unclean.leader.election.enable", "true")])?;
    let shared = ends(strike, &client)?;
    strike.struck();
    for other in &others {
        other.kill().map_err(|error| error.what)?;
    }
    agreed("one broker does not lead alone", &|one| one.leader == Some(node) && one.in_sync == 1)?;
    drop(quiet);
    std::thread::sleep(lasts);
    let quiet = Quiet::over(strike.load.as_ref())?;
    let acknowledged = ends(strike, &client)?;
    alone.kill().map_err(|error| error.what)?;
    for other in &others {
        other.start().map_err(|error| error.what)?;
    }
    agreed("none of the others was elected", &|one| {
        one.leader.is_some_and(|leader| leader != node)
    })?;
    let elected = ends(strike, &client)?;
    let lost = lost(&shared, &acknowledged, &elected);
    let records: u64 = lost.iter().map(LostRange::records).sum();
    let effect = format!(
        "broker {node} was alone and acknowledged {records} records on {} partitions that the \
         leaders after it do not have",
        lost.len()
    );
    let is_lost = records > 0;
    let _ = strike.sender.send(News::Taken { id: strike.fault.id, effect: effect.clone(), lost });
    drop(quiet);
    alone.start().map_err(|error| error.what)?;
    for broker in &strike.brokers {
        broker.wait_ready(READY_LIMIT, &Stop::never()).map_err(|error| error.what)?;
    }
    unclean.undo()?;
    agreed("not every replica is in sync again", &|one| one.in_sync == one.all)?;
    if is_lost { Ok(effect) } else { Err("nothing was acknowledged by one alone".to_owned()) }
}

fn ends(strike: &Strike, client: &Client) -> Result<Vec<u64>, String> {
    let at = &strike.addresses;
    client.log_end_offsets(&at.topic, at.partitions).map_err(|error| error.what)
}

/// What a log that ended at `acknowledged` lost to one that ends at `elected`. Above `shared` the
/// two may differ even where both go on.
fn lost(shared: &[u64], acknowledged: &[u64], elected: &[u64]) -> Vec<LostRange> {
    let both = shared.iter().zip(acknowledged).zip(elected).enumerate();
    both.filter_map(|(partition, ((shared, to), elected))| {
        let from = *shared.min(elected);
        (from < *to).then_some(LostRange {
            partition: PartitionId(partition as u32),
            from: Offset(from),
            to: Offset(*to),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_one_broker_had_is_lost_and_nothing_below() {
        let lost = lost(&[5, 7, 9, 4], &[8, 7, 12, 6], &[5, 7, 10, 3]);
        let told: Vec<_> = lost.iter().map(|l| (l.partition.0, l.from.0, l.to.0)).collect();
        // Where the elected log goes on above what was shared, its records are others.
        assert_eq!(told, [(0, 5, 8), (2, 9, 12), (3, 3, 6)]);
        assert_eq!(lost.iter().map(LostRange::records).sum::<u64>(), 3 + 3 + 3);
    }
}
