//! Results found at paths, formats chosen by names, mistakes that are named.

use super::*;
use crate::proof::matrix::Campaign;
use crate::run::Interrupt;

fn saved(folder: &Path, name: &str, rate: f64) -> PathBuf {
    let at = folder.join(name);
    std::fs::create_dir_all(&at).unwrap();
    let file = at.join(RESULT);
    RunResult { scenario: name.to_owned(), records_per_s: rate, ..RunResult::default() }
        .save(&file)
        .unwrap();
    file
}

fn args(results: &[&Path], out: Option<PathBuf>) -> ReportArgs {
    ReportArgs {
        results: results.iter().map(|path| (*path).to_owned()).collect(),
        compare: None,
        format: None,
        out,
        matrix: None,
        output: OutputArgs { quiet: true, ..OutputArgs::default() },
    }
}

#[test]
fn a_file_a_run_and_a_folder_of_runs_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let one = saved(folder.path(), "one", 1.0);
    saved(folder.path(), "two", 2.0);
    std::fs::write(folder.path().join("other.json"), "{}").unwrap();
    for path in [one.as_path(), one.parent().unwrap()] {
        assert_eq!(load(path).unwrap().len(), 1, "{}", path.display());
    }
    let names: Vec<String> =
        load(folder.path()).unwrap().into_iter().map(|(_, result)| result.scenario).collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn the_name_of_the_file_chooses_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let one = saved(folder.path(), "one", 1.0);
    for (name, expected) in [
        ("r.html", "<!DOCTYPE html>"),
        ("r.md", "### "),
        ("r.xml", "<?xml"),
        ("r.csv", "scenario,"),
        ("r.prom", "# HELP stormproof_"),
    ] {
        let out = folder.path().join(name);
        assert_eq!(report(&args(&[&one], Some(out.clone()))).unwrap(), 0);
        let text = std::fs::read_to_string(&out).unwrap();
        assert!(text.starts_with(expected), "{name}: {}", &text[..text.len().min(80)]);
    }
    report(&args(&[&one], None)).unwrap();
    assert!(one.with_file_name("report.html").is_file(), "beside the result");
}

#[test]
fn two_sides_are_compared_and_only_in_formats_that_can() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (saved(folder.path(), "a", 1.0), saved(folder.path(), "b", 2.0));
    let out = folder.path().join("c.md");
    let mut args = args(&[], Some(out.clone()));
    args.compare = Some(vec![a, b]);
    report(&args).unwrap();
    assert!(std::fs::read_to_string(&out).unwrap().contains("not judged"));
    args.format = Some(Format::Junit);
    let error = report(&args).unwrap_err();
    assert_eq!(error.place.as_deref(), Some("--format"));
}

#[test]
fn what_is_no_result_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path()).unwrap_err();
    assert!(error.what.contains("no result") && error.remedy.is_some());
    let file = folder.path().join("x.json");
    std::fs::write(&file, "{}").unwrap();
    assert!(load(&file).unwrap_err().what.contains("is not a Stormproof result"));
    assert!(load(Path::new("/nowhere/at/all")).is_err());
    assert!(read_matrix(&file).unwrap_err().what.contains("no kill matrix"));
}

#[test]
fn a_matrix_goes_into_the_report_of_one_result() {
    let folder = tempfile::tempdir().unwrap();
    let one = saved(folder.path(), "one", 1.0);
    let campaign = Campaign { first_seed: 1, jobs: 1, repeats: 1, every: 97 };
    let table = campaign.run(&Interrupt::default(), &|_, _| {});
    let file = folder.path().join("matrix.json");
    std::fs::write(&file, serde_json::to_string(&table).unwrap()).unwrap();
    let read = read_matrix(&file).unwrap();
    let impossible = |c: &&MatrixCell| c.outcome == MatrixOutcome::Impossible;
    let told = read.cells.iter().filter(impossible).count() as u64;
    assert_eq!((read.cells.len(), told), (table.cells.len(), table.of_cells.impossible));
    let out = folder.path().join("r.html");
    let mut args = args(&[&one], Some(out.clone()));
    args.matrix = Some(file);
    report(&args).unwrap();
    assert!(std::fs::read_to_string(&out).unwrap().contains("Kill matrix"));
    args.out = Some(folder.path().join("with-matrix.json"));
    report(&args).unwrap();
    let (_, again) = load(args.out.as_deref().unwrap()).unwrap().remove(0);
    assert_eq!(again.matrix, Some(read_matrix(args.matrix.as_deref().unwrap()).unwrap()));
    args.results.push(one);
    assert_eq!(report(&args).unwrap_err().place.as_deref(), Some("--matrix"));
}
