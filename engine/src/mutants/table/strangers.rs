//! Bugs that were put in by hand to see whether they are found, and stayed.

use super::{Mutant, mutants};

mutants! {
    PARKED_BEHIND = 43, "parked-behind":
        "unaligned: what a subtask had taken and could not send on is logged behind the rest";
        by "a barrier that overtakes records while credit is short";
        ["logged-in-order", "per-key-order", "final-values"];
    REPLAY_UNLOGGED = 44, "replay-unlogged":
        "unaligned: what was held by the last alignment and waits for its turn is not logged";
        by "an alignment that ends, and times out again, while credit is short";
        ["conservation", "no-loss", "duplicates-exact"];
    RECOVERED_UNLOGGED = 45, "recovered-unlogged":
        "unaligned: restored in-flight records that wait for their turn are not logged again";
        by "a restore of in-flight records, and a checkpoint before they are processed";
        ["conservation", "no-loss", "duplicates-exact"];
    CLEANS_THE_YOUNGER = 46, "cleans-the-younger":
        "an attempt cleans away files of a younger checkpoint whose manifest is on its way";
        by "kill with a checkpoint under way that is younger than the newest complete one";
        ["own-files", "restore-landed", "restore-newest"];
    MARKS_CLEARED = 47, "marks-cleared":
        "an aborted checkpoint takes along what other checkpoints wait for at the sink";
        by "checkpoints that overlap at a slow database, one of them declined";
        ["written-when-complete", "conservation", "no-loss", "duplicates-exact"];
    KEY_GROUP_DROPPED = 48, "key-group-dropped":
        "a rescale drops the last key group of its range";
        by "restore at another parallelism, with a key in that group";
        ["final-values"];
    NEWEST_DELETED = 49, "newest-deleted":
        "retention deletes the newest checkpoint instead of the oldest";
        by "kill after more checkpoints than are retained";
        ["restore-landed", "restore-newest"];
    DOUBT_NOT_RESOLVED = 50, "doubt-not-resolved":
        "a batch whose commit is in doubt is written again without a look at what became of it";
        by "a commit whose answer is lost";
        ["single-effect-per-attempt"];
    PARKED_OVERTAKEN = 51, "parked-overtaken":
        "a record goes on past those of its subtask that are parked, once there is credit again";
        by "credit that comes back while a worker steps";
        ["per-key-order", "final-values"];
    COMMITS_POSITION = 61, "commits-position":
        "what is committed is where the source is at the moment, not where the snapshot was";
        by "any checkpoint under load";
        ["committed-offsets"];
    WRITERS_COLLIDE = 62, "writers-collide":
        "writers of different workers number their batches alike";
        by "a commit whose answer is lost, on a worker that is not the first";
        ["conservation", "no-loss", "duplicates-exact"];
    FENCE_NOT_AWAITED = 63, "fence-not-awaited":
        "an attempt starts its workers before its fence is taken";
        by "a database that is slow while a job starts again";
        ["fencing", "duplicates-exact"];
    CAPTURES_CLEARED = 64, "captures-cleared":
        "an aborted checkpoint takes along the logs of in-flight records of younger ones";
        by "unaligned checkpoints that overlap, one of them declined";
        ["conservation", "no-loss", "duplicates-exact"];
    FLUSH_BY_TURNS = 65, "flush-by-turns":
        "flushes go to the writers by turns, whichever subtask they come from";
        by "more than one connection";
        ["per-key-order", "conservation", "no-orphans"];
    DRAIN_TIMES_OUT = 66, "drain-times-out":
        "the alignment of the last checkpoint times out, and in-flight records stay behind in it";
        by "a drain with a short alignment timeout and records under way";
        ["duplicates-exact", "no-loss"];
    NEVER_FORGIVEN = 67, "never-forgiven":
        "failed checkpoints are counted in all instead of in a row";
        by "checkpoints that fail now and then";
        ["checkpoint-failures"];
    NEVER_GIVES_UP = 68, "never-gives-up":
        "failed checkpoints never fail the job";
        by "more checkpoints that fail in a row than may";
        ["checkpoint-failures"];
    RETENTION_IGNORED = 69, "retention-ignored":
        "old checkpoints are never deleted";
        by "more checkpoints than are retained";
        ["retention"];
    ONE_TOO_MANY = 70, "one-too-many":
        "one more checkpoint is under way than may be";
        by "checkpoints that take longer than their interval";
        ["checkpoint-pace"];
    TAGS_FROM_ZERO = 71, "tags-from-zero":
        "after a restore the sink tags rows as if it had started fresh";
        by "any restore";
        ["fencing"];
    MANIFESTS_NOT_AWAITED = 72, "manifests-not-awaited":
        "a restart does not wait for the manifests that are under way";
        by "a failure while a manifest is being written";
        ["attempt-begins", "restore-landed"];
    REFUNDED_WHEN_PARKED = 73, "refunded-when-parked":
        "a record gives its credit back when it is parked";
        by "credit that is short";
        ["bounded-in-flight"];
    TIMER_NOT_DUE = 74, "timer-not-due":
        "a worker goes to sleep without a word of its next timer";
        by "any timer";
        ["timers"];
    REROUTED_BY_TARGET = 75, "rerouted-by-target":
        "a rescale shares out keyed records in flight by their old target";
        by "restore of in-flight records at another parallelism";
        ["final-values"];
    SUBSUMED_KEPT = 76, "subsumed-kept":
        "a completed checkpoint does not subsume older ones";
        by "checkpoints that overlap";
        ["checkpoint-numbers", "restore-landed", "restore-newest"];
    DOUBTFUL_DISCARDED = 77, "doubtful-discarded":
        "the files of a checkpoint whose manifest is in doubt are deleted";
        by "a manifest in doubt, then a death";
        ["restore-landed", "restore-newest"];
    FIRST_AFTER_RESTORED = 78, "first-after-restored":
        "an attempt numbers its checkpoints from the restored one on, whatever else is there";
        by "kill during a checkpoint";
        ["checkpoint-numbers", "restore-newest"];
    UNION_SHARED_OUT = 79, "union-shared-out":
        "union state is shared out like any other list";
        by "restore of union state at another parallelism";
        ["conservation", "no-loss", "duplicates-exact"];
    FILLING_NOT_DUE = 80, "filling-not-due":
        "rows that join a buffer with flushed ones in it are never due";
        by "a slow database, then no more records";
        ["visible-in-time"];
    CLAIM_SHARED = 81, "claim-shared":
        "an attempt goes on although somebody else has claimed its number";
        by "two processes that start at once";
        ["attempt-begins", "fencing"];
    LOOK_FAILED_WRITES = 82, "look-failed-writes":
        "a batch in doubt is written again when the look at what became of it fails";
        by "a commit in doubt, then a connection that breaks";
        ["single-effect-per-attempt"];
    BYTES_DROP_A_ROW = 83, "bytes-drop-a-row":
        "the row that makes a transaction too large is dropped";
        by "transactions of few bytes";
        ["conservation", "no-loss"];
    ANSWER_AWAITED = 84, "answer-awaited":
        "an offset commit that is never answered is waited for for ever";
        by "a commit without an answer";
        ["liveness", "committed-offsets"];
    DISCARD_FORGOTTEN = 85, "discard-forgotten":
        "state files of a checkpoint that is given up are left behind";
        by "a checkpoint that fails when some of its files are written";
        ["retention"];
    OFFSETS_COUNTED = 86, "offsets-counted":
        "a source counts its offset up by one instead of taking the record's";
        by "a log with offsets that no record has";
        ["conservation", "duplicates-exact", "committed-offsets"];
    STARTS_AT_END = 87, "starts-at-end":
        "a group that has committed nothing starts at the end of the log";
        by "a fresh start where the group left off";
        ["no-loss", "conservation"];
    RETRY_AT_ONCE = 88, "retry-at-once":
        "a transaction that was refused is tried again without a pause";
        by "a database that refuses";
        ["retry-pace"];
    ZOMBIE_COMPLETES = 89, "zombie-completes":
        "an attempt completes a checkpoint although a later one has taken over";
        by "pause the process past the heartbeat, fail over, resume";
        ["attempt-begins", "restore-newest"];
    FENCE_FAILURE_IGNORED = 90, "fence-failure-ignored":
        "an attempt goes on although its fence could not be taken in time";
        by "no database for longer than a fence may take";
        ["fencing", "attempt-order", "duplicates-exact"];
    UNREADABLE_IS_MISSING = 91, "unreadable-is-missing":
        "a file of a checkpoint that cannot be read is taken for missing, and an older one restored";
        by "a storage that does not answer after a death";
        ["restore-landed", "restore-newest"];
    DRAIN_FORGOTTEN = 92, "drain-forgotten":
        "a drain whose checkpoint failed is never tried again";
        by "a last checkpoint that is declined";
        ["liveness"];
    ROOM_BY_EITHER = 93, "room-by-either":
        "a sink takes rows as long as there is room by rows or by bytes, not by both";
        by "a database slower than its input";
        ["bounded-in-flight"];
    ABORT_RELEASES_ALL = 94, "abort-releases-all":
        "an aborted checkpoint lets go what is held for a younger one";
        by "checkpoints that overlap, one of them given up while the next aligns";
        ["alignment-holds", "no-orphans", "conservation", "final-values"];
    OWNERS_BY_COUNT = 95, "owners-by-count":
        "list state stays with its owners where these are as many as the new subtasks";
        by "restore at another parallelism, with state that not everyone had";
        ["offset-coverage", "conservation", "no-loss"];
    DRAINED_GOES_ON = 96, "drained-goes-on":
        "a source subtask goes on behind its last barrier";
        by "a drain while a neighbour stalls";
        ["clean-drain", "no-loss"];
    COPIES_REFUNDED = 97, "copies-refunded":
        "a record for every subtask gives its credit back although some of them have not had it";
        by "a broadcast to subtasks of which one stalls";
        ["bounded-in-flight"];
    FLUSH_PUT_OFF = 98, "flush-put-off":
        "each record puts off the flush of those before it";
        by "records that come one by one";
        ["sent-in-time"];
    CREDIT_NEVER_GROWS = 99, "credit-never-grows":
        "credit that debloating has taken away never comes back";
        by "a receiver that falls behind, then catches up";
        ["credit"];
    CREDIT_TO_NOTHING = 100, "credit-to-nothing":
        "debloating takes all credit away";
        by "a receiver that stands still";
        ["credit"];
    RESTARTS_AT_ONCE = 101, "restarts-at-once":
        "the next attempt begins without the pause of the restart strategy";
        by "any failure within a process";
        ["restart-strategy"];
    RESTARTS_FOR_EVER = 102, "restarts-for-ever":
        "a job is started again more often than the restart strategy allows";
        by "more failures than restarts";
        ["restart-strategy"];
    RETRIES_FOR_EVER = 103, "retries-for-ever":
        "a batch is tried again however often it has failed";
        by "a database that is in trouble for long";
        ["retry-bound"];
    ONE_RETRY_SHORT = 104, "one-retry-short":
        "a batch is given up one try too early";
        by "a database that is in trouble for long";
        ["retry-bound"];
    NEVER_EXPIRES = 105, "never-expires":
        "a checkpoint is never given up for its age";
        by "a subtask that stalls for longer than the checkpoint timeout";
        ["checkpoint-expiry"];
    EXPIRES_EARLY = 106, "expires-early":
        "a checkpoint is given up at half its timeout";
        by "a subtask that stalls for half the checkpoint timeout";
        ["checkpoint-expiry"];
    RETAINS_ONE_MORE = 107, "retains-one-more":
        "one more checkpoint is left than is retained";
        by "more checkpoints than are retained";
        ["retention"];
    RETAINS_ONE_LESS = 108, "retains-one-less":
        "one checkpoint less is left than is retained";
        by "more checkpoints than are retained, two or more";
        ["retention"];
    NAMESAKES_DISCARDED = 109, "namesakes-discarded":
        "with a checkpoint that is given up go the files of a later attempt's of the same number";
        by "pause the process past the heartbeat before its first upload, fail over, resume";
        ["own-files", "restore-newest"];
    CLAIM_FAILURE_ENDS = 110, "claim-failure-ends":
        "a storage that does not take a claim ends the job, whatever the restart strategy allows";
        by "a storage that fails while a job starts again";
        ["restart-strategy"];
    INTERVAL_FROM_END = 111, "interval-from-end":
        "the interval to the next checkpoint counts from the end of the last one";
        by "any checkpoint that takes a while";
        ["checkpoint-due"];
    ALIGNS_FOR_EVER = 112, "aligns-for-ever":
        "an alignment never times out";
        by "a source that falls behind, and an alignment timeout";
        ["alignment-timeout"];
    DELETIONS_NOT_AWAITED = 113, "deletions-not-awaited":
        "a job is over although it is still deleting";
        by "a drain right behind a checkpoint that subsumes another";
        ["retention"];
    LANDED_LATE_COMPLETES = 114, "landed-late-completes":
        "a manifest that lands after a later attempt was claimed completes its checkpoint";
        by "pause the process while it writes a manifest, past the heartbeat";
        ["attempt-begins", "committed-offsets"];
    TIMEOUT_PUT_OFF = 115, "timeout-put-off":
        "the alignment timeout counts from the last barrier instead of the first";
        by "barriers that come one by one, and an alignment timeout";
        ["alignment-timeout"];
    STARTS_BEHIND_COMMITTED = 116, "starts-behind-committed":
        "a start where the group has left off passes over one offset";
        by "a group that has committed before the job first begins";
        ["no-loss", "offset-coverage"];
    FENCED_STARTS_AGAIN = 117, "fenced-starts-again":
        "a job that a later attempt has fenced starts again";
        by "pause the process past the heartbeat, fail over, resume";
        ["restart-strategy"];
    ABORT_FORGETS_HOLDS = 118, "abort-forgets-holds":
        "with a checkpoint that is given up go the holds and releases that wait their turn";
        by "a checkpoint that is given up while another aligns";
        ["alignment-holds", "no-orphans", "conservation"];
    RUN_BEFORE_REPLAY = 119, "run-before-replay":
        "new records overtake those that were held while a gate aligned";
        by "skew one source in mode exactly-once";
        ["per-key-order", "no-orphans", "conservation"];
    FAILED_UPLOAD_ACKNOWLEDGED = 120, "failed-upload-acknowledged":
        "a worker acknowledges a checkpoint whose state could not be written";
        by "a storage that refuses writes";
        ["no-loss", "restore-newest", "restore-landed"];
    CREDIT_OF_WIDEST_LANE = 121, "credit-of-widest-lane":
        "a subtask may write as much as the lane with the most credit allows";
        by "one target that falls behind the others";
        ["bounded-in-flight"];
    PAUSE_FROM_TRIGGER = 122, "pause-from-trigger":
        "the pause between checkpoints counts from the last trigger instead of the last completion";
        by "any checkpoint that takes a while, and a minimum pause";
        ["checkpoint-pace"];
    KEY_GROUPS_BY_DIVISION = 123, "key-groups-by-division":
        "state goes to the subtask that a division names, records go to another";
        by "a rescale to a parallelism that does not divide the key groups";
        ["final-values", "per-key-order"];
    FAILED_COMMIT_OVERTAKES = 124, "failed-commit-overtakes":
        "an offset commit that failed takes the place of a newer one that waits";
        by "offset commits that fail late";
        ["committed-offsets"];
    MISSING_STARTS_OVER = 125, "missing-starts-over":
        "a batch that was looked up and is not there has its tries counted anew";
        by "a database in whose doubt nothing is ever committed";
        ["retry-bound"];
    STATE_STAYS = 126, "state-stays":
        "of a checkpoint that is not retained any more, only the manifest is deleted";
        by "more checkpoints than are retained";
        ["retention"];
    PAUSE_NEVER_GROWS = 127, "pause-never-grows":
        "each retry of a batch waits as long as the first one";
        by "a database that refuses a batch several times in a row";
        ["retry-pace"];
    RESTARTS_LATE = 128, "restarts-late":
        "the pause before a restart is a thousand times as long as it should be";
        by "a subtask that panics";
        ["restart-strategy", "liveness"];
    UNFINISHED_STAYS = 129, "unfinished-stays":
        "what an attempt that died has left of its last checkpoint stays for good";
        by "a subtask that panics while a checkpoint is uploaded";
        ["retention"];
    HELD_LOST = 130, "held-lost":
        "a held record on which a step's budget ends is forgotten";
        by "many records behind a barrier, and few of them for each step";
        ["conservation", "no-loss", "duplicates-exact"];
    BYTES_STAY_HELD = 131, "bytes-stay-held":
        "bytes that were written count as held by the sink for good";
        by "a sink with room for few bytes";
        ["liveness"];
    STATE_CHECKSUM_UNREAD = 132, "state-checksum-unread":
        "a state file is believed without a look at its checksum";
        by "bit rot in the last checkpoint";
        ["restore-newest", "restore-landed", "no-loss"];
    KEY_LENGTH_WRAPS = 133, "key-length-wraps":
        "a key of 256 bytes passes for one whose length fits into a byte";
        by "keys of 256 bytes";
        ["liveness", "no-loss", "final-values"];
    REFUSED_COMMIT_DROPPED = 134, "refused-commit-dropped":
        "the job ends while its last offset commit waits for its next try";
        by "a drain while the log refuses commits";
        ["committed-offsets"];
    BROKEN_CLIENT_TOLERATED = 135, "broken-client-tolerated":
        "a reader that has failed for good is taken for one that gets over it";
        by "a fatal error of the log's client";
        ["liveness"];
    COMMITS_OVERLAP = 136, "commits-overlap":
        "an offset commit is sent while the one before it has no answer yet";
        by "checkpoints faster than offset commits";
        ["committed-offsets"];
    LATE_FILES_FORGOTTEN = 137, "late-files-forgotten":
        "what is uploaded for a checkpoint after it was given up stays";
        by "a checkpoint that is given up while its state is on its way to a slow storage";
        ["retention"];
    QUIET_SINCE_RESET = 138, "quiet-since-reset":
        "the growing pause before restarts starts over although failures go on";
        by "failures one after the other, for longer than the quiet time";
        ["restart-strategy"];
    OWNER_UNKNOWN_COMPLETES = 139, "owner-unknown-completes":
        "a checkpoint completes although nobody can tell whether a later attempt has taken over";
        by "a process taken for dead while its manifest is written, and a storage that cannot be read";
        ["attempt-begins"];
    UNION_ONLY_RESCALED = 140, "union-only-rescaled":
        "union state is shown to all only where the parallelism has changed";
        by "a restore of union state";
        ["timers"];
    WRITING_EXPIRES = 141, "writing-expires":
        "a checkpoint is given up for its age although its manifest is being written";
        by "a storage slower than the timeout of a checkpoint";
        ["checkpoint-expiry", "restore-landed"];
    LARGE_UNBOUNDED = 142, "large-unbounded":
        "each subtask may have a record larger than a buffer under way, however many subtasks there are";
        by "records larger than a buffer, and a receiver that is behind";
        ["bounded-in-flight"];
    ABORTED_LOG_GOES_ON = 143, "aborted-log-goes-on":
        "what is in flight is logged for a checkpoint that was given up, for good";
        by "an unaligned checkpoint that fails";
        ["bounded-in-flight"];
    OTHER_DESIGN_DROPPED = 144, "other-design-dropped":
        "a sink that flushes at barriers restores no buffer, for it would have written none";
        by "a restart with another sink design";
        ["no-loss", "conservation", "final-values"];
    ABORT_DROPS_OLDER = 145, "abort-drops-older":
        "a gate takes a checkpoint that was given up for the end of those before it, too";
        by "two checkpoints under way, of which the younger one fails";
        ["checkpoint-expiry"];
    TIMEOUT_HOLDS_ON = 146, "timeout-holds-on":
        "an alignment that has timed out goes on to hold its channels";
        by "an alignment that times out";
        ["alignment-holds", "liveness"];
    ABORT_TAKES_YOUNGER = 147, "abort-takes-younger":
        "a source takes a checkpoint that was given up for the end of those after it, too";
        by "a stalled source subtask, and two checkpoints under way, of which the older one fails";
        ["checkpoint-expiry"];
    EMPTY_KEY_IS_NULL = 148, "empty-key-is-null":
        "a key without bytes is taken for none";
        by "an empty key";
        ["final-values", "per-key-order"];
    MISSING_STATE_SKIPPED = 149, "missing-state-skipped":
        "a state file that is not there is restored as if it had been empty";
        by "a state file that is lost";
        ["restore-newest", "restore-landed", "no-loss"];
    STATE_DELETED_FIRST = 150, "state-deleted-first":
        "of a checkpoint that is not retained any more, the manifest is deleted last";
        by "more checkpoints than are retained";
        ["retention"];
    PAUSE_WITHOUT_END = 151, "pause-without-end":
        "the growing pause before restarts grows beyond its maximum";
        by "failures one after the other";
        ["restart-strategy", "liveness"];
    REPEATED_EMITTED = 152, "repeated-emitted":
        "a record that the log sends once more is read once more";
        by "a log that repeats itself";
        ["duplicates-exact", "no-orphans", "conservation"];
    FRAME_LENGTH_WRAPS = 153, "frame-length-wraps":
        "a frame passes for one whose length fits into two bytes before its header is counted";
        by "records just below 64 KiB";
        ["liveness", "no-loss", "final-values"];
    TRIGGERS_TOO_OFTEN = 154, "triggers-too-often":
        "checkpoints follow each other at half of their interval";
        by "anything";
        ["checkpoint-pace"];
    CREDIT_NEVER_SHRINKS = 155, "credit-never-shrinks":
        "debloating leaves a receiver that is behind as much in flight as before";
        by "a receiver that is behind for a while";
        ["credit"];
    TRY_NUMBER_STAYS = 156, "try-number-stays":
        "a batch in doubt that is not there is written again under the number of the try in doubt";
        by "a commit whose answer is lost, and which was not done";
        ["retry-bound"];
    ABORT_FORGETS_OFFSETS = 157, "abort-forgets-offsets":
        "a checkpoint that is given up takes along the offsets of those before it";
        by "two checkpoints under way, of which the younger one fails first";
        ["committed-offsets"];
    COPY_UNLOGGED = 158, "copy-unlogged":
        "of a record in flight to every subtask, the last one's copy is not logged";
        by "a broadcast that barriers overtake";
        ["no-loss", "conservation", "final-values"];
    COPIES_TO_ONE = 159, "copies-to-one":
        "the copies of a record in flight to every subtask are all logged for the first one";
        by "a broadcast that barriers overtake";
        ["no-loss", "conservation", "final-values"];
    OUTPUT_INDEX_LOST = 160, "output-index-lost":
        "of the records that one became, all say that they are the first";
        by "an operator that makes several records of one";
        ["conservation", "single-effect-per-attempt", "final-values"];
    DAMAGED_RETAINED = 161, "damaged-retained":
        "a checkpoint that is found damaged counts as one of those that are retained";
        by "a checkpoint that rots, and more than one that is retained";
        ["retention"];
    SECOND_ALIGNMENT_UNTIMED = 162, "second-alignment-untimed":
        "an alignment does not time out behind a checkpoint that is captured and not over";
        by "an alignment that times out while an older checkpoint goes on";
        ["alignment-timeout"];
    ABORT_ENDS_OLDER = 163, "abort-ends-older":
        "a worker takes a checkpoint that was given up for the end of those before it, too";
        by "two checkpoints under way, of which the younger one fails";
        ["checkpoint-expiry"];
    CREDIT_OF_FIRST_LANE = 164, "credit-of-first-lane":
        "debloating tells the first sending worker alone";
        by "a receiver that is behind, and more than one worker";
        ["credit"];
    PAUSE_STAYS_GROWN = 165, "pause-stays-grown":
        "the growing pause before restarts does not start over after a quiet time";
        by "failures far from each other";
        ["restart-strategy"];
    TRIGGERS_AT_ONCE = 166, "triggers-at-once":
        "the first checkpoint of an attempt does not wait for an interval";
        by "anything";
        ["checkpoint-pace"];
    EVERY_TRY_COUNTS = 167, "every-try-counts":
        "a batch that was certainly not written has another number when it is written again";
        by "a database that refuses";
        ["retry-bound"];
    ATTEMPT_WRAPS = 168, "attempt-wraps":
        "a frame passes for one whose attempt fits into a byte";
        by "a job that has begun more than 255 times";
        ["no-phantom", "conservation", "no-loss"];
    STARTS_AT_ZERO = 169, "starts-at-zero":
        "where nothing is committed, a source begins with offset 0, which retention has removed";
        by "a first start after retention";
        ["refusal"];
    UPSERTS_UNSTABLE = 170, "upserts-unstable":
        "rows of one key within a batch lose their order";
        by "sinks without versions, and many rows of one key";
        ["final-values"];
    DUE_BY_NEWEST = 171, "due-by-newest":
        "a batch is due when its newest row has waited for the interval, not its oldest";
        by "rows that come one after the other";
        ["batch-interval"];
    STALL_SPREADS = 172, "stall-spreads":
        "a subtask that stalls holds up what is parked for those behind it";
        by "a stall, and records for its neighbours";
        ["work-conserving"];
    PAUSE_UNBOUNDED = 173, "pause-unbounded":
        "the pause before a retry doubles for ever";
        by "a database that refuses a batch many times in a row";
        ["retry-pace"];
}
