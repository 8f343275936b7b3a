//! `stormproof judge`: the verdict on a job that is not ours.

use std::time::Duration;

use clap::Args;

use super::args::OutputArgs;
use crate::error::{Result, scenario};
use crate::foreign::{self, Asked, Columns, DatabaseAt, Judged, Order, Promise};
use crate::oracle::Verdict;
use crate::output::Console;

const EXAMPLES: &str = "\
The job writes a row for each record that it has handled, with the record's partition and offset
(in Flink SQL: the Kafka connector's metadata columns), and nothing updates or deletes these rows.

Examples:
  stormproof judge --brokers 127.0.0.1:9092 --topic orders \\
      --database mysql://root@127.0.0.1/shop --table order_effects --restarts 3
  stormproof judge ... --table effects --columns partition=p,offset=o,order=id,attempt=run
  stormproof judge ... --promise at-least-once --max-duplicates 5000
  stormproof judge ... --results order_state       its record_key and record_value, too

Exit codes: 0 proven, 1 violated, 2 unknown: the evidence does not suffice.";

/// What `judge` is asked to do.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct JudgeArgs {
    /// Kafka's bootstrap servers.
    #[arg(long, value_name = "HOST:PORT,...")]
    brokers: String,
    /// The topic that was the job's input.
    #[arg(long)]
    topic: String,
    /// Where the job writes: mysql://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE.
    #[arg(long, value_name = "ADDRESS")]
    database: DatabaseAt,
    /// The table with a row for each effect.
    #[arg(long)]
    table: String,
    /// Names of its columns [default: partition=partition_id,offset=record_offset].
    #[arg(long, value_name = "NAME=COLUMN,...", value_delimiter = ',')]
    columns: Vec<String>,
    /// A table with the last value of each key: columns record_key, record_value.
    #[arg(long, value_name = "TABLE")]
    results: Option<String>,
    /// What the job promises.
    #[arg(long, value_enum, default_value = "exactly-once")]
    promise: Promise,
    /// What first effects must keep the order of; needs an order column [default: key, if there is one].
    #[arg(long, value_enum)]
    order: Option<Order>,
    /// The most duplicates that at-least-once may have.
    #[arg(long, value_name = "N")]
    max_duplicates: Option<u64>,
    /// How often the job was restarted while it ran, as you know it.
    #[arg(long, value_name = "N")]
    restarts: Option<u32>,
    /// So long the table must not grow.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    quiet_time: u64,
    /// How long reading the topic may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    #[command(flatten)]
    output: OutputArgs,
}

impl JudgeArgs {
    pub(super) fn console(&self) -> Console {
        self.output.console()
    }

    fn asked(&self) -> Result<Asked> {
        let columns = Columns::new(&self.table, &self.columns)?;
        if self.max_duplicates.is_some() && self.promise == Promise::ExactlyOnce {
            return Err(scenario("exactly-once allows no duplicates")
                .at("--max-duplicates")
                .remedy("add --promise at-least-once"));
        }
        let unordered = if columns.order.is_some() { Order::Key } else { Order::None };
        Ok(Asked {
            brokers: self.brokers.clone(),
            topic: self.topic.clone(),
            database: self.database.clone(),
            columns,
            results: self.results.as_deref().map(foreign::Results::new).transpose()?,
            promise: self.promise,
            order: self.order.unwrap_or(unordered),
            max_duplicates: self.max_duplicates,
            restarts: self.restarts,
            quiet: Duration::from_secs(self.quiet_time),
            limit: Duration::from_secs(self.limit),
        })
    }
}

/// Judges; returns the exit code.
pub(super) fn judge(args: &JudgeArgs) -> Result<u8> {
    let console = args.console();
    let judged = foreign::judge(&args.asked()?)?;
    if console.json {
        console.result(&serde_json::to_string_pretty(&judged).expect("a judgement is plain data"));
    } else {
        console.result(&table(&judged));
    }
    Ok(match judged.verdict {
        Verdict::Proven => 0,
        Verdict::Violated => 1,
        Verdict::Unknown => 2,
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proven => "proven",
        Verdict::Violated => "VIOLATED",
        Verdict::Unknown => "unknown",
    }
}

fn table(judged: &Judged) -> String {
    let mut lines = vec![
        word(judged.verdict).to_uppercase(),
        format!(
            "{} records, {} effects, {} lost, {} duplicates",
            judged.records, judged.effects, judged.lost, judged.duplicates
        ),
    ];
    for answer in &judged.answers {
        lines.push(format!("  {:<9} {:<13} {}", word(answer.verdict), answer.rule, answer.summary));
        lines.extend(answer.witnesses.iter().map(|witness| format!("              {witness}")));
    }
    lines.join("\n")
}
