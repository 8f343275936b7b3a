//! Claims as a page of markdown: what `docs/claims.md` is.
//!
//! Invariant: a function of the claims alone, to the byte, so that a test can tell whether the
//! committed page is the one that the committed claims make. Foreign strings are cleaned, and what
//! means something in markdown is escaped.

use std::fmt::Write as _;

use super::{Claim, Claims, Fact, Outcome};
use crate::figures::seconds;
use crate::text;

/// Where the page looks for a claim's picture.
#[must_use]
pub fn picture(claim: &Claim) -> String {
    let kept = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let id: String = claim.id.chars().filter(kept).collect();
    format!("claims/{:02}-{id}.svg", claim.number)
}

/// The page.
#[must_use]
pub fn page(claims: &Claims) -> String {
    let at = &claims.environment;
    let mut page = String::from(
        "# The claims, put to the test\n\n<!-- Generated from reports/runs/claims.json by \
         `stormproof claims --render`: do not edit. -->\n\n",
    );
    let _ = write!(
        page,
        "An article about Flink at parallelism 2000 makes 18 claims. Each is an experiment here, \
         which can come out either way: `stormproof claims` runs them. *Confirmed*: it is so. \
         *Refined*: it is so, and not the whole truth. *Refuted*: it is not so. In the tables, *premise* is what \
         must be so for the experiment to say anything, *the claim* is what the article says, and \
         *beyond it* is what it leaves out.\n\n\
         Measured with `{}` on {} cores ({}), stormproof {}, in {}.\n\n",
        prose(&claims.command),
        at.cores,
        prose(&at.cpu_model),
        prose(&at.stormproof_version),
        seconds(claims.seconds)
    );
    page.push_str("| # | the article says | answer |\n|---|---|---|\n");
    for claim in &claims.claims {
        let _ = writeln!(
            page,
            "| [{}](#{}) | {} | {} |",
            claim.number,
            anchor(claim),
            prose(&claim.text),
            answer(claim)
        );
    }
    for claim in &claims.claims {
        section(&mut page, claim);
    }
    page
}

fn answer(claim: &Claim) -> String {
    let against = if claim.contradiction().is_some() { " (!)" } else { "" };
    format!("**{}**{against}", claim.answer().word())
}

fn heading(claim: &Claim) -> String {
    format!("{} {}", claim.number, claim.id)
}

/// The anchor that GitHub makes of the heading.
fn anchor(claim: &Claim) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-');
    let name: String = heading(claim).chars().filter(kept).collect();
    name.to_lowercase().replace(' ', "-")
}

fn section(page: &mut String, claim: &Claim) {
    let _ = write!(
        page,
        "\n## {}\n\n> {} ({})\n\n{}.",
        prose(&heading(claim)),
        prose(&claim.text),
        prose(&claim.source),
        answer(claim)
    );
    let shown = match &claim.outcome {
        Outcome::NotRun(needs) => {
            let _ = writeln!(page, " Not run here: {}", prose(needs));
            return;
        }
        Outcome::Failed(why) => {
            let _ = writeln!(page, " The experiment failed: {}", prose(why));
            return;
        }
        Outcome::Ran(shown) => shown,
    };
    let _ = writeln!(page, " {}\n", prose(&shown.why));
    page.push_str("| | | measured |\n|---|---|---|\n");
    let groups =
        [("premise", &shown.premises), ("the claim", &shown.says), ("beyond it", &shown.beyond)];
    for (word, facts) in groups {
        for fact in facts {
            row(page, word, fact);
        }
    }
    if let Some(what) = claim.contradiction() {
        let _ = writeln!(page, "\n**This contradicts what is known**: {}", prose(&what));
    }
    if let Some(figure) = &shown.figure {
        let _ = writeln!(page, "\n![{}]({})", prose(&figure.title), picture(claim));
    }
    if !shown.schedule.is_empty() {
        let lines: Vec<String> =
            shown.schedule.iter().map(|line| text::line(line, text::CELL)).collect();
        let _ = writeln!(page, "\n```text\n{}\n```", lines.join("\n").replace("```", "'''"));
    }
    let _ = writeln!(page, "\nMeasured on {}.", prose(&shown.measured_on));
}

fn row(page: &mut String, word: &str, fact: &Fact) {
    let sign = if fact.holds { "holds" } else { "does not hold" };
    let [said, measured] = [&fact.text, &fact.measured].map(|t| prose(t));
    let _ = writeln!(page, "| {word} {sign} | {said} | {measured} |");
}

fn prose(foreign: &str) -> String {
    let mut escaped = String::new();
    for c in text::line(foreign, text::PROSE).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '[' | ']' | '*' | '|' | '\\' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}
