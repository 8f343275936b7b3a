//! Final values: the results table holds, for each key, the value of its highest version.

use roaring::RoaringBitmap;

use super::case::{Case, Finding, NotJudged};
use super::conditions::Conditions;
use super::evidence::{AuditSource, EvidenceError, ResultRow};
use super::verdict::{Site, Verdict, Witnesses};
use crate::workload::ledger::{KeyFacts, Ledger, hash_key, hash_value};

/// What the pass over the results table found.
#[derive(Debug, Default)]
pub(super) struct Values {
    rows: u64,
    /// Rows that are wrong whatever may still come.
    wrong: Witnesses,
    /// Rows below the highest version, and keys without a row: wrong when drained.
    behind: Witnesses,
}

impl Values {
    /// Reads the results table once.
    pub(super) fn read(
        ledger: &Ledger,
        conditions: &Conditions,
        audit: &mut dyn AuditSource,
    ) -> Result<Self, EvidenceError> {
        let mut values = Self::default();
        let mut seen = RoaringBitmap::new();
        audit.results(&mut |row| {
            values.rows += 1;
            match ledger.key(row.key_hash).filter(|_| hash_key(row.key) == row.key_hash) {
                None => values.unknown(row),
                Some(facts) if !seen.insert(facts.ordinal) => values.twice(row, &facts),
                Some(facts) => values.compare(row, &facts, conditions),
            }
        })?;
        for facts in ledger.keys().filter(|facts| !seen.contains(facts.ordinal)) {
            values.behind.add(Site::record(facts.partition, facts.offset), || {
                format!(
                    "the key of offset {} of partition {} ({} records) has no row",
                    facts.offset, facts.partition, facts.records
                )
            });
        }
        Ok(values)
    }

    fn compare(&mut self, row: &ResultRow<'_>, facts: &KeyFacts, conditions: &Conditions) {
        let site = Site::record(facts.partition, facts.offset);
        let key = || String::from_utf8_lossy(row.key).into_owned();
        if row.version < facts.version {
            self.behind.add(site, || {
                format!(
                    "key {:?} stands at {} instead of {}: a stale row",
                    key(),
                    place(row.version),
                    place(facts.version)
                )
            });
        } else if row.version > facts.version {
            self.wrong.add(site, || {
                format!(
                    "key {:?} stands at {}, above its highest version, {}",
                    key(),
                    place(row.version),
                    place(facts.version)
                )
            });
        } else if hash_value(row.value) != facts.value_hash {
            self.wrong.add(site, || {
                format!(
                    "key {:?} has the version of {} but not its value",
                    key(),
                    place(facts.version)
                )
            });
        } else if conditions.keyed && !count_is_right(row, facts, conditions) {
            self.wrong.add(site, || {
                let least = if conditions.mode.has_exact_cuts() { "" } else { "at least " };
                format!(
                    "key {:?} was counted {} times, the input has {least}{}",
                    key(),
                    row.record_count,
                    facts.records
                )
            });
        }
    }

    fn unknown(&mut self, row: &ResultRow<'_>) {
        self.wrong.add(Site::default(), || {
            format!(
                "there is a row for key {:?} (hash {:032x}), which the input does not hold",
                String::from_utf8_lossy(row.key),
                row.key_hash
            )
        });
    }

    fn twice(&mut self, row: &ResultRow<'_>, facts: &KeyFacts) {
        self.wrong.add(Site::record(facts.partition, facts.offset), || {
            format!("key {:?} has more than one row", String::from_utf8_lossy(row.key))
        });
    }
}

/// With exact cuts the count is the number of records, otherwise it is not less. The row of a
/// key that lives in several partitions may have been counted before its other records.
fn count_is_right(row: &ResultRow<'_>, facts: &KeyFacts, conditions: &Conditions) -> bool {
    match (conditions.mode.has_exact_cuts(), facts.partitions) {
        (true, 1) => row.record_count == facts.records,
        (true, _) => (1..=facts.records).contains(&row.record_count),
        (false, 1) => row.record_count >= facts.records,
        (false, _) => row.record_count >= 1,
    }
}

/// "offset 812 of partition 417", from a version.
fn place(version: u64) -> String {
    format!("offset {} of partition {}", version >> 16, version & 0xffff)
}

/// The rule `final-values`.
pub(super) fn check(case: &Case<'_>) -> Result<Finding, NotJudged> {
    let values = case.values()?;
    let cases = [&values.wrong, &values.behind];
    let finding = if values.wrong.is_empty() && !case.conditions.drained {
        let verdict = if values.behind.is_empty() { Verdict::Proven } else { Verdict::Unknown };
        Finding::new(verdict, format!("{} keys are behind: not drained", values.behind.count()))
    } else {
        Finding::from_cases(
            cases,
            format!("each of {} keys has the value of its highest version", values.rows),
            |count| format!("{count} keys do not have the value of their highest version"),
        )
    };
    Ok(finding.figure("rows", values.rows))
}
