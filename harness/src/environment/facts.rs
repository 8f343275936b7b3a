//! Facts about the machine, for the result.

use std::collections::BTreeMap;
use std::fs;

use stormproof_reports::schema::EnvironmentFacts;

use super::Environment;

/// The machine, the software and the versions of `environment`.
pub fn machine_facts(environment: &dyn Environment) -> EnvironmentFacts {
    facts(environment.name(), environment.versions())
}

/// The same of what runs in this process.
pub fn own_facts() -> EnvironmentFacts {
    facts("in process", BTreeMap::new())
}

fn facts(name: &str, mut versions: BTreeMap<String, String>) -> EnvironmentFacts {
    versions.insert("rustc (minimum)".to_owned(), env!("CARGO_PKG_RUST_VERSION").to_owned());
    EnvironmentFacts {
        name: name.to_owned(),
        os: os_name(),
        kernel: read_line("/proc/sys/kernel/osrelease"),
        cpu_model: cpu_model(),
        cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        memory_bytes: memory_bytes(),
        versions,
        git_commit: option_env!("STORMPROOF_GIT_COMMIT").map(str::to_owned),
        stormproof_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn read_line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn os_name() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':')).map(|(_, model)| model.trim());
    model.unwrap_or("unknown").to_owned()
}

fn memory_bytes() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
