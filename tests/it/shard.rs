//! `unbraid data shard`, and shards and cuts of other programs as `unbraid data make` reads them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use unbraid::io::audio::{Waveform, wav_bytes};

use crate::recipes::flac;
use crate::support::{fail, names, put, references, succeed, unbraid};

/// A WAV of a tone.
fn second_of(hz: f64) -> Vec<u8> {
    let sample =
        |at: u32| (0.3 * (f64::from(at) / 16000.0 * hz * std::f64::consts::TAU).sin()) as f32;
    let waveform = Waveform {
        samples: (0..16000).map(sample).collect(),
        sample_rate_hz: 16000,
    };
    wav_bytes(&waveform).unwrap()
}

/// A data directory `data` of three recordings of two speakers.
fn corpus(at: &Path) {
    put(&at.join("a/anna 1.wav"), second_of(200.0));
    put(&at.join("a/anna2.flac"), flac());
    put(&at.join("a/bo.wav"), second_of(300.0));
    let lines = "anna-1 a/anna 1.wav\nanna-2 a/anna2.flac\nbo-1 a/bo.wav\n";
    put(&at.join("data/wav.scp"), lines);
    put(
        &at.join("data/utt2spk"),
        "anna-1 anna\nanna-2 anna\nbo-1 bo\n",
    );
    put(&at.join("data/spk2utt"), "anna anna-1 anna-2\nbo bo-1\n");
    put(
        &at.join("data/text"),
        "anna-1 one\nanna-2 two\nbo-1 three\n",
    );
}

/// The features of all utterances, as text.
fn features(at: &Path, data: &str) -> String {
    let wavs = format!("scp:{data}/wav.scp");
    let mut args = vec!["feats", "fbank", "--set", "dither=0", &wavs, "ark,t:-"];
    let segments = format!("{data}/segments");
    if at.join(&segments).exists() {
        args.extend(["--segments", &segments]);
    }
    String::from_utf8(succeed(at, &args)).unwrap()
}

#[test]
fn shards_are_read_as_the_files_in_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    corpus(at);
    let told = succeed(at, &["data", "shard", "data", "new/shards"]);
    let told = String::from_utf8(told).unwrap();
    assert_eq!(told, "new/shards: 3 recordings in 1 tar files\n");
    let listed = fs::read_to_string(at.join("new/shards/wav.scp")).unwrap();
    let first = listed.lines().next().unwrap();
    assert!(
        first.starts_with("anna-1 new/shards/shards/000000.tar:512:"),
        "{listed}"
    );
    assert_eq!(features(at, "data"), features(at, "new/shards"));
    for name in ["utt2spk", "spk2utt", "text"] {
        let read = |data: &str| fs::read_to_string(at.join(data).join(name)).unwrap();
        assert_eq!(read("data"), read("new/shards"));
    }
    succeed(
        at,
        &["data", "validate", "--deep", "--no-feats", "new/shards"],
    );
    // Any tar program reads them.
    let tar = at.join("new/shards/shards/000000.tar");
    let listed = Command::new("tar").arg("tf").arg(tar).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&listed.stdout),
        "anna-1.wav\nanna-2.flac\nbo-1.wav\n"
    );
    // Again of shards, and the same bytes.
    succeed(
        at,
        &["data", "shard", "--threads", "3", "new/shards", "again"],
    );
    let bytes = |data: &str| fs::read(at.join(data).join("shards/000000.tar")).unwrap();
    assert!(bytes("new/shards") == bytes("again"));
    let error = fail(at, &["data", "shard", "data", "again"], b"");
    assert_eq!(
        error,
        "unbraid: again: expected a folder that is not there yet, found one"
    );
}

#[test]
fn segments_become_recordings_and_failures_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    corpus(at);
    put(
        &at.join("data/segments"),
        "anna-1 anna-1 0.1 0.5\nanna-2 anna-1 0.4 0.9\nbo-1 bo-1 0.2 -1\n",
    );
    put(&at.join("data/reco2dur"), "anna-1 1\nanna-2 1\nbo-1 1\n");
    let output = unbraid(at, &["data", "shard", "data", "new"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    for name in ["segments", "reco2dur"] {
        let line = format!("unbraid: {name} is left out: each utterance is a recording now\n");
        assert!(told.contains(&line), "{told}");
    }
    assert_eq!(
        names(&at.join("new")),
        ["shards", "spk2utt", "text", "utt2dur", "utt2spk", "wav.scp"]
    );
    assert_eq!(features(at, "data"), features(at, "new"));
    let durations = fs::read_to_string(at.join("new/utt2dur")).unwrap();
    assert!(
        durations.starts_with("anna-1 0.4000\nanna-2 0.5000\n"),
        "{durations}"
    );

    fs::remove_file(at.join("data/segments")).unwrap();
    let wav = fs::read(at.join("a/bo.wav")).unwrap();
    put(&at.join("a/bo.wav"), &wav[..wav.len() / 2]);
    let output = unbraid(at, &["data", "shard", "data", "part"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("unbraid: bo-1: a/bo.wav: expected"), "{told}");
    let left = fs::read_to_string(at.join("part/spk2utt")).unwrap();
    assert_eq!(left, "anna anna-1 anna-2\n");
    for name in ["a/anna 1.wav", "a/anna2.flac"] {
        put(&at.join(name), "nothing");
    }
    let output = unbraid(at, &["data", "shard", "data", "none"]);
    let told = String::from_utf8(output.stderr).unwrap();
    let last = "unbraid: data: expected a recording that can be read, found none of 3\n";
    assert!(told.ends_with(last), "{told}");
    assert!(!at.join("none").exists());
}

#[test]
fn damaged_shards_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    corpus(at);
    succeed(at, &["data", "shard", "data", "new"]);
    let tar = at.join("new/shards/000000.tar");
    let bytes = fs::read(&tar).unwrap();
    fs::write(&tar, &bytes[..1000]).unwrap();
    let scp = ["feats", "fbank", "scp:new/wav.scp", "ark:x.ark"];
    let output = unbraid(at, &scp);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("bytes in the file, found 488"), "{told}");
    let error = fail(
        at,
        &["data", "make", "--layout", "shards", "new/shards", "made"],
        b"",
    );
    assert!(
        error.contains("000000.tar: expected a whole tar file"),
        "{error}"
    );
    fs::remove_file(&tar).unwrap();
    let told = String::from_utf8(unbraid(at, &scp).stderr).unwrap();
    assert!(told.contains("000000.tar: No such file"), "{told}");
}

#[test]
fn shards_of_other_programs_become_a_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (name, content) in [
        ("u1.wav", second_of(200.0)),
        ("u1.txt", b" hello there\n".to_vec()),
        ("u1.spk", b"anna".to_vec()),
        ("u2.flac", flac()),
        ("u2.spk", b"bo".to_vec()),
        ("u3.txt", b"no audio".to_vec()),
        ("u4.wav", second_of(300.0)),
        ("u5.wav", second_of(310.0)),
        ("u5.flac", flac()),
        ("u5.spk", b" ".to_vec()),
    ] {
        put(&at.join("t").join(name), content);
    }
    fs::create_dir(at.join("tars")).unwrap();
    let packed = Command::new("tar")
        .args(["cf", "tars/0.tar", "-C", "t", "."])
        .current_dir(at)
        .status();
    assert!(packed.unwrap().success());
    put(&at.join("tars/empty.tar"), [0; 1024]);
    put(&at.join("tars/more.tar.gz"), "x");
    let make = ["data", "make", "--layout", "shards", "tars", "made"];
    let output = unbraid(at, &make);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("no audio of this key (1): tars/0.tar: u3"),
        "{told}"
    );
    for part in [
        "no .spk of this key (or --speakers unknown) (2): tars/0.tar: u4, tars/0.tar: u5",
        "another recording of its key before it (1): tars/0.tar: ./u5.",
        "no recordings in it (1): tars/empty.tar",
        "compressed: unpack it to a .tar first (1): more.tar.gz",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let read = |name: &str| fs::read_to_string(at.join("made").join(name)).unwrap();
    assert_eq!(read("utt2spk"), "anna-u1 anna\nbo-u2 bo\n");
    assert_eq!(read("text"), "anna-u1 hello there\nbo-u2\n");
    put(
        &at.join("plain/wav.scp"),
        "anna-u1 t/u1.wav\nbo-u2 t/u2.flac\n",
    );
    assert_eq!(features(at, "made"), features(at, "plain"));
}

const CUT: &str = r#"{"id":"c1","start":0.25,"duration":0.7,"channel":0,"type":"MonoCut","supervisions":[{"id":"s1","recording_id":"r 1","start":0.05,"duration":0.3,"channel":0,"text":"hello there","speaker":"anna"},{"id":"s2","recording_id":"r 1","start":0.4,"duration":0.2,"channel":0,"speaker":"bo"}],"recording":{"id":"r 1","sources":[{"type":"file","channels":[0],"source":"a.wav"}],"sampling_rate":16000,"num_samples":16000,"duration":1.0}}"#;

#[test]
fn cuts_become_segments() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    put(&at.join("a.wav"), second_of(200.0));
    let url = CUT.replace("\"file\"", "\"url\"").replace("c1", "c2");
    let mixed = CUT.replace("MonoCut", "MixedCut").replace("c1", "c3");
    let other = CUT.replace("a.wav", "b.wav").replace("c1", "c4");
    let stereo = CUT
        .replace("\"channels\":[0]", "\"channels\":[0,1]")
        .replace("c1", "c5");
    let beyond = CUT
        .replace("\"start\":0.25", "\"start\":1.2")
        .replace("s1", "s5")
        .replace("s2", "s6");
    let silent = CUT
        .replace(",\"speaker\":\"bo\"", "")
        .replace("s1", "s3")
        .replace("s2", "s4");
    let text = [CUT, &url, &mixed, &other, &stereo, &beyond, &silent].join("\n") + "\n\n";
    put(&at.join("cuts.jsonl"), &text);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    put(&at.join("cuts.jsonl.gz"), gzip.finish().unwrap());
    for (cuts, target) in [("cuts.jsonl", "plain"), ("cuts.jsonl.gz", "packed")] {
        let output = unbraid(at, &["data", "make", "--layout", "lhotse", cuts, target]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        for part in [
            "a recording from a url (1): c2",
            "a MixedCut (1): c3",
            "another recording of the id r 1 (1): c4",
            "a recording of several channels (1): c5",
            "a supervision beyond the end of its recording (2): a.wav: s5, a.wav: s6",
            "no speaker (or --speakers unknown) (1): s4",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let read = |name: &str| fs::read_to_string(at.join(target).join(name)).unwrap();
        assert_eq!(read("wav.scp"), "r_1 a.wav\n");
        assert_eq!(
            read("segments"),
            "anna-s1 r_1 0.3000 0.6000\nanna-s3 r_1 0.3000 0.6000\nbo-s2 r_1 0.6500 0.8500\n"
        );
        assert_eq!(
            read("text"),
            "anna-s1 hello there\nanna-s3 hello there\nbo-s2\n"
        );
    }
    put(&at.join("cuts.jsonl"), format!("{CUT}\n{{\"id\":3}}\n"));
    let error = fail(
        at,
        &["data", "make", "--layout", "lhotse", "cuts.jsonl", "x"],
        b"",
    );
    assert!(
        error.contains("cuts.jsonl:2: expected a cut of lhotse in JSON, found invalid type"),
        "{error}"
    );
}

const LHOTSE: &str = "
import lhotse
recordings, supervisions, _ = lhotse.kaldi.load_kaldi_data_dir('made', 16000)
cuts = lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
cuts.to_file('cuts.jsonl.gz')
";

#[test]
#[ignore = "needs UNBRAID_BASELINES"]
fn with_baselines_lhotses_cuts_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    put(&at.join("a.wav"), second_of(200.0));
    put(&at.join("b.wav"), second_of(300.0));
    put(&at.join("made/wav.scp"), "r1 a.wav\nr2 b.wav\n");
    put(
        &at.join("made/segments"),
        "anna-1 r1 0.1 0.4\nanna-2 r1 0.5 0.9\nbo-1 r2 0.2 0.8\n",
    );
    put(
        &at.join("made/utt2spk"),
        "anna-1 anna\nanna-2 anna\nbo-1 bo\n",
    );
    put(
        &at.join("made/text"),
        "anna-1 one\nanna-2 two\nbo-1 three\n",
    );
    let mut python = Command::new(references::baselines());
    let output = python
        .args(["-c", LHOTSE])
        .current_dir(at)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    succeed(
        at,
        &[
            "data",
            "make",
            "--layout",
            "lhotse",
            "cuts.jsonl.gz",
            "back",
        ],
    );
    let read = |data: &str, name: &str| fs::read_to_string(at.join(data).join(name)).unwrap();
    for name in ["utt2spk", "text"] {
        assert_eq!(read("back", name), read("made", name));
    }
    assert_eq!(features(at, "made"), features(at, "back"));
}
