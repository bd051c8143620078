//! `feats speaker-regression` and `feats subtract-speaker`: least squares as NumPy has it, and what does not fit.

use std::path::Path;

use ndarray::{Array1, Array2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unbraid::io::kaldi::{TableReader, TableWriter};

use crate::support::{fail, put, references, run_reference, succeed, unbraid};

/// `f.ark` and embeddings of utterances, `e.ark`, of so many values that span `rank` directions, and of speakers, `s.ark`.
fn folder(dim: usize, rank: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("ark:{}", dir.path().join(name).display());
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut normal = |rows: usize, columns: usize| {
        Array2::from_shape_fn((rows, columns), |_| rng.random_range(-1.0f32..1.0))
    };
    let (basis, effect) = (normal(rank, dim), normal(dim, 5));
    let mut feats = TableWriter::<Array2<f32>>::create(&at("f.ark")).unwrap();
    let mut embeddings = TableWriter::<Array1<f32>>::create(&at("e.ark")).unwrap();
    let mut speakers = TableWriter::<Array1<f32>>::create(&at("s.ark")).unwrap();
    let mut utt2spk = String::new();
    for speaker in 0..6 {
        for utterance in 0..4 {
            let key = format!("s{speaker}-{utterance}");
            let embed = normal(1, rank).dot(&basis).row(0).to_owned() + 2.0;
            let values = normal(6 + utterance, 5) * 3.0 + &embed.dot(&effect) + 30.0;
            feats.write(&key, &values).unwrap();
            if utterance == 0 {
                speakers.write(&format!("s{speaker}"), &embed).unwrap();
            }
            embeddings.write(&key, &embed).unwrap();
            utt2spk += &format!("{key} s{speaker}\n");
        }
    }
    feats.finish().unwrap();
    embeddings.finish().unwrap();
    speakers.finish().unwrap();
    put(&dir.path().join("utt2spk"), utt2spk);
    dir
}

const FIT: [&str; 4] = ["feats", "speaker-regression", "ark:f.ark", "ark:m.ark"];
const SUBTRACT: [&str; 5] = [
    "feats",
    "subtract-speaker",
    "ark:m.ark",
    "ark:f.ark",
    "ark:r.ark",
];
const OWN: [&str; 2] = ["--embeddings", "ark:e.ark"];

fn read(dir: &Path, name: &str) -> Vec<(String, Array2<f32>)> {
    let ark = format!("ark:{}", dir.join(name).display());
    let entries = TableReader::open(&ark).unwrap();
    entries.map(|entry| entry.unwrap()).collect()
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_the_residual_is_that_of_lstsq() {
    let python = references::python();
    for (dim, rank, components) in [(4, 4, "0"), (8, 3, "0"), (60, 20, "0"), (8, 8, "3")] {
        let dir = folder(dim, rank);
        let fit = [&FIT[..], &OWN, &["--components", components]].concat();
        succeed(dir.path(), &fit);
        succeed(dir.path(), &[&SUBTRACT[..], &OWN].concat());
        let args = ["f.ark", "e.ark", "m.ark", "r.ark", components];
        run_reference(&python, dir.path(), "speaker_regression.py", &args);
    }
}

#[test]
fn a_linear_effect_of_the_speaker_is_gone() {
    let dir = folder(4, 4);
    succeed(dir.path(), &[&FIT[..], &OWN].concat());
    succeed(dir.path(), &[&SUBTRACT[..], &OWN].concat());
    let (feats, left) = (read(dir.path(), "f.ark"), read(dir.path(), "r.ark"));
    let spread = |table: &[(String, Array2<f32>)]| {
        let means: Vec<f32> = table
            .iter()
            .map(|(_, feats)| feats.mean().unwrap())
            .collect();
        let mean = means.iter().sum::<f32>() / means.len() as f32;
        means.iter().map(|x| (x - mean).powi(2)).sum::<f32>()
    };
    assert!(spread(&left) < 0.5 * spread(&feats));
    let all: f32 = left.iter().map(|(_, feats)| feats.sum()).sum();
    assert!(all.abs() < 1e-2, "{all}");
    // One embedding of each speaker.
    let speakers = ["--embeddings", "ark:s.ark", "--utt2spk", "utt2spk"];
    succeed(dir.path(), &[&FIT[..], &speakers].concat());
    succeed(dir.path(), &[&SUBTRACT[..], &speakers].concat());
    assert_ne!(read(dir.path(), "r.ark"), left);
}

#[test]
fn what_does_not_fit_is_named() {
    let dir = folder(4, 4);
    let other = folder(7, 7);
    let at = dir.path();
    let copy = |name: &str, to: &str| std::fs::copy(other.path().join(name), at.join(to)).unwrap();
    copy("e.ark", "wide.ark");
    succeed(at, &[&FIT[..], &OWN].concat());
    std::fs::rename(at.join("m.ark"), at.join("map.ark")).unwrap();
    let map = [
        "feats",
        "subtract-speaker",
        "ark:map.ark",
        "ark:f.ark",
        "ark:r.ark",
    ];
    let cases: [(&[&str], &[&str], &str); 5] = [
        (
            &FIT,
            &["--embeddings=ark:s.ark"],
            "ark:s.ark: s0-0: expected an embedding of this key, none",
        ),
        (
            &FIT,
            &["--embeddings=ark:s.ark", "--utt2spk=wide.ark"],
            "wide.ark",
        ),
        (
            &FIT,
            &["--embeddings=ark:none.ark"],
            "none.ark: No such file",
        ),
        (&SUBTRACT, &OWN, "m.ark: No such file"),
        (
            &map,
            &["--embeddings=ark:wide.ark"],
            "embedding: expected 4 values, as the regression has, found 7",
        ),
    ];
    for (command, more, expected) in cases {
        let output = unbraid(at, &[command, more].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        let expected = expected.replace(", none", ", found none");
        assert!(error.contains(&expected), "{expected}\n{error}");
        assert!(!at.join("m.ark").exists() && !at.join("r.ark").exists());
    }
    let error = fail(
        at,
        &[
            "feats",
            "subtract-speaker",
            "ark:f.ark",
            "ark:f.ark",
            "ark:r.ark",
            OWN[0],
            OWN[1],
        ],
        b"",
    );
    assert!(
        error.contains("global: expected a map of feats speaker-regression, found none"),
        "{error}"
    );
}
