//! Counters, not times: allocations per record, memory of an idle job, memory per record in
//! flight, and how long a killed subtask keeps a job from its next output.
//!
//! `cargo bench --bench counters`. Allocations are counted by dhat, in this binary only; a job
//! that takes twice as many records has the same start and end, so the difference is the hot path.

mod memory;
mod recovery;

use stormproof_benches::{Exchange, Invocation};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Heap blocks that one run allocates.
fn blocks(exchange: &Exchange) -> u64 {
    let profiler = dhat::Profiler::builder().testing().build();
    exchange.run();
    let blocks = dhat::HeapStats::get().total_blocks;
    drop(profiler);
    blocks
}

#[allow(clippy::print_stdout, reason = "a bench reports to its user")]
fn allocations(invocation: &Invocation) {
    let records = if invocation.is_bench { 20_000_000 } else { 200_000 };
    for parallelism in [2, 2000] {
        let of = |records| Exchange {
            parallelism,
            records,
            // No checkpoint: what it allocates grows with subtasks, not with records.
            interval_ms: 3_600_000,
            ..Exchange::default()
        };
        let (once, twice) = (blocks(&of(records)), blocks(&of(2 * records)));
        println!(
            "counters/allocations/{parallelism}: {:.6} per record ({once} blocks for {records} \
             records, {twice} for twice as many)",
            twice.saturating_sub(once) as f64 / records as f64
        );
    }
}

fn main() {
    let invocation = Invocation::current();
    // Memory first: a process does not give back what it has touched.
    if invocation.wants("counters/memory") {
        memory::idle();
        memory::in_flight();
    }
    if invocation.wants("counters/allocations") {
        allocations(&invocation);
    }
    if invocation.wants("counters/recovery") {
        recovery::recovery(&invocation);
    }
}
