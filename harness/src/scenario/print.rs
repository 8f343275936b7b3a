//! A scenario as TOML with its comments: each value with its unit.
//!
//! Invariant: what is printed, read back, is the same scenario.

use std::fmt::{Display, Write as _};
use std::path::Path;

use serde::Serialize;
use stormproof_chaos::fault::Fault;
use stormproof_engine::runtime::{CheckpointConfig, RestartStrategy};

use super::{EnvironmentChoice, FaultPlan, Load, Scenario};

/// Writes `scenario` as TOML.
pub fn print(scenario: &Scenario) -> String {
    let mut page = Page::default();
    page.line(
        "# A Stormproof scenario. Every value can be left out; the comments tell the defaults.",
    );
    page.text("name", &scenario.name, "of the scenario");
    page.value("seed", scenario.seed, "of load and storm; default: random, printed");
    page.value("time_limit_s", scenario.time_limit_s, "of the whole run; default: from the load");
    match scenario.metrics_port {
        Some(port) => page.value("metrics_port", port, "figures at /metrics; 0 = any free port"),
        None => page.line("# metrics_port = 9464                 # unset: no figures over HTTP"),
    }
    if scenario.mutant > 0 {
        page.value("mutant", scenario.mutant, "a seeded bug of the engine (test builds only)");
    }
    load(&mut page, &scenario.load);
    job(&mut page, scenario);
    checkpoint(&mut page, &scenario.checkpoint);
    restart(&mut page, &scenario.restart);
    environment(&mut page, scenario);
    faults(&mut page, scenario);
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn section(&mut self, name: &str, what: &str) {
        let _ = writeln!(self.0, "\n# {what}\n[{name}]");
    }

    fn value(&mut self, name: &str, value: impl Display, comment: &str) {
        let pair = format!("{name} = {value}");
        let _ = writeln!(self.0, "{pair:<36} # {comment}");
    }

    fn text(&mut self, name: &str, text: &str, comment: &str) {
        self.value(name, toml::Value::String(text.to_owned()), comment);
    }
}

fn load(page: &mut Page, load: &Load) {
    page.section("load", "What is written into the topic.");
    page.value("records", load.records, "default 1000000; 0 = judge the topic as it is");
    page.value("record_bytes", load.record_bytes, "bytes of a value; default 100, at least 20");
    page.value("rate_per_s", load.rate_per_s, "intended records per second; default 40000");
    page.value("keys", load.keys, "different keys; default 20000, at least the partitions");
    page.value("partitions", load.partitions, "of the topic; default 0 = the parallelism");
    page.value("run_length", load.run_length, "records in a row for one partition; default 64");
}

fn job(page: &mut Page, scenario: &Scenario) {
    let job = &scenario.job;
    page.section("job", "The job: source -> count -> sink.");
    page.value("parallelism", job.parallelism, "subtasks of every vertex; default 2000");
    page.value(
        "rescale_to",
        job.rescale_to.unwrap_or(0),
        "subtasks after the first SIGKILL; default 0 = the same",
    );
    page.value("workers", job.workers, "threads; default 0 = one for each core");
    page.text(
        "partitioner",
        job.partitioner.name(),
        "key-by (default) | rebalance | rescale | shuffle | forward",
    );
    page.text(
        "sink_design",
        job.sink_design.name(),
        "buffer-in-state (default) | flush-on-barrier",
    );
    page.value("batch_rows", job.batch_rows, "rows of a sink subtask's batch; default 100");
    page.value("batch_interval_ms", job.batch_interval_ms, "longest wait of a row; default 1000");
    page.value(
        "credit_bytes",
        job.credit_bytes,
        "under way from a subtask to a worker; 0 = automatic",
    );
}

fn checkpoint(page: &mut Page, config: &CheckpointConfig) {
    page.section("checkpoint", "Checkpointing.");
    page.text(
        "mode",
        config.mode.name(),
        "exactly-once (default) | exactly-once-unaligned | at-least-once | at-least-once-first-barrier",
    );
    page.value("interval_ms", config.interval_ms, "from trigger to trigger; default 1000");
    page.value("min_pause_ms", config.min_pause_ms, "from a completion to a trigger; default 0");
    page.value("timeout_ms", config.timeout_ms, "a longer one is aborted; default 60000");
    page.value("max_concurrent", config.max_concurrent, "under way at a time; default 1");
    page.value("tolerable_failures", config.tolerable_failures, "in a row; default 3");
    match config.alignment_timeout_ms {
        Some(ms) => page.value("alignment_timeout_ms", ms, "then it goes on unaligned"),
        None => page.line("# alignment_timeout_ms = 500           # unset: alignment has no limit"),
    }
    page.value("retained", config.retained, "kept; default 1000, for the oracle judges each one");
}

fn restart(page: &mut Page, strategy: &RestartStrategy) {
    page.section("restart", "After a failure inside the engine process.");
    let kinds = "fixed-delay (default) | exponential-delay | none";
    match strategy {
        RestartStrategy::None => page.text("strategy", "none", kinds),
        RestartStrategy::FixedDelay { delay_ms, max_restarts } => {
            page.text("strategy", "fixed-delay", kinds);
            page.value("delay_ms", delay_ms, "before each restart; default 50");
            page.value("max_restarts", max_restarts, "of one process; default 1000");
        }
        RestartStrategy::ExponentialDelay { initial_ms, max_ms, factor, reset_after_ms } => {
            page.text("strategy", "exponential-delay", kinds);
            page.value("initial_ms", initial_ms, "the first delay");
            page.value("max_ms", max_ms, "the largest delay");
            page.value("factor", toml::Value::Float(*factor), "growth; at least 1");
            page.value(
                "reset_after_ms",
                reset_after_ms,
                "so long after a pause without a failure, it starts over",
            );
        }
    }
}

fn environment(page: &mut Page, scenario: &Scenario) {
    page.section("environment", "Where.");
    let path = |page: &mut Page, name: &str, path: &Path, comment: &str| {
        page.text(name, &path.display().to_string(), comment);
    };
    match &scenario.environment {
        EnvironmentChoice::Embedded { database } => {
            page.text("kind", "embedded", "embedded (default) | local | containers | external");
            if let Some(database) = database {
                page.text("database", database, "default: SQLite in the run's folder");
            }
        }
        EnvironmentChoice::Local { kafka_home, data, cluster } => {
            page.text("kind", "local", "installed Kafka and MariaDB or MySQL, as child processes");
            if let Some(home) = kafka_home {
                path(page, "kafka_home", home, "a distribution's folder; default: KAFKA_HOME");
            }
            if let Some(data) = data {
                path(page, "data", data, "of the services; default: memory, if there is room");
            }
            page.value("kafka_brokers", cluster.brokers, "default 1; local only");
            let least = "of each record, before it is acknowledged; default 1, of 3 brokers 2";
            page.value("min_insync_replicas", cluster.min_insync_replicas, least);
        }
        EnvironmentChoice::Containers { kafka_image, database_image, data } => {
            page.text("kind", "containers", "Kafka and MySQL or MariaDB from images");
            page.text("kafka_image", kafka_image, "default apache/kafka:4.1.1");
            page.text("database_image", database_image, "default mysql:8.4");
            if let Some(data) = data {
                path(page, "data", data, "of the services; default: memory, if there is room");
            }
        }
        EnvironmentChoice::External { brokers, topic, database } => {
            page.text("kind", "external", "services that run already");
            page.text("brokers", brokers, "host:port, separated by commas");
            if let Some(topic) = topic {
                page.text("topic", topic, "default: a new one for each run");
            }
            page.text("database", database, "mysql://user:password@host:port/database");
        }
    }
    page.value("ready_limit_s", scenario.ready_limit_s, "longest wait for a service; default 90");
}

fn faults(page: &mut Page, scenario: &Scenario) {
    page.section("faults", "The faults: a count draws a storm from the seed.");
    match &scenario.faults {
        FaultPlan::Storm(count) => {
            page.value("count", count, "default 12");
            let services = "of services, links and the disk, beside those; default 0";
            page.value("services", scenario.service_faults, services);
            page.line("# Or by hand:");
            for line in EXAMPLE.lines() {
                page.line(&format!("# {line}"));
            }
        }
        FaultPlan::ByHand(faults) if faults.is_empty() => page.line("schedule = []"),
        FaultPlan::ByHand(faults) => {
            let table = ScheduleTable { faults: ScheduleList { schedule: faults } };
            let text = toml::to_string(&table).expect("faults are plain data");
            // The section's own header stands already.
            page.line(text.trim_start_matches("[faults]\n").trim_end());
        }
    }
}

#[derive(Serialize)]
struct ScheduleTable<'a> {
    faults: ScheduleList<'a>,
}

#[derive(Serialize)]
struct ScheduleList<'a> {
    schedule: &'a [Fault],
}

/// One fault of each kind of trigger.
const EXAMPLE: &str = r#"[[faults.schedule]]
action = "panic"        # panic | sigkill | error | { pause = { ms = 300 } } | { stall = { ms = 200 } } | { delay = { ms = 50 } }
target = { subtask = { vertex = "sink", index = 17 } }    # or "any-subtask" (default), or "process"
when = { at_step = { step = "upload", checkpoint = { nth = 1 }, armed_at_ms = 3000 } }

[[faults.schedule]]
action = "sigkill"
when = { at_records = 500000 }                            # or { at_ms = 1200 } after the load's start"#;
