//! Calibration with quality measures: `unbraid verify quality`, `calibrate --quality`, `score --quality`.

use std::fs;
use std::path::Path;

use ndarray::Array1;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use unbraid::eval::trials::probit;
use unbraid::io::kaldi::TableWriter;

use crate::support::references::{python, run_reference};
use crate::support::{fail, names, succeed};

const DIMS: usize = 16;
const UTTERANCES: usize = 6;

fn run(at: &Path, args: &str) -> String {
    let args: Vec<&str> = args.split(' ').collect();
    String::from_utf8(succeed(at, &args)).unwrap()
}

/// Writes embeddings of a set, all trials between its utterances and their durations: the shorter, the less of the speaker.
fn write_set(at: &Path, name: &str, speakers: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || probit(rng.random_range(1e-9..1.0 - 1e-9));
    let specifier = format!("ark,t:{}", at.join(format!("{name}.txt")).display());
    let mut writer = TableWriter::<Array1<f32>>::create(&specifier).unwrap();
    let (mut durations, mut keys) = (String::new(), Vec::new());
    for speaker in 0..speakers {
        let place: Vec<f64> = (0..DIMS).map(|_| normal()).collect();
        for utterance in 0..UTTERANCES {
            let key = format!("{name}{speaker:02}-{utterance}");
            let seconds = 8.0 * (-2.0 * (utterance as f64 / 5.0 + 0.1 * normal().abs())).exp();
            let noise = 2.0 / seconds.sqrt();
            let value = |x: &f64| (x + noise * normal()) as f32;
            let embedding: Array1<f32> = place.iter().map(value).collect();
            writer.write(&key, &embedding).unwrap();
            durations += &format!("{key} {seconds:.2}\n");
            keys.push((key, speaker));
        }
    }
    writer.finish().unwrap();
    let mut trials = String::new();
    for (at, (enrolment, one)) in keys.iter().enumerate() {
        for (test, other) in &keys[at + 1..] {
            let kind = if one == other { "target" } else { "nontarget" };
            trials += &format!("{enrolment} {test} {kind}\n");
        }
    }
    fs::write(at.join(format!("{name}.utt2dur")), durations).unwrap();
    fs::write(at.join(format!("{name}.trials")), trials).unwrap();
}

/// Sets `cohort`, `dev` and `test`, with measures of the last two and scores of `dev`.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (seed, name, speakers) in [(1, "cohort", 20), (2, "dev", 14), (3, "test", 14)] {
        write_set(at, name, speakers, seed);
    }
    for name in ["dev", "test"] {
        let message = run(
            at,
            &format!(
                "verify quality --utt2dur {name}.utt2dur --norm --cohort ark:cohort.txt --top 20 ark:{name}.txt ark,t:{name}.q"
            ),
        );
        assert_eq!(message, "log duration, norm, cohort of 84 utterances\n");
    }
    run(
        at,
        "verify score --trials dev.trials --scores dev.scores ark:dev.txt",
    );
    dir
}

const TRAIN: &str = "verify calibrate train --trials dev.trials --scores dev.scores";

fn measures(at: &Path, args: &str) -> [f64; 3] {
    run(
        at,
        &format!("verify score --trials test.trials --out found {args} ark:test.txt"),
    );
    let text = fs::read_to_string(at.join("found.json")).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    ["eer", "cllr", "min_cllr"].map(|name| found[name].as_f64().unwrap())
}

#[test]
fn a_calibration_that_knows_the_durations_is_better() {
    let dir = folder();
    let at = dir.path();
    run(at, &format!("{TRAIN} --out plain.json"));
    run(
        at,
        &format!("{TRAIN} --quality ark:dev.q --out quality.json"),
    );
    let plain = measures(at, "--calibration plain.json");
    let with = "--calibration quality.json --quality ark:test.q";
    let quality = measures(at, &format!("{with} --scores ratios"));
    assert!(quality[0] < plain[0] - 0.005, "{quality:?} {plain:?}");
    assert!(quality[1] < plain[1] - 0.01, "{quality:?} {plain:?}");
    assert!(quality[1] < quality[2] + 0.05, "{quality:?}");
    run(
        at,
        "verify score --trials test.trials --scores test.scores ark:test.txt",
    );
    run(
        at,
        "verify calibrate apply --calibration quality.json --quality ark:test.q --scores test.scores --out applied",
    );
    let read = |name: &str| fs::read_to_string(at.join(name)).unwrap();
    for (one, other) in read("ratios").lines().zip(read("applied").lines()) {
        let ratio = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        // One of them went through six decimals before.
        assert!((ratio(one) - ratio(other)).abs() < 1e-4, "{one} {other}");
    }
}

#[test]
fn models_are_measured_by_all_their_utterances() {
    let dir = folder();
    let at = dir.path();
    fs::write(at.join("enrol"), "m dev00-0 dev00-1\n").unwrap();
    fs::write(at.join("utt2dur"), "dev00-0 1.5\ndev00-1 2.5\n").unwrap();
    let message = run(
        at,
        "verify quality --utt2dur utt2dur --enrol enrol ark:dev.txt ark,t:models.q",
    );
    assert_eq!(message, "log duration of 1 models\n");
    let text = fs::read_to_string(at.join("models.q")).unwrap();
    let found: f32 = text.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!((found - 4f32.ln()).abs() < 1e-6, "{text}");
}

#[test]
fn measures_are_found_by_their_names() {
    let dir = folder();
    let at = dir.path();
    let table = |set: &str, measures: &str| {
        run(
            at,
            &format!("verify quality {measures} ark:{set}.txt {set}.tsv"),
        );
    };
    let [both, other] = [
        "--utt2dur dev.utt2dur --norm",
        "--utt2dur test.utt2dur --norm",
    ];
    table("dev", both);
    table("test", &format!("{other} --cohort ark:cohort.txt --top 20"));
    let header = |set: &str| {
        let text = fs::read_to_string(at.join(format!("{set}.tsv"))).unwrap();
        text.lines().next().unwrap().to_string()
    };
    assert_eq!(header("dev"), "key\tlog duration\tnorm");
    assert_eq!(header("test"), "key\tlog duration\tnorm\tcohort");
    run(at, &format!("{TRAIN} --quality dev.tsv --out quality.json"));
    let with = "--calibration quality.json --quality test.tsv";
    let found = measures(at, with);
    // In another order too; more columns than are needed do no harm.
    let text = fs::read_to_string(at.join("test.tsv")).unwrap();
    let turned: String = (text.lines())
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            format!("{}\t{}\t{}\t{}\n", cells[0], cells[3], cells[2], cells[1])
        })
        .collect();
    fs::write(at.join("test.tsv"), turned).unwrap();
    assert_eq!(measures(at, with), found);
    let score = ["verify", "score", "--trials", "test.trials", "ark:test.txt"];
    let args = [&score[..], &with.split(' ').collect::<Vec<_>>()].concat();
    for (content, expected) in [
        (
            text.replace("norm", "loudness"),
            "test.tsv: expected the measure 'norm', as quality.json has, found log duration, loudness, cohort",
        ),
        (
            "key\tnorm\na\t1\t2\n".to_string(),
            "test.tsv:2: expected a key and 1 numbers, between tabs, found 'a\\t1\\t2'",
        ),
        (
            "key\tnorm\tnorm\na\t1\t2\n".to_string(),
            "test.tsv:1: expected a header: 'key' and the names of the measures, each once, between tabs, found 'norm'",
        ),
        (
            "key\tnorm\na\tx\n".to_string(),
            "test.tsv:2: expected a number, found 'x'",
        ),
        (
            "key\tnorm\n".to_string(),
            "test.tsv: expected embeddings, found none",
        ),
    ] {
        fs::write(at.join("test.tsv"), content).unwrap();
        assert_eq!(fail(at, &args, b""), format!("unbraid: {expected}"));
    }
}

#[test]
fn an_embedding_is_no_neighbour_of_its_own() {
    let dir = folder();
    let at = dir.path();
    let measure = |cohort: &str, set: &str| -> Vec<f32> {
        let args = format!("verify quality --cohort ark:{cohort} --top 3 ark:{set} ark,t:own.q");
        run(at, &args);
        let text = fs::read_to_string(at.join("own.q")).unwrap();
        let lines = text.lines();
        lines
            .map(|line| line.split_whitespace().nth(2).unwrap().parse().unwrap())
            .collect()
    };
    let text = fs::read_to_string(at.join("dev.txt")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(at.join("first.txt"), format!("{}\n", lines[0])).unwrap();
    fs::write(at.join("others.txt"), lines[1..].join("\n") + "\n").unwrap();
    assert_eq!(
        measure("dev.txt", "dev.txt")[0],
        measure("others.txt", "first.txt")[0]
    );
    let alone = "verify quality --cohort ark:first.txt ark:first.txt ark:x";
    let error = fail(at, &alone.split(' ').collect::<Vec<_>>(), b"");
    assert_eq!(
        error,
        "unbraid: --cohort: expected embeddings besides those of dev00-0, found none"
    );
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_quality_measures_and_their_calibration_are_those_of_numpy() {
    let python = python();
    let dir = folder();
    run(
        dir.path(),
        &format!("{TRAIN} --quality ark:dev.q --out quality.json"),
    );
    let args = [
        "dev.txt",
        "cohort.txt",
        "dev.utt2dur",
        "dev.q",
        "dev.trials",
        "dev.scores",
        "quality.json",
    ];
    run_reference(&python, dir.path(), "quality_calibration.py", &args);
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = folder();
    let at = dir.path();
    let put = |name: &str, text: &str| fs::write(at.join(name), text).unwrap();
    let same: String = fs::read_to_string(at.join("dev.q"))
        .unwrap()
        .lines()
        .map(|line| format!("{}  [ 1 ]\n", line.split(' ').next().unwrap()))
        .collect();
    put("same.q", &same);
    let rounded = |line: &str, other: &str| match line.contains("-3") {
        true => format!("{}  [ 1.0000001 ]\n", line.split(' ').next().unwrap()),
        false => other.to_string(),
    };
    let near: String = same
        .lines()
        .map(|line| rounded(line, &format!("{line}\n")))
        .collect();
    put("near.q", &near);
    // Equal measures of both sides are a speaker's.
    let speaker = |line: &str| format!("{}  [ {} ]\n", &line[..7], &line[3..5]);
    let speakers: String = same.lines().map(speaker).collect();
    put("speakers.q", &speakers);
    put("one.q", "dev00-0  [ 1 2 3 ]\n");
    put(
        "zero.utt2dur",
        &fs::read_to_string(at.join("dev.utt2dur"))
            .unwrap()
            .replacen(' ', " -", 1),
    );
    put("nan.q", "dev00-0  [ nan ]\n");
    run(at, &format!("{TRAIN} --out plain.json"));
    run(
        at,
        &format!("{TRAIN} --quality ark:dev.q --out quality.json"),
    );
    let score = "verify score --trials test.trials ark:test.txt --calibration";
    let quality = "verify quality ark:dev.txt ark:x.q";
    let before = names(at);
    for (args, expected) in [
        (
            format!("{TRAIN} --quality ark:same.q --out x"),
            "ark:same.q: expected quality measures that differ between trials, found measure 1, the same in all trials",
        ),
        (
            format!("{TRAIN} --quality ark:near.q --out x"),
            "ark:near.q: expected quality measures that differ between trials, found measure 1, the same in all trials",
        ),
        (
            format!("{TRAIN} --quality ark:speakers.q --out x"),
            "dev.scores: expected scores with quality measures of target and nontarget trials that overlap, to calibrate by, found ones apart",
        ),
        (
            format!("{TRAIN} --quality ark:one.q --out x"),
            "ark:one.q: dev00-1: expected quality measures, found none",
        ),
        (
            format!("{TRAIN} --quality ark:nan.q --out x"),
            "ark:nan.q: dev00-0: expected finite numbers, found NaN",
        ),
        (
            format!("{TRAIN} --quality ark:dev.q --prior 1 --out x"),
            "prior: expected between 0 and 1, found 1",
        ),
        (
            format!("{score} quality.json"),
            "--quality: expected those that quality.json depends on, found none",
        ),
        (
            format!("{score} plain.json --quality ark:test.q"),
            "plain.json: expected the calibration with quality measures that unbraid wrote, found a calibration",
        ),
        (
            format!("{score} quality.json --quality ark:same.q"),
            "ark:same.q: expected 3 quality measures, as quality.json has, found 1",
        ),
        (
            format!("{score} quality.json --quality ark:dev.q"),
            "ark:dev.q: test00-0: expected quality measures, found none",
        ),
        (
            format!("{quality} --utt2dur zero.utt2dur"),
            "zero.utt2dur: dev00-0: expected a duration in seconds above 0, found '-",
        ),
        (
            format!("{quality} --utt2dur test.utt2dur"),
            "test.utt2dur: dev00-0: expected a duration in seconds above 0, found none",
        ),
        (
            format!("{quality} --cohort ark:same.q"),
            "expected embeddings of",
        ),
        (
            format!("{quality} --cohort ark:cohort.txt --top 1"),
            "top: expected at least 2, found 1",
        ),
    ] {
        let words: Vec<&str> = args.split(' ').collect();
        let error = fail(at, &words, b"");
        assert!(error.contains(expected), "{args}: {error}");
        assert_eq!(names(at), before, "{args}");
    }
}
