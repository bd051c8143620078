//! `unbraid eval abx` as a user runs it, compared with fastabx on synthetic utterances.

use std::fs;
use std::path::Path;

use crate::support::{fail, names, succeed, unbraid};
use ndarray::{Array1, Array2};
use serde::Deserialize;
use serde_json::Value;
use unbraid::io::kaldi::TableWriter;

/// A case of `references/fastabx_scores.py`.
#[derive(Debug, Deserialize)]
struct Golden {
    name: String,
    utterances: Vec<Utterance>,
    context: Scores,
    any: Scores,
    units: Scores,
    units_any: Scores,
    words: Scores,
    speakers: Scores,
}

#[derive(Debug, Deserialize)]
struct Utterance {
    key: String,
    speaker: String,
    text: String,
    phones: Vec<(f64, f64, String)>,
    feats: Vec<Vec<f32>>,
}

#[derive(Debug, Deserialize)]
struct Scores {
    within: Score,
    across: Score,
}

#[derive(Debug, Deserialize)]
struct Score {
    error: f64,
    cells: u64,
    triples: u64,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("../golden/fastabx_scores.json")).unwrap()
}

/// Writes `utt2spk`, `text`, `phones.ctm` and `feats.{ark,scp}`.
fn write(dir: &Path, utterances: &[Utterance]) {
    let (mut utt2spk, mut text, mut ctm) = (String::new(), String::new(), String::new());
    let path = dir.join("feats").display().to_string();
    let mut writer = TableWriter::create(&format!("ark,scp:{path}.ark,{path}.scp")).unwrap();
    for u in utterances {
        utt2spk += &format!("{} {}\n", u.key, u.speaker);
        text += &format!("{} {}\n", u.key, u.text);
        for (start, duration, phone) in &u.phones {
            ctm += &format!("{} 1 {start:.4} {duration:.4} {phone}\n", u.key);
        }
        let flat: Vec<f32> = u.feats.concat();
        let feats = Array2::from_shape_vec((u.feats.len(), u.feats[0].len()), flat).unwrap();
        writer.write(&u.key, &feats).unwrap();
    }
    writer.finish().unwrap();
    for (name, content) in [("utt2spk", utt2spk), ("text", text), ("phones.ctm", ctm)] {
        fs::write(dir.join(name), content).unwrap();
    }
}

fn folder(case: &Golden) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &case.utterances);
    dir
}

fn report(dir: &Path, args: &[&str]) -> Value {
    let fixed = [
        "abx",
        ".",
        "--representation",
        "made=feats.scp",
        "--out",
        "abx",
    ];
    read_report(dir, &[&fixed, args].concat())
}

fn read_report(dir: &Path, args: &[&str]) -> Value {
    succeed(dir, args);
    let json = fs::read_to_string(dir.join("abx.json")).unwrap();
    let reports: Value = serde_json::from_str(&json).unwrap();
    reports[0].clone()
}

/// Writes `made.item` and `units.jsonl`: of a frame the sum of its values modulo 4.
fn write_items(dir: &Path, utterances: &[Utterance]) {
    let mut items = "#file onset offset #phone prev-phone next-phone speaker\n".to_string();
    let mut lines = String::new();
    for u in utterances {
        let name = |place: Option<usize>| {
            let phone = place.and_then(|place| u.phones.get(place));
            phone.map_or("-", |(_, _, phone)| phone)
        };
        for (place, (start, length, phone)) in u.phones.iter().enumerate() {
            let (before, after) = (name(place.checked_sub(1)), name(Some(place + 1)));
            let (key, end, speaker) = (&u.key, start + length, &u.speaker);
            items += &format!("{key} {start:.4} {end:.4} {phone} {before} {after} {speaker}\n");
        }
        let units = u
            .feats
            .iter()
            .map(|frame| (frame.iter().sum::<f32>() as i32).rem_euclid(4));
        let units: Vec<String> = units.map(|unit| unit.to_string()).collect();
        lines += &format!(
            "{{\"file\": \"{}\", \"units\": [{}]}}\n",
            u.key,
            units.join(", ")
        );
    }
    fs::write(dir.join("made.item"), items).unwrap();
    fs::write(dir.join("units.jsonl"), lines).unwrap();
}

#[test]
fn errors_are_those_of_fastabx() {
    for case in golden() {
        let dir = folder(&case);
        write_items(dir.path(), &case.utterances);
        let phones = [".", "--alignments", "phones.ctm"];
        let (feats, units) = (
            "--representation=made=feats.scp",
            "--units=made=units.jsonl",
        );
        for (scores, args) in [
            (&case.context, [&phones[..], &[feats]].concat()),
            (
                &case.any,
                [&phones[..], &[feats, "--without-context"]].concat(),
            ),
            (&case.context, vec![feats, "--item=made.item"]),
            (
                &case.any,
                vec![feats, "--item=made.item", "--without-context"],
            ),
            (&case.units, vec![units, "--item=made.item"]),
            (
                &case.units_any,
                vec![units, "--item=made.item", "--without-context"],
            ),
            (&case.units, [&phones[..], &[units]].concat()),
            (&case.words, vec![".", feats]),
            (
                &case.speakers,
                vec![".", feats, "--discriminate", "speaker"],
            ),
        ] {
            let all = ["abx", "--max-items=0", "--max-speakers=0", "--out=abx"];
            let found = read_report(dir.path(), &[&all, &args[..]].concat());
            for (ours, theirs) in [
                (&found["within"], &scores.within),
                (&found["across"], &scores.across),
            ] {
                let place = format!("{} {args:?}: {ours:?} {theirs:?}", case.name);
                assert_eq!(ours["cells"], theirs.cells, "{place}");
                assert_eq!(ours["triples"], theirs.triples, "{place}");
                let gap = ours["error"].as_f64().unwrap() - theirs.error;
                assert!(gap.abs() < 1e-6, "{gap} {place}");
            }
        }
    }
}

#[test]
fn limits_are_reported_and_threads_do_not_matter() {
    let dir = folder(&golden()[0]);
    let args = [
        "abx",
        ".",
        "--representation",
        "made=feats.scp",
        "--max-items",
        "1",
    ];
    let more = ["--max-speakers", "2", "--seed", "3", "--threads"];
    let one = succeed(dir.path(), &[&args[..], &more, &["1"]].concat());
    assert_eq!(
        one,
        succeed(dir.path(), &[&args[..], &more, &["3"]].concat())
    );
    let text = String::from_utf8(one).unwrap();
    let expected = "made: a part only: 12 of 12 groups cut to 1 items, x from 2 others for 12 groups, by seed 3";
    assert_eq!(text.lines().last().unwrap(), expected);
    // A group of one item has no other item of its speaker.
    assert!(
        text.lines()
            .nth(2)
            .unwrap()
            .starts_with("made            text  -"),
        "{text}"
    );
}

#[test]
fn utterances_without_phones_are_named_and_left_out() {
    let dir = folder(&golden()[0]);
    let at = dir.path();
    let whole = report(at, &["--alignments", "phones.ctm"]);
    assert_eq!(whole["without_phones"], Value::Array(Vec::new()));
    let scp = fs::read_to_string(at.join("feats.scp")).unwrap();
    let place = scp.lines().next().unwrap().split_once(' ').unwrap().1;
    for (name, line) in [
        ("feats.scp", format!("z-1 {place}\n")),
        ("utt2spk", "z-1 z\n".into()),
    ] {
        let before = fs::read_to_string(at.join(name)).unwrap();
        fs::write(at.join(name), before + &line).unwrap();
    }
    let args = [
        "abx",
        ".",
        "--representation",
        "made=feats.scp",
        "--alignments",
        "phones.ctm",
    ];
    let output = unbraid(at, &args);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    assert_eq!(
        message,
        "unbraid: phones.ctm: no phones of 1 utterances, which are left out: z-1\n"
    );
    let found = report(at, &["--alignments", "phones.ctm"]);
    assert_eq!(found["within"], whole["within"]);
    assert_eq!(found["across"], whole["across"]);
    assert_eq!(found["without_phones"][0], "z-1");
}

#[test]
fn vectors_are_one_frame() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = TableWriter::<Array1<f32>>::create(&format!(
        "ark,scp:{0}/feats.ark,{0}/feats.scp",
        dir.path().display()
    ))
    .unwrap();
    let (mut utt2spk, mut text) = (String::new(), String::new());
    for (key, word, x) in [("u1", "no", 0.0), ("u2", "no", 0.1), ("u3", "yes", 3.0)] {
        writer.write(key, &Array1::from(vec![1.0, x])).unwrap();
        utt2spk += &format!("{key} s\n");
        text += &format!("{key} {word}\n");
    }
    writer.finish().unwrap();
    fs::write(dir.path().join("utt2spk"), utt2spk).unwrap();
    fs::write(dir.path().join("text"), text).unwrap();
    let found = report(dir.path(), &[]);
    assert_eq!(found["within"]["error"], 0.0);
    assert_eq!(found["across"], Value::Null);
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = folder(&golden()[0]);
    let at = dir.path();
    let ctm = fs::read_to_string(at.join("phones.ctm")).unwrap();
    fs::write(at.join("none.ctm"), "s0-1 1 0 0.1 a\n").unwrap();
    fs::write(at.join("late.ctm"), ctm.clone() + "s0-0 1 9.0 0.1 a\n").unwrap();
    fs::write(at.join("bad.ctm"), "s0-0 1 now 0.1 a\n").unwrap();
    let scp = fs::read_to_string(at.join("feats.scp")).unwrap();
    let short: Vec<&str> = scp.lines().skip(1).collect();
    fs::write(at.join("short.scp"), short.join("\n") + "\n").unwrap();
    fs::create_dir(at.join("lone")).unwrap();
    let lone = "s0-0 s0\ns1-1 s1\n";
    fs::write(at.join("lone/utt2spk"), lone).unwrap();
    fs::write(at.join("lone/text"), "s0-0 a\ns1-1 b\n").unwrap();
    fs::create_dir(at.join("mute")).unwrap();
    fs::write(at.join("mute/utt2spk"), lone).unwrap();
    write_items(at, &golden()[0].utterances);
    let items = fs::read_to_string(at.join("made.item")).unwrap();
    fs::write(
        at.join("late.item"),
        items.clone() + "s0-0 9.0 9.1 a b c s0\n",
    )
    .unwrap();
    fs::write(
        at.join("gold.item"),
        "#file onset offset #phone\ns0-0 0 0.1 a\n",
    )
    .unwrap();
    fs::write(
        at.join("few.jsonl"),
        "{\"file\": \"s0-9\", \"units\": [1]}\n",
    )
    .unwrap();
    fs::write(at.join("other.item"), items.replace("s0-0", "s9-0")).unwrap();
    let before = names(at);
    let made = "--representation=made=feats.scp";
    for (args, expected) in [
        (&["none", made][..], "none/utt2spk: No such file"),
        (
            &[".", "--representation=x=none.scp"],
            "none.scp: No such file",
        ),
        (
            &[".", "--representation=x=short.scp"],
            "short.scp: s0-0: expected a line for this key, found none",
        ),
        (
            &["lone", made],
            "feats.scp: expected two labels in one context of a speaker",
        ),
        (
            &["mute", made],
            "mute/text: s0-0: expected its text, found none",
        ),
        (
            &["mute", made, "--alignments", "none.ctm"],
            "none.ctm: expected phones of utterances of mute, found none",
        ),
        (
            &[".", made, "--alignments", "bad.ctm"],
            "bad.ctm:1: expected start and duration in seconds",
        ),
        (
            &[".", made, "--alignments", "late.ctm"],
            "late.ctm: s0-0: expected phones within its ",
        ),
        (
            &[
                ".",
                made,
                "--alignments",
                "phones.ctm",
                "--frame-shift-ms",
                "0",
            ],
            "--frame-shift-ms: expected milliseconds from 0, a shift above it, found 0",
        ),
        (
            &[
                ".",
                made,
                "--alignments",
                "phones.ctm",
                "--frame-shift-ms",
                "20",
            ],
            "--frame-shift-ms: expected about 9.98 ms (100.23 frames per second)",
        ),
        (
            &[
                ".",
                made,
                "--alignments",
                "phones.ctm",
                "--frame-shift-ms",
                "nan",
            ],
            "--frame-shift-ms: expected milliseconds",
        ),
        (
            &[
                ".",
                made,
                "--alignments",
                "phones.ctm",
                "--frame-shift-ms",
                "5",
            ],
            "46 frames of 5 ms (if that is the frame shift), found 'b' from",
        ),
        (
            &[made, "--item", "late.item"],
            "late.item: s0-0: expected phones within its ",
        ),
        (
            &[made, "--item", "gold.item"],
            "gold.item:1: expected columns #file, onset, offset, #phone, prev-phone, next-phone and speaker, found ",
        ),
        (
            &[made, "--item", "other.item"],
            "feats.scp: s9-0: expected a line for this key, found none",
        ),
        (
            &["--units=u=few.jsonl", "--item", "made.item"],
            "few.jsonl: s0-0: expected units of this utterance, found none",
        ),
        (
            &["--units=u=none.jsonl", "--item", "made.item"],
            "none.jsonl: No such file",
        ),
    ] {
        let error = fail(at, &[&["abx", "--out", "o"], args].concat(), b"");
        assert!(error.contains(expected), "{args:?}: {error}");
        assert_eq!(names(at), before);
    }
    for args in [
        &["--without-context"][..],
        &["--representation", "feats.scp"],
        &["--threads", "0"],
    ] {
        let output = unbraid(at, &[&["abx", ".", made], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}
