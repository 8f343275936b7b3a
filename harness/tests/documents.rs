//! Every command in the documents: those that can run here do, in small; the others are counted
//! and listed by what they need.
//!
//! A block of commands is fenced as `sh`, or `console` with a prompt before each command; `needs=WHAT`
//! behind that marks what cannot run here. Commands of
//! one document run in one folder, in order. Blocks without a language hold no commands.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The options that make a command small, by subcommand: those that are given are replaced.
const SMALL: &[(&str, &[(&str, &str)])] = &[
    ("run", &[("--parallelism", "40"), ("--records", "24000"), ("--duration", "3")]),
    ("sim", &[("--seeds", "30")]),
    ("mutants", &[("--seeds", "60"), ("--rounds", "1"), ("--mutant", "16")]),
    ("matrix", &[("--every", "60"), ("--repeats", "1")]),
    ("soak", &[("--time-limit", "2")]),
    ("broker", &[("--port", "0")]),
    ("claims", &[("--parallelism", "60"), ("--schedules", "40"), ("--smaller", "20")]),
];
/// Whole runs of a document at most.
const RUNS: usize = 2;
/// Subcommands that serve until they are ended.
const SERVERS: &[&str] = &["broker"];

struct Block {
    document: String,
    line: usize,
    needs: Option<String>,
    commands: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README.md, and every page under docs.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of documents") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The commands of a block: a line each, continued by a backslash, without comments.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let plain = joined.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
    let commands = plain.filter(|line| !line.is_empty() && !line.starts_with('#'));
    commands.map(str::to_owned).collect()
}

/// What is typed of a block: on a console, what stands behind a prompt.
fn typed(language: &str, content: &str) -> String {
    let lines = content.lines().filter_map(|line| match language {
        "console" => line.strip_prefix("$ "),
        _ => Some(line),
    });
    lines.map(|line| format!("{line}\n")).collect()
}

fn blocks(file: &Path) -> Vec<Block> {
    let text = fs::read_to_string(file).expect("a document");
    let document = file.strip_prefix(root()).unwrap_or(file).display().to_string();
    let (mut found, mut open): (Vec<Block>, Option<(usize, String, String)>) = (Vec::new(), None);
    for (at, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((at + 1, info.trim().to_owned(), String::new())),
            (Some((begun, info, content)), Some(_)) => {
                let mut words = info.split_whitespace();
                let language = words.next().unwrap_or_default();
                if matches!(language, "sh" | "console") {
                    let needs = words.find_map(|word| word.strip_prefix("needs="));
                    found.push(Block {
                        document: document.clone(),
                        line: *begun,
                        needs: needs.map(str::to_owned),
                        commands: commands(&typed(language, content)),
                    });
                }
                open = None;
            }
            (Some((_, _, content)), None) => content.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{document}: a block has no end");
    found
}

/// The program's arguments, if the command is one of this program.
fn arguments(command: &str) -> Option<(Vec<String>, Option<String>)> {
    let (command, to) = match command.split_once(" > ") {
        Some((command, file)) => (command, Some(file.trim().to_owned())),
        None => (command, None),
    };
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    let own = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["stormproof", ..] => 1,
        ["cargo", "run", "--release", "--features", "mutants", "--", ..] => 6,
        ["cargo", "run", "--release", "--", ..] => 4,
        ["cargo", "run", "--release"] => 3,
        _ => return None,
    };
    Some((words[own..].to_vec(), to))
}

/// The same in small.
fn small(mut arguments: Vec<String>, folder: &Path) -> Vec<String> {
    let is_plain = |argument: &String| !argument.starts_with('-');
    if arguments.is_empty() {
        arguments.push("run".to_owned());
    }
    let subcommand = arguments.first().filter(|first| is_plain(first)).cloned();
    let asks = ["--help", "--print-scenario", "--list", "--seed", "--render"];
    let is_question = arguments.iter().any(|argument| asks.contains(&argument.as_str()));
    let is_run = subcommand.as_deref() == Some("run");
    if !is_question || (is_run && arguments.iter().any(|argument| argument == "--seed")) {
        let options = SMALL.iter().find(|(name, _)| Some(*name) == subcommand.as_deref());
        for (option, value) in options.map_or(&[][..], |(_, options)| options) {
            match arguments.iter().position(|argument| argument == option) {
                Some(at) => (*value).clone_into(&mut arguments[at + 1]),
                None => arguments.extend([(*option).to_owned(), (*value).to_owned()]),
            }
        }
    }
    for argument in &mut arguments {
        if argument == "FOLDER" {
            *argument = newest_run(folder);
        }
    }
    arguments
}

/// What `FOLDER` stands for: the run before.
fn newest_run(folder: &Path) -> String {
    let runs = fs::read_dir(folder.join("stormproof-runs")).into_iter().flatten().flatten();
    let newest = runs.filter(|entry| entry.path().join("result.json").is_file());
    let newest = newest.max_by_key(fs::DirEntry::file_name).expect("there was a run before");
    newest.path().display().to_string()
}

/// Runs a command; the exit code must be one that the program documents, and no error is told.
fn run(place: &str, arguments: &[String], to: Option<&str>, folder: &Path) {
    let text: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let begun = Instant::now();
    if SERVERS.contains(&text[0]) {
        let mut command = common::command(&text, folder);
        let mut child =
            command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(700));
        let ended = child.try_wait().expect("it can be asked");
        let _ = child.kill();
        let _ = child.wait();
        assert!(ended.is_none(), "{place}: {text:?} ended by itself: {ended:?}");
        return;
    }
    let output = common::stormproof(&text, folder);
    let said = common::said(&output);
    let took = begun.elapsed();
    assert!(output.status.code().is_some_and(|code| code <= 2), "{place}: {text:?}: {said}");
    let refused = said.lines().any(|line| line.starts_with("error: "))
        || said.contains("Usage:") && !text.contains(&"--help");
    assert!(!refused, "{place}: {text:?} was refused:\n{said}");
    eprintln!("{place}: {} -> {:?} in {took:.1?}", text.join(" "), output.status.code());
    if let Some(file) = to {
        fs::write(folder.join(file), output.stdout).expect("a file of the document");
    }
}

#[test]
fn every_command_that_can_run_here_does() {
    let (mut ran, mut needed) = (0, BTreeMap::<String, Vec<String>>::new());
    for file in documents() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut runs = 0;
        for block in blocks(&file) {
            let place = format!("{}:{}", block.document, block.line);
            for command in &block.commands {
                let has_mutants = cfg!(feature = "mutants");
                let is_met = match block.needs.as_deref() {
                    None => true,
                    Some(needs) => needs == "mutants" && has_mutants,
                };
                let Some((arguments, to)) = arguments(command).filter(|_| is_met) else {
                    let why = block.needs.clone().unwrap_or_else(|| {
                        panic!("{place}: {command:?} is not this program's: say what it needs")
                    });
                    needed.entry(why).or_default().push(format!("{place}: {command}"));
                    continue;
                };
                let mut arguments = small(arguments, folder.path());
                if arguments[0] == "run" {
                    runs += 1;
                    // A run takes its time: of further ones in a document only what is asked for
                    // is understood.
                    if runs > RUNS
                        && !arguments.iter().any(|argument| argument == "--print-scenario")
                    {
                        arguments.push("--print-scenario".to_owned());
                    }
                }
                run(&place, &arguments, to.as_deref(), folder.path());
                ran += 1;
            }
        }
    }
    eprintln!("{ran} commands ran; not run here:");
    for (why, commands) in &needed {
        eprintln!("  needs {why}: {}", commands.len());
        commands.iter().for_each(|command| eprintln!("    {command}"));
    }
    assert!(ran >= 20, "only {ran} commands were found to run");
}

#[test]
fn commands_that_cannot_run_here_are_at_least_understood() {
    let mut asked = 0;
    for block in documents().iter().flat_map(|file| blocks(file)) {
        for command in &block.commands {
            let Some((arguments, _)) = arguments(command) else { continue };
            let Some(subcommand) = arguments.first().filter(|first| !first.starts_with('-')) else {
                continue;
            };
            let help = Command::new(env!("CARGO_BIN_EXE_stormproof"))
                .args([subcommand.as_str(), "--help"])
                .output()
                .expect("the binary runs");
            let place = format!("{}:{}: {command}", block.document, block.line);
            assert!(help.status.success(), "{place}: there is no {subcommand}");
            let known = String::from_utf8_lossy(&help.stdout).into_owned();
            for option in arguments.iter().filter(|argument| argument.starts_with("--")) {
                let name = option.split('=').next().unwrap_or_default();
                assert!(known.contains(name), "{place}: there is no {name}");
                asked += 1;
            }
        }
    }
    assert!(asked >= 20, "only {asked} options were found");
}

#[test]
fn links_between_documents_lead_somewhere() {
    for file in documents() {
        let text = fs::read_to_string(&file).expect("a document");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = file.parent().expect("a folder").join(target);
            assert!(path.exists(), "{}: {link} leads nowhere", file.display());
        }
    }
}

#[test]
fn the_scenario_reference_is_what_the_types_make() {
    let committed = fs::read_to_string(root().join("docs/guide/scenario.md")).expect("the page");
    let made = stormproof_harness::scenario::reference();
    assert!(
        committed.trim_end() == made.trim_end(),
        "docs/guide/scenario.md is stale: run `stormproof scenario --reference > \
         docs/guide/scenario.md`"
    );
}

#[test]
fn the_guide_has_at_most_six_pages() {
    let pages =
        documents().into_iter().filter(|file| file.to_string_lossy().contains("docs/guide/"));
    assert!((1..=6).contains(&pages.count()));
}
