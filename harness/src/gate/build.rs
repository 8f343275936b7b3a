//! Which build a count belongs to: compiler, target, features, and what the host runs it with.
//!
//! Invariant: counts are compared only between equal builds; anything else is no verdict.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::callgrind;

/// A build, and the host's part in its counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// As `rustc --version` says.
    pub compiler: String,
    /// The target triple.
    pub target: String,
    /// Optimisation level and cargo features that change code.
    pub profile: String,
    /// The C library, whose copies and searches are counted, too.
    pub libc: String,
    /// Valgrind; empty = there is none.
    pub valgrind: String,
    /// Vector instructions that run-time detection finds.
    pub cpu: String,
}

impl Build {
    /// This very binary, on this host.
    pub fn current() -> Self {
        let mut profile = format!("opt-level {}", env!("STORMPROOF_OPT_LEVEL"));
        for (is_on, name) in
            [(cfg!(feature = "mutants"), "mutants"), (cfg!(debug_assertions), "debug assertions")]
        {
            if is_on {
                profile.push_str(&format!(", {name}"));
            }
        }
        Self {
            compiler: env!("STORMPROOF_COMPILER").to_owned(),
            target: env!("STORMPROOF_TARGET").to_owned(),
            profile,
            libc: libc(),
            valgrind: callgrind::version().unwrap_or_default(),
            cpu: cpu(),
        }
    }

    /// In what it differs from `other`: `compiler: 1.90 -> 1.95`, one for each field.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let fields = [
            ("compiler", &self.compiler, &other.compiler),
            ("target", &self.target, &other.target),
            ("profile", &self.profile, &other.profile),
            ("C library", &self.libc, &other.libc),
            ("valgrind", &self.valgrind, &other.valgrind),
            ("processor", &self.cpu, &other.cpu),
        ];
        let differs = fields.into_iter().filter(|(_, ours, theirs)| ours != theirs);
        let named = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        differs
            .map(|(name, ours, theirs)| format!("{name}: {} -> {}", named(ours), named(theirs)))
            .collect()
    }
}

/// The C library by the name of its loader's file.
fn libc() -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let file = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| {
        let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or("");
        name.starts_with("libc.so") || name.starts_with("libc-2") || name.starts_with("ld-musl")
    });
    let Some(file) = file else { return "static".to_owned() };
    // glibc says its version in itself.
    let bytes = std::fs::read(file).unwrap_or_default();
    const SAYS: &[u8] = b"GNU C Library ";
    let at = bytes.windows(SAYS.len()).position(|window| window == SAYS);
    let text = at.map(|at| &bytes[at..bytes.len().min(at + 120)]).unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    match text.split_once(['\n', '\0']) {
        Some((line, _)) => line.trim_end_matches('.').to_owned(),
        None => file.to_owned(),
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu() -> String {
    let found = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
        ("avx2", is_x86_feature_detected!("avx2")),
    ];
    let names: Vec<_> = found.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    names.join(" ")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu() -> String {
    std::env::consts::ARCH.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_build_knows_itself_and_what_differs() {
        let build = Build::current();
        assert!(build.compiler.starts_with("rustc "), "{build:?}");
        assert!(!build.target.is_empty() && !build.libc.is_empty(), "{build:?}");
        assert_eq!(build.differences(&build), Vec::<String>::new());
        let other = Build { compiler: "rustc 1.0.0".to_owned(), ..build.clone() };
        let differences = other.differences(&build);
        assert_eq!(differences.len(), 1);
        assert!(differences[0].starts_with("compiler: rustc 1.0.0 -> rustc "), "{differences:?}");
    }
}
