//! `unbraid data cluster-speakers`: speakers of the bundled speech and of recordings of people, and what is refused.

use std::fs;
use std::path::Path;

use crate::recipes::prepared;
use crate::support::{fail, put, references, root, unbraid};

/// The adjusted Rand index that a command prints.
fn agreement(folder: &Path, args: &[&str]) -> f64 {
    let output = unbraid(folder, args);
    let (said, error) = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .into();
    assert!(output.status.success(), "{error}");
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("adjusted Rand index "));
    line.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
}

#[test]
fn the_speakers_of_the_bundled_speech_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("found").display().to_string();
    let args = [
        "data",
        "cluster-speakers",
        "--model=en-16k",
        "--compare=data/mini/test/utt2spk",
        "data/mini/test",
        &target,
    ];
    let by_number = agreement(root(), &[&args[..], &["--speakers=8"]].concat());
    assert!(by_number > 0.5, "{by_number}");
    let read = |name: &str| fs::read_to_string(dir.path().join("found").join(name)).unwrap();
    assert_eq!(read("spk2utt").lines().count(), 8);
    let confidences = read("utt2confidence");
    assert_eq!(confidences.lines().count(), 80);
    let sure = confidences
        .lines()
        .filter(|line| !line.contains(" -"))
        .count();
    assert!(sure > 60, "{sure}");
}

#[test]
#[ignore = "needs UNBRAID_CORPORA"]
fn with_corpora_unseen_speakers_are_found() {
    let made = prepared(
        "speechocean762",
        &references::corpora().join("speechocean762"),
    );
    let args = [
        "data",
        "cluster-speakers",
        "--model=en-16k",
        "--speakers=20",
        "--compare=data/test/utt2spk",
        "data/test",
        "found",
    ];
    let index = agreement(made.path(), &args);
    assert!(index > 0.7, "{index}");
}

#[test]
fn embeddings_of_an_archive_are_enough() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    put(&path.join("data/utt2spk"), "a a\nb b\nc c\nd d\n");
    put(&path.join("data/spk2utt"), "a a\nb b\nc c\nd d\n");
    put(&path.join("data/spk2gender"), "a f\nb f\nc m\nd m\n");
    put(
        &path.join("s.ark"),
        "a [ 1 0 ]\nb [ 0.9 0.1 ]\nc [ 0 1 ]\nd [ 0.1 2 ]\n",
    );
    let args = [
        "data",
        "cluster-speakers",
        "--embeddings=ark:s.ark",
        "data",
        "new",
    ];
    let error = fail(path, &args, b"");
    assert!(
        error.ends_with("threshold: expected --speakers or --calibration, found none"),
        "{error}"
    );
    put(
        &path.join("c.json"),
        r#"{"kind":"calibration","model":{"scale":10.0,"offset":-5.0,"prior":0.5}}"#,
    );
    let output = unbraid(path, &[&args[..], &["--calibration=c.json"]].concat());
    assert!(output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("spk2gender is left out"), "{message}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with("new: 2 speakers of 4 utterances\nsilhouette 0.9"),
        "{said}"
    );
    let table = fs::read_to_string(path.join("new/utt2spk")).unwrap();
    assert_eq!(
        table,
        "a speaker-1\nb speaker-1\nc speaker-2\nd speaker-2\n"
    );
    let refused: &[(&[&str], &str)] = &[
        (
            &["--speakers=5"],
            "--speakers: expected 1 to 4, the number of utterances, found 5",
        ),
        (
            &["--speakers=0"],
            "--speakers: expected 1 to 4, the number of utterances, found 0",
        ),
        (&["--calibration=none.json"], "none.json: No such file"),
        (
            &["--speakers=2", "--compare=c.json"],
            "c.json: a: expected a speaker for this utterance",
        ),
    ];
    for (more, expected) in refused {
        let error = fail(path, &[&args[..], more].concat(), b"");
        assert!(error.contains(expected), "{error}");
    }
    put(&path.join("s.ark"), "a [ 1 0 ]\nb [ 0.9 0.1 ]\nc [ 0 1 ]\n");
    let error = fail(path, &[&args[..], &["--speakers=2"]].concat(), b"");
    assert!(
        error.ends_with("ark:s.ark: d: expected an embedding, found none"),
        "{error}"
    );
    put(
        &path.join("s.ark"),
        "a [ 1 0 ]\nb [ 0 0 ]\nc [ 0 1 ]\nd [ 1 1 ]\n",
    );
    let error = fail(path, &[&args[..], &["--speakers=2"]].concat(), b"");
    assert!(
        error.contains("embedding number 2: expected a finite length above 0, found 0"),
        "{error}"
    );
    let onto = [
        "data",
        "cluster-speakers",
        "--embeddings=ark:s.ark",
        "--speakers=2",
        "data",
        "data",
    ];
    put(
        &path.join("s.ark"),
        "a [ 1 0 ]\nb [ 1 0 ]\nc [ 0 1 ]\nd [ 1 1 ]\n",
    );
    let error = fail(path, &onto, b"");
    assert!(
        error.contains("target folder: expected another than the source"),
        "{error}"
    );
}
