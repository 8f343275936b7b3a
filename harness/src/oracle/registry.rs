//! Every rule by name: id, title, text, source and checker. Judging is walking this list.

use super::case::{Case, Finding, NotJudged};
use super::conditions::Conditions;
use super::{
    bound, committed, conservation, coverage, duplicates, fencing, kept, loss, order, pace,
    restores, seen, vacuity, values,
};

/// One rule that a run must keep.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The id: what reports and gates refer to.
    pub id: &'static str,
    /// The title: a few words.
    pub title: &'static str,
    /// What the rule says.
    pub text: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
    /// The checkers: the rooms of the oracle that judge it, the fast one and the plain one.
    pub checkers: [&'static str; 2],
    /// Whether the rule applies under these conditions.
    pub(super) applies: fn(&Conditions) -> bool,
    pub(super) check: fn(&Case<'_>) -> Result<Finding, NotJudged>,
}

fn always(_: &Conditions) -> bool {
    true
}

/// All rules, in the order of reports.
pub static RULES: [Rule; 17] = [
    Rule {
        id: "no-loss",
        title: "Nothing is lost",
        text: "Every record of the input has at least one effect.",
        source: "at-least-once delivery",
        checkers: ["loss", "plain::records"],
        applies: always,
        check: loss::check,
    },
    Rule {
        id: "no-phantom",
        title: "Nothing is made up",
        text: "Every effect belongs to a record of the input.",
        source: "Jepsen's unobserved values",
        checkers: ["loss", "plain::records"],
        applies: always,
        check: loss::check_phantoms,
    },
    Rule {
        id: "duplicates-exact",
        title: "Duplicates are exactly what theory says",
        text: "Effects minus records equal the effects that restores discarded, the orphans of \
               at-least-once cuts and the copies of in-doubt batches; what remains is every \
               record once.",
        source: "lineage of attempts: an effect survives iff its tag lies before the cut",
        checkers: ["duplicates", "plain::totals"],
        applies: always,
        check: duplicates::check,
    },
    Rule {
        id: "duplicates-bound",
        title: "Duplicates stay within the bound",
        text: "Duplicates do not exceed, summed over the failures, what the failed attempt had \
               read above the restored cut plus the buffers and channel state of that cut.",
        source: "source-side bound: sum of (H(p) - S(p)) + |Buf|",
        checkers: ["bound", "plain::totals"],
        applies: always,
        check: bound::check,
    },
    Rule {
        id: "no-orphans",
        title: "Cuts are exact",
        text: "No checkpoint holds, in effects or in state, a record at or above its offsets.",
        source: "Chandy and Lamport: a consistent cut has no orphan messages",
        checkers: ["duplicates", "plain::cuts"],
        applies: |conditions| conditions.mode.has_exact_cuts(),
        check: duplicates::check_orphans,
    },
    Rule {
        id: "conservation",
        title: "Conservation at every checkpoint",
        text: "At every completed checkpoint, surviving effects, sink buffers and channel state \
               together are the records below its offsets, each once; in at-least-once mode \
               orphans come on top.",
        source: "consistent cuts, checked without waiting for a crash",
        checkers: ["conservation", "plain::cuts"],
        applies: always,
        check: conservation::check,
    },
    Rule {
        id: "single-effect-per-attempt",
        title: "One effect per attempt",
        text: "Within one sink attempt a record that one source attempt read has one effect, \
               unless the batch was tried again because its outcome was in doubt; a sink that \
               looks first what became of it has no such excuse.",
        source: "partial batch persisted, then retried",
        checkers: ["seen", "plain::records"],
        applies: always,
        check: seen::check,
    },
    Rule {
        id: "fencing",
        title: "Zombies are fenced",
        text: "No effect of an attempt has a row after the fence of a later attempt, or the tag of \
               a checkpoint before the one that its attempt restored.",
        source: "zombie write after failover",
        checkers: ["fencing", "plain::records"],
        applies: always,
        check: fencing::check,
    },
    Rule {
        id: "attempt-order",
        title: "Attempts follow each other",
        text: "Attempts take their fences in ascending order, and only attempts that did make \
               checkpoints.",
        source: "stale attempt's notification or acknowledgement",
        checkers: ["restores", "plain::attempts"],
        applies: always,
        check: restores::check_order,
    },
    Rule {
        id: "restore-newest",
        title: "The newest checkpoint is restored",
        text: "Every restored checkpoint is completed and whole, and restores never go back \
               while a newer checkpoint is whole, nor to before one that has vanished.",
        source: "restore of an older checkpoint after a visible commit; highest id picked \
                 although incomplete",
        checkers: ["restores", "plain::attempts"],
        applies: always,
        check: restores::check_newest,
    },
    Rule {
        id: "offset-coverage",
        title: "Every partition has one owner",
        text: "Every checkpoint owns each partition exactly once, within the log, never going \
               back, and all subtasks took part.",
        source: "split lost or owned twice at restore; fewer acknowledgements than subtasks",
        checkers: ["coverage", "plain::cuts"],
        applies: always,
        check: coverage::check,
    },
    Rule {
        id: "checkpoint-pace",
        title: "Checkpoints keep their pace",
        text: "Within one attempt a checkpoint is triggered no earlier than the interval after the \
               trigger of the last completed one and the minimum pause after its completion, none completes after its timeout, and no more are \
               under way than may be.",
        source: "minimum pause counts from completion; an expired checkpoint is aborted",
        checkers: ["pace", "plain::attempts"],
        applies: |conditions| conditions.pace.is_some(),
        check: pace::check,
    },
    Rule {
        id: "committed-offsets",
        title: "Commits follow checkpoints",
        text: "The group's committed offsets are those of a completed checkpoint, never ahead; a \
               lost notification is made up for by the next one. Where a checkpoint that was complete once cannot \
               be read any more, offsets that no other explains may be its own: nobody can tell. In simulation: no commit is \
               sent while another has no answer, none is forgotten that was refused, and a reader that hears of a complete \
               checkpoint has one under way.",
        source: "commit ahead of snapshot",
        checkers: ["committed", "plain::attempts"],
        applies: |conditions| conditions.committed.is_some(),
        check: committed::check,
    },
    Rule {
        id: "final-values",
        title: "The table holds the last values",
        text: "The results table has, for each key and no other, the highest version and its \
               value; the count of records is exact where cuts are, and never too low.",
        source: "eventual consistency by version-guarded upsert",
        checkers: ["values", "plain::table"],
        applies: always,
        check: values::check,
    },
    Rule {
        id: "per-key-order",
        title: "Keys stay in order",
        text: "Within one attempt the records of a key take effect in the order of the log; a \
               version goes back only inside a replay.",
        source: "FIFO channels; Jepsen's nonmonotonic anomaly",
        checkers: ["order", "plain::records"],
        applies: |conditions| conditions.ordered,
        check: order::check,
    },
    Rule {
        id: "input-kept",
        title: "The log keeps its records",
        text: "The log has every record that it acknowledged. What it lost itself, by an unclean \
               election, is not the engine's to answer for: nothing is judged from there on, and \
               the run is not proven.",
        source: "unclean leader election: offsets are given out again, to other records",
        checkers: ["kept", "plain"],
        applies: |conditions| !conditions.log_lost.is_empty(),
        check: kept::check,
    },
    Rule {
        id: "vacuity",
        title: "Something happened",
        text: "A fault landed, a checkpoint was completed and something was replayed; otherwise \
               the run proves nothing.",
        source: "a vacuous pass is unknown",
        checkers: ["vacuity", "plain::totals"],
        applies: always,
        check: vacuity::check,
    },
];

/// The rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}
