//! How Cargo calls a bench with a runner of its own: `cargo bench` passes `--bench`, `cargo test`
//! does not, and what follows `--` is a filter by name.

/// What is asked of this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Whether to measure; otherwise everything runs once and small.
    pub is_bench: bool,
    filters: Vec<String>,
}

impl Invocation {
    /// What this process was called with.
    pub fn current() -> Self {
        Self::from_arguments(std::env::args().skip(1))
    }

    fn from_arguments(arguments: impl Iterator<Item = String>) -> Self {
        let arguments: Vec<_> = arguments.collect();
        let is_bench = arguments.iter().any(|a| a == "--bench")
            && !arguments.iter().any(|a| a == "--test" || a == "--list");
        let filters = arguments.into_iter().filter(|a| !a.starts_with('-')).collect();
        Self { is_bench, filters }
    }

    /// Whether `name` is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Invocation {
        Invocation::from_arguments(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn measures_when_cargo_bench_calls() {
        assert!(of("--bench").is_bench);
        assert!(!of("").is_bench);
        assert!(!of("--bench --test").is_bench);
    }

    #[test]
    fn filters_by_part_of_the_name() {
        assert!(of("--bench").wants("peers/timely"));
        assert!(of("--bench timely").wants("peers/timely"));
        assert!(!of("--bench codec").wants("peers/timely"));
    }
}
