//! `unbraid verify score` as a user runs it, compared with speechbrain's EER and minDCF.

use std::fs;
use std::path::Path;

use crate::support::{fail, names, succeed};
use ndarray::{Array1, array};
use serde::Deserialize;
use unbraid::eval::trials::ScoredTrials;
use unbraid::io::kaldi::TableWriter;

/// A case of `references/speechbrain_scores.py`.
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
        let mut scored = ScoredTrials::default();
        scored.extend(case.targets.iter().map(|&score| (score, true)));
        scored.extend(case.nontargets.iter().map(|&score| (score, false)));
        let detection = scored.detection(Path::new("trials")).unwrap();
        let found = detection.verification();
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

/// Embeddings in the plane whose cosines with `one` are the golden scores: the binary gives the same ones.
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

/// A folder of embeddings of three speakers in the plane, and of others for a cohort.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |degrees: f32| array![degrees.to_radians().cos(), degrees.to_radians().sin()] * 3.0;
    let embeddings = [
        ("a1", 0.0),
        ("a2", 14.0),
        ("b1", 40.0),
        ("b2", 65.0),
        ("c1", 20.0),
    ];
    write(
        dir.path(),
        "s.ark",
        &embeddings.map(|(key, degrees)| (key, at(degrees))),
    );
    let cohort = [("x", -20.0), ("y", 30.0), ("z", 80.0), ("w", 120.0)];
    write(
        dir.path(),
        "cohort.ark",
        &cohort.map(|(key, degrees)| (key, at(degrees))),
    );
    let trials = "a1 a2 target\na1 b1 nontarget\nb1 b2 target\nb1 a2 nontarget\na1 c1 nontarget\n";
    fs::write(dir.path().join("trials"), trials).unwrap();
    dir
}

fn scores(at: &Path, args: &[&str]) -> Vec<f64> {
    let fixed = ["score", "--scores", "scores"];
    succeed(at, &[&fixed, args].concat());
    let text = fs::read_to_string(at.join("scores")).unwrap();
    let last = |line: &str| line.rsplit(' ').next().unwrap().parse().unwrap();
    text.lines().map(last).collect()
}

#[test]
fn forms_of_lists_give_the_same() {
    let dir = folder();
    let at = dir.path();
    let text = fs::read_to_string(at.join("trials")).unwrap();
    let rewrite = |name: &str, write: fn(&[&str]) -> String| {
        let lines = text
            .lines()
            .map(|line| write(&line.split(' ').collect::<Vec<_>>()));
        fs::write(at.join(name), lines.collect::<String>()).unwrap();
    };
    rewrite("voxceleb", |f| {
        format!("{} {} {}\n", u8::from(f[2] == "target"), f[0], f[1])
    });
    rewrite("pairs", |f| format!("{} {}\n", f[0], f[1]));
    let expected = scores(at, &["--trials", "trials", "--out", "kaldi", "ark:s.ark"]);
    assert_eq!(expected.len(), 5);
    for args in [
        &["--trials", "voxceleb", "--out", "vox"][..],
        &["--trials", "pairs"],
        &["--trials", "trials", "--scores-only"],
        &["--trials", "voxceleb", "--threads", "1"],
    ] {
        assert_eq!(
            scores(at, &[args, &["ark:s.ark"]].concat()),
            expected,
            "{args:?}"
        );
    }
    let read = |name: &str| fs::read_to_string(at.join(name)).unwrap();
    assert_eq!(read("kaldi.json"), read("vox.json"));
}

/// Cosines of known angles, in deviations of the greatest two of the cohort, by hand.
#[test]
fn a_cohort_normalises_both_sides() {
    let dir = folder();
    let found = scores(
        dir.path(),
        &[
            "--trials",
            "trials",
            "--cohort",
            "ark:cohort.ark",
            "--top",
            "2",
            "ark:s.ark",
        ],
    );
    let cosine = |a: f64, b: f64| (a - b).to_radians().cos();
    let level = |own: f64| {
        let mut scores = [-20.0, 30.0, 80.0, 120.0].map(|other| cosine(own, other));
        scores.sort_by(|a, b| b.total_cmp(a));
        ((scores[0] + scores[1]) / 2.0, (scores[0] - scores[1]) / 2.0)
    };
    let pairs = [
        (0.0, 14.0),
        (0.0, 40.0),
        (40.0, 65.0),
        (40.0, 14.0),
        (0.0, 20.0),
    ];
    for ((a, b), found) in pairs.into_iter().zip(found) {
        let by = |(mean, deviation): (f64, f64)| (cosine(a, b) - mean) / deviation;
        let expected = (by(level(a)) + by(level(b))) / 2.0;
        assert!(
            (found - expected).abs() < 1e-4,
            "{a} {b}: {found} {expected}"
        );
    }
}

#[test]
fn models_of_several_utterances_are_means() {
    let dir = folder();
    let at = dir.path();
    fs::write(at.join("spk2utt"), "a a1 a2\nb b2\n").unwrap();
    fs::write(at.join("pairs"), "a c1\nb c1\n").unwrap();
    let found = scores(
        at,
        &["--trials", "pairs", "--enrol", "spk2utt", "ark:s.ark"],
    );
    for (found, degrees) in found.into_iter().zip([20.0 - 7.0, 65.0 - 20f64]) {
        assert!((found - degrees.to_radians().cos()).abs() < 2e-6, "{found}");
    }
}

#[test]
fn a_det_curve_is_drawn() {
    let dir = folder();
    let args = [
        "score",
        "--trials",
        "trials",
        "--det",
        "det.svg",
        "ark:s.ark",
    ];
    succeed(dir.path(), &args);
    let svg = fs::read_to_string(dir.path().join("det.svg")).unwrap();
    assert!(
        svg.contains("EER") && svg.contains("misses, % of target trials"),
        "{svg}"
    );
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = folder();
    let at = dir.path();
    write(
        at,
        "nan.ark",
        &[("a1", array![1.0, 0.0]), ("n", array![f32::NAN, 1.0])],
    );
    write(at, "three.ark", &[("a2", array![0.0, 1.0, 2.0])]);
    write(
        at,
        "mixed.ark",
        &[("a1", array![0.0, 1.0]), ("a2", array![0.0])],
    );
    write(at, "empty.ark", &[]);
    fs::write(at.join("nobody"), "a a1 a9\n").unwrap();
    fs::write(at.join("alone"), "b b1\na\n").unwrap();
    fs::write(at.join("json"), "{}").unwrap();
    let before = names(at);
    let good = "a1 a2 target\n";
    for (trials, args, expected) in [
        (
            good,
            &["ark:s.ark"][..],
            "trials: expected both target and nontarget trials, found 1 target",
        ),
        ("", &["ark:s.ark"], "trials: expected trials, found none"),
        (
            "a1 b1 same\n",
            &["ark:s.ark"],
            "trials:1: expected 'enrolment test target|nontarget', '1|0 enrolment test' or 'enrolment test', found \
             'a1 b1 same'",
        ),
        (
            "a1 b1 target\na1\n",
            &["ark:s.ark"],
            "trials:2: expected 'enrolment test target|nontarget', found 'a1'",
        ),
        (
            "a1 a2 target\na1 d target\n",
            &["ark:s.ark"],
            "trials:2: expected a test utterance with an embedding, found 'd', which has none",
        ),
        (
            "d a1 target\n",
            &["ark:s.ark"],
            "trials:1: expected a model or enrolment utterance with an embedding, found 'd', which has none",
        ),
        (
            "a1 a2\n",
            &["ark:s.ark"],
            "trials: expected trials with answers, to measure by (--scores alone needs none)",
        ),
        (
            good,
            &["ark:nan.ark"],
            "ark:nan.ark: n: expected finite numbers, found NaN",
        ),
        (
            good,
            &["ark:s.ark", "ark:three.ark"],
            "ark:three.ark: expected embeddings of 2 values, as the backend or the other side, found 3",
        ),
        (
            good,
            &["ark:mixed.ark"],
            "ark:mixed.ark: a2: expected 2 values, as others have, found 1",
        ),
        (
            good,
            &["ark:empty.ark"],
            "ark:empty.ark: expected embeddings, found none",
        ),
        (good, &["ark:none.ark"], "none.ark: No such file"),
        (good, &["s.ark"], "'s.ark': expected a read specifier"),
        (
            good,
            &["--enrol", "nobody", "ark:s.ark"],
            "nobody:1: expected utterances with an embedding in ark:s.ark, found 'a9'",
        ),
        (
            good,
            &["--enrol", "alone", "ark:s.ark"],
            "alone:2: expected a model and its utterances, found 'a' without any",
        ),
        (
            good,
            &["--cohort", "ark:s.ark", "--top", "1", "ark:s.ark"],
            "top: expected at least 2, found 1",
        ),
        (
            good,
            &["--det", "det.pdf", "ark:s.ark"],
            "--det: expected a name that ends in .svg or .png",
        ),
        (
            good,
            &["--backend", "json", "ark:s.ark"],
            "json:1: expected the backend that unbraid wrote, found",
        ),
        (
            good,
            &["--calibration", "json", "ark:s.ark"],
            "json:1: expected the calibration that unbraid wrote",
        ),
    ] {
        fs::write(at.join("trials"), trials).unwrap();
        let fixed = ["score", "--trials", "trials", "--out", "eer"];
        let error = fail(at, &[&fixed, args].concat(), b"");
        assert!(error.contains(expected), "{error}");
        assert_eq!(names(at), before);
    }
}
