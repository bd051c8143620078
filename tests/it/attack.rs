//! `unbraid eval attack` as a user runs it; its metrics held to references.

use std::fs;
use std::path::Path;

use crate::support::{fail, names, references, run_reference, succeed};
use ndarray::{Array1, Array2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use unbraid::eval::attack::linkability::{linkability, ranks};
use unbraid::eval::attack::measures::{DrawScores, Scores};
use unbraid::eval::attack::singling_out::{Conversations, singling_out};
use unbraid::eval::attack::{AttackReport, AttackRow, lid};
use unbraid::eval::trials::probit;
use unbraid::io::kaldi::{KaldiObject, TableWriter};

/// Scores in which speakers stand out by `gap`; every third case is rounded, so that there are ties.
fn scores(
    rng: &mut ChaCha8Rng,
    (rows, columns): (usize, usize),
    gap: f64,
    round: bool,
) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(enrolled, test)| {
        let own = if enrolled == test * rows / columns {
            gap
        } else {
            0.0
        };
        let score = own + probit(rng.random_range(1e-9..1.0 - 1e-9));
        if round {
            (4.0 * score).round() / 4.0
        } else {
            score
        }
    })
}

fn rows(scores: &Array2<f64>) -> Vec<Vec<f64>> {
    scores.rows().into_iter().map(|row| row.to_vec()).collect()
}

fn metric_case(seed: u64) -> Value {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let speakers = rng.random_range(8..24);
    let gap = rng.random_range(0.2..2.5);
    let round = seed.is_multiple_of(3);
    let square = (speakers, speakers);
    let mut drawn = |count, shape| -> Vec<Array2<f64>> {
        (0..count)
            .map(|_| scores(&mut rng, shape, gap, round))
            .collect()
    };
    let (tests, dev) = (drawn(4, square), drawn(3, (9, 9)));
    let calibration = drawn(1, (speakers, 2 * speakers)).remove(0);
    let all: Vec<usize> = (0..speakers).collect();
    let draws: Vec<DrawScores> = tests
        .iter()
        .map(|tests| DrawScores {
            tests: tests.clone(),
            calibration: None,
        })
        .collect();
    let found = Scores::new(&draws, lid::calibrate(&dev).unwrap());
    let linked = |tests: &Array2<f64>| -> Vec<f64> {
        let of = |candidates: usize| {
            let each = ranks(tests.view()).into_iter();
            each.map(|rank| linkability(rank.above, speakers - 1, candidates))
                .sum::<f64>()
                / speakers as f64
        };
        (1..=speakers).map(of).collect()
    };
    let conversations = Conversations {
        tests: tests[0].view(),
        calibration: calibration.view(),
    };
    let singled: Vec<Value> = [4, speakers]
        .map(|size| json!([size, 100, singling_out(conversations, size, 100, &mut rng)]))
        .into();
    json!({
        "scores": tests.iter().map(rows).collect::<Vec<_>>(),
        "dev": dev.iter().map(rows).collect::<Vec<_>>(),
        "calibration": rows(&calibration),
        "linkability": tests.iter().map(linked).collect::<Vec<_>>(),
        "singling_out": singled,
        "identified": found.identified(&all),
        "detected": found.detected(&all).unwrap(),
    })
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_metrics_are_those_of_their_references() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    let cases: Vec<Value> = (0..100).map(metric_case).collect();
    fs::write(dir.path().join("cases.json"), json!(cases).to_string()).unwrap();
    run_reference(&python, dir.path(), "privacy_metrics.py", &["cases.json"]);
}

/// Numbers of the training and of the test speakers.
const SETS: [(&str, std::ops::Range<usize>); 2] = [("train", 0..12), ("test", 12..18)];
const UTTERANCES: usize = 8;

fn key(speaker: usize, utterance: usize) -> String {
    format!("s{speaker:02}-u{utterance}")
}

fn places(speakers: std::ops::Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    speakers.flat_map(|speaker| (0..UTTERANCES).map(move |utterance| (speaker, utterance)))
}

/// A folder with `utt2spk` of both sets.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (set, speakers) in SETS {
        let lines = places(speakers).map(|(s, u)| format!("{} s{s:02}\n", key(s, u)));
        fs::create_dir(dir.path().join(set)).unwrap();
        fs::write(
            dir.path().join(set).join("utt2spk"),
            lines.collect::<String>(),
        )
        .unwrap();
    }
    dir
}

/// Writes a representation of both sets as `NAME.SET.ark` and `.scp`.
fn write<T: KaldiObject>(dir: &Path, name: &str, make: impl Fn(usize, &mut ChaCha8Rng) -> T) {
    for (set, speakers) in SETS {
        let path = dir.join(format!("{name}.{set}")).display().to_string();
        let mut writer =
            TableWriter::<T>::create(&format!("ark,scp:{path}.ark,{path}.scp")).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(speakers.start as u64);
        for (speaker, utterance) in places(speakers) {
            writer
                .write(&key(speaker, utterance), &make(speaker, &mut rng))
                .unwrap();
        }
        writer.finish().unwrap();
    }
}

/// Frames around a place of the speaker's.
fn spoken(speaker: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let frames = rng.random_range(20..40);
    Array2::from_shape_fn((frames, 4), |(_, dim)| {
        ((speaker * 5 + dim * 3) as f32).sin() + rng.random_range(-0.6..0.6)
    })
}

/// Codes of two values at random, which last as long as the speaker likes.
fn drawled(speaker: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let mut rows = Vec::new();
    for _ in 0..60 {
        let code = [0, 1, 2].map(|_| f32::from(rng.random::<bool>()));
        let length = 1 + (speaker % 6) + rng.random_range(0..2);
        rows.extend(std::iter::repeat_n(code, length));
    }
    Array2::from_shape_fn((rows.len(), 3), |(frame, dim)| rows[frame][dim])
}

fn attack(dir: &Path, args: &[&str]) -> AttackReport {
    let mut args = [
        &["eval", "attack", "train", "test", "--out", "result"],
        args,
    ]
    .concat();
    if !args.iter().any(|arg| arg.starts_with("--encoder")) {
        args.push("--encoder-steps=0");
    }
    let table = String::from_utf8(succeed(dir, &args)).unwrap();
    let json = fs::read_to_string(dir.join("result.json")).unwrap();
    let report: AttackReport = serde_json::from_str(&json).unwrap();
    let tsv = fs::read_to_string(dir.join("result.tsv")).unwrap();
    assert_eq!(tsv.lines().count(), 1 + report.rows.len());
    let svg = fs::read_to_string(dir.join("result.svg")).unwrap();
    assert!(svg.contains("identification rate, %") && svg.contains("random codes"));
    let headlines = report.rows.iter().filter(|row| row.headline).count();
    assert_eq!(
        table
            .lines()
            .skip(2)
            .take_while(|line| !line.is_empty())
            .count(),
        headlines,
        "{table}"
    );
    report
}

fn headline<'a>(report: &'a AttackReport, representation: &str, utterances: &str) -> &'a AttackRow {
    let is_it = |row: &&AttackRow| {
        row.headline && row.representation == representation && row.utterances == utterances
    };
    report.rows.iter().find(is_it).unwrap()
}

fn identified(row: &AttackRow) -> f64 {
    row.identified.unwrap().identification
}

#[test]
fn speakers_are_found_and_random_codes_are_at_chance() {
    let dir = workplace();
    write(dir.path(), "spoken", spoken);
    let trials: String = places(12..18)
        .filter(|(_, utterance)| *utterance > 0)
        .flat_map(|(s, u)| {
            let of =
                move |other: usize, kind: &str| format!("{} {} {kind}\n", key(s, u), key(other, 0));
            [of(s, "target"), of(12 + (s - 11) % 6, "nontarget")]
        })
        .collect();
    fs::write(dir.path().join("trials"), trials).unwrap();
    let args = [
        "--representation=spoken=spoken.train.scp,ark:spoken.test.ark",
        "--trials=trials",
        "--encoder-steps=0",
    ];
    let report = attack(dir.path(), &args);
    assert_eq!(
        (
            report.train_speakers,
            report.dev_speakers,
            report.test_speakers
        ),
        (9, 3, 6)
    );
    for length in ["1", "3", "all"] {
        let found = headline(&report, "spoken", length);
        assert!(
            identified(found) > 0.9 && found.detected.rocch_eer < 0.15,
            "{found:?}"
        );
        assert!(
            found
                .worst
                .as_ref()
                .is_some_and(|worst| worst.identification > 0.9)
        );
        let noise = headline(&report, "random codes", length);
        let (low, high) = noise.intervals.identification.unwrap();
        assert!(
            low <= report.chance.identification && report.chance.identification <= high,
            "{noise:?}"
        );
    }
    assert!(
        headline(&report, "spoken", "1")
            .identified
            .unwrap()
            .singling_out
            .is_some()
    );
    assert!(
        headline(&report, "spoken", "all")
            .identified
            .unwrap()
            .singling_out
            .is_none()
    );
    let listed = headline(&report, "spoken", "trials");
    assert!(
        listed.detected.rocch_eer < 0.15 && listed.identified.is_none(),
        "{listed:?}"
    );
    // One attacker is the headline, whatever the number of utterances.
    let names: Vec<&str> = ["1", "3", "all", "trials"]
        .map(|length| headline(&report, "spoken", length).attacker.as_str())
        .into();
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    // The old place of commands, and the same numbers.
    let again = succeed(
        dir.path(),
        &[
            &["attack", "train/utt2spk", "test/utt2spk", "--out=again"],
            &args[..],
        ]
        .concat(),
    );
    assert!(!again.is_empty());
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("again.json"), read("result.json"));
}

#[test]
fn durations_are_attacked_alone() {
    let dir = workplace();
    write(dir.path(), "codes", drawled);
    let report = attack(
        dir.path(),
        &[
            "--representation=codes=codes.train.scp,codes.test.scp",
            "--utterances=2",
        ],
    );
    assert!(identified(headline(&report, "durations alone", "2")) > 0.9);
    let without = headline(&report, "codes without durations", "2");
    assert!(identified(without) < 0.5, "{without:?}");
}

#[test]
fn vectors_units_and_words_are_attacked() {
    let dir = workplace();
    write(dir.path(), "vectors", |speaker, rng| {
        spoken(speaker, rng).row(0).to_owned()
    });
    write(dir.path(), "units", |speaker, rng| -> Vec<i32> {
        (0..50)
            .map(|_| {
                if rng.random_range(0.0..1.0) < 0.5 {
                    speaker as i32 % 6
                } else {
                    rng.random_range(0..30)
                }
            })
            .collect()
    });
    for (set, speakers) in SETS {
        let lines =
            places(speakers).map(|(s, u)| format!("{} w{} so w{}\n", key(s, u), s % 6, u % 2));
        fs::write(dir.path().join(set).join("text"), lines.collect::<String>()).unwrap();
    }
    let report = attack(
        dir.path(),
        &[
            "--representation=vectors=vectors.train.scp,vectors.test.scp",
            "--representation=units=ark:units.train.ark,units.test.scp",
        ],
    );
    for name in ["vectors", "units", "words alone"] {
        let found = headline(&report, name, "3");
        assert!(identified(found) > 0.6, "{found:?}");
    }
    // A vector has no deviation over time.
    let attackers = report
        .rows
        .iter()
        .filter(|row| row.representation == "vectors" && row.utterances == "1");
    assert_eq!(attackers.count(), 3);
}

/// A value that turns its sign as often as the speaker likes: no statistic over frames but their order tells who it is.
fn turning(speaker: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let (period, phase) = (2 + speaker % 6, rng.random_range(0..60));
    Array2::from_shape_fn((60, 2), |(frame, dim)| {
        let sign = if (frame + phase) / period % 2 == 0 {
            1.0
        } else {
            -1.0
        };
        if dim == 0 {
            sign + rng.random_range(-0.2..0.2)
        } else {
            rng.random_range(-1.0..1.0)
        }
    })
}

#[test]
fn encoders_find_what_statistics_do_not() {
    let dir = workplace();
    write(dir.path(), "turning", turning);
    write(dir.path(), "raw", |speaker, rng| {
        2.0 * turning(speaker, rng)
    });
    write(dir.path(), "wide", spoken);
    write(dir.path(), "vector", |speaker, rng| {
        spoken(speaker, rng).row(0).to_owned()
    });
    let given = ["turning", "raw", "wide", "vector"]
        .map(|name| format!("--representation={name}={name}.train.scp,{name}.test.scp"));
    let mut args: Vec<&str> = given.iter().map(String::as_str).collect();
    args.extend(["--raw=raw", "--encoder-steps=100", "--utterances=3"]);
    let report = attack(dir.path(), &args);
    let row = |representation: &str, attacker: &str| {
        let is_it = |row: &&AttackRow| {
            row.representation == representation
                && row.attacker == attacker
                && row.utterances == "3"
        };
        report.rows.iter().find(is_it)
    };
    for attacker in [
        "encoder",
        "encoder of raw, lazy-informed",
        "encoder of raw, ignorant",
    ] {
        let found = row("turning", attacker).unwrap();
        assert!(identified(found) > 0.7, "{found:?}");
    }
    let strongest = headline(&report, "turning", "3");
    assert!(strongest.attacker.starts_with("encoder"), "{strongest:?}");
    assert!(identified(row("turning", "LDA of covariances").unwrap()) < 0.5);
    // Raw features have one encoder; those of other sizes are not read by it, and vectors have none.
    assert!(row("raw", "encoder").is_some() && row("raw", "encoder of raw, ignorant").is_none());
    assert!(row("wide", "encoder").is_some() && row("wide", "encoder of raw, ignorant").is_none());
    assert!(row("vector", "encoder").is_none());
    assert_eq!(
        report.notes,
        [
            "wide: no attack by the encoder of raw, which reads 2 values per frame, not 4",
            "vector: no encoder is trained, which needs matrices or units by frame in scp lists",
        ]
    );
}

/// Speakers to learn from of one utterance each teach no discriminant analysis, which is left out.
#[test]
fn what_cannot_be_learned_is_left_out() {
    let dir = workplace();
    write(dir.path(), "spoken", spoken);
    let few = |name: &str| {
        let text = fs::read_to_string(dir.path().join(name)).unwrap();
        let kept = text
            .lines()
            .filter(|line| *line < "s03" || line.contains("-u0 "));
        kept.map(|line| format!("{line}\n")).collect::<String>()
    };
    let (utt2spk, list) = (few("train/utt2spk"), few("spoken.train.scp"));
    fs::write(dir.path().join("train/utt2spk"), utt2spk).unwrap();
    fs::write(dir.path().join("spoken.train.scp"), list).unwrap();
    let report = attack(
        dir.path(),
        &["--representation=spoken=spoken.train.scp,spoken.test.scp"],
    );
    assert!(identified(headline(&report, "spoken", "3")) > 0.9);
    assert!(
        report
            .rows
            .iter()
            .all(|row| row.attacker.starts_with("cosine"))
    );
    let expected = "spoken: no LDA of means and deviations: train/utt2spk: expected more than one utterance of a speaker for \
                    training, found one of each of 9 speakers";
    assert!(
        report.notes.iter().any(|note| note == expected),
        "{:?}",
        report.notes
    );
}

#[test]
fn bad_input_is_refused_in_a_line() {
    let dir = workplace();
    write(dir.path(), "spoken", spoken);
    write(dir.path(), "constant", |_, rng| {
        Array2::from_elem((rng.random_range(2..9), 3), 0.7f32)
    });
    write(dir.path(), "nan", |_, _| {
        Array2::from_elem((3, 4), f32::NAN)
    });
    write(dir.path(), "vector", |speaker, _| {
        Array1::from_elem(3, speaker as f32)
    });
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let put = |name: &str, text: String| fs::write(dir.path().join(name), text).unwrap();
    let test = read("test/utt2spk");
    let line_of = |text: &str, keep: &dyn Fn(&str) -> bool| -> String {
        text.lines()
            .filter(|line| keep(line))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    put("one_speaker", line_of(&test, &|line| line.ends_with("s12")));
    put("one_each", line_of(&test, &|line| line.contains("-u0")));
    put("fewer", line_of(&test, &|line| !line.contains("s17-u7")));
    put("more", format!("{test}s17-u9 s17\n"));
    put("unknown", "s12-u0 nobody target\n".into());
    put("targets", "s12-u0 s12-u1 target\n".into());
    put(
        "few_train",
        line_of(&read("train/utt2spk"), &|line| line < "s03"),
    );
    let spoken = "--representation=a=spoken.train.scp,spoken.test.scp";
    let before = names(dir.path());
    for (train, test, args, expected) in [
        (
            "train",
            "one_speaker",
            vec![spoken],
            "one_speaker: expected utterances of at least 2 speakers, found 1",
        ),
        (
            "train",
            "one_each",
            vec![spoken],
            "one_each: s12: expected at least 2 utterances of every test speaker, found 1",
        ),
        (
            "train",
            "test",
            vec![spoken, "--utterances=1,5"],
            "--utterances: expected at most 4, half of the 8 utterances of s12, found 5",
        ),
        (
            "train",
            "train",
            vec![spoken],
            "utt2spk: s00: expected speakers that train/utt2spk lacks, found one of it",
        ),
        (
            "few_train",
            "test",
            vec![spoken],
            "few_train: expected at least 4 speakers to learn from, 2 of them of several utterances, found 3, 3 of several",
        ),
        (
            "train",
            "fewer",
            vec![spoken],
            "spoken.test.scp: s17-u7: expected an utterance of fewer, found another",
        ),
        (
            "train",
            "more",
            vec![spoken],
            "spoken.test.scp: s17-u9: expected every utterance of more, found none",
        ),
        (
            "train",
            "test",
            vec!["--representation=a=constant.train.scp,constant.test.scp"],
            "constant.train.scp: expected features that differ between utterances, found constant ones",
        ),
        (
            "train",
            "test",
            vec!["--representation=a=spoken.train.scp,nan.test.scp"],
            "nan.test.scp: s12-u0: expected finite numbers, found NaN",
        ),
        (
            "train",
            "test",
            vec!["--representation=a=spoken.train.scp,vector.test.scp"],
            "vector.test.scp: expected 4 values per frame, as spoken.train.scp, found 3",
        ),
        (
            "train",
            "test",
            vec!["--representation=a=none.scp,spoken.test.scp"],
            "none.scp: No such file",
        ),
        (
            "train",
            "test",
            vec![spoken, spoken],
            "--representation: expected a name per representation, found a twice",
        ),
        (
            "train",
            "test",
            vec![spoken, "--raw=b"],
            "--raw: expected the name of a representation, found b",
        ),
        (
            "train",
            "test",
            vec![spoken, "--draws=0"],
            "--draws: expected 1 to 10000, found 0",
        ),
        (
            "train",
            "test",
            vec![spoken, "--trials=unknown"],
            "unknown:1: expected utterances of test/utt2spk, found 'nobody'",
        ),
        (
            "train",
            "test",
            vec![spoken, "--trials=targets"],
            "targets: expected both target and nontarget trials, found 1 target and 0 nontarget trials",
        ),
    ] {
        let args = [
            &[
                "eval",
                "attack",
                train,
                test,
                "--out=result",
                "--encoder-steps=0",
            ],
            &args[..],
        ]
        .concat();
        let error = fail(dir.path(), &args, b"");
        assert!(error.contains(expected), "{expected}: {error}");
        assert_eq!(names(dir.path()), before, "{expected}");
    }
}
