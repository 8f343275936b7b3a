//! An unclean leader election: the log loses records that it had acknowledged.
//!
//! *Follow it:* the load is silent and every replica in sync; all brokers but one are killed; that
//! one acknowledges records alone, and the job reads them; the load is silent again; the one is
//! killed, the others come back, and the topic may elect a leader that was not in sync. Each
//! partition then ends where it ended when the others died: what came after is gone, and the same
//! offsets are given out again.
//!
//! Invariants: what was lost is measured between two silences, so it is exact; whatever fails, every
//! broker comes back, the topic's setting does, and everything is in sync again at the end. Whether
//! the engine may go on is not decided here.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::{connect, wait};
use super::quiet::Quiet;
use super::service::bring_back;
use super::topic::Changed;
use super::{News, Outcome, READY_LIMIT, Strike, both};
use crate::environment::{Client, Replicas, Service, ServiceState};
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
    let parties = Parties { strike, client, alone, others, node };
    parties.agreed("not every replica is in sync", IN_SYNC)?;
    let unclean = Changed::set(&strike.addresses, &[("unclean.leader.election.enable", "true")])?;
    let mut had = None;
    let elected = parties.elect(quiet, lasts, &mut had);
    if elected.is_ok() {
        // What was lost is known, and the load goes on.
        had = None;
    }
    let back = parties.bring_all_back();
    let undone = unclean.undo();
    let healed =
        both(both(back, undone), parties.agreed("not every replica is in sync again", IN_SYNC));
    // An election that was not seen may have come about since: what it took must be told.
    let told = had.map_or(Ok(()), |had| parties.tell_lost(&had).map(drop));
    match both(elected, both(healed, told))? {
        (effect, 1..) => Ok(effect),
        _ => Err("nothing was acknowledged by one alone".to_owned()),
    }
}

/// Every replica has what its leader has.
const IN_SYNC: &dyn Fn(&Replicas) -> bool = &|one| one.in_sync == one.all;

/// What one broker had acknowledged when nobody else was there, in a silence of the load that lasts
/// as long as this.
struct Alone {
    /// Where the log ended before the others died.
    shared: Vec<u64>,
    /// Where the one's log ends.
    acknowledged: Vec<u64>,
    _quiet: Quiet,
}

/// Who takes part.
struct Parties<'a> {
    strike: &'a Strike,
    client: Client,
    /// Who dies last, and its number.
    alone: &'a Arc<Service>,
    node: u32,
    others: Vec<&'a Arc<Service>>,
}

impl Parties<'_> {
    fn agreed(&self, what: &str, is_so: &dyn Fn(&Replicas) -> bool) -> Result<(), String> {
        wait(&self.client, &self.strike.addresses.topic, AGREED_LIMIT, is_so)
            .map_err(|why| format!("{what}: {why}"))
    }

    /// From one silence of the load to the next; returns the effect, and how many records it took.
    /// `had` is set as soon as anything may be lost.
    fn elect(
        &self,
        quiet: Quiet,
        lasts: Duration,
        had: &mut Option<Alone>,
    ) -> Result<(String, u64), String> {
        let (strike, node) = (self.strike, self.node);
        let shared = ends(strike, &self.client)?;
        strike.struck();
        for other in &self.others {
            other.kill().map_err(|error| error.what)?;
        }
        self.agreed("one broker does not lead alone", &|one| {
            one.leader == Some(node) && one.in_sync == 1
        })?;
        drop(quiet);
        std::thread::sleep(lasts);
        let quiet = Quiet::over(strike.load.as_ref())?;
        let acknowledged = ends(strike, &self.client)?;
        let had = had.insert(Alone { shared, acknowledged, _quiet: quiet });
        self.alone.kill().map_err(|error| error.what)?;
        for other in &self.others {
            other.start().map_err(|error| error.what)?;
        }
        self.agreed("none of the others was elected", &|one| {
            one.leader.is_some_and(|leader| leader != node)
        })?;
        self.tell_lost(had)
    }

    /// Tells what the log does not have any more of what the one had.
    fn tell_lost(&self, had: &Alone) -> Result<(String, u64), String> {
        let (strike, node) = (self.strike, self.node);
        let elected = ends(strike, &self.client)?;
        let lost = lost(&had.shared, &had.acknowledged, &elected);
        let records: u64 = lost.iter().map(LostRange::records).sum();
        let effect = format!(
            "broker {node} was alone and acknowledged {records} records on {} partitions that the \
             leaders after it do not have",
            lost.len()
        );
        let id = strike.fault.id;
        let _ = strike.sender.send(News::Taken { id, effect: effect.clone(), lost });
        Ok((effect, records))
    }

    /// Starts whoever is down before the first is waited for: none of them is ready alone.
    fn bring_all_back(&self) -> Result<(), String> {
        let brokers = &self.strike.brokers;
        for broker in brokers.iter().filter(|broker| broker.state() == ServiceState::Down) {
            // One that does not start now is started again below.
            let _ = broker.start();
        }
        let mut back = Ok(());
        for broker in brokers {
            back = both(back, bring_back(broker, READY_LIMIT));
        }
        back
    }
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
