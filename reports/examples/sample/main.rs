//! Renders two synthetic results, one proven and one violated, so that reports can be looked at:
//! `cargo run --release -p stormproof-reports --example sample -- FOLDER`.
//!
//! The figures are made up, and the results say so.

mod storm;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use stormproof_reports::schema::RunResult;
use stormproof_reports::{html, markdown, terminal};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("give the folder to render to")?);
    fs::create_dir_all(&folder)?;
    for (name, result) in [("proven", storm::proven()), ("violated", storm::violated())] {
        render(&folder, name, &result)?;
    }
    Ok(())
}

fn render(folder: &std::path::Path, name: &str, result: &RunResult) -> Result<(), Box<dyn Error>> {
    let at = |extension: &str| folder.join(format!("{name}.{extension}"));
    result.save(&at("json"))?;
    fs::write(at("html"), html::render(result))?;
    fs::write(at("md"), markdown::render(result))?;
    fs::write(at("txt"), terminal::render(result, terminal::Colour::Plain))?;
    fs::write(at("ansi"), terminal::render(result, terminal::Colour::Ansi))?;
    Ok(())
}
