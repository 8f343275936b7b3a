//! The claims as data, in the article's order.
//!
//! Invariants: numbers are 1 to 18 in order; an id never changes; `truth` is what is known from
//! Flink's own sources and docs, and `expected` what an experiment must therefore come to.

use stormproof_reports::claims::Finding::{self, Confirmed, Refined, Refuted};

use super::{
    Context, Experiment, barriers, buffer, duplicates, first_barrier, lag, links, modes, order,
    pause, producer, rescale, sawtooth, spread, upsert,
};

/// A claim and its experiment.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its number.
    pub number: u32,
    /// Its short name.
    pub id: &'static str,
    /// What the article says.
    pub text: &'static str,
    /// Where in the article.
    pub source: &'static str,
    /// What is known.
    pub truth: &'static str,
    /// What the experiment must come to.
    pub expected: Finding,
    /// What it needs beside the engine.
    pub needs: Needs,
    /// How it is tried.
    pub experiment: Experiment,
}

/// What an experiment needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing that is not there.
    Nothing,
    /// The seeded bugs: the claim is about a rule that the sound engine does not have.
    Mutants,
}

impl Needs {
    /// What is missing, in words.
    pub fn missing(self) -> Option<String> {
        let is_missing = self == Self::Mutants && !Context::has_mutants();
        is_missing.then(|| {
            "it takes a rule that the sound engine does not have; needs a build with \
             `cargo run --release --features mutants -- claims`"
                .to_owned()
        })
    }
}

macro_rules! claims {
    ($($number:literal $id:literal $needs:ident $expected:ident by $experiment:path;
        $source:literal says $text:literal; true is $truth:literal;)*) => {
        /// The claims.
        pub const TABLE: &[Entry] = &[$(Entry {
            number: $number,
            id: $id,
            text: $text,
            source: $source,
            truth: $truth,
            expected: $expected,
            needs: Needs::$needs,
            experiment: $experiment,
        },)*];
    };
}

claims! {
    1 "links" Nothing Refined by links::experiment;
    "part 1.1" says "keyBy and rebalance make 2000 x 2000 network links";
    true is "they are logical channels; Flink multiplexes them on one connection for each pair of TaskManagers";
    2 "all-barriers" Nothing Refined by barriers::all_barriers;
    "part 1.1" says "exactly-once must collect the barriers of all 2000 channels before it can snapshot";
    true is "so for aligned checkpoints; unaligned ones start with the first barrier and log the rest";
    3 "one-slow-subtask" Nothing Refined by barriers::one_slow_subtask;
    "part 1.1" says "one subtask that stalls for milliseconds makes every channel buffer";
    true is "only channels whose barrier has arrived are held; what is held is bounded by credit, then it is backpressure";
    4 "first-barrier" Mutants Refuted by first_barrier::experiment;
    "part 1.2" says "at-least-once snapshots with the first barrier, and loses nothing by it";
    true is "false: Flink's tracker fires with the last barrier, without holding a channel; the first-barrier rule loses what is in transit unless that is logged";
    5 "no-blocking" Nothing Refined by barriers::no_blocking;
    "part 1.2" says "in at-least-once nothing blocks during a snapshot";
    true is "the blocking of the alignment is gone; the synchronous part of the snapshot still blocks";
    6 "commit-order" Nothing Refined by order::experiment;
    "part 2.1" says "barrier, upload, 2000 acknowledgements, notification, commit of the offsets: in this order";
    true is "the order is right; between the last acknowledgement and the first notification the metadata becomes durable, and that is the commit point";
    7 "sawtooth" Nothing Confirmed by sawtooth::experiment;
    "part 2.2" says "committed lag is a sawtooth with the period of the checkpoints, 15 s, although the records are long processed";
    true is "low = r d, high = r (T + d) with the rate r, the interval T, and d from the barrier to the commit";
    8 "fetch-lag" Nothing Refined by lag::experiment;
    "part 2.2" says "watch currentFetchEventTimeLag: it is the lag at which records are read";
    true is "under backpressure it says nothing of what waits behind the fetch: Flink's Kafka source exposes currentEmitEventTimeLag and pendingRecords";
    9 "list-buffer" Mutants Refined by buffer::list_buffer;
    "part 3.1" says "a buffer that is a plain list loses its records at a failover";
    true is "so, unless it is flushed at the barrier, which is how Flink's JDBC sink does it";
    10 "list-state" Mutants Confirmed by buffer::list_state;
    "part 3.1" says "copied into ListState at the snapshot and filled again at the restore, the buffer survives";
    true is "true; the copy is taken before the next record";
    11 "rescale" Nothing Refined by rescale::experiment;
    "part 3.1" says "operator state is redistributed evenly when the job is rescaled";
    true is "true, and only when the parallelism changes; a key's old row can then be flushed by another subtask after a newer one";
    12 "nothing-lost" Mutants Refined by first_barrier::nothing_lost;
    "part 3.2" says "with the buffer in ListState nothing is lost in at-least-once";
    true is "only with the last barrier's cut and with the sources read again";
    13 "duplicates" Nothing Refined by duplicates::experiment;
    "part 3.2" says "duplicates are what was sent on between the snapshot and the crash";
    true is "also buffer rows of the checkpoint that had been flushed after it, and orphans inside of state";
    14 "upsert" Mutants Refined by upsert::experiment;
    "part 3.2" says "an upsert makes the table eventually right";
    true is "only with order by key (or a guard by version), whole rows, one unique key, and zombies fenced off";
    15 "mandatory" Nothing Refuted by modes::experiment;
    "part 4.1" says "at 2000 at-least-once is mandatory";
    true is "overreach: unaligned checkpoints, and aligned ones with a timeout, do as well";
    16 "min-pause" Nothing Confirmed by pause::experiment;
    "part 4.1" says "a minimum pause of 10 s gives storage and processors time to recover";
    true is "true; it counts from the end of the last completed checkpoint and implies one at a time";
    17 "rebalance" Nothing Refined by spread::experiment;
    "part 4.2" says "rebalance instead of keyBy saves the hash and heals a hot key";
    true is "it has as many channels; it loses the order by key and the keyed state";
    18 "linger" Nothing Refined by producer::experiment;
    "part 4.3" says "linger.ms and batch.size make the Kafka sink faster";
    true is "fine, if it flushes at every checkpoint; with Flink's own default guarantee, NONE, it does not, and loses";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_articles_order_and_ids_are_unique() {
        let numbers: Vec<u32> = TABLE.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, (1..=18).collect::<Vec<_>>());
        let mut ids: Vec<&str> = TABLE.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), TABLE.len());
    }

    #[test]
    fn only_what_needs_the_seeded_bugs_says_so() {
        let missing = |entry: &&Entry| entry.needs.missing().is_some();
        let expected = if Context::has_mutants() { 0 } else { 5 };
        assert_eq!(TABLE.iter().filter(missing).count(), expected);
    }
}
