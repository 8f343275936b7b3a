//! The job without a fault, beside bare clients on the same services.

use maud::{Markup, html};

use super::{part, table};
use crate::figures::{counted, decimal};
use crate::schema::RunResult;

/// The section, if the run has measured them.
pub(super) fn section(result: &RunResult) -> Markup {
    let Some(bare) = &result.beside_bare else { return html! {} };
    let rows = [
        ("bare consumer", "reads the topic, does nothing with it", bare.consumer_records_per_s),
        ("bare loader", "writes what the job writes", bare.loader_records_per_s),
        ("bare loader, upserts alone", "writes no audit rows", bare.upserts_records_per_s),
        (
            "the job",
            "from the topic to the last effect, checkpoints included",
            bare.job_records_per_s,
        ),
    ];
    let rows = rows.map(|(name, what, rate)| {
        html! {
            tr {
                td { (name) small { (what) } }
                td.n { (decimal(rate, 0)) }
                td.n { (decimal(bare.job_records_per_s / rate.max(1.0), 2)) }
            }
        }
    });
    let columns = ["Without faults, one after the other", "#Records/s", "#The job's share"];
    let lead = format!(
        "The same {} on the same services. The share that counts is that of the slower of the consumer and the \
         loader of the same rows: {}.",
        counted(bare.records, "record"),
        decimal(bare.share_of_bare, 2)
    );
    part("beside", "Beside bare clients", &lead, &table(&columns, &rows, rows.len()))
}
