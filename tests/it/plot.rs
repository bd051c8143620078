//! `unbraid plot utterance` as a user runs it.

use std::path::Path;

use crate::support::{fail, names, root, succeed};
use ndarray::{Array1, Array2};
use unbraid::io::kaldi::{KaldiObject, TableWriter};

const UTTERANCE: &str = "f51-s01";

/// A folder with what can be shown of a bundled utterance, and its audio.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let audio = root().join("data/mini/audio/f51-s01.flac");
    std::fs::copy(audio, dir.path().join("f51-s01.flac")).unwrap();
    let phones = root().join("data/mini/test/phones.ctm");
    std::fs::copy(phones, dir.path().join("phones.ctm")).unwrap();
    let list = format!("{UTTERANCE} f51-s01.flac\nother no.flac\n");
    std::fs::write(dir.path().join("wav.scp"), list).unwrap();
    let conf = "snip_edges = false\ndither = 0.0\nuse_energy = true\n";
    std::fs::write(dir.path().join("fbank.toml"), conf).unwrap();
    std::fs::write(
        dir.path().join("one.scp"),
        format!("{UTTERANCE} f51-s01.flac\n"),
    )
    .unwrap();
    succeed(
        dir.path(),
        &[
            "fbank",
            "--conf",
            "fbank.toml",
            "scp:one.scp",
            "ark,scp:f.ark,f.scp",
        ],
    );
    succeed(
        dir.path(),
        &["compute-vad", "scp:f.scp", "ark,scp:v.ark,v.scp"],
    );
    dir
}

const ALL: [&str; 13] = [
    "plot",
    "--wav",
    "scp:wav.scp",
    "--utt",
    UTTERANCE,
    "--feats",
    "scp:f.scp",
    "--vad",
    "ark:v.ark",
    "--ctm",
    "phones.ctm",
    "--pitch",
    "--out",
];

/// Width and height, out of a PNG's header.
fn size(png: &[u8]) -> (u32, u32) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn both_forms_show_the_same() {
    let dir = folder();
    for name in ["a.svg", "a.png"] {
        succeed(dir.path(), &[&ALL[..], &[name]].concat());
    }
    let svg = std::fs::read_to_string(dir.path().join("a.svg")).unwrap();
    let (width, height) = size(&std::fs::read(dir.path().join("a.png")).unwrap());
    assert!(svg.contains(&format!("width=\"{width}\" height=\"{height}\"")));
    for part in [
        ">time, s<",
        ">frequency, kHz<",
        ">mel bin<",
        ">pitch, Hz<",
        ">voiced<",
        ">phones<",
        ">OY<",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    // Spectrogram, features, and a scale of colours for each.
    assert_eq!(svg.matches("<image ").count(), 4);
}

#[test]
fn a_bare_file_will_do() {
    let dir = folder();
    succeed(
        dir.path(),
        &["plot", "f51-s01.flac", "--width", "500", "--out", "a.png"],
    );
    assert_eq!(
        size(&std::fs::read(dir.path().join("a.png")).unwrap()).0,
        500
    );
    let line = [
        "plot",
        "f51-s01.flac",
        "--feats",
        "scp:f.scp",
        "--feats-label",
        "row",
        "--out",
        "b.svg",
    ];
    succeed(dir.path(), &line);
    let svg = std::fs::read_to_string(dir.path().join("b.svg")).unwrap();
    assert!(svg.contains(">row<") && svg.contains("<title>f51-s01  (1.87 s, 16000 Hz)"));
}

fn write<T: KaldiObject>(dir: &Path, name: &str, value: &T) {
    let spec = format!("ark:{}", dir.join(name).display());
    let mut writer = TableWriter::create(&spec).unwrap();
    writer.write(UTTERANCE, value).unwrap();
    writer.finish().unwrap();
}

#[test]
fn mismatches_are_refused_in_one_line_and_nothing_is_written() {
    let dir = folder();
    write(dir.path(), "short.ark", &Array2::<f32>::zeros((90, 3)));
    write(dir.path(), "none.ark", &Array2::<f32>::zeros((0, 0)));
    write(
        dir.path(),
        "nan.ark",
        &Array2::<f32>::from_elem((187, 3), f32::NAN),
    );
    write(dir.path(), "vad.ark", &Array1::<f32>::ones(20));
    std::fs::write(
        dir.path().join("late.ctm"),
        format!("{UTTERANCE} 1 1.8 0.5 A\n"),
    )
    .unwrap();
    std::fs::write(
        dir.path().join("bad.ctm"),
        format!("{UTTERANCE} 1 x 0.5 A\n"),
    )
    .unwrap();
    std::fs::write(dir.path().join("other.ctm"), "other 1 0 0.5 A\n").unwrap();
    std::fs::write(dir.path().join("noise.wav"), "no audio").unwrap();
    let before = names(dir.path());
    let file = ["f51-s01.flac", "--out", "a.png"];
    for (args, message) in [
        (
            &["f51-s01.flac", "--out", "a.pdf"][..],
            "--out: expected a name that ends in .svg or .png, found 'a.pdf'",
        ),
        (
            &["f51-s01.flac", "--out", "no/such/a.png"],
            "no/such/a.png: No such file",
        ),
        (&["no.flac", "--out", "a.png"], "no.flac: No such file"),
        (&["noise.wav", "--out", "a.png"], "noise.wav: expected"),
        (
            &["--wav", "scp:wav.scp", "--utt", "x", "--out", "a.png"],
            "wav.scp: x: expected this utterance, found none",
        ),
        (
            &["--wav", "scp:wav.scp", "--utt", "other", "--out", "a.png"],
            "no.flac: No such file",
        ),
        (
            &["--wav", "ark:f.ark", "--utt", UTTERANCE, "--out", "a.png"],
            "'ark:f.ark': expected a list of audio files as scp:wav.scp",
        ),
        (
            &[&file[..], &["--utt", "x", "--feats", "scp:f.scp"]].concat(),
            "scp:f.scp: x: expected an entry for this utterance",
        ),
        (
            &[&file[..], &["--utt", "x", "--vad", "ark:v.ark"]].concat(),
            "ark:v.ark: x: expected an entry for this utterance",
        ),
        (
            &[&file[..], &["--feats", "ark:short.ark"]].concat(),
            "feats: expected about 187 frames, one each 10 ms of 1.867 s, found 90",
        ),
        (
            &[&file[..], &["--feats", "ark:none.ark"]].concat(),
            "feats: expected about 187 frames",
        ),
        (
            &[&file[..], &["--feats", "ark:nan.ark"]].concat(),
            "feats: expected finite values, found NaN",
        ),
        (
            &[&file[..], &["--vad", "ark:vad.ark"]].concat(),
            "vad: expected about 187 frames",
        ),
        (
            &[&file[..], &["--ctm", "late.ctm"]].concat(),
            "alignments: expected phones within the 1.867 s of the audio, found an end at 2.300 s",
        ),
        (
            &[&file[..], &["--ctm", "bad.ctm"]].concat(),
            "bad.ctm:1: expected start and duration",
        ),
        (
            &[&file[..], &["--ctm", "other.ctm"]].concat(),
            "other.ctm: f51-s01: expected phones of this utterance, found none",
        ),
        (
            &[&file[..], &["--width", "7"]].concat(),
            "width: expected 300 to 20000 pixels, found 7",
        ),
        (
            &[&file[..], &["--frame-shift-ms", "0"]].concat(),
            "--frame-shift-ms and --first-frame-ms: expected milliseconds above 0",
        ),
    ] {
        let error = fail(dir.path(), &[&["plot"], args].concat(), b"");
        assert!(error.starts_with(&format!("unbraid: {message}")), "{error}");
        assert_eq!(names(dir.path()), before);
    }
}
