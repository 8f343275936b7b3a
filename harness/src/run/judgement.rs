//! The judgement of a run: what was recorded for it, the evidence opened, the oracle asked.
//!
//! Used twice: at the end of a run, and by `stormproof verify` on what a run left behind. Only the
//! oracle decides; this opens doors.

use std::fs;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stormproof_engine::runtime::CheckpointMode;
use stormproof_reports::schema::Sample;

use super::passage::{self, Passages};
use super::session::Halt;
use super::{Interrupt, RunFolder};
use crate::environment::{Addresses, DatabaseAddress, lacks_password, without_password};
use crate::error::{Result, evidence};
use crate::measure::latency::{self, Latencies};
use crate::oracle::checkpoint_reader::{CheckpointFolder, Mode};
use crate::oracle::plain::{Opinion, second_opinion};
use crate::oracle::{
    AuditSource, Conditions, Input, Judgement, Kept, KeptAudit, KeptCheckpoints, LostRange,
    MysqlAudit, Pace, Required, SqliteAudit, copy_tables, judge,
};
use crate::scenario::{Exchange, Scenario};
use crate::workload::ledger::{Ledger, LedgerBuilder, Offset, PartitionId, read_on};

/// Between two looks for an interruption while the oracle judges.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The longest that reading the topic back may take.
const READ_BACK_LIMIT: Duration = Duration::from_secs(300);

/// How late the coordinator may notice an acknowledgement: its thread may be stopped, or starve.
const ACKNOWLEDGED_LATE_US: i64 = 30_000_000;

/// The circumstances of a run, as a second judgement needs them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Where the services were. Without passwords.
    pub addresses: Addresses,
    /// The checkpoint mode.
    pub mode: CheckpointMode,
    /// Whether records were partitioned by key.
    pub keyed: bool,
    /// Whether everything had the time to be written.
    pub drained: bool,
    /// Faults that landed.
    pub faults_landed: u64,
    /// The group's committed offsets after the job's end.
    pub committed: Option<Vec<u64>>,
    /// Checkpoints that may be under way at the same time.
    #[serde(default = "one")]
    pub concurrent_checkpoints: usize,
    /// Checkpoints that the job keeps.
    #[serde(default)]
    pub retained_checkpoints: Option<usize>,
    /// Minimum pause and timeout of checkpoints, in milliseconds.
    #[serde(default)]
    pub pace_ms: Option<(u64, u64)>,
    /// The interval of checkpoints, in milliseconds.
    #[serde(default)]
    pub interval_ms: u64,
    /// What the log itself lost of what it had acknowledged.
    #[serde(default)]
    pub log_lost: Vec<LostRange>,
}

fn one() -> usize {
    1
}

impl Recorded {
    /// What is recorded of a run; `committed` is there when the run was drained.
    pub(super) fn new(
        scenario: &Scenario,
        addresses: &Addresses,
        committed: Option<Vec<u64>>,
        faults_landed: u64,
    ) -> Self {
        let mut addresses = addresses.clone();
        if let DatabaseAddress::Mysql(url) = &mut addresses.database {
            *url = without_password(url);
        }
        Self {
            addresses,
            mode: scenario.checkpoint.mode,
            keyed: scenario.job.partitioner == Exchange::KeyBy,
            drained: committed.is_some(),
            faults_landed,
            committed,
            concurrent_checkpoints: match scenario.checkpoint.min_pause_ms {
                0 => scenario.checkpoint.max_concurrent.max(1),
                _ => 1,
            },
            retained_checkpoints: Some(scenario.checkpoint.retained),
            pace_ms: Some((scenario.checkpoint.min_pause_ms, scenario.checkpoint.timeout_ms)),
            interval_ms: scenario.checkpoint.interval_ms,
            log_lost: Vec::new(),
        }
    }

    /// The same of a run whose log lost records.
    pub(super) fn of_a_log_that_lost(self, log_lost: Vec<LostRange>) -> Self {
        Self { log_lost, ..self }
    }

    /// Writes it into the run's folder.
    pub(super) fn save(&self, folder: &RunFolder) -> Result<()> {
        let json = serde_json::to_vec(self).expect("circumstances are plain data");
        folder.write(&folder.conditions(), json)
    }

    /// Reads it from a run's folder.
    ///
    /// # Errors
    /// When the folder has no such file, or one of another kind.
    pub fn load(folder: &RunFolder) -> Result<Self> {
        let file = folder.conditions();
        let refuse = |error: &dyn std::fmt::Display| {
            evidence(format!("the run's circumstances cannot be read: {error}"))
                .at(file.display().to_string())
                .remedy("give the folder of a run that came to its end")
        };
        let json = fs::read(&file).map_err(|e| refuse(&e))?;
        serde_json::from_slice(&json).map_err(|e| refuse(&e))
    }

    fn conditions(&self) -> Conditions {
        let kept = Kept::below(&self.log_lost);
        let committed = self.committed.as_ref().map(|offsets| {
            let offset = |(partition, &offset): (usize, &u64)| {
                let partition = PartitionId(partition as u32);
                (partition, kept.clip(partition, Offset(offset)))
            };
            offsets.iter().enumerate().map(offset).collect()
        });
        Conditions {
            drained: self.drained,
            keyed: self.keyed,
            faults_landed: self.faults_landed,
            concurrent_checkpoints: self.concurrent_checkpoints,
            retained_checkpoints: self.retained_checkpoints,
            pace: self.pace_ms.map(|(min_pause_ms, timeout_ms)| Pace {
                interval_us: self.interval_ms as i64 * 1000,
                min_pause_us: min_pause_ms as i64 * 1000,
                timeout_us: timeout_ms as i64 * 1000,
                slack_us: ACKNOWLEDGED_LATE_US,
            }),
            // The sink acknowledges a checkpoint only when what it had handed over is confirmed.
            unconfirmed_at_snapshot: false,
            // It asks for the rows of a batch in doubt, and the answer waits for their transaction.
            resolves_doubt: true,
            // One engine process at a time, and none begins before the last one is dead.
            restores_alone: true,
            required: Required::default(),
            committed,
            log_lost: self.log_lost.clone(),
            ..Conditions::new(mode_of(self.mode))
        }
    }
}

/// The mode in the oracle's own words.
fn mode_of(mode: CheckpointMode) -> Mode {
    match mode {
        CheckpointMode::ExactlyOnce => Mode::ExactlyOnce,
        CheckpointMode::ExactlyOnceUnaligned => Mode::ExactlyOnceUnaligned,
        CheckpointMode::AtLeastOnce => Mode::AtLeastOnce,
        CheckpointMode::AtLeastOnceFirstBarrier => Mode::AtLeastOnceFirstBarrier,
    }
}

/// The oracle's answer, and what was measured in the same evidence.
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    /// The latencies; or why there are none.
    pub(super) latencies: Result<Latencies, String>,
    /// The ways of the records that witnesses name.
    pub(super) passages: Passages,
}

/// Judges on a thread of its own, so that Ctrl-C does not have to wait for the verdict. A
/// judgement that nobody waits for any more ends with the process.
pub(super) fn judge_unless_interrupted(
    folder: &RunFolder,
    recorded: &Recorded,
    addresses: &Addresses,
    input: LedgerBuilder,
    cut: (Vec<Sample>, u64),
    interrupt: &Interrupt,
) -> Result<Judged, Halt> {
    let (sender, outcome) = std::sync::mpsc::sync_channel(1);
    let work = (folder.clone(), recorded.clone(), addresses.clone());
    let judge = move || {
        let (folder, recorded, addresses) = work;
        // Nobody listens: the run was interrupted.
        let _ = sender.send(judge_run(&folder, &recorded, &addresses, input, (&cut.0, cut.1)));
    };
    std::thread::Builder::new().name("judge".to_owned()).spawn(judge).map_err(|error| {
        evidence(format!("cannot start the judgement: {error}"))
            .remedy("check the limits on threads (ulimit -a); `stormproof verify` judges later")
    })?;
    loop {
        match outcome.recv_timeout(LOOK_EVERY) {
            Ok(judged) => return judged.map_err(Halt::Failed),
            Err(RecvTimeoutError::Timeout) if interrupt.is_raised() => {
                return Err(Halt::Interrupted);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Halt::Failed(evidence("the judgement panicked").remedy(
                    "report this as a bug, with the run's folder; `stormproof verify` tries again",
                )));
            }
        }
    }
}

/// Reads back what `input` does not know yet of the topic.
pub(super) fn read_back(addresses: &Addresses, mut input: LedgerBuilder) -> Result<LedgerBuilder> {
    let (brokers, topic) = (&addresses.brokers, &addresses.topic);
    read_on(&mut input, brokers, topic, READ_BACK_LIMIT, |_| {}).map_err(|error| {
        evidence(format!("the topic cannot be read back: {error}"))
            .at(format!("topic {topic} at {brokers}"))
    })?;
    Ok(input)
}

/// Reads the topic back into the run's ledger, then judges and measures.
fn judge_run(
    folder: &RunFolder,
    recorded: &Recorded,
    addresses: &Addresses,
    input: LedgerBuilder,
    (timeline, origin_us): (&[Sample], u64),
) -> Result<Judged> {
    let ledger = read_back(addresses, input).and_then(|mut input| {
        for (partition, from) in Kept::below(&recorded.log_lost).cuts() {
            input.cut(partition, from);
        }
        input.finish().map_err(|error| evidence(format!("the topic makes no ledger: {error}")))
    })?;
    let file = folder.ledger();
    ledger.save(&file).map_err(|error| super::cannot_write(&file, &error))?;
    let judgement = judge_evidence(folder, recorded, &addresses.database, &ledger)?;
    let mut audit = open_audit(&addresses.database, &recorded.addresses.table_prefix)?;
    let kept = Kept::below(&recorded.log_lost);
    let mut audit = KeptAudit { inner: &mut *audit, kept: &kept };
    let latencies = latency::measure(&ledger, &mut audit, timeline, origin_us)
        .map_err(|error| format!("The latency could not be measured: {error}."));
    let mut checkpoints = checkpoints_of(folder);
    // A picture of what was judged: without it the judgement stands all the same.
    let passages =
        passage::trace(&judgement, &ledger, &mut checkpoints, &mut audit).unwrap_or_default();
    Ok(Judged { judgement, latencies, passages })
}

/// Judges what a run left behind, once more. `database` replaces the recorded address.
///
/// # Errors
/// When the evidence cannot be opened.
pub fn judge_again(folder: &RunFolder, database: Option<&str>) -> Result<(Recorded, Judgement)> {
    let (recorded, address, ledger) = reopen(folder, database)?;
    let judged = judge_evidence(folder, &recorded, &address, &ledger)?;
    Ok((recorded, judged))
}

/// Asks the plain checker about what a run left behind. Slow: it sorts the whole history.
///
/// # Errors
/// When the evidence cannot be opened or read.
pub fn second_opinion_of(folder: &RunFolder, database: Option<&str>) -> Result<Opinion> {
    let (recorded, address, ledger) = reopen(folder, database)?;
    with_evidence(folder, &recorded, &address, &ledger, second_opinion)?.map_err(|error| {
        evidence(format!("the evidence cannot be read: {error}"))
            .at(folder.path().display().to_string())
    })
}

/// What a run left behind: its circumstances, its database, its ledger.
fn reopen(
    folder: &RunFolder,
    database: Option<&str>,
) -> Result<(Recorded, DatabaseAddress, Ledger)> {
    let recorded = Recorded::load(folder)?;
    let file = folder.ledger();
    let ledger = Ledger::load(&file).map_err(|error| {
        evidence(format!("the ledger cannot be read: {error}"))
            .at(file.display().to_string())
            .remedy("give the folder of a run that was judged")
    })?;
    let address = match (&recorded.addresses.database, database) {
        (DatabaseAddress::Mysql(_), Some(url)) => DatabaseAddress::Mysql(url.to_owned()),
        // The folder may have been moved since: the file is where the folder is.
        (DatabaseAddress::Sqlite(path), _) => {
            let name = path.file_name().unwrap_or_default();
            DatabaseAddress::Sqlite(folder.path().join(name))
        }
        // The run's own database is gone; its tables were kept.
        (DatabaseAddress::Mysql(_), None) if folder.tables().is_file() => {
            DatabaseAddress::Sqlite(folder.tables())
        }
        (DatabaseAddress::Mysql(url), None) if lacks_password(url) => {
            return Err(evidence("the database's password was not written down")
                .at(url.clone())
                .remedy(
                    "give the whole address: --database mysql://user:password@host:port/database",
                ));
        }
        (address, None) => address.clone(),
    };
    Ok((recorded, address, ledger))
}

/// Keeps the tables of a database that ends with the run, so that the run can be judged again.
/// Returns how many rows there are.
pub(super) fn keep_tables(folder: &RunFolder, addresses: &Addresses) -> Result<u64> {
    let prefix = &addresses.table_prefix;
    let mut audit = open_audit(&addresses.database, prefix)?;
    copy_tables(&mut *audit, &folder.tables(), prefix).map_err(|error| {
        evidence(format!("the tables cannot be kept: {error}"))
            .at(folder.tables().display().to_string())
            .remedy("make room there; the verdict stands, `stormproof verify` cannot repeat it")
    })
}

fn checkpoints_of(folder: &RunFolder) -> CheckpointFolder {
    CheckpointFolder::new(folder.checkpoints()).with_spare(folder.restored())
}

fn judge_evidence(
    folder: &RunFolder,
    recorded: &Recorded,
    database: &DatabaseAddress,
    ledger: &Ledger,
) -> Result<Judgement> {
    with_evidence(folder, recorded, database, ledger, judge)
}

fn with_evidence<T>(
    folder: &RunFolder,
    recorded: &Recorded,
    database: &DatabaseAddress,
    ledger: &Ledger,
    ask: impl FnOnce(Input<'_>) -> T,
) -> Result<T> {
    let mut audit = open_audit(database, &recorded.addresses.table_prefix)?;
    let mut checkpoints = checkpoints_of(folder);
    let kept = Kept::below(&recorded.log_lost);
    Ok(ask(Input {
        ledger,
        checkpoints: &mut KeptCheckpoints { inner: &mut checkpoints, kept: &kept },
        audit: &mut KeptAudit { inner: &mut *audit, kept: &kept },
        conditions: recorded.conditions(),
    }))
}

fn open_audit(database: &DatabaseAddress, prefix: &str) -> Result<Box<dyn AuditSource>> {
    let (opened, place): (Result<Box<dyn AuditSource>, _>, String) = match database {
        DatabaseAddress::Sqlite(path) => {
            let opened = SqliteAudit::open(Path::new(path), prefix);
            (opened.map(|audit| Box::new(audit) as _), path.display().to_string())
        }
        DatabaseAddress::Mysql(url) => {
            let opened = MysqlAudit::new(url, prefix);
            (opened.map(|audit| Box::new(audit) as _), without_password(url))
        }
    };
    opened.map_err(|error| {
        evidence(format!("the tables cannot be opened: {error}"))
            .at(place)
            .remedy("check that the database is there; --database gives its address and password")
    })
}
