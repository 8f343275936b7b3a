//! The embedded broker beside librdkafka's mock cluster, in one run on one machine: produce and
//! consume rates of small records over 2000 partitions, end-to-end latency, memory of the broker.
//!
//! ```text
//! cargo bench -p stormproof-harness --bench broker
//! ```
//!
//! The mock cluster lives in the client's process and keeps everything in memory; the embedded
//! broker is a process of its own and writes a log. Rounds alternate, the median of each is shown
//! with all of them. Every round is a process of its own: what one leaves on the heap decides how
//! often the next one's clients fault pages in, which is a third of a reader's rate.
//! `RECORDS`, `PARTITIONS`, `ROUNDS` change the size; `BROKERS=HOST:PORT` adds a third column.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]

mod load;
mod place;

use std::process::{Command, Stdio};

use place::Place;

/// What is run: small as a test, large as a bench, and what the environment's variables say instead.
#[derive(Clone, Copy)]
struct Size {
    records: u64,
    partitions: i32,
    rounds: usize,
}

fn number(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name}={text}: a whole number is needed"))
}

/// The variable that makes this program run one round, of the column that it names.
const ROUND_OF: &str = "STORMPROOF_BENCH_ROUND_OF";

/// What a round measures, in the order in which it prints them.
const MEASURES: [&str; 6] = [
    "produced/s",
    "consumed/s, 1 client",
    "consumed/s, 4 clients",
    "end to end p50, us",
    "end to end p99, us",
    "broker's memory, MiB",
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_filtered = arguments.iter().any(|argument| !argument.starts_with('-'));
    if is_filtered && !arguments.iter().any(|filter| "broker".contains(filter.as_str())) {
        return;
    }
    // Cargo passes `--bench` when it benches, and not when it tests.
    let (records, partitions, rounds) = match arguments.iter().any(|a| a == "--bench") {
        true => (2_000_000, 2_000, 3),
        false => (20_000, 20, 1),
    };
    let size = Size {
        records: number("RECORDS", records),
        partitions: number("PARTITIONS", partitions) as i32,
        rounds: number("ROUNDS", rounds) as usize,
    };
    let kinds = place::kinds();
    if let Ok(name) = std::env::var(ROUND_OF) {
        let kind = kinds.iter().find(|kind| kind.name() == name).expect("a column");
        let figures = round(&Place::start(kind, size.partitions), size);
        println!("{}", figures.map(|figure| figure.to_string()).join(" "));
        return;
    }
    let mut rounds = vec![Vec::new(); kinds.len()];
    for _ in 0..size.rounds {
        for (kind, rounds) in kinds.iter().zip(&mut rounds) {
            rounds.push(in_a_process_of_its_own(kind.name()));
        }
    }
    print(size, &kinds, &rounds);
}

fn in_a_process_of_its_own(kind: &str) -> [f64; 6] {
    let me = std::env::current_exe().expect("this program");
    let done = Command::new(me).env(ROUND_OF, kind).stderr(Stdio::inherit()).output();
    let done = done.expect("a round starts");
    assert!(done.status.success(), "the round of {kind} ended with {}", done.status);
    let printed = String::from_utf8(done.stdout).expect("text");
    let figures: Vec<f64> =
        printed.split_whitespace().map(|figure| figure.parse().expect("a number")).collect();
    figures.try_into().expect("as many figures as measures")
}

fn print(size: Size, kinds: &[place::Kind], rounds: &[Vec<[f64; 6]>]) {
    println!("{} records of 100 bytes, {} partitions", size.records, size.partitions);
    print!("{:<24}", "");
    kinds.iter().for_each(|kind| print!("{:>10} {:<50}", kind.name(), ""));
    println!("{} / {}", kinds[1].name(), kinds[0].name());
    for (at, measure) in MEASURES.iter().enumerate() {
        print!("{measure:<24}");
        let of = |rounds: &Vec<[f64; 6]>| rounds.iter().map(|round| round[at]).collect::<Vec<_>>();
        let all: Vec<Vec<f64>> = rounds.iter().map(of).collect();
        let medians: Vec<f64> = all.iter().map(|all| median(all)).collect();
        for (median, all) in medians.iter().zip(&all) {
            print!("{median:>10.0} {:<50}", format!("{all:.0?}"));
        }
        println!("{:.2}", medians[1] / medians[0]);
    }
}

fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn round(place: &Place, size: Size) -> [f64; 6] {
    let rate = |seconds: f64| size.records as f64 / seconds;
    let produced = rate(load::produce(place, size.records, size.partitions));
    let [by_1, by_4] =
        [1, 4].map(|clients| rate(load::consume(place, size.records, size.partitions, clients)));
    let latencies = load::latencies(place);
    let [p50, p99] = [0.5, 0.99].map(|quantile| latencies.value_at_quantile(quantile) as f64);
    [produced, by_1, by_4, p50, p99, place.memory_mib()]
}
