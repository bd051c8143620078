//! `unbraid score` as a user runs it, held to speechbrain's EER and minDCF.

use std::fs;
use std::path::Path;

use crate::support::{fail, names, succeed};
use ndarray::{Array1, array};
use serde::Deserialize;
use unbraid::eval::trials::verification;
use unbraid::io::kaldi::TableWriter;

/// A case of `oracles/speechbrain_scores.py`.
#[derive(Debug, Deserialize)]
struct Golden {
    name: String,
    targets: Vec<f64>,
    nontargets: Vec<f64>,
    eer: f64,
    min_dcf_01: f64,
    min_dcf_05: f64,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("../golden/speechbrain_scores.json")).unwrap()
}

#[test]
fn eer_and_min_dcf_are_speechbrains() {
    for case in golden() {
        let scores = [&case.targets[..], &case.nontargets].concat();
        let targets: Vec<bool> = (0..scores.len()).map(|i| i < case.targets.len()).collect();
        let found = verification(&scores, &targets, Path::new("trials")).unwrap();
        // speechbrain counts in single precision, and does not divide by the cost of a constant answer.
        for (ours, theirs) in [
            (found.eer, case.eer),
            (found.min_dcf_01 * 0.01, case.min_dcf_01),
            (found.min_dcf_05 * 0.05, case.min_dcf_05),
        ] {
            assert!(
                (ours - theirs).abs() < 1e-6,
                "{}: {ours} {theirs}",
                case.name
            );
        }
    }
}

fn write(dir: &Path, name: &str, embeddings: &[(&str, Array1<f32>)]) {
    let table = format!("ark:{}", dir.join(name).display());
    let mut writer = TableWriter::<Array1<f32>>::create(&table).unwrap();
    for (key, embedding) in embeddings {
        writer.write(key, embedding).unwrap();
    }
    writer.finish().unwrap();
}

/// Embeddings in the plane whose cosines with `one` are the golden scores: the binary says the same of them.
#[test]
fn cosines_become_scores_and_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let case = golden().remove(1);
    let mut trials = String::new();
    let mut embeddings = vec![("one".to_string(), array![2.0, 0.0])];
    for (kind, scores) in [("target", &case.targets), ("nontarget", &case.nontargets)] {
        for (index, &score) in scores.iter().enumerate() {
            let key = format!("{kind}{index}");
            trials += &format!("one {key} {kind}\n");
            embeddings.push((
                key,
                array![score as f32, (1.0 - score * score).sqrt() as f32],
            ));
        }
    }
    let named: Vec<_> = embeddings
        .iter()
        .map(|(key, e)| (key.as_str(), e.clone()))
        .collect();
    write(dir.path(), "s.ark", &named);
    fs::write(dir.path().join("trials"), trials).unwrap();
    let args = [
        "score",
        "--trials",
        "trials",
        "--scores",
        "scores",
        "--out",
        "eer",
        "ark:s.ark",
    ];
    let table = String::from_utf8(succeed(dir.path(), &args)).unwrap();
    assert!(
        table.contains(&format!("{:.2}", 100.0 * case.eer)),
        "{table}"
    );
    assert_eq!(
        names(dir.path()),
        ["eer.json", "eer.tsv", "s.ark", "scores", "trials"]
    );
    let scores = fs::read_to_string(dir.path().join("scores")).unwrap();
    for (line, score) in scores
        .lines()
        .zip(case.targets.iter().chain(&case.nontargets))
    {
        let found: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert!((found - score).abs() < 2e-6, "{line}: {score}");
    }
    let json = fs::read_to_string(dir.path().join("eer.json")).unwrap();
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found["targets"], case.targets.len());
}

#[test]
fn what_is_wrong_is_told_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let nan = f32::NAN;
    write(
        at,
        "s.ark",
        &[
            ("a", array![1.0, 0.0]),
            ("b", array![0.0, 1.0]),
            ("n", array![nan, 1.0]),
        ],
    );
    write(at, "three.ark", &[("b", array![0.0, 1.0, 2.0])]);
    for (trials, embeddings, expected) in [
        (
            "a b target\n",
            &["ark:s.ark"][..],
            "trials: expected both target and nontarget trials, found 1 target",
        ),
        (
            "",
            &["ark:s.ark"],
            "trials: expected both target and nontarget trials",
        ),
        (
            "a b same\n",
            &["ark:s.ark"],
            "trials:1: expected 'enrolment test target|nontarget', found 'a b same'",
        ),
        ("a b target\na\n", &["ark:s.ark"], "trials:2: expected"),
        (
            "a c target\n",
            &["ark:s.ark"],
            "trials: c: expected an embedding of this key, found none",
        ),
        (
            "a n target\na b nontarget\n",
            &["ark:s.ark"],
            "trials: a n: expected embeddings of finite numbers",
        ),
        (
            "a b target\n",
            &["ark:s.ark", "ark:three.ark"],
            "trials: b: expected 2 values, as 'a' has, found 3",
        ),
        ("a b target\n", &["ark:none.ark"], "none.ark: No such file"),
        (
            "a b target\n",
            &["s.ark"],
            "'s.ark': expected a read specifier",
        ),
    ] {
        fs::write(at.join("trials"), trials).unwrap();
        let fixed = ["score", "--trials", "trials", "--out", "eer"];
        let error = fail(at, &[&fixed, embeddings].concat(), b"");
        assert!(error.contains(expected), "{error}");
        assert_eq!(names(at), ["s.ark", "three.ark", "trials"]);
    }
}
