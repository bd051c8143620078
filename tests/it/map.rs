//! `unbraid plot map` as a user runs it.

use std::fs;
use std::path::Path;

use crate::support::{fail, names, succeed, unbraid_with};
use ndarray::{Array1, Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unbraid::io::kaldi::{KaldiObject, TableWriter};

const SPEAKERS: usize = 3;
const ITEMS: usize = 30;

fn id(item: usize) -> String {
    format!("u{item:03}")
}

/// A place a speaker, and noise; two frames whose mean it is.
fn frames(item: usize) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(item as u64);
    let vector = Array1::from_shape_fn(4, |dim| {
        let own = if dim == item % SPEAKERS { 20.0 } else { 0.0 };
        own + rng.random_range(-1.0..1.0f32)
    });
    ndarray::stack(Axis(0), &[(&vector + 0.5).view(), (&vector - 0.5).view()]).unwrap()
}

fn write<T: KaldiObject>(folder: &Path, name: &str, object: impl Fn(usize) -> T) {
    let at = folder.join(name).display().to_string();
    let mut writer = TableWriter::create(&format!("ark,scp:{at}.ark,{at}.scp")).unwrap();
    for item in 0..ITEMS {
        writer.write(&id(item), &object(item)).unwrap();
    }
    writer.finish().unwrap();
}

/// The same as matrices `m` and vectors `v`, with `utt2spk`.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "m", frames);
    write(dir.path(), "v", |item| frames(item).row(0).to_owned() - 0.5);
    let lines = (0..ITEMS).map(|item| format!("{} s{}\n", id(item), item % SPEAKERS));
    fs::write(dir.path().join("utt2spk"), lines.collect::<String>()).unwrap();
    dir
}

fn map<'a>(input: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["map", input, "--labels", "utt2spk", "--out", out];
    [&args[..], more].concat()
}

#[test]
fn a_list_becomes_a_map_with_a_legend() {
    let dir = folder();
    let at = dir.path();
    let message = succeed(at, &map("v.scp", "a.svg", &[]));
    let message = String::from_utf8(message).unwrap();
    assert_eq!(message, "a.svg: 30 utterances, t-SNE, 3 labels\n");
    let svg = fs::read_to_string(at.join("a.svg")).unwrap();
    for words in ["<title>v.scp by utt2spk</title>", ">s0<", ">s1<", ">s2<"] {
        assert!(svg.contains(words), "{words}");
    }
    assert!(!svg.contains(">s3<"));
    succeed(at, &map("v.scp", "again.svg", &["--threads", "1"]));
    assert_eq!(fs::read_to_string(at.join("again.svg")).unwrap(), svg);
    succeed(at, &map("v.scp", "other.svg", &["--seed", "1"]));
    assert_ne!(fs::read_to_string(at.join("other.svg")).unwrap(), svg);
    succeed(at, &map("v.scp", "a.png", &["--method", "pca"]));
    assert!(fs::read(at.join("a.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn every_way_in_leads_to_one_map() {
    let dir = folder();
    let at = dir.path();
    let pca = ["--method", "pca"];
    // Titles name the input, so that files differ in their first lines.
    let drawn = |name: &str| -> Vec<String> {
        let svg = fs::read_to_string(at.join(name)).unwrap();
        let marks = svg
            .lines()
            .filter(|line| line.starts_with("<circle") || line.starts_with("<polygon"));
        marks.map(String::from).collect()
    };
    succeed(at, &map("scp:m.scp", "m.svg", &pca));
    let expected = drawn("m.svg");
    assert!(expected.len() >= 2 * ITEMS);
    for input in ["m.scp", "ark:m.ark", "scp,p:m.scp", "ark:v.ark", "v.scp"] {
        succeed(at, &map(input, "x.svg", &pca));
        // Means of halves are the vectors but for rounding, which pixels of two decimals do not show often.
        let found = drawn("x.svg");
        let same = found.iter().zip(&expected).filter(|(a, b)| a == b).count();
        assert!(
            found.len() == expected.len() && same * 10 > 9 * found.len(),
            "{input}"
        );
    }
    let archive = fs::read(at.join("m.ark")).unwrap();
    let output = unbraid_with(at, &map("ark:-", "x.svg", &pca), &archive);
    assert!(output.status.success());
    assert_eq!(drawn("x.svg"), expected);
}

#[test]
fn of_many_some_are_drawn() {
    let dir = folder();
    let at = dir.path();
    for input in ["v.scp", "ark:v.ark"] {
        let message = succeed(at, &map(input, "a.svg", &["--max-points", "12"]));
        let message = String::from_utf8(message).unwrap();
        assert_eq!(message, "a.svg: 12 of 30 utterances, t-SNE, 3 labels\n");
    }
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = folder();
    let at = dir.path();
    write(at, "nan", |item| {
        Array1::from(vec![1.0, if item == 5 { f32::NAN } else { 0.0 }])
    });
    write(at, "odd", |item| {
        Array1::<f32>::zeros(if item == 7 { 3 } else { 2 })
    });
    write(at, "none", |item| {
        Array2::<f32>::zeros(if item == 9 { (0, 0) } else { (1, 2) })
    });
    fs::write(
        at.join("few.scp"),
        fs::read_to_string(at.join("v.scp"))
            .unwrap()
            .lines()
            .take(4)
            .fold(String::new(), |lines, line| lines + line + "\n"),
    )
    .unwrap();
    fs::write(at.join("some"), "u000 s0\nu001\n").unwrap();
    let before = names(at);
    for (args, expected) in [
        (map("gone.scp", "a.svg", &[]), "gone.scp: No such file"),
        (map("ark:gone", "a.svg", &[]), "gone: No such file"),
        (
            map("v.scp", "a.pdf", &[]),
            "--out: expected a name that ends in .svg or .png",
        ),
        (
            map("nan.scp", "a.svg", &[]),
            "nan.scp: u005: expected finite numbers, found NaN",
        ),
        (
            map("ark:nan.ark", "a.svg", &[]),
            "ark:nan.ark: u005: expected finite numbers, found NaN",
        ),
        (
            map("odd.scp", "a.svg", &[]),
            "odd.scp: u007: expected 2 values per frame, found 3",
        ),
        (
            map("few.scp", "a.svg", &[]),
            "few.scp: expected at least 5 utterances, found 4",
        ),
        (
            map("v.scp", "a.svg", &["--max-points", "4"]),
            "--max-points: expected 5 to 5000, found 4",
        ),
        (
            map("v.scp", "a.svg", &["--perplexity", "10"]),
            "perplexity: expected above 1, and at most a third of the 29 other items, found 10",
        ),
        (
            map("v.scp", "a.svg", &["--iterations", "9", "--method", "pca"]),
            "--iterations: expected --method tsne, found --method pca",
        ),
        (
            vec!["map", "v.scp", "--labels", "some", "--out", "a.svg"],
            "some: u001: expected a label of this utterance, found none",
        ),
        (
            vec!["map", "m.scp", "--labels", "gone", "--out", "a.svg"],
            "gone: No such file",
        ),
        (
            map("none.scp", "a.svg", &[]),
            "none.scp: u009: expected at least one frame",
        ),
    ] {
        let error = fail(at, &args, b"");
        assert!(error.contains(expected), "{args:?}: {error}");
        assert_eq!(names(at), before);
    }
}

#[test]
fn one_label_is_enough() {
    let dir = folder();
    let at = dir.path();
    let lines = (0..ITEMS).map(|item| format!("{} all of them\n", id(item)));
    fs::write(at.join("utt2spk"), lines.collect::<String>()).unwrap();
    succeed(at, &map("v.scp", "a.svg", &["--max-points", "5"]));
    let svg = fs::read_to_string(at.join("a.svg")).unwrap();
    assert!(svg.contains(">all of them<"));
}
