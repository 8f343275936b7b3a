//! Fault by fault across several runs: how many landed, how fast the job was over them, and what
//! the verdict was: the table fault x mode.
//!
//! Invariants: a column is an environment with a mode, in the order of the results; a row is an
//! action with the kind of thing that it strikes (`sink`, not `sink[88]`); a cell's verdict is the
//! worst of the runs that scheduled such a fault, and is never better than the result allows.

mod markdown;

use std::collections::BTreeMap;

pub(crate) use markdown::render as markdown;

use crate::schema::{FaultSummary, RunResult, Verdict};

/// Kinds of runs shown at most.
const COLUMNS: usize = 12;

/// Faults down, kinds of runs across.
#[derive(Debug)]
pub(crate) struct FaultTable {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// Kinds of runs, those that are not shown included.
    pub(crate) kinds: usize,
}

/// The runs of one environment and mode.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) environment: String,
    pub(crate) mode: String,
    pub(crate) verdict: Verdict,
    pub(crate) runs: usize,
    pub(crate) landed: u64,
    pub(crate) mid_checkpoint: u64,
    pub(crate) scheduled: u64,
    /// The longest time until services, topic and engine were running.
    pub(crate) start_s: Option<f64>,
    /// The longest run.
    pub(crate) wall_s: f64,
}

/// One kind of fault.
#[derive(Debug)]
pub(crate) struct Row {
    /// The kind of thing that is struck.
    pub(crate) target: String,
    pub(crate) action: String,
    /// One for each column; `None` where no such fault was scheduled.
    pub(crate) cells: Vec<Option<Cell>>,
}

/// What became of one kind of fault in one kind of run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub(crate) scheduled: u64,
    pub(crate) landed: u64,
    /// Of those that landed, the ones after whose healing a checkpoint completed.
    pub(crate) recovered: u64,
    /// The longest time from the strike to that checkpoint.
    pub(crate) longest_s: Option<f64>,
    pub(crate) verdict: Verdict,
}

/// The table of several results; `None` if no fault was scheduled in any.
pub(crate) fn table(results: &[RunResult]) -> Option<FaultTable> {
    let mut groups: Vec<((&str, &str), Vec<&RunResult>)> = Vec::new();
    for result in results.iter().filter(|result| !result.faults.is_empty()) {
        let kind = (result.environment.name.as_str(), result.mode.as_str());
        match groups.iter_mut().find(|(name, _)| *name == kind) {
            Some((_, runs)) => runs.push(result),
            None => groups.push((kind, vec![result])),
        }
    }
    let kinds = groups.len();
    groups.truncate(COLUMNS);
    let mut rows: BTreeMap<(&str, &str), Vec<Option<Cell>>> = BTreeMap::new();
    for (at, (_, runs)) in groups.iter().enumerate() {
        for run in runs {
            for fault in &run.faults {
                let row = rows.entry((struck(fault), &fault.action));
                let cells = row.or_insert_with(|| vec![None; groups.len()]);
                cells[at].get_or_insert_with(Cell::default).add(fault, run.shown_verdict());
            }
        }
    }
    let rows = rows.into_iter().map(|((target, action), cells)| Row {
        target: target.to_owned(),
        action: action.to_owned(),
        cells,
    });
    let columns = groups.iter().map(|((environment, mode), runs)| column(environment, mode, runs));
    (kinds > 0).then(|| FaultTable { columns: columns.collect(), rows: rows.collect(), kinds })
}

fn column(environment: &str, mode: &str, runs: &[&RunResult]) -> Column {
    let sum = |of: fn(&RunResult) -> u64| runs.iter().map(|run| of(run)).sum();
    let longest = |of: &dyn Fn(&RunResult) -> Option<f64>| {
        runs.iter().filter_map(|run| of(run)).reduce(f64::max)
    };
    let start = |run: &RunResult| {
        run.phases.iter().find(|phase| phase.name == "start").map(|phase| phase.seconds)
    };
    Column {
        environment: environment.to_owned(),
        mode: mode.to_owned(),
        verdict: runs.iter().map(|run| run.shown_verdict()).fold(Verdict::Proven, worse),
        runs: runs.len(),
        landed: sum(|run| run.faults_landed),
        mid_checkpoint: sum(|run| run.faults_landed_mid_checkpoint),
        scheduled: sum(|run| run.faults_scheduled),
        start_s: longest(&start),
        wall_s: longest(&|run| Some(run.wall_s)).unwrap_or_default(),
    }
}

/// The kind of thing that a fault strikes: its target without a subtask's index.
fn struck(fault: &FaultSummary) -> &str {
    fault.target.split('[').next().unwrap_or(&fault.target)
}

fn worse(a: Verdict, b: Verdict) -> Verdict {
    match (a, b) {
        (Verdict::Violated, _) | (_, Verdict::Violated) => Verdict::Violated,
        (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
        (Verdict::Proven, Verdict::Proven) => Verdict::Proven,
    }
}

impl Default for Cell {
    fn default() -> Self {
        Self { scheduled: 0, landed: 0, recovered: 0, longest_s: None, verdict: Verdict::Proven }
    }
}

impl Cell {
    fn add(&mut self, fault: &FaultSummary, verdict: Verdict) {
        self.verdict = worse(self.verdict, verdict);
        self.scheduled += 1;
        if !fault.landed {
            return;
        }
        self.landed += 1;
        if let (Some(fired), Some(recovered)) = (fault.fired_s, fault.recovered_s) {
            self.recovered += 1;
            let took = recovered - fired;
            self.longest_s = Some(self.longest_s.map_or(took, |longest| longest.max(took)));
        }
    }

    /// What became of those that landed, in words.
    pub(crate) fn told(&self) -> String {
        let over = match (self.landed, self.longest_s) {
            (0, _) => return format!("0/{}, did not land", self.scheduled),
            (_, None) => "not recovered".to_owned(),
            (landed, Some(_)) if self.recovered < landed => {
                format!("{} not recovered", landed - self.recovered)
            }
            (_, Some(longest)) => crate::figures::seconds(longest),
        };
        format!("{}/{}, {over}", self.landed, self.scheduled)
    }
}

#[cfg(test)]
#[path = "faults/tests.rs"]
mod tests;
