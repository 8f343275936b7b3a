//! `stormproof gate`: is head worse than base?

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use stormproof_reports::gate::{self as shown, GateReport};
use stormproof_reports::terminal::Colour;

use super::args::OutputArgs;
use crate::error::{Result, folder, scenario};
use crate::gate::baseline::Baseline;
use crate::gate::config::Thresholds;
use crate::gate::self_test::{self, Effort};
use crate::gate::{Base, Binary, Gate, Parts, machine};
use crate::output::Console;

/// Where thresholds are, unless `--config` says so.
const CONFIG: &str = "ci/gates.toml";
/// Where the baseline is, unless `--baseline` says so.
const BASELINE: &str = "ci/gate-baseline.json";

pub(super) const HELP: &str = "\
Examples:
  stormproof gate                                  schedules and counts against ci/gate-baseline.json
  stormproof gate --update                         write that file anew
  stormproof gate --base main/stormproof --head target/release/stormproof
  stormproof gate --base A --head B --only wall --record ci/history --commit abc123
  stormproof gate --only drift                     change points over the stored history

Exit codes:
  0  pass: no figure is worse than its threshold
  1  regression: counted, or measured and confirmed
  2  no verdict: too noisy, another compiler, valgrind is missing; or an option is invalid";

/// A part of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Simulated schedules by their verdicts.
    Schedules,
    /// Instructions, allocations, bytes.
    Counts,
    /// Times of two binaries that take turns.
    Wall,
    /// Change points over the stored history.
    Drift,
}

/// What `gate` is asked to do.
#[derive(Clone, Debug, Args)]
pub(super) struct GateArgs {
    /// The thresholds [default: ci/gates.toml, or what is built in].
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// What head is held against: a file of counts and schedules.
    #[arg(long, value_name = "FILE.json", default_value = BASELINE, conflicts_with = "base")]
    baseline: PathBuf,
    /// What head is held against: a binary, measured here and now.
    #[arg(long, value_name = "BINARY")]
    base: Option<PathBuf>,
    /// What is looked at [default: this very program].
    #[arg(long, value_name = "BINARY")]
    head: Option<PathBuf>,
    /// Only these parts [default: all that can].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,...")]
    only: Vec<Part>,
    /// Write the baseline of head, and compare nothing.
    #[arg(long, conflicts_with_all = ["base", "only", "record"])]
    update: bool,
    /// Try the gate on head itself: planted slowdowns of 2, 5 and 10 %, and A/A.
    #[arg(long, conflicts_with_all = ["base", "only", "record", "update"])]
    self_test: bool,
    /// A/A pairs of the self-test, whose noise its rates are drawn from.
    #[arg(long, value_name = "PAIRS", default_value_t = 40, requires = "self_test", value_parser = clap::value_parser!(u32).range(8..))]
    pairs: u32,
    /// Real trials of the self-test for each plant.
    #[arg(long, value_name = "TRIALS", default_value_t = 3, requires = "self_test")]
    trials: u32,
    /// Append head's figures to the history in this folder.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Head's name in the history [default: GITHUB_SHA, or `unnamed`].
    #[arg(long, value_name = "NAME")]
    commit: Option<String>,
    /// Write a Markdown summary, for a pull request or a job.
    #[arg(long, value_name = "FILE.md")]
    markdown: Option<PathBuf>,
    /// Write JUnit XML.
    #[arg(long, value_name = "FILE.xml")]
    junit: Option<PathBuf>,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl GateArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }

    fn thresholds(&self) -> Result<Thresholds> {
        match &self.config {
            Some(file) => Thresholds::read(file),
            None if Path::new(CONFIG).is_file() => Thresholds::read(Path::new(CONFIG)),
            None => Ok(Thresholds::default()),
        }
    }

    fn head(&self) -> Result<Binary> {
        match &self.head {
            Some(path) => Binary::at(path, "--head"),
            None => Binary::current(),
        }
    }

    fn parts(&self) -> Result<Parts> {
        let has = |part| self.only.is_empty() || self.only.contains(&part);
        if self.only.contains(&Part::Wall) && self.base.is_none() {
            return Err(scenario("times are compared between two binaries")
                .at("--only wall")
                .remedy("give --base BINARY, too; times of another hour or host say nothing"));
        }
        Ok(Parts {
            schedules: has(Part::Schedules),
            counts: has(Part::Counts),
            wall: has(Part::Wall),
            drift: has(Part::Drift),
        })
    }

    fn commit(&self) -> String {
        let given = self.commit.clone().or_else(|| std::env::var("GITHUB_SHA").ok());
        given.unwrap_or_else(|| "unnamed".to_owned())
    }
}

/// Looks; returns the exit code.
pub(super) fn gate(args: &GateArgs) -> Result<u8> {
    let console = args.console();
    let (thresholds, head, parts) = (args.thresholds()?, args.head()?, args.parts()?);
    if args.update {
        let baseline = Baseline::measure(&head, &thresholds, parts, 0, console)?;
        baseline.save(&args.baseline)?;
        console.result(&format!("written to {}", args.baseline.display()));
        if baseline.build.valgrind.is_empty() {
            console.remark(
                "without instructions: valgrind is not installed (apt-get install valgrind)",
            );
        }
        return Ok(0);
    }
    if args.self_test {
        return try_itself(args, &head, &thresholds);
    }
    let base = match &args.base {
        Some(path) => Base::Binary(Binary::at(path, "--base")?),
        None => Base::File(args.baseline.clone()),
    };
    let record = args.record.clone().map(|folder| (folder, args.commit()));
    let report = Gate { thresholds, parts, base, head, record }.run(console)?;
    write(args, &report)?;
    if console.json {
        console.result(&json(&report));
    } else {
        let colour = if console.has_colour() { Colour::Ansi } else { Colour::Plain };
        console.result(shown::table(&report, colour).trim_end());
    }
    Ok(report.answer().exit_code())
}

/// The self-test; fails when it cries wolf, has no verdict when the machine hides the largest plant.
fn try_itself(args: &GateArgs, head: &Binary, thresholds: &Thresholds) -> Result<u8> {
    const FALSE_ALARMS: f64 = 0.01;
    const DETECTION: f64 = 0.9;
    let console = args.console();
    let effort = Effort { pairs: args.pairs as usize, trials: args.trials as usize, draws: 400 };
    let tried = self_test::run(head, thresholds, effort, machine(), console)?;
    let json = serde_json::to_string_pretty(&tried).expect("a self-test is plain data");
    if let Some(file) = &args.report {
        write_file(file, json.clone() + "\n")?;
    }
    console.result(if console.json { json } else { tried.table() }.as_str());
    Ok(match () {
        () if tried.false_alarms() > FALSE_ALARMS => 1,
        () if tried.detection() < DETECTION => 2,
        () => 0,
    })
}

fn json(report: &GateReport) -> String {
    serde_json::to_string_pretty(report).expect("a report is plain data")
}

fn write(args: &GateArgs, report: &GateReport) -> Result<()> {
    let files = [
        (&args.markdown, shown::markdown(report)),
        (&args.junit, shown::junit(report)),
        (&args.report, json(report) + "\n"),
    ];
    for (file, text) in files {
        let Some(file) = file else { continue };
        write_file(file, text)?;
    }
    Ok(())
}

fn write_file(file: &Path, text: String) -> Result<()> {
    std::fs::write(file, text).map_err(|error| {
        folder(format!("cannot write it: {error}"))
            .at(file.display().to_string())
            .remedy("name a file in a folder that exists and can be written")
    })
}
