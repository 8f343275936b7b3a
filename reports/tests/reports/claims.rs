//! Claims: the answer follows from the facts, and a contradiction is never quiet.

use stormproof_reports::claims::{
    Answer, Axis, Claim, Claims, FORMAT, Fact, Figure, Finding, Kind, Outcome, Series, Shown, html,
    markdown, terminal,
};
use stormproof_reports::schema::EnvironmentFacts;

fn fact(text: &str, holds: bool) -> Fact {
    Fact { text: text.to_owned(), holds, measured: "3 of 4".to_owned() }
}

fn claim(expected: Finding, premise: bool, says: bool, beyond: &[bool]) -> Claim {
    let figure = Figure {
        title: "a picture".to_owned(),
        x: Axis::of("x"),
        y: Axis::of("y"),
        kind: Kind::Lines,
        series: vec![Series::new("one", vec![(0.0, 1.0), (1.0, 3.0)])],
    };
    let shown = Shown {
        premises: vec![fact("it ran", premise)],
        says: vec![fact("it is so", says)],
        beyond: beyond.iter().map(|holds| fact("and more", *holds)).collect(),
        why: "because".to_owned(),
        measured_on: "a test".to_owned(),
        schedule: vec!["1 ms  something".to_owned()],
        figure: Some(figure),
    };
    Claim {
        number: 4,
        id: "first-barrier".to_owned(),
        text: "somebody says so".to_owned(),
        source: "part 1".to_owned(),
        truth: "it is not".to_owned(),
        expected,
        outcome: Outcome::Ran(Box::new(shown)),
        seconds: 1.5,
    }
}

fn claims(claims: Vec<Claim>) -> Claims {
    Claims {
        format: FORMAT,
        command: "stormproof claims".to_owned(),
        environment: EnvironmentFacts::default(),
        claims,
        seconds: 2.0,
    }
}

#[test]
fn the_answer_follows_from_the_facts() {
    use Finding::{Confirmed, Refined, Refuted};
    let cases = [
        (true, true, &[][..], Answer::Found(Confirmed)),
        (true, true, &[true], Answer::Found(Refined)),
        (true, false, &[true], Answer::Found(Refuted)),
        (false, true, &[true], Answer::Unknown),
    ];
    for (premise, says, beyond, answer) in cases {
        assert_eq!(claim(Confirmed, premise, says, beyond).answer(), answer);
    }
}

#[test]
fn another_answer_than_the_known_one_is_a_contradiction() {
    use Finding::{Confirmed, Refined, Refuted};
    let agreeing = claim(Refuted, true, false, &[true]);
    assert_eq!((agreeing.contradiction(), claims(vec![agreeing]).exit_code()), (None, 0));
    for wrong in [
        claim(Refuted, true, true, &[true]),
        claim(Confirmed, true, false, &[]),
        claim(Refined, true, true, &[true, false]),
    ] {
        assert!(wrong.contradiction().is_some(), "{wrong:?}");
        assert!(terminal::claim(&wrong).contains("CONTRADICTS"));
        let all = claims(vec![claim(Confirmed, true, true, &[]), wrong]);
        assert_eq!(all.exit_code(), 1);
        assert!(markdown::page(&all).contains("contradicts what is known"));
        assert!(html::render(&all).contains("Contradicts what is known"));
    }
}

#[test]
fn what_is_unknown_or_was_not_run_is_never_a_pass_alone() {
    let unknown = claim(Finding::Confirmed, false, true, &[]);
    assert_eq!(claims(vec![unknown]).exit_code(), 2);
    let mut skipped = claim(Finding::Confirmed, true, true, &[]);
    skipped.outcome = Outcome::NotRun("needs Kafka".to_owned());
    assert_eq!(claims(vec![skipped.clone()]).exit_code(), 2);
    assert_eq!(
        claims(vec![claim(Finding::Confirmed, true, true, &[]), skipped.clone()]).exit_code(),
        0
    );
    for shown in [terminal::claim(&skipped), markdown::page(&claims(vec![skipped.clone()]))] {
        assert!(shown.to_lowercase().contains("not run here: needs kafka"), "{shown}");
    }
}

#[test]
fn claims_survive_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("claims.json");
    let all = claims(vec![claim(Finding::Refined, true, true, &[true])]);
    all.save(&file).unwrap();
    assert_eq!(Claims::load(&file).unwrap(), all);
    std::fs::write(&file, "{\"format\": 1}").unwrap();
    assert!(Claims::load(&file).is_err());
}

#[test]
fn hostile_words_stay_words() {
    let hostile = "<script>alert(1)</script>|[x](y)\u{202e}\n## no heading".to_owned();
    let mut bad = claim(Finding::Refined, true, true, &[true]);
    (bad.text, bad.id, bad.source) = (hostile.clone(), hostile.clone(), hostile.clone());
    if let Outcome::Ran(shown) = &mut bad.outcome {
        shown.why = hostile.clone();
        shown.says[0].measured = hostile;
    }
    let all = claims(vec![bad]);
    for page in [markdown::page(&all), html::render(&all)] {
        assert!(!page.contains("<script>") && !page.contains('\u{202e}'), "{page}");
        assert!(!page.contains("\n## no heading"), "{page}");
    }
}
