//! Numbers that survive JSON: it has no NaN and no infinity, serde writes both as `null`.
//!
//! A `null` is read back as NaN, so that one undefined ratio can never make a whole result
//! unreadable. The renderers show NaN as a dash.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// Reads a number, or `null` as NaN.
pub(super) fn or_nan<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(source)?.unwrap_or(f64::NAN))
}

/// Reads a count that may be `null`; unlike a plain `Option`, its name must be there.
pub(super) fn or_absent<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u64>, D::Error> {
    Option::deserialize(source)
}

/// Reads a map of numbers, `null`s as NaN.
pub(super) fn map_or_nan<'de, D: Deserializer<'de>>(
    source: D,
) -> Result<BTreeMap<String, f64>, D::Error> {
    let figures = BTreeMap::<String, Option<f64>>::deserialize(source)?;
    Ok(figures.into_iter().map(|(name, figure)| (name, figure.unwrap_or(f64::NAN))).collect())
}
