//! What the system gives: cores, memory, open files, room.
//!
//! The amounts that are called enough are those of the default run at parallelism 2000; smaller
//! ones run, with smaller scenarios.

use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::{Finding, Problem, State};

/// Files that a real Kafka holds open for 2000 partitions, and some.
const OPEN_FILES: u64 = 10_000;
/// Memory for the default run.
const MEMORY_BYTES: u64 = 2 << 30;
/// Room for the default run's folder and the broker's log.
const DISK_BYTES: u64 = 2 << 30;

/// Every limit.
pub(super) fn all() -> Vec<Finding> {
    let runs = Path::new(".");
    vec![
        cores(),
        memory(),
        open_files(getrlimit(Resource::RLIMIT_NOFILE).ok()),
        room("temporary", &std::env::temp_dir(), "set TMPDIR to a folder with room"),
        room("runs", runs, "make room here, or keep runs elsewhere with --out DIR"),
    ]
}

/// A finding that is poor when there is a problem: less than enough is not nothing.
fn limit(name: &'static str, fact: String, problem: Option<(String, &str)>) -> Finding {
    let problems = problem.map(|(what, remedy)| Problem { what, remedy: remedy.to_owned() });
    let state = if problems.is_some() { State::Poor } else { State::Ready };
    Finding { name, state, facts: vec![fact], problems: problems.into_iter().collect() }
}

fn cores() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let few = (cores < 2).then(|| {
        let what = "engine, load and broker share one core".to_owned();
        (what, "give it two cores, or a lower rate: --records 200000 --duration 20")
    });
    limit("cores", cores.to_string(), few)
}

fn memory() -> Finding {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let free = kib("MemAvailable:") * 1024;
    // A container may have less than its host.
    let ceiling = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    let usable = ceiling.map_or(free, |ceiling| ceiling.min(free));
    let few = (usable < MEMORY_BYTES).then(|| {
        let what = format!("the default run wants {}", gib(MEMORY_BYTES));
        (what, "end other programs, or run smaller: --parallelism 200 --records 100000")
    });
    limit("memory", format!("{} available", gib(usable)), few)
}

fn open_files(given: Option<(u64, u64)>) -> Finding {
    let Some((soft, hard)) = given else {
        return limit("open files", "unknown".to_owned(), None);
    };
    let number = |n: u64| if n >= 1 << 40 { "unlimited".to_owned() } else { n.to_string() };
    let few = (soft < OPEN_FILES).then(|| {
        let what = format!("--env local and containers hold {OPEN_FILES} for 2000 partitions");
        let remedy = match hard >= OPEN_FILES {
            true => "ulimit -n 10000",
            false => "raise the hard limit first (/etc/security/limits.conf, LimitNOFILE=)",
        };
        (what, remedy)
    });
    limit("open files", format!("{} (hard limit {})", number(soft), number(hard)), few)
}

fn room(name: &'static str, folder: &Path, remedy: &str) -> Finding {
    let shown = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let Ok(system) = statvfs(folder) else {
        let what = format!("{} cannot be looked at", shown.display());
        return limit(name, shown.display().to_string(), Some((what, remedy)));
    };
    let free = system.blocks_available() * system.fragment_size();
    let few = (free < DISK_BYTES).then(|| (format!("a run may want {}", gib(DISK_BYTES)), remedy));
    limit(name, format!("{} free in {}", gib(free), shown.display()), few)
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_open_files_have_the_remedy_that_this_user_can_use() {
        let soft = open_files(Some((1024, 1 << 20)));
        assert_eq!(
            (soft.state, soft.problems[0].remedy.as_str()),
            (State::Poor, "ulimit -n 10000")
        );
        assert!(open_files(Some((1024, 4096))).problems[0].remedy.contains("hard limit"));
        assert_eq!(open_files(Some((1 << 20, u64::MAX))).state, State::Ready);
    }

    #[test]
    fn every_limit_says_a_number_and_every_problem_a_remedy() {
        for found in all() {
            assert!(found.facts[0].contains(|c: char| c.is_ascii_digit()), "{found:?}");
            assert!(found.problems.iter().all(|problem| !problem.remedy.is_empty()), "{found:?}");
        }
        assert_eq!(room("x", Path::new("/nonexistent"), "y").state, State::Poor);
    }
}
