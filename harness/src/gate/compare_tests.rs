//! The hard gate's answers.

use super::super::build::Build;
use super::super::measure::Figures;
use super::*;

fn outcomes(letters: &str) -> Outcomes {
    Outcomes {
        first_seed: 10,
        letters: letters.to_owned(),
        digest: format!("of {letters}"),
        unstable: Vec::new(),
    }
}

fn answers(found: &[Finding]) -> Vec<(&str, Answer)> {
    found.iter().map(|f| (f.figure.as_str(), f.answer)).collect()
}

fn of<'f>(found: &'f [Finding], figure: &str) -> &'f Finding {
    found.iter().find(|f| f.figure == figure).expect("the figure was looked at")
}

#[test]
fn without_a_base_what_is_wrong_by_itself_is_still_a_regression() {
    let head = |letters| Baseline { schedules: Some(outcomes(letters)), ..baseline(&[]) };
    let found = alone(&head("pv"), "b.json");
    assert_eq!(found.iter().map(|f| f.answer).max(), Some(Answer::NoVerdict));
    assert!(of(&found, "baseline").remedy.contains("--update"));
    let found = alone(&head("pX"), "b.json");
    assert_eq!(of(&found, "schedules.violated").answer, Answer::Regression);
}

#[test]
fn the_same_schedules_pass() {
    let found = schedules(&outcomes("ppvp"), &outcomes("ppvp"), &Schedules::default());
    assert!(found.iter().all(|f| f.answer == Answer::Pass), "{:?}", answers(&found));
}

#[test]
fn one_violated_seed_is_a_regression_also_when_base_had_it() {
    let found = schedules(&outcomes("pXvp"), &outcomes("pXvp"), &Schedules::default());
    let violated = of(&found, "schedules.violated");
    assert_eq!(violated.answer, Answer::Regression);
    assert!(violated.because.contains("seed 11"), "{}", violated.because);
    assert!(!violated.remedy.is_empty());
}

#[test]
fn fewer_proofs_than_allowed_are_a_regression_with_their_seeds() {
    let limits = Schedules { fewer_proven: 1, ..Schedules::default() };
    let found = schedules(&outcomes("pppp"), &outcomes("ppvp"), &limits);
    assert_eq!(of(&found, "schedules.proven").answer, Answer::Pass);
    let found = schedules(&outcomes("pppp"), &outcomes("pvup"), &limits);
    let proven = of(&found, "schedules.proven");
    assert_eq!(proven.answer, Answer::Regression);
    assert!(proven.because.contains("11, 12"), "{}", proven.because);
}

#[test]
fn another_course_is_told_or_fails_as_the_thresholds_say() {
    let mut head = outcomes("pp");
    head.digest = "other".to_owned();
    for (on_change, expected) in
        [(OnChange::Report, Answer::Pass), (OnChange::Fail, Answer::Regression)]
    {
        let limits = Schedules { changed_course: on_change, ..Schedules::default() };
        let found = schedules(&outcomes("pp"), &head, &limits);
        assert_eq!(of(&found, "schedules.course").answer, expected);
    }
}

#[test]
fn seeds_that_differ_from_themselves_are_a_regression_and_other_seeds_have_no_verdict() {
    let mut head = outcomes("ppp");
    head.unstable = vec![12];
    let found = schedules(&outcomes("pp"), &head, &Schedules::default());
    assert_eq!(of(&found, "schedules.determinism").answer, Answer::Regression);
    assert_eq!(of(&found, "schedules.proven").answer, Answer::NoVerdict);
}

fn baseline(figures: &[(&str, f64)]) -> Baseline {
    let counts: Figures = figures.iter().map(|(name, v)| ((*name).to_owned(), *v)).collect();
    let build = Build { compiler: "rustc 1".to_owned(), ..Build::default() };
    Baseline { format: 1, build, counts, schedules: None }
}

const INSTRUCTIONS: &str = "exchange.instructions_per_record";
const ALLOCATIONS: &str = "exchange.allocations_per_record";
const BYTES: &str = "frames.bytes_per_record";

#[test]
fn counts_fail_beyond_their_tolerance_only() {
    let base = baseline(&[(INSTRUCTIONS, 300.0), (ALLOCATIONS, 0.0), (BYTES, 150.0)]);
    let limits = Counts { instructions_percent: 2.0, ..Counts::default() };
    for (figure, value, expected) in [
        (INSTRUCTIONS, 305.9, Answer::Pass),
        (INSTRUCTIONS, 306.1, Answer::Regression),
        (INSTRUCTIONS, 200.0, Answer::Pass),
        (ALLOCATIONS, 0.0009, Answer::Pass),
        (ALLOCATIONS, 0.0011, Answer::Regression),
        (BYTES, 150.0, Answer::Pass),
        (BYTES, 151.0, Answer::Regression),
    ] {
        let mut head = base.clone();
        head.counts.insert(figure.to_owned(), value);
        let found = counts(&base, &head, &limits);
        assert_eq!(of(&found, figure).answer, expected, "{figure} {value}");
        let others = found.iter().filter(|f| f.figure != figure);
        assert!(others.into_iter().all(|f| f.answer == Answer::Pass));
    }
}

#[test]
fn another_compiler_is_no_verdict_but_bytes_are_bytes() {
    let base = baseline(&[(INSTRUCTIONS, 300.0), (BYTES, 150.0)]);
    let mut head = baseline(&[(INSTRUCTIONS, 900.0), (BYTES, 300.0)]);
    head.build.compiler = "rustc 2".to_owned();
    let found = counts(&base, &head, &Counts::default());
    let instructions = of(&found, INSTRUCTIONS);
    assert_eq!(instructions.answer, Answer::NoVerdict);
    assert!(instructions.because.contains("rustc 1 -> rustc 2"), "{}", instructions.because);
    assert_eq!(of(&found, BYTES).answer, Answer::Regression);
}

#[test]
fn a_figure_that_only_one_side_has_is_no_verdict() {
    let found = counts(&baseline(&[(BYTES, 1.0)]), &baseline(&[]), &Counts::default());
    assert_eq!(answers(&found), [(BYTES, Answer::NoVerdict)]);
    let found = counts(&baseline(&[]), &baseline(&[(BYTES, 1.0)]), &Counts::default());
    assert_eq!(answers(&found), [(BYTES, Answer::NoVerdict)]);
    let found = counts(&baseline(&[]), &baseline(&[]), &Counts::default());
    assert_eq!(answers(&found), [("counts", Answer::NoVerdict)]);
    assert!(found[0].remedy.contains("valgrind"));
}
