//! Instructions and allocations, counted by callgrind.
//!
//! A plain call of valgrind over a subject of this very binary: no crate, no second runner whose
//! version must fit, nothing to build (gungraun, the kept successor of iai-callgrind, needs both).
//! Two runs of different sizes give the cost of a unit.
//!
//! Invariant: counts are of all threads. A call of `malloc`, `calloc`, `realloc` or an aligned one
//! is an allocation; it is read off the call graph, so no counting allocator is needed.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::measure::Figures;
use super::measure::subject::Subject;
use crate::error::{HarnessError, Result, environment, evidence, folder};
use crate::program;

const ALLOCATORS: [&str; 6] =
    ["malloc", "calloc", "realloc", "memalign", "posix_memalign", "aligned_alloc"];

/// What one run has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) instructions: u64,
    pub(super) allocations: u64,
}

/// The version of valgrind; `None` = there is none.
pub fn version() -> Option<String> {
    let ended =
        program::run(Command::new("valgrind").arg("--version"), Duration::from_secs(10)).ok()?;
    ended.status.success().then(|| ended.stdout.trim().to_owned())
}

/// Cost of a unit of `subject` in `binary`: instructions, allocations, and bytes where it makes
/// some.
///
/// # Errors
/// When valgrind or the binary cannot do it, or not within `limit`.
pub(super) fn count(
    binary: &Path,
    subject: Subject,
    planted: u64,
    limit: Duration,
) -> Result<Figures> {
    let size = subject.size();
    let (small, once) = run(binary, subject, size, planted, limit)?;
    let (large, twice) = run(binary, subject, 2 * size, planted, limit)?;
    let units = large["units"] - small["units"];
    let per_unit = |more: u64, less: u64| (more as f64 - less as f64) / units;
    let mut figures = Figures::new();
    let mut put = |what: &str, value: f64| {
        figures.insert(format!("{}.{what}_per_{}", subject.name(), subject.unit()), value);
    };
    put("instructions", per_unit(twice.instructions, once.instructions));
    put("allocations", per_unit(twice.allocations, once.allocations).max(0.0));
    if let (Some(less), Some(more)) = (small.get("bytes"), large.get("bytes")) {
        put("bytes", (more - less) / units);
    }
    Ok(figures)
}

/// Bytes of a unit alone, where there is no valgrind.
///
/// # Errors
/// When the binary cannot do it, or not within `limit`.
pub(super) fn bytes(binary: &Path, subject: Subject, limit: Duration) -> Result<Figures> {
    let mut command = Command::new(binary);
    command.args(["measure", "subject", subject.name(), "--size", &subject.size().to_string()]);
    let ended = program::run(&mut command, limit)?;
    let place = format!("{} measure subject {}", binary.display(), subject.name());
    if !ended.status.success() {
        return Err(refused(&ended.last_words()).at(place));
    }
    let figures: Figures = serde_json::from_str(ended.stdout.trim())
        .map_err(|error| refused(&error.to_string()).at(place))?;
    let each = figures.get("bytes").zip(figures.get("units")).map(|(bytes, units)| bytes / units);
    let name = format!("{}.bytes_per_{}", subject.name(), subject.unit());
    Ok(each.map(|each| (name, each)).into_iter().collect())
}

fn run(
    binary: &Path,
    subject: Subject,
    size: u64,
    planted: u64,
    limit: Duration,
) -> Result<(Figures, Cost)> {
    let out = std::env::temp_dir().join(format!(
        "stormproof-callgrind-{}-{}-{size}",
        std::process::id(),
        subject.name()
    ));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--error-exitcode=97"]);
    command.arg(format!("--callgrind-out-file={}", out.display())).arg(binary);
    command.args(["measure", "subject", subject.name()]);
    command.args(["--size", &size.to_string(), "--burn", &planted.to_string()]);
    let ended = program::run(&mut command, limit);
    let counted = std::fs::read_to_string(&out);
    let _ = std::fs::remove_file(&out);
    let ended = ended?;
    let place = format!("{} measure subject {}", binary.display(), subject.name());
    if !ended.status.success() {
        return Err(refused(&ended.last_words()).at(place));
    }
    let figures: Figures = serde_json::from_str(ended.stdout.trim())
        .map_err(|error| refused(&error.to_string()).at(place.clone()))?;
    if !figures.contains_key("units") {
        return Err(refused("it does not say how many units").at(place));
    }
    let counted = counted.map_err(|error| {
        folder(format!("callgrind's file cannot be read: {error}"))
            .at(out.display().to_string())
            .remedy("set TMPDIR to a folder that can be written")
    })?;
    let cost = read(&counted).ok_or_else(|| {
        evidence("callgrind's file has no total").at(place).remedy("install valgrind 3.15 or later")
    })?;
    Ok((figures, cost))
}

fn refused(why: &str) -> HarnessError {
    environment(format!("it cannot be counted: {why}"))
        .remedy("give a binary of this version or later; `BINARY measure --help` shows what it can")
}

/// Reads a callgrind file: totals, and calls of allocators.
fn read(file: &str) -> Option<Cost> {
    let mut cost = Cost::default();
    let mut names: HashMap<&str, &str> = HashMap::new();
    let (mut callee, mut has_total) = ("", false);
    for line in file.lines() {
        if let Some(rest) = line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")) {
            cost.instructions = rest.split_whitespace().next()?.parse().ok()?;
            has_total = true;
        } else if let Some(rest) = line.strip_prefix("cfn=") {
            callee = name(rest, &mut names);
        } else if let Some(rest) = line.strip_prefix("fn=") {
            name(rest, &mut names);
        } else if let Some(rest) = line.strip_prefix("calls=")
            && ALLOCATORS.contains(&callee)
        {
            cost.allocations += rest.split_whitespace().next()?.parse::<u64>().ok()?;
        }
    }
    has_total.then_some(cost)
}

/// `(12) malloc` introduces a name, `(12)` refers to it, and small files have plain names.
fn name<'f>(text: &'f str, names: &mut HashMap<&'f str, &'f str>) -> &'f str {
    let Some((id, rest)) = text.strip_prefix('(').and_then(|text| text.split_once(')')) else {
        return text;
    };
    let given = rest.trim_start();
    if !given.is_empty() {
        // Some versions mark recursion and symbol versions behind the name.
        let given = given.split(['\'', '@']).next().unwrap_or(given);
        names.insert(id, given);
    }
    names.get(id).copied().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_and_allocations_are_read_off_the_call_graph() {
        let file = "version: 1\nevents: Ir\n\nfn=(1) main\n16 400\ncfn=(2) malloc\ncalls=50 32\n\
                    16 400\ncfn=(3) compute\ncalls=7 1\n4 4\n\nfn=(3)\ncfn=(2)\ncalls=5 1\n1 1\n\
                    cfn=(4) realloc@@GLIBC_2.2.5\ncalls=2 0\n1 1\nfn=(2)\n1 9\n\ntotals: 1234\n";
        let cost = read(file).expect("a total");
        assert_eq!(cost, Cost { instructions: 1234, allocations: 57 });
        assert_eq!(read("events: Ir\nfn=(1) main\n"), None);
        assert_eq!(read("totals: many\n"), None);
    }
}
