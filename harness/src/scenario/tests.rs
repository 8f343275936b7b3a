//! Scenarios: what is refused and how it is said, and that printing loses nothing.

use super::*;
use crate::error::HarnessError;

fn read(text: &str) -> Result<Scenario> {
    let mut raw = parse(text, "storm.toml")?;
    raw.seed = raw.seed.or(Some(1));
    validate(raw)
}

fn refused(text: &str) -> HarnessError {
    read(text).expect_err("this scenario must be refused")
}

#[test]
fn the_default_scenario_is_the_main_job() {
    let main = read("").unwrap();
    assert_eq!((main.job.parallelism, main.load.partitions), (2_000, 2_000));
    assert_eq!((main.load.records, main.load.record_bytes), (1_000_000, 100));
    assert_eq!(main.load.duration_ms(), 25_000);
    let schedule = main.schedule().unwrap();
    assert!(schedule.faults.len() >= 12);
    let mid = |f: &&Fault| f.step().is_some_and(|step| step.is_mid_checkpoint());
    assert!(schedule.faults.iter().filter(mid).count() >= 8);
}

#[test]
fn an_unknown_field_names_file_line_and_the_nearest_name() {
    let error = refused("seed = 3\n\n[job]\nparalelism = 4\n");
    assert_eq!(error.what, "unknown field `paralelism`");
    assert_eq!(error.place.as_deref(), Some("storm.toml:4:1"));
    assert!(error.remedy.unwrap().starts_with("did you mean `parallelism`?"));
}

#[test]
fn an_unknown_value_names_the_nearest_one() {
    let error = refused("[checkpoint]\nmode = \"exactly-onze\"\n");
    assert_eq!(error.what, "unknown value `exactly-onze`");
    assert!(error.remedy.unwrap().starts_with("did you mean `exactly-once`?"));
    let error = refused("[job]\nsink_design = \"zzz\"\n");
    assert!(error.remedy.unwrap().starts_with("known here: buffer-in-state"));
}

#[test]
fn values_out_of_range_are_refused_with_their_limits() {
    let table = [
        ("[job]\nparallelism = 0", "job.parallelism = 0", "from 1 to 32768"),
        ("[job]\nparallelism = 65535", "job.parallelism = 65535", "from 1 to 32768"),
        ("[job]\nbatch_rows = 0", "job.batch_rows = 0", "from 1 to"),
        ("[load]\nrecord_bytes = 19", "load.record_bytes = 19", "from 20 to"),
        ("[load]\nrate_per_s = 0", "load.rate_per_s = 0", "from 1 to"),
        ("[load]\npartitions = 65536", "load.partitions = 65536", "to 65535"),
        ("[checkpoint]\ninterval_ms = 0", "checkpoint.interval_ms = 0", "from 10 to"),
        ("[checkpoint]\nretained = 0", "checkpoint.retained = 0", "from 1 to"),
        ("metrics_port = 65536", "expected u16", "--print-scenario"),
        (
            "[restart]\nstrategy = \"exponential-delay\"\ninitial_ms = 9\nmax_ms = 8\nfactor = 2.0\n\
             reset_after_ms = 1",
            "restart.initial_ms = 9",
            "from 0 to 8",
        ),
        (
            "[restart]\nstrategy = \"exponential-delay\"\ninitial_ms = 1\nmax_ms = 8\nfactor = 0.5\n\
             reset_after_ms = 1",
            "restart.factor = 0.5",
            "from 1 to",
        ),
        ("[faults]\ncount = 1001", "faults.count = 1001", "from 0 to 1000"),
        ("seed = 9223372036854775807\ntime_limit_s = 0", "time_limit_s = 0", "from 1 to"),
    ];
    for (text, what, remedy) in table {
        let error = refused(text);
        assert!(error.what.contains(what), "{text}: {}", error.what);
        assert!(error.remedy.as_ref().unwrap().contains(remedy), "{text}: {:?}", error.remedy);
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let table = [
        ("[load]\nrecords = 0", "the embedded topic is new"),
        ("[environment]\nbrokers = \"a:1\"", "embedded environment"),
        ("[environment]\ndatabase = \"mysql://u:***@h/d\"", "password was not written down"),
        ("[environment]\nkind = \"local\"\nkafka_image = \"k:1\"", "local environment has no use"),
        ("[environment]\nkind = \"external\"", "needs its addresses"),
        ("[faults]\nservices = 25", "is over before 25 faults of services"),
        ("[checkpoint]\nmode = \"at-least-once\"\nalignment_timeout_ms = 5", "aligns nothing"),
        ("[job]\nrescale_to = 3\n[faults]\ncount = 0", "nothing kills it"),
        ("[checkpoint]\nmin_pause_ms = 5\nmax_concurrent = 2", "implies one checkpoint"),
        (
            "[faults]\ncount = 1\n[[faults.schedule]]\naction = \"panic\"\nwhen = { at_ms = 1 }",
            "both counted and written by hand",
        ),
        (
            "[[faults.schedule]]\naction = \"panic\"\nwhen = { at_ms = 1 }\n\
             target = { subtask = { vertex = \"snk\", index = 0 } }",
            "no vertex named",
        ),
    ];
    for (text, what) in table {
        let error = refused(text);
        assert!(error.what.contains(what), "{text}: {}", error.what);
        assert!(error.remedy.is_some() && error.place.is_some(), "{text}");
    }
}

#[test]
fn what_is_printed_reads_back_as_the_same_scenario() {
    let table = [
        "",
        "seed = 77\nname = \"a \\\"name\\\"\"\n[job]\nparallelism = 3\nsink_design = \"flush-on-barrier\"",
        "[job]\nparallelism = 9\nrescale_to = 4",
        "[checkpoint]\nalignment_timeout_ms = 20\n[faults]\nschedule = []",
        "metrics_port = 9464\n[job]\npartitioner = \"shuffle\"\n[restart]\nstrategy = \"none\"",
        "[restart]\nstrategy = \"exponential-delay\"\ninitial_ms = 5\nmax_ms = 80\nfactor = 2.0\n\
         reset_after_ms = 900",
        "[environment]\nkind = \"external\"\nbrokers = \"b:9092\"\ntopic = \"t\"\ndatabase = \"mysql://r@h/d\"",
        "[environment]\nkind = \"local\"\nkafka_home = \"/opt/k\"\nready_limit_s = 7",
        "[environment]\nkind = \"containers\"\ndatabase_image = \"mariadb:11\"\ndata = \"/d\"",
        "[[faults.schedule]]\naction = { stall = { ms = 7 } }\nwhen = { at_records = 5 }\n\
         [[faults.schedule]]\naction = \"sigkill\"\nheal_after_ms = 9\n\
         when = { at_step = { step = \"upload\", checkpoint = { exactly = 3 }, attempt = 2 } }\n\
         target = { subtask = { vertex = \"sink\", index = 4 } }",
    ];
    for text in table {
        let scenario = read(text).unwrap();
        let printed = print(&scenario);
        let again = read(&printed).unwrap_or_else(|e| panic!("{printed}\n{}", e.render()));
        assert_eq!(again, scenario, "{printed}");
    }
}

#[test]
fn options_win_and_a_duration_keeps_the_rate() {
    let with = |options: Overrides| {
        let mut raw = parse("seed = 1\n[load]\nrate_per_s = 500\nrecords = 9", "f").unwrap();
        raw.override_with(&options);
        validate(raw).unwrap()
    };
    let options = Overrides { duration_s: Some(4), parallelism: Some(7), ..Overrides::default() };
    let longer = with(options);
    assert_eq!((longer.load.records, longer.load.rate_per_s), (2_000, 500));
    assert_eq!((longer.job.parallelism, longer.load.partitions), (7, 7));
    let options = Overrides { duration_s: Some(4), records: Some(100), ..Overrides::default() };
    assert_eq!(with(options).load.rate_per_s, 25);
}
