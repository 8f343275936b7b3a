//! Pieces of work that are counted: the same for the same number of units, on one thread where the
//! work has one, so that callgrind counts the same twice.
//!
//! Two runs of different sizes give the cost of a unit without start and end of the program.

use bytes::{Bytes, BytesMut};
use clap::ValueEnum;
use stormproof_chaos::sim::{self, Plan};
use stormproof_engine::api::{ListKind, StateSnapshot};
use stormproof_engine::checkpoint::{Section, StateFileWriter, read_state_file};
use stormproof_engine::ids::{AttemptId, KeyGroup, Offset, PartitionId, SubtaskIndex, VertexId};
use stormproof_engine::record::{Payload, Provenance, RecordView, Route, frame_len};
use stormproof_engine::runtime::CheckpointMode;

use super::{EngineJob, Figures, burn};
use crate::error::{HarnessError, Result, engine};
use crate::sim::judge;

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// Records written as frames and read back.
    Frames,
    /// Records through a job of 200 x 200 subtasks on one worker, without a checkpoint.
    Exchange,
    /// Subtasks' state written as a checkpoint's file and read back.
    State,
    /// Simulated schedules, judged; a unit is an event of the scheduler.
    Schedules,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Frames, Self::Exchange, Self::State, Self::Schedules];

    /// Its name in figures and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Exchange => "exchange",
            Self::State => "state",
            Self::Schedules => "schedules",
        }
    }

    /// What a unit is.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Frames | Self::Exchange => "record",
            Self::State => "subtask",
            Self::Schedules => "event",
        }
    }

    /// The size of the smaller of two runs; enough that a unit's cost is not the start's.
    pub fn size(self) -> u64 {
        match self {
            Self::Frames => 50_000,
            Self::Exchange => 400_000,
            Self::State => 400,
            Self::Schedules => 20,
        }
    }

    /// Does the work at `size`, and `planted` iterations for a thousand units: says how many units that
    /// was, and how many bytes, where the work makes some.
    ///
    /// # Errors
    /// When what was written cannot be read back, or a job fails.
    pub fn run(self, size: u64, planted: u64) -> Result<Figures> {
        let (units, bytes) = match self {
            Self::Frames => frames(size)?,
            Self::Exchange => exchange(size, planted)?,
            Self::State => state(size)?,
            Self::Schedules => (schedules(size), 0),
        };
        if self != Self::Exchange {
            burn(units * planted / 1000);
        }
        let mut figures = Figures::from([("units".to_owned(), units as f64)]);
        if bytes > 0 {
            figures.insert("bytes".to_owned(), bytes as f64);
        }
        Ok(figures)
    }
}

fn broken(what: &str) -> HarnessError {
    engine(what.to_owned()).at("the counted work").remedy("this is a defect: `ci/test` finds it")
}

fn frames(records: u64) -> Result<(u64, u64)> {
    const BLOCK: u64 = 1000;
    let value = [7_u8; 100];
    let (mut bytes, mut buffer) = (0, BytesMut::with_capacity(256 * 1024));
    for first in (0..records).step_by(BLOCK as usize) {
        buffer.clear();
        let offsets = first..records.min(first + BLOCK);
        for offset in offsets.clone() {
            let payload = Payload {
                provenance: Provenance {
                    partition: PartitionId(1),
                    offset: Offset(offset),
                    index: 0,
                    source_attempt: AttemptId(1),
                },
                event_time_us: 1,
                key: Some(b"k1-1"),
                value: Some(&value),
            };
            let route = Route { source: SubtaskIndex(1), target: SubtaskIndex(2) };
            payload.encode(route, &mut buffer);
        }
        let (mut at, mut sum) = (0, 0);
        while at < buffer.len() {
            sum += RecordView::new(&buffer[at..]).provenance().offset.0;
            at += frame_len(&buffer[at..]);
        }
        if sum != offsets.sum::<u64>() {
            return Err(broken("frames read back differ from what was written"));
        }
        bytes += buffer.len() as u64;
    }
    Ok((records, bytes))
}

fn exchange(records: u64, planted: u64) -> Result<(u64, u64)> {
    let job = EngineJob {
        parallelism: 200,
        workers: 1,
        record_bytes: 100,
        keys: 10_000,
        mode: CheckpointMode::ExactlyOnce,
        checkpoint_interval_ms: 3_600_000,
        records,
        burn: planted,
    };
    Ok((records, job.run()?.bytes))
}

fn state(subtasks: u64) -> Result<(u64, u64)> {
    let row = Bytes::from(vec![7; 150]);
    let mut writer = StateFileWriter::default();
    for subtask in 0..subtasks {
        let mut state = StateSnapshot::default();
        let entry = |n: u64| {
            let group = KeyGroup(((subtask * 100 + n) % 4096) as u16);
            (group, format!("k{subtask:05}-{n:02}"), [1; 8])
        };
        state.put_keyed("counts", (0..100).map(entry).collect());
        state.put_list("buffer", ListKind::EvenSplit, vec![row.clone(); 10]);
        writer.put(VertexId(1), SubtaskIndex(subtask as u16), &state);
    }
    let (file, crc32) = writer.finish();
    let sections = read_state_file(&file, crc32);
    let is_list = |section: &&Section| matches!(section, Section::List { .. });
    match sections.map(|sections| sections.iter().filter(is_list).count() as u64) {
        Ok(read) if read == subtasks => Ok((subtasks, file.len() as u64)),
        Ok(_) | Err(_) => Err(broken("a state file does not read back as it was written")),
    }
}

/// Events of `seeds` schedules at a parallelism of about 40.
fn schedules(seeds: u64) -> u64 {
    let one = |seed| {
        let plan = Plan::draw_sized(seed, 40);
        let run = sim::run(&plan, false);
        std::hint::black_box(judge(&plan, &run));
        run.events
    };
    (1..=seeds).map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_size_is_twice_the_units_and_the_same_bytes_each() {
        for subject in [Subject::Frames, Subject::Exchange, Subject::State] {
            let size = subject.size() / 20;
            let (once, twice) = (subject.run(size, 0), subject.run(2 * size, 0));
            let (once, twice) = (once.expect("it runs"), twice.expect("it runs"));
            assert_eq!(2.0 * once["units"], twice["units"], "{subject:?}");
            let each = |figures: &Figures| figures["bytes"] / figures["units"];
            assert!((each(&twice) / each(&once) - 1.0).abs() < 0.02, "{subject:?}");
        }
    }

    #[test]
    fn names_on_the_command_line_are_those_of_the_figures() {
        for subject in Subject::ALL {
            let value = subject.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), subject.name());
        }
    }
}
