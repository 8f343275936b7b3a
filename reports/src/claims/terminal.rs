//! Claims on a terminal: one line each, then what stands behind it.
//!
//! Invariant: foreign strings are cleaned; nothing here is longer than its facts.

use super::{Answer, Claim, Claims, Fact, Outcome};
use crate::figures::seconds;
use crate::text;

/// One claim with its facts.
#[must_use]
pub fn claim(claim: &Claim) -> String {
    let mut lines = vec![
        format!("{:>2} {}: {}", claim.number, claim.id, claim.answer().word().to_uppercase()),
        format!("   says      {}", text::line(&claim.text, text::CELL)),
    ];
    match &claim.outcome {
        Outcome::NotRun(needs) => {
            lines.push(format!("   not run here: {}", text::line(needs, text::CELL)));
        }
        Outcome::Failed(why) => lines.push(format!("   failed    {}", text::line(why, text::CELL))),
        Outcome::Ran(shown) => {
            let groups =
                [("premise", &shown.premises), ("measured", &shown.says), ("and", &shown.beyond)];
            for (word, facts) in groups {
                lines.extend(facts.iter().map(|one| fact(word, one)));
            }
            lines.push(format!("   why       {}", text::line(&shown.why, text::PROSE)));
            let schedule = shown.schedule.iter().map(|line| text::line(line, text::CELL));
            lines.extend(schedule.map(|line| format!("             {line}")));
            let (on, took) = (text::line(&shown.measured_on, text::CELL), seconds(claim.seconds));
            lines.push(format!("   on        {on}, in {took}"));
        }
    }
    if let Some(what) = claim.contradiction() {
        lines.push(format!("   CONTRADICTS what is known: {}", text::line(&what, text::CELL)));
    }
    lines.join("\n")
}

fn fact(word: &str, fact: &Fact) -> String {
    let sign = if fact.holds { "+" } else { "-" };
    let [said, measured] = [&fact.text, &fact.measured].map(|t| text::line(t, text::CELL));
    format!("   {word:<9} {sign} {said}: {measured}")
}

/// The sum of all.
#[must_use]
pub fn summary(claims: &Claims) -> String {
    let mut answers: Vec<Answer> = Vec::new();
    for claim in &claims.claims {
        if !answers.contains(&claim.answer()) {
            answers.push(claim.answer());
        }
    }
    let counted: Vec<String> = answers
        .into_iter()
        .map(|answer| format!("{} {}", claims.count(answer), answer.word()))
        .collect();
    let against = claims.claims.iter().filter(|claim| claim.contradiction().is_some()).count();
    let last = match against {
        0 => "nothing contradicts what is known".to_owned(),
        n => format!("{n} contradict what is known"),
    };
    let took = seconds(claims.seconds);
    format!("{} claims in {took}: {}; {last}", claims.claims.len(), counted.join(", "))
}
