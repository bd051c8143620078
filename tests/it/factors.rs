//! `unbraid eval factors` as a user runs it; its scores compared with scikit-learn.

use std::fs;
use std::path::Path;

use crate::support::{fail, names, references, run_reference, succeed, unbraid};
use ndarray::{Array1, Array2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use unbraid::eval::factors::{Factor, FactorOptions, factors, split};
use unbraid::io::kaldi::{KaldiObject, TableWriter};

const SPEAKERS: usize = 4;
const WORDS: usize = 3;
const ITEMS: usize = 240;

fn classes() -> [Vec<usize>; 2] {
    [
        (0..ITEMS).map(|i| i / (ITEMS / SPEAKERS)).collect(),
        (0..ITEMS).map(|i| (i * i + i / 7) % WORDS).collect(),
    ]
}

/// Each factor in some dimensions, mixed with the other and with noise.
fn vectors(seed: u64) -> Array2<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let [speakers, words] = classes();
    let weights = Array2::from_shape_fn((6, 3), |_| rng.random_range(-1.0..1.0));
    Array2::from_shape_fn((ITEMS, 6), |(item, dim)| {
        weights[[dim, 0]] * speakers[item] as f64
            + weights[[dim, 1]] * words[item] as f64
            + (0.2 + weights[[dim, 2]].abs()) * rng.random_range(-1.0..1.0)
    })
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_mig_and_sap_are_those_of_scikit_learn() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..3 {
        let vectors = vectors(seed);
        // A third factor of two classes, one of them rare.
        let mut first = vectors.column(0).to_vec();
        first.sort_by(f64::total_cmp);
        let rare: Vec<usize> = (0..ITEMS)
            .map(|i| usize::from(vectors[[i, 0]] > first[ITEMS * 4 / 5]))
            .collect();
        let [speakers, words] = classes();
        let known = [speakers, words, rare];
        let named: Vec<Factor> = known
            .iter()
            .map(|classes| Factor {
                name: "known".into(),
                classes: classes.clone(),
            })
            .collect();
        let options = FactorOptions {
            seed,
            draws: 0,
            ..FactorOptions::default()
        };
        let found = factors(&vectors, &named, options).unwrap();
        let (learn, test) = split(ITEMS, seed);
        let rows: Vec<Vec<f64>> = vectors.rows().into_iter().map(|row| row.to_vec()).collect();
        let case = json!({
            "vectors": rows,
            "classes": known,
            "learn": learn,
            "test": test,
            "mig": found.factors.iter().map(|f| f.mig).collect::<Vec<_>>(),
            "sap": found.factors.iter().map(|f| f.sap).collect::<Vec<_>>(),
        });
        fs::write(dir.path().join("case.json"), case.to_string()).unwrap();
        run_reference(&python, dir.path(), "factor_scores.py", &["case.json"]);
    }
}

fn write<T: KaldiObject>(dir: &Path, name: &str, make: impl Fn(usize) -> T) {
    let path = dir.join(name).display().to_string();
    let mut writer = TableWriter::create(&format!("ark,scp:{path}.ark,{path}.scp")).unwrap();
    for item in 0..ITEMS {
        writer.write(&format!("u{item:03}"), &make(item)).unwrap();
    }
    writer.finish().unwrap();
}

/// A representation `z` of frames with the word, and one `s` of vectors with the speaker.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let [speakers, words] = classes();
    let noise = |item: usize, dim: usize| ((item * 7919 + dim * 613) % 211) as f32 / 422.0;
    write(dir.path(), "z", |item| {
        Array2::from_shape_fn((2 + item % 3, WORDS), |(_, dim)| {
            noise(item, dim) + if words[item] == dim { 1.0 } else { 0.0 }
        })
    });
    write(dir.path(), "s", |item| {
        Array1::from_shape_fn(SPEAKERS, |dim| {
            noise(item, dim + 10) + if speakers[item] == dim { 1.0 } else { 0.0 }
        })
    });
    let (mut utt2spk, mut text, mut ages) = (String::new(), String::new(), String::new());
    for item in 0..ITEMS {
        utt2spk += &format!("u{item:03} s{}\n", speakers[item]);
        text += &format!("u{item:03} w{}\n", words[item]);
    }
    for speaker in 0..SPEAKERS {
        ages += &format!("s{speaker} {}\n", 22 + 5 * speaker);
    }
    for (name, content) in [("utt2spk", utt2spk), ("text", text), ("spk2age", ages)] {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

#[test]
fn each_factor_has_its_own_representation() {
    let dir = folder();
    let args = [
        "factors",
        ".",
        "--factor",
        "speaker",
        "--factor",
        "text",
        "--factor",
        "spk2age",
        "--representation",
        "z=z.scp",
        "--representation",
        "s=s.scp",
        "--draws",
        "20",
        "--out",
        "f",
    ];
    let text = String::from_utf8(succeed(dir.path(), &args)).unwrap();
    assert_eq!(text.lines().count(), 6, "{text}");
    let json = fs::read_to_string(dir.path().join("f.json")).unwrap();
    let found: Value = serde_json::from_str(&json).unwrap();
    let share = |representation: usize, factor: usize| {
        found["representations"][representation]["shares"][factor]
            .as_f64()
            .unwrap()
    };
    // Speaker, text, age.
    assert!(
        share(1, 0) > 0.95 && share(0, 1) > 0.95 && share(1, 2) > 0.95,
        "{text}"
    );
    assert_eq!(found["dims"], 7);
    for (factor, classes) in [(0, SPEAKERS), (1, WORDS), (2, 2)] {
        let factor = &found["factors"][factor];
        assert_eq!(factor["classes"], classes);
        assert!(factor["accuracy"].as_f64().unwrap() > 0.95, "{text}");
        let spread = &factor["spreads"]["accuracy"];
        let ends = [0, 1].map(|end| spread["interval"][end].as_f64().unwrap());
        let chance = spread["chance"].as_f64().unwrap();
        assert!(ends[0] <= ends[1] && chance < ends[0], "{spread}");
        assert!(ends[1] > 0.95 && chance < 0.7, "{spread}");
    }
    assert_eq!(
        names(dir.path())
            .iter()
            .filter(|name| name.starts_with("f."))
            .count(),
        2
    );
    let again = succeed(dir.path(), &[&args[..], &["--threads", "1"]].concat());
    assert_eq!(String::from_utf8(again).unwrap(), text);
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = folder();
    let at = dir.path();
    fs::write(at.join("one"), "s0 x\ns1 x\ns2 x\ns3 x\n").unwrap();
    fs::write(at.join("few"), "s0 x\ns1 y\n").unwrap();
    write(at, "nan", |item| {
        Array1::from(vec![1.0, if item == 5 { f32::NAN } else { 0.0 }])
    });
    let before = names(at);
    let z = "--representation=z=z.scp";
    for (args, expected) in [
        (
            &["none", z, "--factor=speaker"][..],
            "none/utt2spk: No such file",
        ),
        (
            &[".", "--representation=z=none", "--factor=speaker"],
            "none: No such file",
        ),
        (&[".", z, "--factor=gone"], "gone: No such file"),
        (
            &[".", z, "--factor=one"],
            "factor one: expected at least 2 classes",
        ),
        (
            &[".", z, "--factor=few"],
            "few: u120: expected a line for this utterance or for its speaker 's2', found none",
        ),
        (
            &[".", "--representation=n=nan.scp", "--factor=speaker"],
            "nan.scp: u005: expected finite features, found NaN",
        ),
        (
            &[".", z, "--factor=speaker", "--bins=1"],
            "bins: expected at least 2, found 1",
        ),
    ] {
        let error = fail(at, &[&["factors", "--out", "f"], args].concat(), b"");
        assert!(error.contains(expected), "{args:?}: {error}");
        assert_eq!(names(at), before);
    }
    let unnamed = unbraid(
        at,
        &[
            "factors",
            ".",
            "--representation",
            "z.scp",
            "--factor",
            "speaker",
        ],
    );
    assert_eq!(unnamed.status.code(), Some(2));
}
