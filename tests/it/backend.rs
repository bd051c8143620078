//! `unbraid verify backend` and `unbraid verify calibrate` as a user runs them; PLDA compared with speechbrain.

use std::fs;
use std::path::Path;

use crate::support::{fail, names, succeed};
use ndarray::Array1;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde_json::Value;
use unbraid::eval::trials::probit;
use unbraid::io::kaldi::TableWriter;

/// What `references/speechbrain_plda.py` writes.
#[derive(Debug, Deserialize)]
struct Golden {
    utterances: usize,
    train: Vec<Vec<f32>>,
    test: Vec<Vec<f32>>,
    scores: Vec<Vec<f64>>,
}

fn write(dir: &Path, name: &str, embeddings: impl IntoIterator<Item = (String, Vec<f32>)>) {
    let path = dir.join(name).display().to_string();
    let mut writer =
        TableWriter::<Array1<f32>>::create(&format!("ark,scp:{path}.ark,{path}.scp")).unwrap();
    for (key, embedding) in embeddings {
        writer.write(&key, &Array1::from(embedding)).unwrap();
    }
    writer.finish().unwrap();
}

fn run(at: &Path, args: &str) -> String {
    let args: Vec<&str> = args.split(' ').collect();
    String::from_utf8(succeed(at, &args)).unwrap()
}

fn read_scores(path: &Path) -> Vec<f64> {
    let text = fs::read_to_string(path).unwrap();
    let last = |line: &str| line.rsplit(' ').next().unwrap().parse().unwrap();
    text.lines().map(last).collect()
}

#[test]
fn plda_is_speechbrains() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let golden: Golden =
        serde_json::from_str(include_str!("../golden/speechbrain_plda.json")).unwrap();
    let mut utt2spk = String::new();
    for index in 0..golden.train.len() {
        utt2spk += &format!("t{index} s{}\n", index / golden.utterances);
    }
    let name = |index: usize| format!("u{index}");
    let mut trials = String::new();
    for (a, b) in (0..golden.test.len()).flat_map(|a| (0..golden.test.len()).map(move |b| (a, b))) {
        trials += &format!("{} {}\n", name(a), name(b));
    }
    let train = golden.train.into_iter().enumerate();
    write(
        at,
        "train",
        train.map(|(index, e)| (format!("t{index}"), e)),
    );
    let test = golden.test.into_iter().enumerate();
    write(at, "test", test.map(|(index, e)| (name(index), e)));
    fs::write(at.join("utt2spk"), utt2spk).unwrap();
    fs::write(at.join("trials"), trials).unwrap();
    run(
        at,
        "backend train scp:train.scp --utt2spk utt2spk --out plda.json --plda-iterations 3000",
    );
    run(
        at,
        "score --trials trials --backend plda.json --scores scores scp:test.scp",
    );
    let expected = golden.scores.concat();
    let found = read_scores(&at.join("scores"));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        // Both have come as close to the greatest likelihood as double precision lets them; scores have six decimals.
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

const DIMS: usize = 10;

/// Speakers differ in few directions, utterances of one speaker in the others far more, which cosines ignore.
fn speakers(seed: u64, name: &str, count: usize, shift: f64) -> Vec<(String, String, Vec<f32>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || probit(rng.random_range(1e-9..1.0 - 1e-9));
    let spread = |dim: usize| if dim < 4 { (1.0, 0.6) } else { (0.2, 1.5) };
    let mut made = Vec::new();
    for speaker in 0..count {
        let place: Vec<f64> = (0..DIMS).map(|dim| spread(dim).0 * normal()).collect();
        for utterance in 0..6 {
            let vector = (0..DIMS)
                .map(|dim| (shift + place[dim] + spread(dim).1 * normal()) as f32)
                .collect();
            let speaker = format!("{name}{speaker}");
            made.push((format!("{speaker}-{utterance}"), speaker, vector));
        }
    }
    made
}

/// Sets `train`, `new`, `dev` and `test`, with their tables; trials of the first three utterances and the others.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (seed, name, count, shift) in [
        (1, "train", 40, 0.5),
        (2, "new", 20, 1.5),
        (3, "dev", 16, 0.5),
        (4, "test", 16, 0.5),
    ] {
        let made = speakers(seed, name, count, shift);
        let (mut utt2spk, mut trials, mut models, mut enrol) =
            (String::new(), String::new(), String::new(), String::new());
        for (key, speaker, _) in &made {
            utt2spk += &format!("{key} {speaker}\n");
        }
        for (first, group) in made.chunks(6).enumerate() {
            let speaker = &group[0].1;
            enrol += &format!("{speaker} {} {} {}\n", group[0].0, group[1].0, group[2].0);
            for (index, (key, other, _)) in made.iter().enumerate().filter(|(i, _)| i % 6 > 2) {
                let kind = ["nontarget", "target"][usize::from(index / 6 == first)];
                assert_eq!(other == speaker, kind == "target");
                trials += &format!("{} {key} {kind}\n", group[0].0);
                models += &format!("{speaker} {key} {kind}\n");
            }
        }
        for (table, text) in [
            ("utt2spk", utt2spk),
            ("trials", trials),
            ("models", models),
            ("enrol", enrol),
        ] {
            fs::write(at.join(format!("{name}.{table}")), text).unwrap();
        }
        write(
            at,
            name,
            made.into_iter().map(|(key, _, vector)| (key, vector)),
        );
    }
    dir
}

fn measures(at: &Path, args: &str) -> Value {
    run(at, &format!("score --out found {args}"));
    serde_json::from_str(&fs::read_to_string(at.join("found.json")).unwrap()).unwrap()
}

fn eer(found: &Value) -> f64 {
    found["eer"].as_f64().unwrap()
}

#[test]
fn what_is_learnt_of_speakers_helps() {
    let dir = folder();
    let at = dir.path();
    let train = "backend train scp:train.scp --utt2spk train.utt2spk";
    let message = run(
        at,
        &format!("{train} --lda-dim 6 --length-norm --out plda.json"),
    );
    assert!(
        message.starts_with("240 utterances of 40 speakers; 10 values, of which 6 are compared\n")
            && message.contains("log-likelihood per utterance"),
        "{message}"
    );
    let again = format!("{train} --lda-dim 6 --length-norm --out again.json");
    run(at, &again);
    let read = |name: &str| fs::read_to_string(at.join(name)).unwrap();
    assert_eq!(read("plda.json"), read("again.json"));
    run(
        at,
        &format!("{train} --lda-dim 6 --scoring cosine --out lda.json"),
    );
    run(
        at,
        &format!("{train} --smoothing 0.1 --plda-length-norm --out full.json"),
    );
    let cosine = eer(&measures(at, "--trials test.trials scp:test.scp"));
    for backend in ["lda", "plda", "full"] {
        let one = format!("--trials test.trials --backend {backend}.json scp:test.scp");
        let several = format!(
            "--trials test.models --enrol test.enrol --backend {backend}.json scp:test.scp scp:test.scp"
        );
        let (one, several) = (eer(&measures(at, &one)), eer(&measures(at, &several)));
        assert!(one < cosine - 0.1, "{backend}: {one} {cosine}");
        assert!(several < one, "{backend}: {several} {one}");
    }
    let normed =
        "--trials test.trials --backend plda.json --cohort scp:train.scp --top 50 scp:test.scp";
    assert!(eer(&measures(at, normed)) < cosine - 0.1);
}

#[test]
fn a_new_domain_is_adapted_to() {
    let dir = folder();
    let at = dir.path();
    run(
        at,
        "backend train scp:train.scp --utt2spk train.utt2spk --length-norm --out plda.json",
    );
    run(
        at,
        "backend adapt --backend plda.json scp:new.scp --recentre --out new.json",
    );
    let score = |backend: &str| {
        let args = format!("--trials new.trials --backend {backend} scp:new.scp");
        measures(at, &args)["min_cllr"].as_f64().unwrap()
    };
    let (before, after) = (score("plda.json"), score("new.json"));
    assert!(after < before, "{after} {before}");
}

#[test]
fn calibrated_scores_are_ratios() {
    let dir = folder();
    let at = dir.path();
    let train = "backend train scp:train.scp --utt2spk train.utt2spk --scoring cosine --lda-dim 6 --out b.json";
    run(at, train);
    run(
        at,
        "score --trials dev.trials --backend b.json --scores dev.scores scp:dev.scp",
    );
    let message = run(
        at,
        "calibrate train --trials dev.trials --scores dev.scores --out line.json",
    );
    assert!(
        message.starts_with("scale ") && message.contains("Cllr"),
        "{message}"
    );
    let test = "--trials test.trials --backend b.json --scores test.scores";
    let raw = measures(at, &format!("{test} scp:test.scp"));
    // Cosines are no ratios.
    assert!(!run(at, "score --trials dev.trials scp:dev.scp").contains("Cllr"));
    run(
        at,
        "calibrate apply --calibration line.json --scores test.scores --out ratios --trials test.trials",
    );
    let found = measures(at, &format!("{test} --calibration line.json scp:test.scp"));
    let cost = |found: &Value, name: &str| found[name].as_f64().unwrap();
    assert!(
        cost(&found, "cllr") < cost(&raw, "cllr") - 0.1,
        "{found} {raw}"
    );
    assert!(
        cost(&found, "cllr") < cost(&found, "min_cllr") + 0.15,
        "{found}"
    );
    assert_eq!(eer(&found), eer(&raw));
    let ratios = read_scores(&at.join("ratios"));
    for (one, other) in ratios.iter().zip(read_scores(&at.join("test.scores"))) {
        // One of them went through six decimals before.
        assert!((one - other).abs() < 1e-4, "{one} {other}");
    }
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = folder();
    let at = dir.path();
    let put = |name: &str, text: &str| fs::write(at.join(name), text).unwrap();
    let first = |count: usize, speaker: fn(usize) -> usize| -> String {
        (0..count)
            .map(|index| format!("{} {}\n", index, speaker(index)))
            .collect()
    };
    let wide = |count: usize| {
        (0..count).map(|index| {
            let vector = (0..5)
                .map(|dim| ((index * 7 + dim * 3) % 11) as f32)
                .collect();
            (index.to_string(), vector)
        })
    };
    write(at, "few", wide(6));
    put("two", &first(6, |index| index / 3));
    put("one", &first(6, |_| 0));
    put("each", &first(6, |index| index));
    put("some", &first(5, |index| index / 3));
    run(
        at,
        "backend train scp:train.scp --utt2spk train.utt2spk --out good.json",
    );
    run(
        at,
        "backend train scp:train.scp --utt2spk train.utt2spk --scoring cosine --out cosine.json",
    );
    let good = fs::read_to_string(at.join("good.json")).unwrap();
    put("cut.json", &good[..good.len() / 2]);
    put(
        "line.json",
        r#"{"kind":"calibration","model":{"scale":1,"offset":0,"prior":0.5}}"#,
    );
    put("apart.scores", "a b 1\na c 0\n");
    put("apart", "a b target\na c nontarget\n");
    let before = names(at);
    for (args, expected) in [
        (
            "backend train scp:few.scp --utt2spk two --out x.json",
            "scp:few.scp: expected at least 7 utterances of 2 speakers for 5 dimensions, or --smoothing above 0 (as 0.1), \
             found 6",
        ),
        (
            "backend train scp:few.scp --utt2spk two --smoothing 0.5 --lda-dim 2 --out x.json",
            "lda-dim: expected 1 to 1, for 5 dimensions and 2 speakers in scp:few.scp, found 2",
        ),
        (
            "backend train scp:few.scp --utt2spk one --out x.json",
            "scp:few.scp: expected utterances of at least 2 speakers for training, found 6 of one",
        ),
        (
            "backend train scp:few.scp --utt2spk each --out x.json",
            "scp:few.scp: expected more than one utterance of a speaker for training, found one of each of 6 speakers",
        ),
        (
            "backend train scp:few.scp --utt2spk some --out x.json",
            "some: 5: expected its speaker, found none",
        ),
        (
            "backend train scp:few.scp --utt2spk two --scoring cosine --plda-iterations 3 --out x.json",
            "--plda-iterations: expected --scoring plda beside it, found --scoring cosine",
        ),
        (
            "backend train scp:few.scp --utt2spk two --smoothing 2 --out x.json",
            "smoothing: expected 0 to 1, found 2",
        ),
        (
            "backend adapt --backend good.json scp:few.scp --out x.json",
            "scp:few.scp: expected embeddings of 10 values, as the backend or the other side, found 5",
        ),
        (
            "backend adapt --backend cosine.json scp:new.scp --out x.json",
            "backend: expected a backend with PLDA, which can be adapted, found one of cosines",
        ),
        (
            "backend adapt --backend line.json scp:new.scp --out x.json",
            "line.json: expected the backend that unbraid wrote, found a calibration",
        ),
        (
            "score --trials test.trials --backend cut.json scp:test.scp",
            "cut.json:1: expected the backend that unbraid wrote, found a file that breaks off",
        ),
        (
            "score --trials test.trials --backend good.json scp:few.scp",
            "scp:few.scp: expected embeddings of 10 values, as the backend or the other side, found 5",
        ),
        (
            "score --trials test.trials --calibration good.json scp:test.scp",
            "good.json: expected the calibration that unbraid wrote, found a backend",
        ),
        (
            "calibrate train --trials apart --scores apart.scores --out x.json",
            "apart.scores: expected scores of target and nontarget trials that overlap, to calibrate by, found ones apart",
        ),
        (
            "calibrate train --trials test.trials --scores apart.scores --out x.json",
            "apart.scores:1: expected a score of 'test0-0 test0-3', the trial of this line, found 'a b'",
        ),
        (
            "calibrate apply --calibration line.json --scores apart --out x",
            "apart:1: expected 'enrolment test score', the score a finite number, found 'a b target'",
        ),
    ] {
        let words: Vec<&str> = args.split(' ').collect();
        let error = fail(at, &words, b"");
        assert!(error.contains(expected), "{args}: {error}");
        assert_eq!(names(at), before, "{args}");
    }
}
