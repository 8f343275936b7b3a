use super::*;
use crate::schema::{CheckResult, EnvironmentFacts, Phase};

fn fault(target: &str, action: &str, took_s: Option<f64>) -> FaultSummary {
    FaultSummary {
        id: "f0".to_owned(),
        target: target.to_owned(),
        action: action.to_owned(),
        fired_s: Some(5.0),
        recovered_s: took_s.map(|took| 5.0 + took),
        landed: true,
        ..FaultSummary::default()
    }
}

fn run(environment: &str, mode: &str, faults: Vec<FaultSummary>) -> RunResult {
    let landed = faults.iter().filter(|fault| fault.landed).count() as u64;
    RunResult {
        verdict: Verdict::Proven,
        environment: EnvironmentFacts {
            name: environment.to_owned(),
            ..EnvironmentFacts::default()
        },
        mode: mode.to_owned(),
        records: 10,
        effects: Some(10),
        lost: Some(0),
        duplicates: Some(0),
        duplicates_expected: Some(0),
        duplicates_bound: Some(0),
        checks: vec![CheckResult { verdict: Verdict::Proven, ..CheckResult::default() }],
        checkpoints_completed: 1,
        faults_landed: landed,
        faults_scheduled: faults.len() as u64,
        faults,
        phases: vec![Phase { name: "start".to_owned(), seconds: 4.5 }],
        ..RunResult::default()
    }
}

fn cell(table: &FaultTable, target: &str, action: &str) -> Vec<String> {
    let row = table.rows.iter().find(|row| (&*row.target, &*row.action) == (target, action));
    let cells = &row.expect("a row").cells;
    cells.iter().map(|cell| cell.as_ref().map_or(String::new(), Cell::told)).collect()
}

#[test]
fn subtasks_of_a_vertex_are_one_kind_and_modes_are_columns() {
    let missed = FaultSummary { landed: false, ..fault("broker", "pause", None) };
    let results = [
        run(
            "local",
            "exactly-once",
            vec![
                fault("sink[88]", "panic", Some(1.5)),
                fault("sink[3]", "panic", Some(2.5)),
                fault("sink[3]", "stall", None),
            ],
        ),
        run("local", "at-least-once", vec![missed, fault("sink[0]", "panic", Some(1.0))]),
        run("embedded", "exactly-once", Vec::new()),
    ];
    let table = table(&results).expect("faults");
    let names: Vec<&str> = table.columns.iter().map(|column| &*column.mode).collect();
    assert_eq!(names, ["exactly-once", "at-least-once"], "a run without faults is no column");
    assert_eq!(cell(&table, "sink", "panic"), ["2/2, 2.50 s", "1/1, 1.00 s"]);
    assert_eq!(cell(&table, "sink", "stall"), ["1/1, not recovered", ""]);
    assert_eq!(cell(&table, "broker", "pause"), ["", "0/1, did not land"]);
    let [first, second] = [&table.columns[0], &table.columns[1]];
    assert_eq!((first.landed, first.scheduled, first.start_s), (3, 3, Some(4.5)));
    assert_eq!((second.landed, second.scheduled), (1, 2));
}

#[test]
fn one_of_two_that_nobody_got_over_is_told() {
    let faults = vec![fault("database", "restart", Some(1.0)), fault("database", "restart", None)];
    let table = table(&[run("local", "exactly-once", faults)]).expect("faults");
    assert_eq!(cell(&table, "database", "restart"), ["2/2, 1 not recovered"]);
}

#[test]
fn a_cell_has_the_worst_verdict_of_its_runs() {
    let ended = |verdict, action: &str| RunResult {
        verdict,
        ..run("local", "exactly-once", vec![fault("disk", action, Some(1.0))])
    };
    let results = [
        ended(Verdict::Proven, "torn"),
        ended(Verdict::Proven, "full"),
        ended(Verdict::Violated, "full"),
        ended(Verdict::Unknown, "full"),
    ];
    assert_eq!(results[0].contradictions(), Vec::<String>::new());
    let table = table(&results).expect("faults");
    let verdicts: Vec<(&str, Verdict)> = table
        .rows
        .iter()
        .map(|row| (&*row.action, row.cells[0].as_ref().expect("scheduled").verdict))
        .collect();
    assert_eq!(verdicts, [("full", Verdict::Violated), ("torn", Verdict::Proven)]);
    assert_eq!((table.columns[0].verdict, table.columns[0].runs), (Verdict::Violated, 4));
}

#[test]
fn a_hostile_name_breaks_no_table() {
    let results = [run("lo|cal", "a\nb", vec![fault("<b>", "`x`|", Some(1.0))])];
    let text = markdown(&table(&results).expect("faults"));
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 6, "{text}");
    for row in rows {
        let bars = row.replace("\\|", "").matches('|').count();
        assert_eq!(bars, 3, "{row}");
    }
    assert!(!text.contains("<b>"), "{text}");
}

#[test]
fn no_faults_no_table() {
    assert!(table(&[RunResult::default()]).is_none());
}
