//! Foreign text made safe to show, before any escaping for a format.
//!
//! Invariants: the output has no control character and no direction override (they are shown as
//! `\u{202e}`), so it can neither drive a terminal nor reorder what stands around it; it is never
//! longer than its limit plus a note that says how much was cut.

/// Characters kept of a text in running prose.
pub(crate) const PROSE: usize = 2_000;
/// Characters kept of a text in a table cell.
pub(crate) const CELL: usize = 400;
/// Characters kept of a name.
pub(crate) const NAME: usize = 120;

/// The text on one line: line breaks and tabs become spaces.
pub(crate) fn line(text: &str, limit: usize) -> String {
    clean(text, limit, false)
}

/// The text with its line breaks.
pub(crate) fn block(text: &str, limit: usize) -> String {
    clean(text, limit, true)
}

fn clean(text: &str, limit: usize, keep_breaks: bool) -> String {
    let mut shown = String::with_capacity(text.len().min(limit) + 64);
    for c in text.chars().take(limit) {
        match c {
            '\n' if keep_breaks => shown.push(c),
            '\n' | '\r' | '\t' => shown.push(' '),
            c if c.is_control() || steers_direction(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    let total = if text.len() <= limit { text.len() } else { text.chars().count() };
    if total > limit {
        let (total, limit) = (crate::figures::count(total as u64), limit);
        shown.push_str(&format!("… [cut: {limit} of {total} characters]"));
    }
    shown
}

/// Invisible characters that change the direction or the joining of others.
fn steers_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_become_visible() {
        assert_eq!(line("a\u{1b}[31mb\u{202e}c\nd", 99), r"a\u{1b}[31mb\u{202e}c d");
        assert_eq!(block("a\nb\u{7}", 99), "a\nb\\u{7}");
        assert_eq!(line("שלום", 99), "שלום", "ordinary right-to-left text is left alone");
    }

    #[test]
    fn long_text_is_cut_with_a_note() {
        let long = "é".repeat(1 << 20);
        let shown = line(&long, 10);
        assert_eq!(shown, "éééééééééé… [cut: 10 of 1,048,576 characters]");
        assert_eq!(line("exactly10!", 10), "exactly10!");
    }
}
