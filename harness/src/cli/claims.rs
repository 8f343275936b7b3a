//! `stormproof claims`: the article's claims, each tried by an experiment.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use stormproof_reports::claims::{Claims, FORMAT, html, markdown, svg, terminal};

use super::args::OutputArgs;
use crate::claims::{self, Context, TABLE};
use crate::environment::own_facts;
use crate::error::{Result, evidence, folder};
use crate::output::Console;
use crate::proof::parallel_cores;

const EXAMPLES: &str = "\
Examples:
  stormproof claims                            all 18, in under five minutes on two cores
  stormproof claims 7 first-barrier            these two, by number or id
  stormproof claims --list                     what is claimed
  stormproof claims --out claims --json        claims.json, claims.html, a picture of each
  stormproof claims --env local                claims about Kafka on real Kafka, too
  stormproof claims --render claims.json --out docs    the page of an outcome that was kept

Exit codes: 0 every outcome is what is known to be true, 1 one contradicts it, 2 one is unknown.";

/// What `claims` is asked to do.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ClaimsArgs {
    /// Numbers or ids [default: all].
    #[arg(value_name = "CLAIM")]
    which: Vec<String>,
    /// Only tell what is claimed.
    #[arg(long)]
    list: bool,
    /// Write claims.json, claims.html and the pictures into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run nothing: write claims.md and the pictures of an outcome that was kept.
    #[arg(long, value_name = "claims.json", conflicts_with_all = ["list", "which"], requires = "out")]
    render: Option<PathBuf>,
    /// `local` tries claims about Kafka on real Kafka, too.
    #[arg(long, value_name = "WHERE", value_parser = ["embedded", "local"], default_value = "embedded")]
    env: String,
    /// Kafka's distribution folder (--env local) [default: KAFKA_HOME].
    #[arg(long, value_name = "DIR")]
    kafka_home: Option<PathBuf>,
    /// Subtasks of every vertex where a claim is about many.
    #[arg(long, value_name = "SUBTASKS", default_value_t = 2000, value_parser = clap::value_parser!(u16).range(8..=4000))]
    parallelism: u16,
    /// Schedules of each comparison in the simulation.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..))]
    schedules: u64,
    /// So many times less of everything that takes real time.
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    smaller: u64,
    /// Drives what is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    output: OutputArgs,
}

impl ClaimsArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }

    fn context(&self) -> Result<Context> {
        let given = self.kafka_home.clone();
        let kafka_home = given.or_else(|| std::env::var_os("KAFKA_HOME").map(PathBuf::from));
        let is_local = self.env == "local";
        if is_local && kafka_home.is_none() {
            return Err(crate::error::environment("real Kafka needs its distribution folder")
                .at("--env local")
                .remedy("give --kafka-home or set KAFKA_HOME"));
        }
        Ok(Context {
            seed: self.seed,
            parallelism: self.parallelism,
            schedules: self.schedules,
            smaller: self.smaller,
            jobs: parallel_cores(),
            kafka_home: kafka_home.filter(|_| is_local),
        })
    }
}

/// Tries the claims; returns the exit code.
pub(super) fn claims(args: &ClaimsArgs) -> Result<u8> {
    let console = args.console();
    if args.list {
        for entry in TABLE {
            console.result(&format!("{:>2} {:<16} {}", entry.number, entry.id, entry.text));
        }
        return Ok(0);
    }
    if let (Some(file), Some(out)) = (&args.render, &args.out) {
        return render(console, file, out);
    }
    let chosen = claims::chosen(&args.which)?;
    let context = args.context()?;
    let started = Instant::now();
    let mut done = Claims {
        format: FORMAT,
        command: command(),
        environment: own_facts(),
        claims: Vec::new(),
        seconds: 0.0,
    };
    for entry in chosen {
        console.remark(&format!("claim {} ({}) ...", entry.number, entry.id));
        let claim = claims::run(entry, &context);
        if !console.json {
            console.result(&terminal::claim(&claim));
        }
        done.claims.push(claim);
    }
    done.seconds = started.elapsed().as_secs_f64();
    if console.json {
        console.result(&serde_json::to_string_pretty(&done).expect("claims are plain data"));
    } else {
        console.result(&terminal::summary(&done));
    }
    if let Some(out) = &args.out {
        write(&done, out)?;
        console.remark(&format!("written to {}", out.display()));
    }
    Ok(done.exit_code())
}

/// What was typed, without the program's place.
fn command() -> String {
    let arguments = std::env::args().skip(1);
    std::iter::once("stormproof".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn written(file: &Path, content: &str) -> Result<()> {
    let write = || {
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, content)
    };
    write().map_err(|error: std::io::Error| {
        folder(format!("cannot write: {error}"))
            .at(file.display().to_string())
            .remedy("choose another folder with --out, or make room")
    })
}

fn write(claims: &Claims, out: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(claims).expect("claims are plain data");
    written(&out.join("claims.json"), &(json + "\n"))?;
    written(&out.join("claims.html"), &html::render(claims))?;
    pictures(claims, out)
}

fn pictures(claims: &Claims, out: &Path) -> Result<()> {
    for claim in &claims.claims {
        if let Some(figure) = claim.shown().and_then(|shown| shown.figure.as_ref()) {
            written(&out.join(markdown::picture(claim)), &svg::draw(figure))?;
        }
    }
    Ok(())
}

/// The page and the pictures of claims that were kept.
fn render(console: Console, file: &Path, out: &Path) -> Result<u8> {
    let claims = Claims::load(file).map_err(|error| {
        evidence(format!("cannot be read: {error}"))
            .at(file.display().to_string())
            .remedy("give a claims.json that `stormproof claims --out DIR` has written")
    })?;
    written(&out.join("claims.md"), &markdown::page(&claims))?;
    pictures(&claims, out)?;
    console.remark(&format!("written to {}", out.display()));
    Ok(claims.exit_code())
}
