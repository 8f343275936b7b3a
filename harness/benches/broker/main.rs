//! The embedded broker beside librdkafka's mock cluster, in one run on one machine: produce and
//! consume rates of small records over 2000 partitions, end-to-end latency, memory of the broker.
//!
//! ```text
//! cargo bench -p stormproof-harness --bench broker
//! ```
//!
//! The mock cluster lives in the client's process and keeps everything in memory; the embedded
//! broker is a process of its own and writes a log. Rounds alternate, the best of each is shown
//! with all of them. `RECORDS`, `PARTITIONS`, `ROUNDS` change the size; `BROKERS=HOST:PORT` adds a
//! third column.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]

mod load;
mod place;

use place::Place;

/// What is run, from the environment's variables.
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

/// One round's figures.
#[derive(Clone, Debug, Default)]
struct Figures {
    produced_per_s: Vec<f64>,
    consumed_by_1_per_s: Vec<f64>,
    consumed_by_4_per_s: Vec<f64>,
    latency_p50_us: Vec<f64>,
    latency_p99_us: Vec<f64>,
    memory_mib: Vec<f64>,
}

fn main() {
    // `cargo test --benches` only wants to know that it is there.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let size = Size {
        records: number("RECORDS", 2_000_000),
        partitions: number("PARTITIONS", 2_000) as i32,
        rounds: number("ROUNDS", 2) as usize,
    };
    let kinds = place::kinds();
    let mut figures = vec![Figures::default(); kinds.len()];
    for _ in 0..size.rounds {
        for (kind, figures) in kinds.iter().zip(&mut figures) {
            round(&Place::start(kind, size.partitions), size, figures);
        }
    }
    println!("{} records of 100 bytes, {} partitions", size.records, size.partitions);
    let row = |name: &str, get: &dyn Fn(&Figures) -> (f64, &[f64])| {
        print!("{name:<28}");
        for figures in &figures {
            let (best, all) = get(figures);
            print!("{best:>12.0} {:<28}", format!("{all:.0?}"));
        }
        println!();
    };
    print!("{:<28}", "");
    kinds.iter().for_each(|kind| print!("{:>12} {:<28}", kind.name(), ""));
    println!();
    let most = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
    let least = |all: &[f64]| all.iter().copied().fold(f64::MAX, f64::min);
    row("produced/s", &|f| (most(&f.produced_per_s), &f.produced_per_s));
    row("consumed/s, 1 client", &|f| (most(&f.consumed_by_1_per_s), &f.consumed_by_1_per_s));
    row("consumed/s, 4 clients", &|f| (most(&f.consumed_by_4_per_s), &f.consumed_by_4_per_s));
    row("end to end p50, us", &|f| (least(&f.latency_p50_us), &f.latency_p50_us));
    row("end to end p99, us", &|f| (least(&f.latency_p99_us), &f.latency_p99_us));
    row("broker's memory, MiB", &|f| (most(&f.memory_mib), &f.memory_mib));
}

fn round(place: &Place, size: Size, figures: &mut Figures) {
    let seconds = load::produce(place, size.records, size.partitions);
    figures.produced_per_s.push(size.records as f64 / seconds);
    for (clients, rates) in
        [(1, &mut figures.consumed_by_1_per_s), (4, &mut figures.consumed_by_4_per_s)]
    {
        let seconds = load::consume(place, size.records, size.partitions, clients);
        rates.push(size.records as f64 / seconds);
    }
    let latencies = load::latencies(place);
    figures.latency_p50_us.push(latencies.value_at_quantile(0.5) as f64);
    figures.latency_p99_us.push(latencies.value_at_quantile(0.99) as f64);
    figures.memory_mib.push(place.memory_mib());
}
