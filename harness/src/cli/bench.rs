//! `stormproof bench`: how much the pipelines sustain.

use std::path::{Path, PathBuf};

use stormproof_reports::schema::{BenchTrial, RunResult};

use super::args::BenchArgs;
use crate::bench::{self, BenchScenario};
use crate::clock::Utc;
use crate::error::{Result, folder, scenario};

/// Runs every bench that was named; returns the exit code: 0 = measured.
pub(super) fn bench(args: &BenchArgs) -> Result<u8> {
    let console = args.console();
    if args.scenarios.is_empty() {
        return Err(scenario("no bench was named")
            .at("SCENARIO.toml")
            .remedy("give one or several files; benches/scenarios has some"));
    }
    // All of them are read before the first one runs.
    let mut benches = Vec::new();
    for file in &args.scenarios {
        let mut bench = BenchScenario::read(file)?;
        if let Some(repetitions) = args.repetitions {
            bench.repetitions = repetitions.get();
        }
        if args.database.is_some() {
            bench.database.clone_from(&args.database);
        }
        benches.push(bench);
    }
    for scenario in &benches {
        console.remark(&format!("{}: searching", scenario.name));
        let result = bench::run(scenario, console)?;
        let file = save(&result, args.out.as_deref())?;
        if console.json {
            let json = serde_json::to_string_pretty(&result).expect("a result is plain data");
            console.result(&json);
        } else {
            console.result(&table(&result));
            console.remark(&format!("kept in {}", file.display()));
        }
    }
    Ok(0)
}

fn save(result: &RunResult, out: Option<&Path>) -> Result<PathBuf> {
    let out = out.unwrap_or(Path::new("stormproof-runs"));
    let refuse = |error: &dyn std::fmt::Display| {
        folder(format!("the result cannot be kept: {error}"))
            .at(out.display().to_string())
            .remedy("choose another folder with --out, or make room")
    };
    std::fs::create_dir_all(out).map_err(|error| refuse(&error))?;
    let name = format!("bench-{}-{}.json", result.scenario, Utc::now().compact());
    let file = out.join(name);
    result.save(&file).map_err(|error| refuse(&error))?;
    Ok(file)
}

fn table(result: &RunResult) -> String {
    let mut lines = vec![result.scenario.clone()];
    let bench = result.bench.clone().unwrap_or_default();
    lines.push(match bench.sustainable_records_per_s {
        Some(rate) => {
            let held = bench.repeated.iter().filter(|trial| trial.sustainable).count();
            let times = bench.repeated.iter().filter(|trial| trial.invalid.is_none()).count();
            format!("  sustainable     {rate} records/s, held {held} of {times} times")
        }
        None => "  sustainable     nothing of the range".to_owned(),
    });
    let valid = || bench.repeated.iter().filter(|trial| trial.invalid.is_none());
    let spread = |of: fn(&BenchTrial) -> u64| {
        let (least, most) =
            (valid().map(of).min().unwrap_or(0), valid().map(of).max().unwrap_or(0));
        format!("{least} to {most} us")
    };
    if valid().count() > 1 {
        let (p50, p99) =
            (spread(|trial| trial.latency.p50_us), spread(|trial| trial.latency.p99_us));
        lines.push(format!("  spread          p50 {p50}, p99 {p99}"));
    }
    for (n, trial) in bench.repeated.iter().enumerate() {
        let latency = trial.latency;
        lines.push(format!(
            "  repetition {n}    p50 {} us, p99 {} us, p99.9 {} us, max {} us after {:.1} s of warm-up",
            latency.p50_us, latency.p99_us, latency.p999_us, latency.max_us, trial.warm_up_s
        ));
    }
    for recovery in &result.recoveries {
        let parts = recovery.parts().map(|(name, ms)| match ms {
            Some(ms) => format!("{name} {ms:.1} ms"),
            None => format!("{name} not measured"),
        });
        lines.push(format!("  recovery        {}", parts.join(", ")));
    }
    lines.extend(result.notes.iter().map(|note| format!("  note            {note}")));
    lines.join("\n")
}
