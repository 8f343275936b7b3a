//! What parent and engine process say to each other: one JSON object on each line.
//!
//! Commands go down on the child's stdin, reports come up on its stdout. Invariant: a line is
//! flushed before what it announces happens, so that a SIGKILL swallows no announcement.

use std::io::{self, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stormproof_chaos::fault::{Fault, FaultId};
use stormproof_chaos::hook::FaultShot;
use stormproof_engine::runtime::{JobConfig, TimedEvent};

use crate::environment::Addresses;
use crate::scenario::{Exchange, JobShape, SinkDesign};

/// All that an engine process needs: the content of the file given by `--spec`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSpec {
    /// Where topic and tables are.
    pub addresses: Addresses,
    /// The folder of the checkpoints.
    pub checkpoints: std::path::PathBuf,
    /// Subtasks of every vertex.
    pub parallelism: u16,
    /// From the sources to the operator.
    pub partitioner: Exchange,
    /// What a sink does with its buffer at a barrier.
    pub sink_design: SinkDesign,
    /// Rows of a batch of one sink subtask.
    pub batch_rows: u32,
    /// The longest a row waits for its batch.
    pub batch_interval_ms: u64,
    /// Workers, checkpoints, restarts.
    pub config: JobConfig,
    /// A seeded bug; 0 = none.
    pub mutant: u8,
    /// Where the figures are served on loopback; `None` = nowhere.
    pub metrics_port: Option<u16>,
    /// Faults that are armed before the job begins: a recovery's steps are passed before anybody
    /// could send a command.
    #[serde(default)]
    pub armed: Vec<Fault>,
}

impl EngineSpec {
    /// The specification of `job` in `addresses`.
    pub fn new(
        addresses: Addresses,
        checkpoints: std::path::PathBuf,
        job: &JobShape,
        config: JobConfig,
        mutant: u8,
    ) -> Self {
        Self {
            addresses,
            checkpoints,
            parallelism: job.parallelism,
            partitioner: job.partitioner,
            sink_design: job.sink_design,
            batch_rows: job.batch_rows,
            batch_interval_ms: job.batch_interval_ms,
            config,
            mutant,
            metrics_port: None,
            armed: Vec::new(),
        }
    }
}

/// From the parent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Arms a fault in the hook.
    Arm {
        /// The fault.
        fault: Fault,
    },
    /// Writes a final savepoint, drains and ends.
    StopDrain,
    /// Ends at once.
    Cancel,
}

/// From the engine process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", content = "body", rename_all = "snake_case")]
pub enum Report {
    /// Something happened in the job.
    Event(TimedEvent),
    /// A fault is about to strike.
    Shot {
        /// When, in microseconds of `CLOCK_MONOTONIC`.
        t_us: u64,
        /// Which and where.
        shot: FaultShot,
    },
    /// The figures are served.
    Metrics {
        /// Where.
        url: String,
    },
    /// A trouble of the disk is over.
    Disk {
        /// Which fault.
        id: FaultId,
        /// When it was over, in microseconds of `CLOCK_MONOTONIC`.
        t_us: u64,
        /// Writes that met it.
        struck: u64,
    },
    /// A fault cannot be armed.
    Refused {
        /// Why.
        reason: String,
    },
    /// The job cannot go on, and a new process would not help.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Writes one line and flushes it.
///
/// # Errors
/// When the other side is gone.
pub fn write_line(to: &mut dyn Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads one line.
///
/// # Errors
/// When it is no message of this protocol.
pub fn read_line<T: DeserializeOwned>(line: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stormproof_engine::ids::{AttemptId, CheckpointId};
    use stormproof_engine::runtime::JobEvent;

    #[test]
    fn messages_are_one_line_each_and_survive_the_trip() {
        let event = JobEvent::AttemptStarted { attempt: AttemptId(2), restored: CheckpointId(7) };
        let report = Report::Event(TimedEvent { t_us: 5, event });
        let mut wire = Vec::new();
        write_line(&mut wire, &report).unwrap();
        let text = String::from_utf8(wire).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert_eq!(read_line::<Report>(text.trim_end()).unwrap(), report);
        let command = r#"{"command":"stop_drain"}"#;
        assert_eq!(read_line::<Command>(command).unwrap(), Command::StopDrain);
        assert!(read_line::<Command>(r#"{"command":"explode"}"#).is_err());
    }
}
