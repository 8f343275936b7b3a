//! Figures for people: thousands separated, units attached, no false precision.
//!
//! Invariant: a number that is not finite is shown as a dash, never as a figure.

/// What stands where there is no figure.
pub(crate) const NONE: &str = "–";

/// A count with thousands separated by commas.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// What stands where nobody counted.
pub(crate) const NOT_COUNTED: &str = "not counted";
/// What stands for a figure that a run had no chance to take.
pub(crate) const NOT_MEASURED: &str = "not measured";

/// A count that may be missing.
pub(crate) fn counted_or_not(n: Option<u64>) -> String {
    n.map_or_else(|| NOT_COUNTED.to_owned(), count)
}

/// A count and its noun: `1 fault`, `2 faults`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A float with at most `decimals` decimals, thousands separated, trailing zeros dropped.
pub(crate) fn decimal(x: f64, decimals: usize) -> String {
    if !x.is_finite() {
        return NONE.to_owned();
    }
    let text = format!("{:.decimals$}", x.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let whole = whole.parse::<u64>().map_or_else(|_| format!("{:.3e}", x.abs()), count);
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if x < 0.0 && (whole != "0" || !fraction.is_empty()) { "−" } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// A float with about three significant digits, at least all of its whole ones.
pub(crate) fn figure(x: f64) -> String {
    let decimals = match x.abs() {
        a if a >= 100.0 => 0,
        a if a >= 10.0 => 1,
        a if a >= 1.0 => 2,
        _ => 3,
    };
    decimal(x, decimals)
}

/// Bytes in binary units.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut size = n as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{} {}", figure(size), UNITS[unit])
}

/// A duration given in seconds.
pub(crate) fn seconds(s: f64) -> String {
    if !s.is_finite() {
        return NONE.to_owned();
    }
    if s.abs() < 1.0 {
        return format!("{} ms", figure(s * 1000.0));
    }
    if s.abs() < 59.95 {
        let decimals = if s.abs() < 10.0 { 2 } else { 1 };
        return format!("{s:.decimals$} s");
    }
    let whole = s.abs().round();
    let (minutes, rest) = ((whole / 60.0).floor(), whole % 60.0);
    if minutes < 60.0 {
        return format!("{minutes} min {rest} s");
    }
    format!("{} h {} min", (minutes / 60.0).floor(), minutes % 60.0)
}

/// A duration given in milliseconds.
pub(crate) fn millis(ms: f64) -> String {
    seconds(ms / 1000.0)
}

/// A duration given in microseconds.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn micros(us: u64) -> String {
    if us < 1000 { format!("{us} µs") } else { millis(us as f64 / 1000.0) }
}

/// A point in time of the run, in seconds, to the millisecond.
pub(crate) fn moment(s: f64) -> String {
    if s.is_finite() { format!("{s:.3} s") } else { NONE.to_owned() }
}

/// A figure that may be absent.
pub(crate) fn optional<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let shown = [0, 999, 1000, 12_345, 999_999, 1_000_000, u64::MAX].map(count);
        let last = "18,446,744,073,709,551,615";
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "999,999", "1,000,000", last]);
        assert_eq!(counted(1, "fault"), "1 fault");
        assert_eq!(counted(2000, "fault"), "2,000 faults");
    }

    #[test]
    fn floats_keep_three_digits_and_never_pretend() {
        let shown = [0.0, 0.1234, 1.5, 12.34, 185_302.7, -0.0001, -2.5].map(figure);
        assert_eq!(shown, ["0", "0.123", "1.5", "12.3", "185,303", "0", "−2.5"]);
        assert_eq!([f64::NAN, f64::INFINITY].map(figure), [NONE, NONE]);
        assert_eq!(figure(1e30), "1.000e30");
    }

    #[test]
    fn units_fit_the_size() {
        assert_eq!([512, 1536, 3 << 30].map(bytes), ["512 B", "1.5 KiB", "3 GiB"]);
        let shown = [0.34, 12.3, 59.96, 312.4, 7325.0, f64::NAN].map(seconds);
        assert_eq!(shown, ["340 ms", "12.3 s", "1 min 0 s", "5 min 12 s", "2 h 2 min", NONE]);
        assert_eq!(moment(1.23456), "1.235 s");
    }
}
