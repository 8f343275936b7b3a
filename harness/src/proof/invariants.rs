//! The registry of invariants: the oracle's rules, and what only a simulation can see.
//!
//! Each is here once, by id; the seeded bugs name the ids that convict them.

use stormproof_engine::mutants::{self, Mutant};

use crate::oracle::registry::RULES;

/// One invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// What reports, gates and mutants refer to.
    pub id: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What it says.
    pub text: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Who checks it.
    pub checkers: &'static [&'static str],
    /// Whether a look at the end state alone would tell.
    pub is_end_state: bool,
}

/// What a simulation knows beyond the evidence: when timers fired and manifests landed, what the
/// jobs said of themselves, and how the run ended.
const OF_RUNS: [Invariant; 25] = [
    Invariant {
        id: "batch-interval",
        title: "A batch goes when its oldest row has waited for the interval",
        text: "No step of a worker ends with a row that no batch has taken and that had waited for \
               longer than the batch interval when the step began, however many have joined it.",
        source: "the sink's `batch_interval_ms`",
        checkers: &["sim::world::waits"],
        is_end_state: false,
    },
    Invariant {
        id: "work-conserving",
        title: "A stall holds up its own subtask alone",
        text: "No step of a worker ends with records parked for a subtask that neither stalls nor \
               lacks credit or room behind it.",
        source: "Flink's subtasks have threads of their own",
        checkers: &["sim::world::waits"],
        is_end_state: false,
    },
    Invariant {
        id: "logged-in-order",
        title: "What is in flight is logged in its order",
        text: "In each channel of a checkpoint the records of a partition that the checkpoint's own \
               attempt has read lie in the order of their offsets. `per-key-order` needs a restore \
               of that very checkpoint to see this.",
        source: "FIFO channels: a restore emits what was in flight as it was",
        checkers: &["sim::records"],
        is_end_state: false,
    },
    Invariant {
        id: "timers",
        title: "Timers fire when they are due",
        text: "A timer that an operator registers fires in the first step of its worker at or after \
               its moment, once, for its own subtask; a restored operator can register again. A \
               worker that goes to sleep asks to be woken for its next one. What it restores of union \
               state is shown to each subtask in full.",
        source: "the contract of `Operator::begin` and `on_timer`",
        checkers: &["sim::hold"],
        is_end_state: false,
    },
    Invariant {
        id: "restore-landed",
        title: "Nothing that has completed is passed over",
        text: "An attempt restores the newest checkpoint whose manifest had ever been written in \
               whole when it looked. `restore-newest`, which has the evidence alone and no times, \
               must forgive what may have landed after the look.",
        source: "the manifest is the commit point: docs/formats.md",
        checkers: &["sim::conduct"],
        is_end_state: false,
    },
    Invariant {
        id: "attempt-begins",
        title: "An attempt begins once, and behind its own past",
        text: "No two processes begin an attempt of the same number, and none begins while its own \
               process has a manifest under way: whether that one completes decides where to start. \
               No attempt completes a checkpoint once a later one has been claimed.",
        source: "Flink: one attempt at a time, from the newest completed checkpoint",
        checkers: &["sim::conduct"],
        is_end_state: false,
    },
    Invariant {
        id: "checkpoint-failures",
        title: "Failed checkpoints end an attempt when too many fail in a row",
        text: "An attempt ends over failed checkpoints if and only if more than the tolerable number \
               have failed since the last one that completed.",
        source: "Flink's CheckpointFailureManager: continuous failures",
        checkers: &["sim::conduct"],
        is_end_state: false,
    },
    Invariant {
        id: "retention",
        title: "What is not retained is deleted",
        text: "Whenever a checkpoint has completed, as many are kept as are retained, or all if \
               there are fewer; and those that are being deleted. Once a process has died, a job \
               that has drained leaves those as well whose deletion died with it, or whose writer \
               did, and those that the last one has subsumed (unless the storage was slow: then \
               there may be any number). Nor are files left without a manifest: of \
               a checkpoint that was given up after they had landed, or by the attempt that has \
               drained, of one that is not retained any more, or of one that an attempt has found unfinished before it completed a later one. \
               A job that has drained, or was cancelled, deletes nothing any more: with its process \
               the deletion would end.",
        source: "a checkpoint folder that only grows fills the disk",
        checkers: &["sim::conduct"],
        is_end_state: false,
    },
    Invariant {
        id: "own-files",
        title: "Nobody deletes what may be of use to others",
        text: "No attempt deletes a file that another has written, unless a younger checkpoint is \
               complete: what has no manifest yet may have one on its way, and a process that was \
               taken for dead may have begun a checkpoint of the same number.",
        source: "Flink's checkpoint cleaners delete the handles of their own attempt's checkpoints",
        checkers: &["sim::store"],
        is_end_state: false,
    },
    Invariant {
        id: "checkpoint-expiry",
        title: "A checkpoint that takes too long is given up, and no other",
        text: "When a step of the coordinator is over, no checkpoint is under way that was older than \
               the timeout when the step began, unless its manifest is on its way; and none is given \
               up for its age before that, with its manifest on its way, or once nothing disturbs \
               the job any more.",
        source: "Flink's CheckpointCoordinator: the canceller of a pending checkpoint",
        checkers: &["sim::conduct"],
        is_end_state: false,
    },
    Invariant {
        id: "checkpoint-due",
        title: "A checkpoint begins when it is due",
        text: "When a step of the coordinator is over in which an attempt runs, no checkpoint is due \
               since before the step began: an interval after the last trigger and a minimum pause \
               after the last completion, fewer under way than may be, and none of them the last.",
        source: "Flink's CheckpointCoordinator: triggers come at a fixed rate",
        checkers: &["sim::conduct"],
        is_end_state: false,
    },
    Invariant {
        id: "alignment-timeout",
        title: "An alignment that takes too long goes on unaligned",
        text: "A gate that has aligned a checkpoint for longer than the alignment timeout takes its \
               snapshot in its next step, but for that of a drain. It aligns from its first barrier \
               on, however many follow.",
        source: "Flink's aligned checkpoint timeout (FLIP-182)",
        checkers: &["sim::world::alignments"],
        is_end_state: false,
    },
    Invariant {
        id: "alignment-holds",
        title: "A gate holds what it aligns, and nothing else",
        text: "Behind each step a gate of aligned checkpoints holds exactly the channels whose barrier \
               it has processed while its snapshot waits for others.",
        source: "Flink's aligned barriers: a channel is blocked from its barrier to the last one, and \
                 a checkpoint that is given up lets go its own",
        checkers: &["sim::world::alignments"],
        is_end_state: false,
    },
    Invariant {
        id: "restart-strategy",
        title: "A job starts again as its restart strategy says",
        text: "Within a process an attempt is claimed no sooner after a failure than the strategy's \
               pause and no more than 2 s later, no more often than it allows, and no less: a process \
               ends over an error that a restart may heal only when its restarts are used up. Whoever was fenced begins no \
               other attempt: it would take the job from its rightful owner.",
        source: "Flink's fixed-delay and exponential-delay restart strategies",
        checkers: &["sim::conduct::restarts"],
        is_end_state: false,
    },
    Invariant {
        id: "checkpoint-numbers",
        title: "Checkpoints are numbered upwards",
        text: "An attempt gives its checkpoints numbers above everything that lay in the storage when \
               it looked and above all that its process has given out, upwards; and it completes \
               them upwards: a completed one subsumes those before it.",
        source: "Flink's checkpoint id counter; a file of one checkpoint must never pass for \
                 another's",
        checkers: &["sim::conduct"],
        is_end_state: false,
    },
    Invariant {
        id: "bounded-in-flight",
        title: "What is in flight is bounded by credit",
        text: "At no worker wait more bytes than its upstream subtasks have credit for, and one \
               record of each; wherever they wait: queued, held by an alignment, or parked. And a \
               sink has taken no more rows than may be pending, and a batch of each subtask.",
        source: "Flink's credit-based flow control: memory does not grow with backpressure",
        checkers: &["sim::world::in_flight"],
        is_end_state: false,
    },
    Invariant {
        id: "written-when-complete",
        title: "What a checkpoint counts on is written when it completes",
        text: "When the manifest of a checkpoint is sent off, every row of its attempt that is tagged \
               below it is committed: what had not been written by then is in the checkpoint's state, \
               and is tagged anew. `conservation`, which has no times, needs a death to see this.",
        source: "Flink: everybody acknowledges before the commit point",
        checkers: &["sim::database::looks"],
        is_end_state: false,
    },
    Invariant {
        id: "retry-pace",
        title: "What was refused comes again after a pause",
        text: "A batch that the database has refused, or a look for it, is not sent again before its \
               pause is over, which doubles with each failure up to its longest, and is never longer.",
        source: "a database that is in trouble must not be stormed by its clients",
        checkers: &["sim::database::patience", "sim::world::waits"],
        is_end_state: false,
    },
    Invariant {
        id: "retry-bound",
        title: "A batch is tried again as often as it may",
        text: "A batch that has failed, or whose outcome is not known, is not sent or looked for again \
               once it has failed more often than may be tried again; no attempt gives a batch up \
               before that; and what is written after a try in doubt has another number.",
        source: "the sink's `max_retries`",
        checkers: &["sim::database::patience"],
        is_end_state: false,
    },
    Invariant {
        id: "visible-in-time",
        title: "Records are seen without a push",
        text: "When everything is healed and read, every record comes to be seen in the database \
               within a bound, without a drain: buffers are sent and flushed when they are old.",
        source: "the batch interval is a promise of latency, not of the next barrier",
        checkers: &["sim::world::drain"],
        is_end_state: false,
    },
    Invariant {
        id: "sent-in-time",
        title: "What is emitted is sent when the flush interval is over",
        text: "No step of a worker ends with records in a buffer that has been open for longer than \
               the flush interval, however many more have joined them.",
        source: "Flink's buffer timeout: a bound of latency",
        checkers: &["sim::world::buffers"],
        is_end_state: false,
    },
    Invariant {
        id: "credit",
        title: "Credit shrinks to a floor, and comes back",
        text: "While a receiver is behind, debloating takes its upstream subtasks' credit halfway \
               each period to what is taken in within the target time, never below a few records' \
               worth; each period in which the receiver ran dry doubles it, up to where it began.",
        source: "Flink's BufferDebloater (FLIP-183)",
        checkers: &["sim::world::buffers"],
        is_end_state: false,
    },
    Invariant {
        id: "clean-drain",
        title: "With its last checkpoint everything has left a job that drains",
        text: "An attempt that has drained wrote nothing tagged with its last checkpoint, and no later \
               attempt writes anything that it had read: a stop and a start cost no duplicates. A \
               bounded job that ends by itself has read all of its input.",
        source: "Flink's stop-with-savepoint --drain: everything is flushed, and nothing is emitted \
                 after the savepoint",
        checkers: &["sim::conduct"],
        is_end_state: false,
    },
    Invariant {
        id: "liveness",
        title: "The job drains",
        text: "When every fault is healed, everything that was produced is read, written and \
               confirmed within a bound, and no attempt that begins from then on fails.",
        source: "TigerBeetle's liveness phase: safe and stuck is not enough",
        checkers: &["sim::judge"],
        is_end_state: true,
    },
    Invariant {
        id: "refusal",
        title: "The job gives up only for good reason",
        text: "The engine refuses to go on only when going on would lose records: retention has \
               passed it, or a transaction has expired.",
        source: "an error that a restart heals is not the user's to mend",
        checkers: &["sim::judge"],
        is_end_state: true,
    },
];

/// Rules that a look at the final tables alone would apply, too.
const END_STATE: [&str; 3] = ["no-loss", "no-phantom", "final-values"];

/// Every invariant: the oracle's in the order of reports, then those of runs.
pub fn all() -> Vec<Invariant> {
    let of_the_oracle = RULES.iter().map(|rule| Invariant {
        id: rule.id,
        title: rule.title,
        text: rule.text,
        source: rule.source,
        checkers: &rule.checkers,
        is_end_state: END_STATE.contains(&rule.id),
    });
    of_the_oracle.chain(OF_RUNS).collect()
}

/// The invariant with this id.
pub fn invariant(id: &str) -> Option<Invariant> {
    all().into_iter().find(|invariant| invariant.id == id)
}

/// The mutants that an invariant convicts.
pub fn exercised_by(id: &str) -> Vec<&'static Mutant> {
    mutants::ALL.iter().filter(|mutant| mutant.rules.contains(&id)).collect()
}

/// Whether breaking `broken` convicts a mutant: by more than the end state, unless the table says
/// that nothing else can.
pub fn is_telling(broken: &[String], mutant: &Mutant) -> bool {
    let beyond = |id: &str| {
        invariant(id).is_some_and(|invariant| !invariant.is_end_state)
            || mutant.rules.first() == Some(&id)
    };
    broken.iter().any(|id| beyond(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_listed_once_and_every_mutant_names_some() {
        let mut ids: Vec<_> = all().iter().map(|invariant| invariant.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all().len());
        for mutant in mutants::ALL {
            assert!(!mutant.rules.is_empty(), "{}", mutant.name);
            for id in mutant.rules {
                assert!(invariant(id).is_some(), "mutant {}: no invariant {id}", mutant.number);
            }
        }
    }

    #[test]
    fn the_end_state_alone_does_not_tell_unless_nothing_else_can() {
        let of = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let appended = mutants::numbered(mutants::LIST_APPENDED).expect("it is listed");
        assert!(!is_telling(&of(&["no-loss", "final-values", "liveness"]), appended));
        assert!(is_telling(&of(&["no-loss", "conservation"]), appended));
        let stuck = mutants::numbered(mutants::END_IS_NO_BARRIER).expect("it is listed");
        assert!(is_telling(&of(&["liveness"]), stuck));
    }
}
