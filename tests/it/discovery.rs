//! `unbraid units score --alignments`, compared with discophon on made utterances.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;

use serde::Deserialize;
use serde_json::Value;
use unbraid::eval::units::discovery::{
    AssignmentKind, Discovery, DiscoveryOptions, Spoken, discovery,
};

use crate::support::{fail, names, succeed, unbraid};

/// The scores of `references/discophon_scores.py`; none where there are no boundaries.
#[derive(Debug, Deserialize)]
struct Golden {
    all: HashMap<String, Option<Scores>>,
    single: Vec<HashMap<String, Option<Scores>>>,
}

#[derive(Debug, Deserialize)]
struct Scores {
    pnmi: f64,
    per: f64,
    f1: f64,
    r_val: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/discophon_scores.json")).unwrap()
}

const PHONES: [&str; 7] = ["SIL", "a", "e", "k", "s", "t", "u"];
const UNITS: u64 = 7;

/// Knuth's generator, as in the script.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, count: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }
}

/// Phones from one 10 ms to another, and units every 20 ms.
fn utterance(number: u64) -> (Vec<(u64, u64, u64)>, Vec<i32>) {
    let mut numbers = Numbers(number);
    let (mut phones, mut length) = (Vec::new(), 0);
    for _ in 0..3 + numbers.below(12) {
        let steps = 1 + numbers.below(8);
        phones.push((length, length + steps, numbers.below(PHONES.len() as u64)));
        length += steps;
    }
    let end = length + numbers.below(3) - 1;
    let units = (0..end).step_by(2).map(|step| {
        let own = phones
            .iter()
            .find(|(start, end, _)| (*start..*end).contains(&step));
        let own = own.map_or(0, |(_, _, phone)| *phone);
        match numbers.below(3) {
            0 => numbers.below(UNITS) as i32,
            _ => ((own * 3 + 1) % UNITS) as i32,
        }
    });
    let mut units: Vec<i32> = units.collect();
    if units.is_empty() {
        units.push(0);
    }
    (phones, units)
}

fn spoken(number: u64) -> Spoken<'static> {
    let (phones, units) = utterance(number);
    let phones = phones
        .iter()
        .flat_map(|&(start, end, phone)| (start..end).map(move |_| PHONES[phone as usize]));
    Spoken {
        id: format!("u{number}"),
        units,
        phones: phones.collect(),
    }
}

fn assert_close(ours: [Option<f64>; 4], theirs: &Scores, place: &str) {
    for (ours, theirs) in ours
        .into_iter()
        .zip([theirs.pnmi, theirs.per, theirs.f1, theirs.r_val])
    {
        let gap = ours.unwrap_or(f64::NAN) - theirs;
        assert!(gap.abs() < 1e-9, "{place}: {ours:?} {theirs}");
    }
}

const KINDS: [(&str, AssignmentKind); 2] = [
    ("many-to-one", AssignmentKind::ManyToOne),
    ("one-to-one", AssignmentKind::OneToOne),
];

#[test]
fn measures_are_those_of_discophon() {
    let options = DiscoveryOptions {
        phonemes: Some(PHONES.len() - 1),
        ..DiscoveryOptions::default()
    };
    let run = |spoken: &[Spoken], kind| -> Discovery {
        discovery(spoken, kind, options, "units").unwrap().unwrap()
    };
    let check = |found: Discovery, scores: &Option<Scores>, place: &str| match scores {
        Some(scores) => {
            let found = [Some(found.pnmi), Some(found.per), found.f1, found.r_val];
            assert_close(found, scores, place);
        }
        None => assert!(found.f1.is_none() || found.r_val.is_none(), "{place}"),
    };
    let golden = golden();
    assert_eq!(golden.single.len(), 200);
    for (number, scores) in (0..).zip(&golden.single) {
        for (name, kind) in KINDS {
            check(
                run(&[spoken(number)], kind),
                &scores[name],
                &format!("u{number} {name}"),
            );
        }
    }
    let all: Vec<Spoken> = (0..200).map(spoken).collect();
    for (name, kind) in KINDS {
        check(run(&all, kind), &golden.all[name], name);
    }
}

#[test]
fn files_of_any_form_give_the_measures_of_discophon() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let mut gold = "#file onset offset #phone\n".to_string();
    let (mut ctm, mut units, mut text) = (String::new(), String::new(), String::new());
    for number in 0..200 {
        let (phones, own) = utterance(number);
        for (start, end, phone) in phones {
            let (start, end, phone) = (
                start as f64 / 100.0,
                end as f64 / 100.0,
                PHONES[phone as usize],
            );
            writeln!(gold, "u{number} {start:.2} {end:.2} {phone}").unwrap();
            writeln!(ctm, "u{number} 1 {start:.2} {:.2} {phone}", end - start).unwrap();
        }
        writeln!(units, "{{\"units\": {own:?}, \"file\": \"u{number}\"}}").unwrap();
        let own: Vec<String> = own.iter().map(ToString::to_string).collect();
        writeln!(text, "u{number} {}", own.join(" ")).unwrap();
    }
    for (name, content) in [
        ("gold.txt", gold),
        ("ctm", ctm),
        ("u.jsonl", units),
        ("u.txt", text),
    ] {
        fs::write(at.join(name), content).unwrap();
    }
    for args in [
        ["u.jsonl", "--alignments=gold.txt"],
        ["ark:u.txt", "--alignments=ctm"],
    ] {
        let more = ["--phonemes=6", "--out=score"];
        let table = succeed(at, &[&["units", "score"], &args[..], &more].concat());
        let found: Value =
            serde_json::from_str(&fs::read_to_string(at.join("score.json")).unwrap()).unwrap();
        for (place, (name, _)) in KINDS.into_iter().enumerate() {
            assert_eq!(found[place]["kind"], name);
            let value = |key: &str| found[place][key].as_f64();
            let ours = ["pnmi", "per", "f1", "r_val"].map(value);
            assert_close(ours, golden().all[name].as_ref().unwrap(), name);
        }
        let table = String::from_utf8(table).unwrap();
        assert!(
            table.contains("one-to-one   0.356  83.38  0.668  0.295    200"),
            "{table}"
        );
    }
}

#[test]
fn silence_around_phones_and_utterances_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::write(at.join("ctm"), "a 1 0.1 0.1 x\na 1 0.2 0.2 y\n").unwrap();
    let lines = "a 0 0 0 0 0 1 1 1 1 1 2 2 2 2 2 2 2 2 2 2 0 0 0 0 0 0 0\nb 1\n";
    fs::write(at.join("u"), lines).unwrap();
    let output = unbraid(at, &["units", "score", "u", "--alignments=ctm"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    assert_eq!(
        message,
        "unbraid: ctm: no phones of 1 utterances, which are left out: b\n"
    );
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("many-to-one  1.000  0.00   1.000  1.000    1\n"),
        "{table}"
    );
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::write(at.join("ctm"), "a 1 0.0 0.1 x\na 1 0.1 0.1 y\n").unwrap();
    fs::write(at.join("u"), "a 0 0 0 0 0 1 1 1 1 1\n").unwrap();
    fs::write(at.join("long"), format!("a{}\n", " 1".repeat(70))).unwrap();
    fs::write(at.join("short"), "a 1\n").unwrap();
    fs::write(at.join("other"), "b 1\n").unwrap();
    fs::write(
        at.join("cut.jsonl"),
        "{\"file\": \"a\", \"units\": [1, 2]}\n{\"fi",
    )
    .unwrap();
    let before = names(at);
    for (args, expected) in [
        (&["none.jsonl"][..], "none.jsonl: No such file"),
        (
            &["cut.jsonl"],
            "cut.jsonl:2: expected an object with 'file' and 'units'",
        ),
        (
            &["short"],
            "short: a: expected one unit per 2 of its 20 steps of phones, found 1",
        ),
        (
            &["long"],
            "long: a: expected one unit per 2 of its 20 steps of phones, found 70",
        ),
        (
            &["other"],
            "ctm: expected phones of utterances of other, found none",
        ),
        (
            &["u", "--frame-shift-ms=25"],
            "step of units: expected a multiple of the 10 ms of a phone, found 25 ms",
        ),
        (
            &["u", "--phonemes=0"],
            "number of phonemes: expected at least 1, as many as occur but for silence, found 0",
        ),
    ] {
        let error = fail(
            at,
            &[&["units", "score", "--alignments=ctm", "--out=o"], args].concat(),
            b"",
        );
        assert!(
            error.starts_with(&format!("unbraid: {expected}")),
            "{error}"
        );
        assert_eq!(names(at), before);
    }
    for args in [
        &["u"][..],
        &["u", "--alignments=ctm", "--ali=x"],
        &["u", "--ali=x", "--phonemes=3"],
    ] {
        let output = unbraid(at, &[&["units", "score"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}
