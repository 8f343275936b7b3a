//! The gate from outside: exit codes, files, and what it says, over programs whose speed is known.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Yard(tempfile::TempDir);

impl Yard {
    fn new() -> Self {
        let yard = Self(tempfile::tempdir().expect("a folder"));
        // Only the last line counts; both programs get the same arguments.
        let thresholds = "[wall]\narguments = ['figures']\npairs = 5\nmax_pairs = 8\n";
        std::fs::write(yard.path("gates.toml"), thresholds).expect("written");
        yard
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A program that prints `cost`, and up to `noise` percent more, by the number of its run.
    fn program(&self, name: &str, cost: u32, noise: u32) -> PathBuf {
        let file = self.path(name);
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = figures ] || exit 9\ncount=\"$0.runs\"\nn=$(cat \"$count\" \
             2>/dev/null || echo 0)\necho $((n + 1)) > \"$count\"\necho starting\necho $(({cost} + \
             {cost} * {noise} * (n * 7 % 5) / 400))\n"
        );
        std::fs::write(&file, script).expect("written");
        let mut permissions = std::fs::metadata(&file).expect("there").permissions();
        permissions.set_mode(0o755);
        std::fs::set_permissions(&file, permissions).expect("it is ours");
        file
    }

    fn gate(&self, base: &Path, head: &Path, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stormproof"));
        command.current_dir(self.0.path()).args([
            "gate",
            "--only",
            "wall",
            "--config",
            "gates.toml",
        ]);
        command.arg("--base").arg(base).arg("--head").arg(head).args(more);
        command.output().expect("it starts")
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_same_passes_a_slower_one_is_a_regression_and_noise_has_no_verdict() {
    let yard = Yard::new();
    let (base, same) = (yard.program("base", 100_000, 1), yard.program("same", 100_000, 1));
    let (slower, noisy) = (yard.program("slower", 107_000, 1), yard.program("noisy", 70_000, 90));
    for (head, code, word) in
        [(&same, 0, "PASS"), (&slower, 1, "REGRESSION"), (&noisy, 2, "NO VERDICT")]
    {
        let output = yard.gate(&base, head, &[]);
        let shown = text(&output);
        assert_eq!(output.status.code(), Some(code), "{shown}{output:?}");
        assert!(shown.starts_with(word), "{shown}");
    }
}

#[test]
fn a_regression_says_which_figure_how_much_how_sure_and_what_to_do_in_every_format() {
    let yard = Yard::new();
    let (base, slower) = (yard.program("base", 100_000, 1), yard.program("slower", 120_000, 1));
    let files = ["--markdown", "g.md", "--junit", "g.xml", "--report", "g.json"];
    let output = yard.gate(&base, &slower, &files);
    let shown = text(&output);
    for part in ["value", "% worse [+", "confirmed: 13 pairs in two rounds", "-> see where"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let read = |name| std::fs::read_to_string(yard.path(name)).expect(name);
    assert!(read("g.md").contains("Gate: regression"));
    assert!(read("g.xml").contains("failures=\"1\""));
    let json: serde_json::Value = serde_json::from_str(&read("g.json")).expect("JSON");
    assert_eq!(json["findings"][0]["answer"], "regression");
    let worse = json["findings"][0]["worse_percent"].as_f64().expect("a number");
    assert!((worse - 20.0).abs() < 2.0, "{worse}");
}

#[test]
fn what_cannot_be_measured_is_an_error_with_place_and_remedy() {
    let yard = Yard::new();
    let base = yard.program("base", 100_000, 1);
    let broken = yard.path("broken");
    std::fs::copy("/bin/false", &broken).expect("copied");
    for head in [broken, yard.path("absent")] {
        let output = yard.gate(&base, &head, &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("where:") && said.contains("remedy:"), "{said}");
    }
    std::fs::write(yard.path("gates.toml"), "[wall]\npears = 5\n").expect("written");
    let output = yard.gate(&base, &base, &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("gates.toml:2:1") && said.contains("`pairs`"), "{said}");
}

#[test]
fn recorded_runs_are_looked_through_for_drift() {
    let yard = Yard::new();
    let (base, head) = (yard.program("base", 100_000, 1), yard.program("head", 100_000, 1));
    let record = ["--record", "history", "--commit", "abc"];
    assert_eq!(yard.gate(&base, &head, &record).status.code(), Some(0));
    let files: Vec<_> = std::fs::read_dir(yard.path("history")).expect("there").collect();
    assert_eq!(files.len(), 1);
    let file = files[0].as_ref().expect("it is listed").path();
    let line = std::fs::read_to_string(&file).expect("it can be read");
    let entry: serde_json::Value = serde_json::from_str(&line).expect("one line");
    assert_eq!(entry["commit"], "abc");
    // The same machine was faster for a while, and then was not.
    let mut lines = String::new();
    for n in 0..24 {
        let mut entry = entry.clone();
        entry["at"] = format!("2020-01-01T00:00:{n:02}Z").into();
        let cost = if n < 14 { 90_000.0 } else { 100_000.0 };
        entry["figures"]["value"] = (cost + f64::from(n % 3) * 10.0).into();
        lines.push_str(&format!("{entry}\n"));
    }
    std::fs::write(file, lines).expect("written");
    std::fs::write(yard.path("gates.toml"), "[drift]\nhistory = 'history'\n").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_stormproof"))
        .current_dir(yard.0.path())
        .args(["gate", "--only", "drift", "--config", "gates.toml"])
        .output()
        .expect("it starts");
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("since abc of 2020-01-01T00:00:14Z"), "{shown}");
}
