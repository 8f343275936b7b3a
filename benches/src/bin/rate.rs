//! The exchange's rate at parallelism 2000, records/s, and nothing else: for scripts that compare
//! builds, and for profilers. `rate [RECORDS]`.

use stormproof_benches::Exchange;

#[allow(clippy::print_stdout, reason = "the rate is the result")]
fn main() {
    let records = std::env::args().nth(1).and_then(|given| given.parse().ok());
    let records = records.unwrap_or(20_000_000);
    let elapsed = Exchange { records, ..Exchange::default() }.run().elapsed;
    println!("{:.0}", records as f64 / elapsed.as_secs_f64());
}
