//! `unbraid eval audit`: features of any program through every measure.

use std::fs;
use std::path::Path;

use ndarray::Array2;
use serde_json::Value;
use unbraid::io::kaldi::TableReader;

use crate::support::corpus::Corpus;
use crate::support::{fail, names, npy, put, succeed};

const QUICK: [&str; 12] = [
    "--folds",
    "2",
    "--min-steps",
    "5",
    "--epochs",
    "1",
    "--encoder-steps",
    "2",
    "--draws",
    "2",
    "--clusters",
    "5",
];
const CORPUS: Corpus = Corpus {
    speakers: 6,
    utterances: 4,
    frames: 30,
    bins: 20,
    seed: 0,
};

/// A tree of one `.npy` per utterance and speaker, `utt2spk`, `text`, alignments of 10 ms frames as CTM and as units, and audio.
fn material(folder: &Path) {
    CORPUS.write(folder);
    let at = |name: &str| format!("scp:{}", folder.join(name).display());
    for entry in TableReader::<Array2<f32>>::open(&at("feats.scp")).unwrap() {
        let (key, frames) = entry.unwrap();
        let (speaker, _) = key.split_once('-').unwrap();
        let values: Vec<f32> = frames.iter().copied().collect();
        let path = folder.join(format!("hubert/{speaker}/{key}.npy"));
        put(&path, npy(frames.nrows(), &values));
    }
    let (mut ctm, mut wavs) = (String::new(), String::new());
    for entry in TableReader::<Vec<i32>>::open(&at("ali.scp")).unwrap() {
        let (key, classes) = entry.unwrap();
        let mut start = 0;
        for run in classes.chunk_by(|a, b| a == b) {
            let (begin, length) = (start as f64 / 100.0, run.len() as f64 / 100.0);
            ctm += &format!("{key} 1 {begin:.2} {length:.2} p{}\n", run[0]);
            start += run.len();
        }
        write_noise(&folder.join(format!("{key}.wav")), 160 * classes.len());
        wavs += &format!("{key} {key}.wav\n");
    }
    fs::write(folder.join("phones.ctm"), ctm).unwrap();
    fs::write(folder.join("wav.scp"), wavs).unwrap();
}

/// A recording of noise, at 16 kHz.
fn write_noise(path: &Path, samples: usize) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for sample in 0..samples as u32 {
        let noise = (sample.wrapping_mul(2_654_435_761) >> 16) as i16;
        writer.write_sample(noise / 8).unwrap();
    }
    writer.finalize().unwrap();
}

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["eval", "audit", "--out", "a"], more, &QUICK].concat()
}

const TREE: [&str; 4] = ["--features", "npy:hubert", "--utt2spk", "utt2spk"];

fn rows(folder: &Path) -> Vec<Vec<String>> {
    let tsv = fs::read_to_string(folder.join("a.tsv")).unwrap();
    let line = |line: &str| line.split('\t').map(String::from).collect();
    tsv.lines().skip(1).map(line).collect()
}

#[test]
fn a_tree_with_nothing_but_speakers_gives_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    material(folder);
    let before = names(folder);
    let printed = String::from_utf8(succeed(folder, &args(&TREE))).unwrap();
    assert!(
        printed.starts_with("npy:hubert: 24 utterances of 6 speakers, "),
        "{printed}"
    );
    let mut after = names(folder);
    after.retain(|name| !before.contains(name));
    assert_eq!(after, ["a.html", "a.json", "a.md", "a.tsv"]);
    let rows = rows(folder);
    for (measure, representation) in [
        ("speaker probe", "hubert"),
        ("identified from 1 utterance", "hubert"),
        ("identified from all utterances", "random codes"),
        ("EER from all utterances", "hubert"),
        ("speaker bits of single units", "hubert"),
    ] {
        let row = rows
            .iter()
            .find(|row| row[0] == measure && row[1] == representation);
        let row = row.unwrap_or_else(|| panic!("{measure}: {rows:?}"));
        let bits = measure.ends_with("units");
        assert!(bits || (row[3].contains("..") && row[4] != "-"), "{row:?}");
    }
    let html = fs::read_to_string(folder.join("a.html")).unwrap();
    for (what, why) in [
        ("log-mel", "no --wav-scp"),
        ("words", "no --text"),
        ("phones", "no --alignments"),
        ("factors", "speaker alone: no --text"),
    ] {
        assert!(html.contains(&format!("<li>{what}: {why}</li>")), "{what}");
        assert!(
            rows.iter().any(|row| row[0] == what && row[5] == why),
            "{what}"
        );
    }
    assert!(html.contains("Audit of hubert"));
    assert!(!html.contains("src=\"http") && !html.contains("href=\"http"));
    assert!(!html.contains(".unbraid-"), "a temporary path");
    // The same numbers another time.
    let mut again = args(&TREE);
    again[3] = "b";
    succeed(folder, &again);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("a.tsv"), read("b.tsv"));
}

#[test]
fn whatever_there_is_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    material(folder);
    let more = [
        "--text",
        "text",
        "--alignments",
        "phones.ctm",
        "--wav-scp",
        "wav.scp",
        "--units",
        "ali.scp",
        "--frame-shift-ms",
        "10",
        "--name",
        "mine",
    ];
    succeed(folder, &args(&[&TREE[..], &more].concat()));
    let rows = rows(folder);
    for measure in [
        "speaker probe",
        "word probe",
        "phone probe",
        "word ABX error, across speakers",
        "phone ABX error, across speakers",
        "phone ABX error, within speakers",
        "PNMI of units",
        "MIG of speaker",
        "identified from 1 utterance",
    ] {
        let of: Vec<&str> = rows
            .iter()
            .filter(|row| row[0] == measure)
            .map(|row| row[1].as_str())
            .collect();
        assert!(
            of.contains(&"mine") && of.contains(&"log-mel"),
            "{measure}: {of:?}"
        );
    }
    // The given units are the phones.
    let given = rows
        .iter()
        .find(|row| row[0] == "PNMI of units" && row[1] == "units");
    assert_eq!(given.unwrap()[2], "1.000");
    let json: Value = serde_json::from_slice(&fs::read(folder.join("a.json")).unwrap()).unwrap();
    assert_eq!(json["probes"].as_array().unwrap().len(), 6);
    assert_eq!(json["missing"].as_array().unwrap().len(), 0);
}

#[test]
fn vectors_and_units_are_measured_as_far_as_they_go() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    material(folder);
    for entry in
        TableReader::<Array2<f32>>::open(&format!("npy:{}", folder.join("hubert").display()))
            .unwrap()
    {
        let (key, frames) = entry.unwrap();
        let row: Vec<f32> = frames.row(3).to_vec();
        put(&folder.join(format!("embeddings/{key}.npy")), npy(1, &row));
    }
    let vectors = ["--features", "npy:embeddings", "--utt2spk", "utt2spk"];
    succeed(folder, &args(&vectors));
    let units = ["--features", "ali.scp", "--utt2spk", "utt2spk"];
    succeed(folder, &args(&units));
    let rows = rows(folder);
    let has = |measure: &str, why: &str| {
        rows.iter()
            .any(|row| row[0] == measure && row[5].contains(why))
    };
    assert!(has("probes", "features are units"), "{rows:?}");
    assert!(has("identified from 1 utterance", "worst"));
    assert!(has("speaker bits of single units", "units"));
}

#[test]
fn what_cannot_be_audited_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    material(folder);
    let utt2spk = fs::read_to_string(folder.join("utt2spk")).unwrap();
    let keys: Vec<&str> = utt2spk
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let with = |speaker: &dyn Fn(usize) -> String| -> String {
        let line = |(at, key): (usize, &&str)| format!("{key} {}\n", speaker(at));
        keys.iter().enumerate().map(line).collect()
    };
    for (name, text) in [
        ("one", with(&|_| "s".into())),
        (
            "lone",
            with(&|at| if at == 5 { "lone" } else { "other" }.into()),
        ),
        ("more", utt2spk.clone() + "s05-u999 s05\n"),
        (
            "text_less",
            utt2spk.lines().skip(1).collect::<Vec<_>>().join("\n") + "\n",
        ),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    for key in &keys {
        put(
            &folder.join(format!("constant/{key}.npy")),
            npy(3, &[1.0; 6]),
        );
        put(
            &folder.join(format!("nan/{key}.npy")),
            npy(2, &[1.0, 2.0, f32::NAN, 0.0]),
        );
    }
    let phones = fs::read_to_string(folder.join("phones.ctm")).unwrap();
    fs::write(folder.join("other.ctm"), phones.replace('-', "_")).unwrap();
    let wavs = fs::read_to_string(folder.join("wav.scp")).unwrap();
    let few = wavs.lines().nth(1).unwrap().to_string() + "\n";
    fs::write(folder.join("few.scp"), few).unwrap();
    let before = names(folder);
    let tree = |features, utt2spk| vec!["--features", features, "--utt2spk", utt2spk];
    for (given, expected) in [
        (
            tree("npy:hubert", "one"),
            "one: expected utterances of at least 2 speakers, found 1",
        ),
        (
            tree("npy:hubert", "lone"),
            "lone: lone: expected at least 2 utterances of every speaker, found 1",
        ),
        (
            tree("npy:hubert", "more"),
            "hubert: s05-u999: expected an array of this key, found none",
        ),
        (
            tree("npy:constant", "utt2spk"),
            "expected features that differ between utterances, found constant ones",
        ),
        (
            tree("npy:nan", "utt2spk"),
            "s00-u000: expected finite features, found NaN",
        ),
        (tree("npy:none", "utt2spk"), "none: "),
        (
            tree("ark:feats.ark", "utt2spk"),
            "has lookups by key, found an archive",
        ),
        (
            [tree("npy:hubert", "utt2spk"), vec!["--text", "text_less"]].concat(),
            "text_less: s00-u000: expected its text, found none",
        ),
        (
            [
                tree("npy:hubert", "utt2spk"),
                vec!["--alignments", "other.ctm"],
            ]
            .concat(),
            "other.ctm: expected phones of the utterances of utt2spk",
        ),
        (
            [
                tree("npy:hubert", "utt2spk"),
                vec!["--alignments", "phones.ctm"],
            ]
            .concat(),
            "--frame-shift-ms: expected about 10.00 ms (100.00 frames per second), by which features are as long as the \
             alignments of phones.ctm, found 20 ms (50.00 frames per second)",
        ),
        (
            [
                tree("npy:hubert", "utt2spk"),
                vec!["--alignments", "phones.ctm", "--frame-shift-ms", "9"],
            ]
            .concat(),
            "--frame-shift-ms: expected about ",
        ),
        (
            [tree("npy:hubert", "utt2spk"), vec!["--frame-shift-ms", "0"]].concat(),
            "a shift above it",
        ),
        (
            [tree("npy:hubert", "utt2spk"), vec!["--wav-scp", "few.scp"]].concat(),
            "few.scp: s00-u000: expected audio of this utterance, found none",
        ),
        (
            [tree("npy:hubert", "utt2spk"), vec!["--wav-scp", "wav.scp"]].concat(),
            "by which features are as long as the recordings of wav.scp, found 20 ms",
        ),
        (
            [tree("npy:hubert", "utt2spk"), vec!["--wav-scp", "more"]].concat(),
            "s00: No such file",
        ),
    ] {
        let error = fail(folder, &args(&given), b"");
        assert!(error.contains(expected), "{given:?}: {error}");
        assert_eq!(names(folder), before, "{given:?}");
    }
}
