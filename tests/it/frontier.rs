//! `unbraid eval frontier` and `unbraid train --set` as a user runs them.

use std::fs;

use crate::support::training::{TRAIN, workplace};
use crate::support::{fail, names, put, succeed};

/// What `unbraid eval probe --out` leaves, of one representation, with the targets given.
fn probes(representation: &str, targets: &[(&str, f64)]) -> String {
    let result = |(target, accuracy): &(&str, f64)| {
        format!(
            r#"{{"representation": "{representation}", "target": "{target}", "probe": "linear", "accuracy": {accuracy},
            "range": [0, 1], "interval": [0, 1], "chance": 0.25, "classes": 4, "utterances": [8, 8], "runs": []}}"#
        )
    };
    let results: Vec<String> = targets.iter().map(result).collect();
    format!("[{}]", results.join(","))
}

#[test]
fn a_frontier_is_a_table_and_a_picture() {
    let dir = tempfile::tempdir().unwrap();
    for (name, representation, leak) in [
        ("mel", "log-mel", 1.0),
        ("a", "phonetic", 0.5),
        ("b", "phonetic", 0.3),
    ] {
        let results = probes(representation, &[("speaker", leak), ("text", 0.9)]);
        put(&dir.path().join(format!("{name}.json")), results);
    }
    let args = [
        "frontier",
        "--out",
        "f",
        "log-mel=mel.json",
        "x@0.3=b.json",
        "x@0.1=a.json",
    ];
    let table = String::from_utf8(succeed(dir.path(), &args)).unwrap();
    assert_eq!(table.lines().count(), 2 + 3, "{table}");
    assert_eq!(
        names(dir.path()),
        [
            "a.json", "b.json", "f.json", "f.md", "f.svg", "f.tsv", "mel.json"
        ]
    );
    let svg = fs::read_to_string(dir.path().join("f.svg")).unwrap();
    for label in ["log-mel", "x", "0.1", "0.3", "chance 25"] {
        assert!(svg.contains(&format!(">{label}</text>")), "{label}: {svg}");
    }
}

#[test]
fn a_frontier_without_its_probes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    put(
        &dir.path().join("speaker.json"),
        probes("phonetic", &[("speaker", 0.5)]),
    );
    let many = [("speaker", 0.5), ("text", 0.5), ("frames", 0.5)];
    put(&dir.path().join("many.json"), probes("phonetic", &many));
    put(&dir.path().join("eer.json"), "{\"eer\": 0.1}");
    for (args, message) in [
        (&["a=none.json"][..], "none.json: No such file"),
        (
            &["a=eer.json"],
            "eer.json:1: expected results of unbraid eval probe, found a table",
        ),
        (
            &["a=speaker.json"],
            "--content: expected one target beside speaker",
        ),
        (&["a=many.json"], "found [text, frames]"),
        (
            &["--content", "text", "a=speaker.json"],
            "a: expected a probe of text on representation 'phonetic'",
        ),
    ] {
        let args = [&["frontier", "--out", "f"], args].concat();
        let error = fail(dir.path(), &args, b"");
        assert!(error.contains(message), "{error}");
    }
    for argument in [
        "a",
        "=x.json",
        "a=",
        "a@x=speaker.json",
        "a@nan=speaker.json",
    ] {
        let output = crate::support::unbraid(dir.path(), &["frontier", argument]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{argument}");
        assert!(
            error.contains("expected NAME[@VALUE]=FILE[,FILE...]"),
            "{error}"
        );
    }
    assert_eq!(names(dir.path()), ["eer.json", "many.json", "speaker.json"]);
}

#[test]
fn a_setting_of_the_command_line_is_kept_with_the_run() {
    let dir = workplace(&[("steps = 60", "steps = 2")]);
    let settings = [
        "--set",
        "method.adversaries.0.lambda.weight=0.7",
        "--set",
        "data.labels=\"alignment\"",
    ];
    succeed(dir.path(), &[&TRAIN[..], &settings].concat());
    let kept = fs::read_to_string(dir.path().join("exp/conf.toml")).unwrap();
    assert!(
        kept.contains("weight = 0.7") && kept.contains("labels = \"alignment\""),
        "{kept}"
    );
    for (setting, message) in [
        ("method.lamda=1", "unknown field `lamda`"),
        ("train.steps=\"many\"", "invalid type: text \"many\""),
        ("data.labels=frames", "a string in quotes"),
        (
            "method.speaker_weight=-1",
            "speaker_weight: expected 0 or more, found -1",
        ),
    ] {
        let args = [&TRAIN[..4], &["other", "--set", setting]].concat();
        let error = fail(dir.path(), &args, b"");
        assert!(error.contains(message), "{error}");
        assert!(!dir.path().join("other").exists());
    }
}
