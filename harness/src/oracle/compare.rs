//! Two checkers, one history: where they differ, one of them is wrong.
//!
//! Compared are the verdict of every rule, the figures, and the witnesses: each one that the fast
//! checker shows must be a case of the plain one, and where both convict, the fast one shows the
//! smallest record there is.
//!
//! Two rules rest on what other rules check, and are undefined when those are broken: positions
//! that go back leave no order among an attempt's cuts, and rows behind a fence none among the
//! rows of a key. Then they are compared with the other rules' conviction as the answer.

use std::fmt;

use super::plain::{Answer, Opinion};
use super::verdict::{Check, Judgement, Site, Verdict};

/// One thing about which the two checkers differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The rule, or the figure.
    pub about: String,
    /// What the fast checker says.
    pub fast: String,
    /// What the plain checker says.
    pub plain: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: one checker says {}, the other {}", self.about, self.fast, self.plain)
    }
}

/// The rules that mean nothing while another rule is violated.
const PREMISES: [(&str, &str); 5] = [
    ("per-key-order", "fencing"),
    ("conservation", "offset-coverage"),
    ("no-orphans", "offset-coverage"),
    ("duplicates-exact", "offset-coverage"),
    ("duplicates-bound", "offset-coverage"),
];

/// Compares a judgement with the second opinion; empty when they agree.
pub fn compare(fast: &Judgement, plain: &Opinion) -> Vec<Disagreement> {
    let mut differences = Vec::new();
    let mut differ = |about: &str, fast: String, plain: String| {
        differences.push(Disagreement { about: about.to_owned(), fast, plain });
    };
    let ids = fast.checks.iter().map(|check| check.id.as_str());
    let also = plain.answers.iter().map(|answer| answer.id);
    let mut ids: Vec<&str> = ids.chain(also).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        match (fast.check(id), plain.answer(id)) {
            (Some(check), Some(answer)) if !premise_broken(id, plain) => {
                if let Some((fast, plain)) = rule_differs(check, answer) {
                    differ(id, fast, plain);
                }
            }
            (Some(_), Some(_)) => {}
            (check, answer) => {
                let say = |judged: bool| if judged { "it applies" } else { "it does not apply" };
                differ(id, say(check.is_some()).to_owned(), say(answer.is_some()).to_owned());
            }
        }
    }
    if fast.verdict != plain.verdict {
        differ("the verdict", format!("{:?}", fast.verdict), format!("{:?}", plain.verdict));
    }
    let exact = !premise_broken("duplicates-exact", plain);
    let figures = [
        ("lost", fast.lost, Some(plain.lost), true),
        ("duplicates", fast.duplicates, Some(plain.duplicates), true),
        ("expected duplicates", fast.duplicates_expected, plain.duplicates_expected, exact),
        ("bound on duplicates", fast.duplicates_bound, plain.duplicates_bound, exact),
    ];
    for (about, fast, plain, _) in figures.into_iter().filter(|f| f.3 && f.1 != f.2) {
        differ(about, format!("{fast:?}"), format!("{plain:?}"));
    }
    differences
}

fn premise_broken(id: &str, plain: &Opinion) -> bool {
    let mut premises = PREMISES.iter().filter(|(rule, _)| *rule == id);
    premises.any(|(_, premise)| {
        plain.answer(premise).is_some_and(|answer| answer.verdict == Verdict::Violated)
    })
}

fn rule_differs(check: &Check, answer: &Answer) -> Option<(String, String)> {
    if check.verdict != answer.verdict {
        let told = format!("{:?} ({})", check.verdict, check.summary);
        let smallest = answer.cases.first();
        return Some((told, format!("{:?} (smallest case: {smallest:?})", answer.verdict)));
    }
    let stranger = check.witnesses.iter().find(|w| !is_case(&w.site, answer));
    if let Some(witness) = stranger {
        let told = format!("{:?} is a case: {}", witness.site, witness.text);
        return Some((told, format!("it is not among {} cases", answer.cases.len())));
    }
    let smallest = answer.cases.first().filter(|_| check.verdict == Verdict::Violated)?;
    let shown = check.witnesses.first().map(|witness| witness.site);
    (shown != Some(*smallest))
        .then(|| (format!("the smallest case is {shown:?}"), format!("it is {smallest:?}")))
}

/// A witness that names no record stands for all cases of its checkpoint and partition.
fn is_case(site: &Site, answer: &Answer) -> bool {
    let wide = |case: &Site| (case.checkpoint, case.partition) == (site.checkpoint, site.partition);
    answer.cases.contains(site) || site.offset.is_none() && answer.cases.iter().any(wide)
}
