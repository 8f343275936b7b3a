//! Renders two synthetic results, one proven and one violated, so that reports can be looked at:
//! `cargo run --release -p stormproof-reports --example sample -- FOLDER [RESULT.json...]`; results
//! that are given are rendered beside them.
//!
//! The figures are made up, and the results say so.

mod storm;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use stormproof_reports::compare::{self, Side};
use stormproof_reports::schema::RunResult;
use stormproof_reports::{html, junit, markdown, prometheus, tables, terminal, trend};

fn main() -> Result<(), Box<dyn Error>> {
    let mut given = std::env::args().skip(1).map(PathBuf::from);
    let folder = given.next().ok_or("give the folder to render to")?;
    fs::create_dir_all(&folder)?;
    for (name, result) in [("proven", storm::proven()), ("violated", storm::violated())] {
        render(&folder, name, &result)?;
    }
    for file in given {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        fs::write(folder.join(name + ".html"), html::render(&RunResult::load(&file)?))?;
    }
    several(&folder)
}

/// Two side by side, and a month of them.
fn several(folder: &Path) -> Result<(), Box<dyn Error>> {
    let [a, b] = [storm::proven(), storm::violated()]
        .map(|result| Side { name: result.scenario.clone(), results: vec![result] });
    fs::write(folder.join("compare.html"), html::comparison(&a, &b))?;
    fs::write(folder.join("compare.md"), compare::markdown(&a, &b))?;
    let month: Vec<RunResult> = (1..=28_u32)
        .map(|day| {
            let mut result = if day == 20 { storm::violated() } else { storm::proven() };
            result.scenario = "storm-2000".into();
            result.started_at = format!("2026-03-{day:02}T09:26:53Z");
            result.records_per_s *= 1.0 + f64::from(day * 37 % 11) / 100.0;
            result
        })
        .collect();
    fs::write(folder.join("trend.html"), html::trend(&month))?;
    fs::write(folder.join("trend.md"), trend::markdown(&month))?;
    Ok(())
}

fn render(folder: &Path, name: &str, result: &RunResult) -> Result<(), Box<dyn Error>> {
    let at = |extension: &str| folder.join(format!("{name}.{extension}"));
    result.save(&at("json"))?;
    fs::write(at("html"), html::render(result))?;
    fs::write(at("md"), markdown::render(result))?;
    fs::write(at("xml"), junit::render(std::slice::from_ref(result)))?;
    fs::write(at("csv"), tables::render(std::slice::from_ref(result)))?;
    fs::write(at("prom"), prometheus::render(std::slice::from_ref(result)))?;
    fs::write(at("txt"), terminal::render(result, terminal::Colour::Plain))?;
    fs::write(at("ansi"), terminal::render(result, terminal::Colour::Ansi))?;
    Ok(())
}
