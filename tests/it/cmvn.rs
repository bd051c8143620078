//! `unbraid feats cmvn-stats` and `apply-cmvn` as a user runs them.

use std::path::Path;

use crate::support::{fail, names, references, run_reference, succeed, unbraid};
use ndarray::{Array2, array};
use unbraid::io::kaldi::{KaldiObject, TableReader, TableWriter};

fn write<T: KaldiObject>(dir: &Path, name: &str, entries: &[(&str, T)]) {
    let mut writer = TableWriter::create(&format!("ark:{}/{name}", dir.display())).unwrap();
    for (key, value) in entries {
        writer.write(key, value).unwrap();
    }
    writer.finish().unwrap();
}

fn read(dir: &Path, name: &str) -> Vec<(String, Array2<f64>)> {
    let reader = TableReader::open(&format!("ark:{}/{name}", dir.display())).unwrap();
    reader.collect::<Result<_, _>>().unwrap()
}

/// Three utterances of the speakers s and t.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let feats = |first: usize, frames: usize| {
        Array2::from_shape_fn((frames, 3), |(t, d)| {
            ((first + 7 * t + 3 * d) % 11) as f32 - 2.5
        })
    };
    let entries = [
        ("s-1", feats(0, 5)),
        ("s-2", feats(4, 9)),
        ("t-1", feats(2, 7)),
    ];
    write(dir.path(), "f.ark", &entries);
    for (name, content) in [
        ("spk2utt", "s s-1 s-2\nt t-1\n"),
        ("utt2spk", "s-1 s\ns-2 s\nt-1 t\n"),
    ] {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_by_speaker_as_numpy_has_it() {
    let python = references::python();
    let dir = folder();
    succeed(
        dir.path(),
        &[
            "compute-cmvn",
            "--spk2utt",
            "spk2utt",
            "ark:f.ark",
            "ark:c.ark",
        ],
    );
    let apply = [
        "apply-cmvn",
        "--utt2spk",
        "utt2spk",
        "ark:c.ark",
        "ark:f.ark",
    ];
    succeed(dir.path(), &[&apply[..], &["ark:m.ark"]].concat());
    succeed(
        dir.path(),
        &[&apply[..], &["ark:b.ark", "--norm-vars"]].concat(),
    );
    let args = ["f.ark", "utt2spk", "c.ark", "m.ark", "b.ark"];
    run_reference(&python, dir.path(), "cmvn.py", &args);
}

#[test]
fn by_utterance_and_of_everything() {
    let dir = folder();
    succeed(dir.path(), &["compute-cmvn", "ark:f.ark", "ark:u.ark"]);
    succeed(
        dir.path(),
        &["compute-cmvn", "--global", "ark:f.ark", "ark:g.ark"],
    );
    let (each, all) = (read(dir.path(), "u.ark"), read(dir.path(), "g.ark"));
    let keys: Vec<&str> = each.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["s-1", "s-2", "t-1"]);
    assert_eq!((all.len(), all[0].0.as_str()), (1, "global"));
    assert_eq!(all[0].1, &each[0].1 + &each[1].1 + &each[2].1);
    assert_eq!(all[0].1[[0, 3]], 21.0);
    succeed(
        dir.path(),
        &[
            "apply-cmvn",
            "--global",
            "ark:g.ark",
            "ark:f.ark",
            "ark:n.ark",
        ],
    );
    let sum: f64 = read(dir.path(), "n.ark")
        .iter()
        .map(|(_, feats)| feats.sum())
        .sum();
    assert!(sum.abs() < 1e-4, "{sum}");
    succeed(
        dir.path(),
        &["apply-cmvn", "ark:u.ark", "ark:f.ark", "ark:n.ark"],
    );
    for (_, feats) in read(dir.path(), "n.ark") {
        assert!(feats.sum().abs() < 1e-4);
    }
}

#[test]
fn everything_s_statistics_may_be_a_matrix_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    // As compute-cmvn-stats writes those of 10 frames with the means 3, 6 and 9.
    let stats: [f64; 8] = [30.0, 60.0, 90.0, 10.0, 100.0, 400.0, 900.0, 0.0];
    let mut bytes = b"\0BDM \x04\x02\0\0\0\x04\x04\0\0\0".to_vec();
    stats
        .iter()
        .for_each(|value| bytes.extend(value.to_le_bytes()));
    std::fs::write(at.join("cmvn.mat"), bytes).unwrap();
    std::fs::write(at.join("cmvn.txt"), " [\n 30 60 90 10\n 100 400 900 0 ]\n").unwrap();
    write(
        at,
        "f.ark",
        &[("a", array![[1f32, 2.0, 3.0], [4.0, 5.0, 6.0]])],
    );
    for name in ["cmvn.mat", "cmvn.txt"] {
        succeed(
            at,
            &["apply-cmvn", "--global", name, "ark:f.ark", "ark:n.ark"],
        );
        assert_eq!(
            read(at, "n.ark")[0].1,
            array![[-2.0, -4.0, -6.0], [1.0, -1.0, -3.0]]
        );
    }
    for (args, expected) in [
        (
            &["--global", "ark:cmvn.mat"][..],
            "found an object without a key",
        ),
        (&["--global", "none.mat"], "none.mat: No such file"),
        (&["cmvn.mat"], "expected a read specifier as ark:FILE"),
    ] {
        let error_text = fail(
            at,
            &[&["apply-cmvn"], args, &["ark:f.ark", "ark:n.ark"]].concat(),
            b"",
        );
        assert!(error_text.contains(expected), "{error_text}");
    }
}

#[test]
fn utterances_that_lack_something_are_named() {
    let dir = folder();
    std::fs::write(dir.path().join("more"), "s s-1 s-3\n").unwrap();
    let args = [
        "compute-cmvn",
        "--spk2utt",
        "more",
        "ark:f.ark",
        "ark:c.ark",
    ];
    let output = unbraid(dir.path(), &args);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "unbraid: more: s-3: expected features of this utterance, found none\nunbraid: 1 of 2 utterances failed: s-3\n"
    );
    assert_eq!(read(dir.path(), "c.ark").len(), 1);
    let args = [
        "apply-cmvn",
        "--utt2spk",
        "utt2spk",
        "ark:c.ark",
        "ark:f.ark",
        "ark:n.ark",
    ];
    let output = unbraid(dir.path(), &args);
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "unbraid: t-1: ark:c.ark: t: expected statistics for this key, found none\n\
         unbraid: 1 of 3 utterances failed: t-1\n"
    );
    assert_eq!(read(dir.path(), "n.ark").len(), 2);
}

#[test]
fn mismatches_are_refused_in_one_line_and_nothing_is_written() {
    let dir = folder();
    std::fs::write(dir.path().join("twice"), "s s-1\nt s-1\n").unwrap();
    std::fs::write(dir.path().join("void.ark"), "").unwrap();
    write(
        dir.path(),
        "mixed.ark",
        &[("a", array![[1f32]]), ("b", array![[1f32, 2.0]])],
    );
    write(dir.path(), "nan.ark", &[("a", array![[f32::NAN]])]);
    let before = names(dir.path());
    for (args, message) in [
        (
            &["compute-cmvn", "ark:none.ark", "ark:o"][..],
            "none.ark: No such file",
        ),
        (
            &["compute-cmvn", "ark:void.ark", "ark:o"],
            "'ark:void.ark': expected features of an utterance to sum up, found none",
        ),
        (
            &["compute-cmvn", "--spk2utt", "twice", "ark:f.ark", "ark:o"],
            "twice:2: expected 's-1' once, found it again, after speaker 's'",
        ),
        (
            &["compute-cmvn", "--global", "ark:mixed.ark", "ark:o"],
            "ark:mixed.ark: b: cmvn: expected features of 1 columns, found 2 columns",
        ),
        (
            &["compute-cmvn", "ark:nan.ark", "ark:o"],
            "ark:nan.ark: a: cmvn: expected finite features, found NaN",
        ),
        (
            &["compute-cmvn", "ark:f.ark", "ark:no/such"],
            "no/such: No such file",
        ),
        (
            &["apply-cmvn", "ark:f.ark", "ark:f.ark", "ark:o"],
            "ark:f.ark: s-1: cmvn: expected a matrix of 2 rows and dim + 1 columns, found 5 rows and 3 columns",
        ),
        (
            &[
                "apply-cmvn",
                "--global",
                "ark:void.ark",
                "ark:f.ark",
                "ark:o",
            ],
            "ark:void.ark: global: expected statistics for this key, found none",
        ),
        (
            &[
                "apply-cmvn",
                "--utt2spk",
                "none",
                "ark:void.ark",
                "ark:f.ark",
                "ark:o",
            ],
            "none: No such file",
        ),
    ] {
        let error = fail(dir.path(), args, b"");
        assert!(error.starts_with(&format!("unbraid: {message}")), "{error}");
        assert_eq!(names(dir.path()), before);
    }
    let both = [
        "compute-cmvn",
        "--global",
        "--spk2utt",
        "x",
        "ark:f.ark",
        "ark:o",
    ];
    assert!(!unbraid(dir.path(), &both).status.success());
}
