//! `unbraid asr` as a user runs it.

use std::fs;
use std::path::Path;

use unbraid::io::kaldi::{ScpTable, TableReader};

use crate::support::corpus::Corpus;
use crate::support::{fail, succeed, unbraid};

const LM: &str = "\\data\\\nngram 1=5\nngram 2=1\n\n\\1-grams:\n-99 <s> 0\n-1 </s>\n-0.5 p0 -0.1\n-0.5 p1\n-0.5 p2\n\n\
                  \\2-grams:\n-0.1 p0 p1\n\n\\end\\\n";

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, seed) in [("train", 0), ("test", 1)] {
        let corpus = Corpus {
            seed,
            ..Corpus::default()
        };
        corpus.write(&dir.path().join(name));
    }
    dir
}

fn train(folder: &Path, exp: &str, more: &[&str]) {
    let args = ["asr", "train", "train", "--exp", exp, "--labels", "phones"];
    let same = ["--batch", "8", "--device", "cpu"];
    succeed(folder, &[&args[..], &same, more].concat());
}

fn decode(folder: &Path, out: &str, more: &[&str]) {
    let args = [
        "asr",
        "decode",
        "scp:test/feats.scp",
        "--exp",
        "exp",
        "--out",
        out,
    ];
    succeed(folder, &[&args[..], more].concat());
}

fn error_rate(folder: &Path, hyp: &str) -> f64 {
    let args = [
        "asr", "score", "test", hyp, "--labels", "phones", "--out", hyp,
    ];
    succeed(folder, &args);
    let json = fs::read_to_string(folder.join(format!("{hyp}.json"))).unwrap();
    let scores: serde_json::Value = serde_json::from_str(&json).unwrap();
    scores["rates"][0]["percent"].as_f64().unwrap()
}

#[test]
fn a_recogniser_learns_what_is_said() {
    let dir = folder();
    let folder = dir.path();
    train(folder, "exp", &["--steps", "150", "--subsampling", "2"]);
    decode(folder, "greedy", &[]);
    decode(folder, "beam", &["--beam", "8"]);
    fs::write(folder.join("lm.arpa"), LM).unwrap();
    decode(folder, "lm", &["--beam", "8", "--lm", "lm.arpa"]);
    for hyp in ["greedy", "beam", "lm"] {
        let found = error_rate(folder, hyp);
        assert!(found < 20.0, "{hyp}: {found}");
    }
    // A model that will have nothing but a word a line, whatever was said.
    decode(
        folder,
        "mute",
        &["--beam", "8", "--lm", "lm.arpa", "--word-bonus", "-50"],
    );
    assert_eq!(error_rate(folder, "mute"), 100.0);
    let args = ["asr", "score", "test", "greedy", "--labels", "phones"];
    let more = ["--by", "speaker", "--against", "mute"];
    let told = String::from_utf8(succeed(folder, &[&args[..], &more].concat())).unwrap();
    assert!(told.contains("speaker  s00"), "{told}");
    assert!(
        told.contains("against mute: -") && told.contains("better in 100.0 %"),
        "{told}"
    );
}

#[test]
fn what_was_said_is_found_in_time() {
    let dir = folder();
    let folder = dir.path();
    train(folder, "exp", &["--steps", "150", "--subsampling", "2"]);
    let align = [
        "asr",
        "align",
        "scp:test/feats.scp",
        "test",
        "--exp",
        "exp",
        "--out",
        "ctm",
    ];
    succeed(folder, &align);
    fs::write(folder.join("phones.txt"), "p0 0\np1 1\np2 2\nsil 3\n").unwrap();
    let table = "ark,scp:found.ark,found.scp";
    let ali = [
        "ctm-to-ali",
        "--phones",
        "phones.txt",
        "ctm",
        "test/feats.scp",
        table,
    ];
    succeed(folder, &ali);
    let found =
        TableReader::<Vec<i32>>::open(&format!("ark:{}", folder.join("found.ark").display()))
            .unwrap();
    let expected = ScpTable::<Vec<i32>>::open(folder.join("test/ali.scp")).unwrap();
    let (mut right, mut all) = (0, 0);
    for entry in found {
        let (key, found) = entry.unwrap();
        let expected = expected.get(&key).unwrap();
        assert_eq!(found.len(), expected.len());
        right += found.iter().zip(&expected).filter(|(f, e)| f == e).count();
        all += found.len();
    }
    assert!(right as f64 > 0.8 * all as f64, "{right} of {all}");

    // What cannot be aligned is told, and the others are there.
    let phones = fs::read_to_string(folder.join("test/utt2phones")).unwrap();
    let mut lines: Vec<String> = phones.lines().map(str::to_string).collect();
    lines[0] += &" p1".repeat(40);
    lines[1] += " p9";
    lines.remove(2);
    fs::write(folder.join("test/utt2phones"), lines.join("\n") + "\n").unwrap();
    let output = unbraid(folder, &align);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    for expected in [
        "test/utt2phones: s00-u000: expected phones for at most ",
        "test/utt2phones: s00-u001: expected phones that the recogniser knows, found p9",
        "test/utt2phones: s00-u002: expected its phones, found none",
        ", found phones that take ",
        "3 of 16 utterances failed",
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let ctm = fs::read_to_string(folder.join("ctm")).unwrap();
    let mut keys: Vec<&str> = ctm
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    keys.dedup();
    assert_eq!(keys.len(), 13);
    for (more, expected) in [
        (["--frame-shift", "0"], "--frame-shift, --reach: expected"),
        (["--reach", "nan"], "--frame-shift, --reach: expected"),
        (["--checkpoint", "best"], "a checkpoint 'best'"),
    ] {
        let error = fail(folder, &[&align[..], &more].concat(), b"");
        assert!(error.contains(expected), "{more:?}: {error}");
    }
    let settled = fs::read_to_string(folder.join("exp/inventory.json")).unwrap();
    let stretched = settled.replacen("\"stretch_frames\": 0", "\"stretch_frames\": 20", 1);
    assert_ne!(settled, stretched);
    fs::write(folder.join("exp/inventory.json"), stretched).unwrap();
    let error = fail(folder, &align, b"");
    let expected = "view.stretch_frames: expected 0 for a recogniser that tells times, found 20";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_stopped_training_goes_on_to_the_same_weights() {
    let dir = folder();
    let folder = dir.path();
    train(folder, "whole", &["--steps", "6"]);
    let conf = fs::read_to_string(folder.join("whole/conf.toml")).unwrap();
    let conf = conf.replace("checkpoint_every = 500", "checkpoint_every = 3");
    fs::write(folder.join("conf.toml"), conf).unwrap();
    let args = ["train", "--conf", "conf.toml", "--exp", "parts"];
    succeed(folder, &args);
    let parts = folder.join("parts");
    fs::remove_dir_all(parts.join("step_000006")).unwrap();
    fs::remove_file(parts.join("last")).unwrap();
    std::os::unix::fs::symlink("step_000003", parts.join("last")).unwrap();
    succeed(folder, &[&args[..], &["--resume"]].concat());
    let weights = |exp: &str| fs::read(folder.join(exp).join("last/weights.safetensors")).unwrap();
    assert!(weights("whole") == weights("parts"));
}

#[test]
fn what_is_wrong_is_told_in_a_line() {
    let dir = folder();
    let folder = dir.path();
    train(folder, "exp", &["--steps", "2"]);
    let other = Corpus {
        bins: 7,
        ..Corpus::default()
    };
    other.write(&folder.join("narrow"));
    Corpus::default().write(&folder.join("crowded"));
    let phones = folder.join("crowded/utt2phones");
    let crowded = fs::read_to_string(&phones)
        .unwrap()
        .replace("p1", "p1 p1 p1");
    fs::write(&phones, crowded).unwrap();
    fs::write(folder.join("lm.arpa"), LM.replace("p2", "p9")).unwrap();
    fs::write(folder.join("broken.arpa"), &LM[..40]).unwrap();
    let train = ["asr", "train", "train", "--exp", "new"];
    let decode = [
        "asr",
        "decode",
        "scp:test/feats.scp",
        "--exp",
        "exp",
        "--out",
        "hyp",
    ];
    let cases: [(&[&str], &[&str], &str); 8] = [
        (
            &train,
            &["--subsampling", "3"],
            "subsampling: expected 1, 2, 4 or 8, found 3",
        ),
        (
            &[
                "asr", "train", "crowded", "--exp", "new", "--labels", "phones",
            ],
            &["--subsampling", "8"],
            "phones for at most 4 codes",
        ),
        (&train, &["--batch", "0"], "batch"),
        (
            &["asr", "train", "train", "narrow/none.scp", "--exp", "new"],
            &[],
            "narrow/none.scp",
        ),
        (
            &decode,
            &["--beam", "4", "--lm", "lm.arpa"],
            "p2: expected a 1-gram",
        ),
        (
            &decode,
            &["--beam", "4", "--lm", "broken.arpa"],
            "broken.arpa",
        ),
        (
            &decode,
            &["--beam", "4", "--lm", "lm.arpa", "--lm-weight", "inf"],
            "--lm-weight",
        ),
        (&decode, &["--checkpoint", "best"], "a checkpoint 'best'"),
    ];
    for (args, more, expected) in cases {
        let error = fail(folder, &[args, more].concat(), b"");
        assert!(error.contains(expected), "{args:?} {more:?}: {error}");
    }
    let narrow = [
        "asr",
        "decode",
        "scp:narrow/feats.scp",
        "--exp",
        "exp",
        "--out",
        "hyp",
    ];
    let output = unbraid(folder, &narrow);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("s00-u000: expected 20 bins, found 7"),
        "{error}"
    );
    assert!(!folder.join("hyp").exists());
    let of_strands = ["extract", "--exp", "exp", "--strand", "phonetic"];
    let tables = ["scp:test/feats.scp", "ark:z.ark"];
    let error = fail(folder, &[&of_strands[..], &tables].concat(), b"");
    assert!(
        error.contains("a recogniser, which unbraid asr decodes with"),
        "{error}"
    );
}
