//! Bugs of the list that the project began with.

use super::{Mutant, mutants};

mutants! {
    FIRST_BARRIER_UNLOGGED = 1, "first-barrier-unlogged":
        "the snapshot starts with the first barrier and logs nothing";
        by "skew one source in mode at-least-once-first-barrier";
        ["conservation", "no-loss", "duplicates-exact"];
    EARLY_RELEASE = 2, "early-release":
        "aligned: a channel is not held from its own barrier on";
        by "skew one source in mode exactly-once, without an alignment timeout";
        ["no-orphans", "conservation", "final-values", "alignment-holds"];
    BARRIER_BEFORE_OUTPUT = 3, "barrier-before-output":
        "the barrier goes out before the output that was pending";
        by "checkpoints under load, in any mode";
        ["conservation", "no-loss", "duplicates-exact"];
    QUEUE_OVERTAKEN = 4, "queue-overtaken":
        "unaligned: the barrier overtakes queued records, which nobody logs";
        by "a slow sink in mode exactly-once-unaligned";
        ["conservation", "no-loss", "duplicates-exact"];
    LOGS_TOO_MUCH = 6, "logs-too-much":
        "unaligned: records behind a channel's barrier are logged, too";
        by "skew one source in mode exactly-once-unaligned";
        ["no-orphans", "conservation", "duplicates-exact"];
    LAST_LOG_MISSING = 7, "last-log-missing":
        "unaligned: acknowledges although the last channel is still being logged";
        by "skew one source in mode exactly-once-unaligned";
        ["conservation", "no-loss", "duplicates-exact"];
    LATE_BARRIER_REVIVES = 8, "late-barrier-revives":
        "a late barrier completes a checkpoint that was aborted";
        by "stall a subtask for longer than the checkpoint timeout";
        ["no-orphans", "conservation", "checkpoint-pace"];
    END_IS_NO_BARRIER = 9, "end-is-no-barrier":
        "the end of an input does not count as its barrier";
        by "a bounded input whose partitions end at different times";
        ["liveness"];
    BUFFER_ALIASED = 11, "buffer-aliased":
        "the sink's buffer is shared with the snapshot instead of copied into it";
        by "a database that answers late";
        ["no-orphans", "conservation", "duplicates-exact"];
    LIST_APPENDED = 12, "list-appended":
        "list state is appended to that of the last checkpoint instead of replaced";
        by "two checkpoints in a row with rows in the buffer";
        ["conservation", "duplicates-exact"];
    BUFFER_NOT_REFILLED = 13, "buffer-not-refilled":
        "a restore does not refill the sink's buffer";
        by "kill after a checkpoint with rows in the buffer";
        ["conservation", "no-loss", "duplicates-exact"];
    ACK_BEFORE_COMMIT = 15, "ack-before-commit":
        "the buffer is forgotten before the database's commit returns";
        by "kill between a flush and its confirmation";
        ["written-when-complete", "conservation", "no-loss", "duplicates-exact"];
    BUFFER_IGNORED = 16, "buffer-ignored":
        "the sink neither snapshots nor flushes its buffer at the barrier";
        by "any checkpoint with rows in the buffer";
        ["conservation", "no-loss", "duplicates-exact"];
    FLUSH_UNCHECKED = 17, "flush-unchecked":
        "the result of a flush is not looked at: a failed batch counts as written";
        by "a database error or a broken connection";
        ["no-loss", "conservation", "duplicates-exact"];
    STORED_BEFORE_EMIT = 18, "stored-before-emit":
        "the offset is stored before the record is emitted";
        by "backpressure at the source";
        ["no-loss", "conservation", "duplicates-exact"];
    OFFSET_BEHIND = 19, "offset-behind":
        "the snapshot's offset is one behind";
        by "any checkpoint";
        ["no-orphans", "conservation", "duplicates-exact"];
    FETCHER_POSITION = 20, "fetcher-position":
        "the fetcher's position is snapshotted instead of the emitted one";
        by "records fetched and not emitted at the barrier";
        ["conservation", "no-loss", "duplicates-exact"];
    RECOVERY_FROM_GROUP_OFFSETS = 21, "recovery-from-group-offsets":
        "recovery starts from the consumer group's offsets";
        by "kill between a checkpoint's completion and its offset commit";
        ["duplicates-exact", "conservation"];
    NOTIFICATION_NOT_SUBSUMED = 23, "notification-not-subsumed":
        "a lost notification is never made up for by a later one";
        by "abort or decline a checkpoint, then complete one";
        ["committed-offsets"];
    ONE_ACK_SHORT = 24, "one-ack-short":
        "a checkpoint completes with one acknowledgement too few";
        by "two workers, one of them slow";
        ["offset-coverage", "conservation"];
    NOTIFIED_TOO_EARLY = 26, "notified-too-early":
        "everyone is notified before the metadata is durable";
        by "kill or fail the write of the manifest";
        ["committed-offsets", "duplicates-exact"];
    MANIFEST_NOT_ATOMIC = 27, "manifest-not-atomic":
        "the manifest is written in place, without rename, fsync or checksum";
        by "kill during the write of the manifest";
        ["offset-coverage", "conservation", "no-loss"];
    HIGHEST_ID_RESTORED = 28, "highest-id-restored":
        "the highest checkpoint id is restored although it is incomplete";
        by "kill between the first upload and the manifest";
        ["restore-newest"];
    DELETED_TOO_EARLY = 29, "deleted-too-early":
        "the old checkpoint is deleted before the new one is durable";
        by "kill or fail the write of the manifest, one checkpoint retained";
        ["restore-newest"];
    ONLY_THE_FAILED_RESTART = 32, "only-the-failed-restart":
        "only the subtask that failed is restarted, the others go on";
        by "panic one subtask";
        ["no-loss", "conservation", "duplicates-exact"];
    NO_FENCE = 33, "no-fence":
        "the sink does not look whether a later attempt owns the tables";
        by "pause the process past the heartbeat, fail over, resume";
        ["fencing"];
    REMAINDER_DROPPED = 35, "remainder-dropped":
        "a rescale gives out equal shares and drops the remainder";
        by "restore at another parallelism";
        ["offset-coverage", "conservation", "no-loss"];
    SPLIT_TWICE = 36, "split-twice":
        "a rescale gives a split to two subtasks";
        by "restore at another parallelism";
        ["offset-coverage", "single-effect-per-attempt"];
    COMMIT_NOT_IDEMPOTENT = 38, "commit-not-idempotent":
        "the commit that a restore repeats makes the transaction visible once more";
        by "kill between a transaction's commit and the next checkpoint";
        ["single-effect-per-attempt", "duplicates-exact"];
    FENCED_ONLY_LOGGED = 39, "fenced-only-logged":
        "a fenced or expired transaction is logged, and the job goes on";
        by "a transaction that expires before its commit";
        ["no-loss", "conservation"];
    RESET_SILENTLY = 40, "reset-silently":
        "an offset out of range is reset without a word";
        by "retention passes the job";
        ["no-loss", "offset-coverage"];
    PACE_IGNORED = 42, "pace-ignored":
        "minimum pause and timeout are ignored";
        by "checkpoints that take longer than the interval";
        ["checkpoint-pace"];
}
