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
fn a_recogniser_learns_to_transcribe() {
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
    // A bonus that allows no words.
    decode(
        folder,
        "mute",
        &["--beam", "8", "--lm", "lm.arpa", "--word-bonus", "-500"],
    );
    assert_eq!(error_rate(folder, "mute"), 100.0);
    let args = ["asr", "score", "test", "greedy", "--labels", "phones"];
    let more = ["--by", "speaker", "--compare-to", "mute"];
    let message = String::from_utf8(succeed(folder, &[&args[..], &more].concat())).unwrap();
    assert!(message.contains("speaker  s00"), "{message}");
    assert!(
        message.contains("against mute: -") && message.contains("better in 100.0 %"),
        "{message}"
    );
}

#[test]
fn phones_are_aligned_in_time() {
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

    // Utterances that cannot be aligned are reported, and the others are written.
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
        "test/utt2phones: s00-u001: expected phones of the recogniser's training, found p9",
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
        (
            ["--frame-shift-ms", "0"],
            "--frame-shift-ms, --max-extension-ms: expected",
        ),
        (
            ["--max-extension-ms", "nan"],
            "--frame-shift-ms, --max-extension-ms: expected",
        ),
        (["--checkpoint", "best"], "a checkpoint 'best'"),
    ] {
        let error = fail(folder, &[&align[..], &more].concat(), b"");
        assert!(error.contains(expected), "{more:?}: {error}");
    }
    let info = fs::read_to_string(folder.join("exp/inventory.json")).unwrap();
    let stretched = info.replacen("\"fixed_frames\": 0", "\"fixed_frames\": 20", 1);
    assert_ne!(info, stretched);
    fs::write(folder.join("exp/inventory.json"), stretched).unwrap();
    let error = fail(folder, &align, b"");
    let expected = "normalisation.fixed_frames: expected 0 for forced alignment, found 20";
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
fn invalid_input_is_refused_in_one_line() {
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
    let of_strands = ["extract", "--exp", "exp", "--output", "phonetic"];
    let tables = ["scp:test/feats.scp", "ark:z.ark"];
    let error = fail(folder, &[&of_strands[..], &tables].concat(), b"");
    assert!(
        error.contains("a recogniser (use unbraid asr decode)"),
        "{error}"
    );
}

#[test]
fn empty_utterances_count_in_scores_and_not_in_training() {
    let dir = folder();
    let folder = dir.path();
    // The last utterance of each set has no words.
    let mut reference = String::new();
    for set in ["train", "test"] {
        let path = folder.join(set).join("utt2phones");
        let lines = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = lines.lines().collect();
        let last = lines.pop().unwrap();
        lines.push(last.split_once(' ').unwrap().0);
        reference = lines.join("\n") + "\n";
        fs::write(path, &reference).unwrap();
    }
    let args = [
        "asr", "train", "train", "--exp", "exp", "--labels", "phones", "--valid", "test",
    ];
    let output = unbraid(
        folder,
        &[&args[..], &["--steps", "2", "--device", "cpu"]].concat(),
    );
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    for set in ["train", "test"] {
        let line = format!("{set}: 1 of 16 utterances have no labels and are left out\n");
        assert!(message.contains(&line), "{message}");
    }
    let log = fs::read_to_string(folder.join("exp/log.jsonl")).unwrap();
    assert!(log.contains("\"valid\"") && !log.contains("null"), "{log}");
    fs::write(folder.join("hyp"), &reference).unwrap();
    assert_eq!(error_rate(folder, "hyp"), 0.0);
    let labels = reference.split_whitespace().count() - 16;
    fs::write(
        folder.join("hyp"),
        reference.trim_end().to_string() + " p0 p1\n",
    )
    .unwrap();
    let found = error_rate(folder, "hyp");
    assert!((found - 200.0 / labels as f64).abs() < 1e-9, "{found}");
}

#[test]
fn an_alignment_goes_on_past_utterances_that_have_none() {
    let dir = folder();
    let folder = dir.path();
    let keys = ScpTable::<ndarray::Array2<f32>>::open(folder.join("test/feats.scp")).unwrap();
    let keys = keys.keys();
    fs::write(folder.join("phones.txt"), "p0 0\nsil 1\n").unwrap();
    let ctm = format!(
        "\u{feff};; made by hand\r\n{} 1 0 0.05 p0\r\n{} 1 9 0.1 p0\r\n",
        keys[0], keys[1]
    );
    fs::write(folder.join("ctm"), ctm).unwrap();
    let args = [
        "ctm-to-ali",
        "--phones",
        "phones.txt",
        "ctm",
        "test/feats.scp",
        "ark:found.ark",
    ];
    let output = unbraid(folder, &args);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("found 'p0' from 9.000 to 9.100 s"),
        "{message}"
    );
    let left_out = format!(
        "ctm: no phones of 14 utterances, which are left out: {}",
        keys[2]
    );
    assert!(message.contains(&left_out), "{message}");
    assert!(message.contains("1 of 16 utterances failed"), "{message}");
    let ark = format!("ark:{}", folder.join("found.ark").display());
    let found: Vec<(String, Vec<i32>)> = TableReader::open(&ark)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!((found.len(), &found[0].0), (1, &keys[0]));
    assert_eq!(found[0].1[..7], [0, 0, 0, 0, 0, 1, 1]);
}
