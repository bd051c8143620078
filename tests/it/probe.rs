//! `unbraid eval probe` as a user runs it, on representations with all or no information on the speaker.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::corpus::{CLASSES, Corpus, key};
use crate::support::{fail, names, succeed};
use ndarray::{Array1, Array2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unbraid::eval::probe::ProbeResult;
use unbraid::io::kaldi::{KaldiObject, TableWriter};
use unbraid::report::summary::read_results;

const TRAIN: Corpus = Corpus {
    speakers: 4,
    utterances: 24,
    frames: 30,
    bins: 4,
    seed: 0,
};
const TEST: Corpus = Corpus {
    utterances: 12,
    seed: 1,
    ..TRAIN
};

/// What an utterance's representation is, from its speaker, its frame classes and noise.
type Make<T> = fn(usize, &[i32], &mut ChaCha8Rng) -> T;

/// A folder with the data directories `train` and `test`.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    TRAIN.write(&dir.path().join("train"));
    TEST.write(&dir.path().join("test"));
    dir
}

/// Writes a representation of both sets; the argument that names it.
fn representation<T: KaldiObject>(dir: &Path, name: &str, make: Make<T>) -> String {
    for (set, corpus) in [("train", TRAIN), ("test", TEST)] {
        let path = dir.join(format!("{name}.{set}")).display().to_string();
        let table = format!("ark,scp:{path}.ark,{path}.scp");
        let mut writer = TableWriter::<T>::create(&table).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(corpus.seed);
        for (speaker, utterance) in corpus.places() {
            let classes = corpus.classes(utterance);
            let object = make(speaker, &classes, &mut rng);
            writer.write(&key(speaker, utterance), &object).unwrap();
        }
        writer.finish().unwrap();
    }
    format!("{name}={name}.train.scp,{name}.test.scp")
}

fn noise(rng: &mut ChaCha8Rng) -> f32 {
    rng.random_range(-1.0..1.0)
}

/// The speaker shows in the mean of a frame's values.
fn spoken(speaker: usize, classes: &[i32], rng: &mut ChaCha8Rng) -> Array2<f32> {
    Array2::from_shape_fn((classes.len(), 4), |(_, dim)| {
        noise(rng) + if dim == speaker { 2.0 } else { 0.0 }
    })
}

fn silent(_: usize, classes: &[i32], rng: &mut ChaCha8Rng) -> Array2<f32> {
    Array2::from_shape_fn((classes.len(), 4), |_| noise(rng))
}

/// The class of every fourth frame.
fn coded(_: usize, classes: &[i32], rng: &mut ChaCha8Rng) -> Array2<f32> {
    Array2::from_shape_fn((classes.len().div_ceil(4), CLASSES), |(code, dim)| {
        0.2 * noise(rng)
            + if classes[4 * code] as usize == dim {
                1.0
            } else {
                0.0
            }
    })
}

fn vector(speaker: usize, _: &[i32], rng: &mut ChaCha8Rng) -> Array1<f32> {
    Array1::from_shape_fn(4, |dim| {
        0.2 * noise(rng) + if dim == speaker { 1.0 } else { 0.0 }
    })
}

/// Little training, for data that asks for little.
const SHORT: [&str; 6] = ["--seeds", "2", "--epochs", "1", "--min-steps", "60"];

fn probe(dir: &Path, representations: &[&str], targets: &[&str]) -> Vec<ProbeResult> {
    let mut args = vec!["probe", "train", "test", "--out", "result"];
    args.extend(SHORT);
    args.extend(
        representations
            .iter()
            .flat_map(|representation| ["--representation", representation]),
    );
    args.extend(targets.iter().flat_map(|target| ["--target", target]));
    let table = String::from_utf8(succeed(dir, &args)).unwrap();
    assert_eq!(
        table.lines().count(),
        2 + representations.len() * targets.len(),
        "{table}"
    );
    let json = fs::read_to_string(dir.join("result.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

#[test]
fn a_representation_has_all_or_no_information_on_the_speaker() {
    let dir = workplace();
    let all = representation(dir.path(), "all", spoken);
    let nothing = representation(dir.path(), "nothing", silent);
    let results = probe(dir.path(), &[&all, &nothing], &["speaker"]);
    assert!(results[0].accuracy > 0.98, "{:?}", results[0]);
    let blind = &results[1];
    assert_eq!(
        (blind.chance, blind.classes, blind.utterances),
        (0.25, 4, (96, 48))
    );
    // Within three standard errors of a proportion of chance: its own interval is that of one training set.
    let error = 3.0 * (0.25f64 * 0.75 / 48.0).sqrt();
    assert!((blind.accuracy - blind.chance).abs() < error, "{blind:?}");
    assert!(blind.interval.0 <= blind.accuracy && blind.accuracy <= blind.interval.1);
    assert_eq!(blind.runs.len(), 6);
}

#[test]
fn codes_at_a_quarter_of_the_rate_and_vectors_are_read() {
    let dir = workplace();
    let codes = representation(dir.path(), "codes", coded);
    let results = probe(dir.path(), &[&codes], &["frames", "text"]);
    assert!(results[0].accuracy > 0.98, "{:?}", results[0]);
    assert_eq!(results[0].classes, CLASSES);
    // The word is the order of the classes.
    assert!(results[1].accuracy > 0.9, "{:?}", results[1]);
    let vectors = representation(dir.path(), "vectors", vector);
    let results = probe(dir.path(), &[&vectors], &["speaker"]);
    assert!(results[0].accuracy > 0.98, "{:?}", results[0]);
    // Neither has a vector time to convolve over.
    assert_eq!(results[0].runs.len(), 4);
}

/// Frames independent of the speaker have 0 bits; those that determine the speaker have the entropy of the labels.
#[test]
fn strings_of_phones_are_read_without_times() {
    let dir = workplace();
    let representations = [
        representation(dir.path(), "coded", coded),
        representation(dir.path(), "silent", silent),
    ];
    let names: Vec<&str> = representations.iter().map(String::as_str).collect();
    let found = probe(dir.path(), &names, &["phones"]);
    let [clear, none] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(clear.accuracy > 0.9, "{clear:?}");
    assert!(none.accuracy < 0.7, "{none:?}");
    assert_eq!((clear.chance, clear.bits), (0.0, 0.0));

    let phones = dir.path().join("test/utt2phones");
    let text = fs::read_to_string(&phones).unwrap();
    let first = text.lines().next().unwrap();
    // An utterance may be empty; one that the table lacks is an error.
    let without = text.replacen(&format!("{first}\n"), "", 1);
    let silent: String = (text.lines())
        .map(|line| match line.split_once(' ') {
            Some((key, _)) if key.starts_with("s00") => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    fs::write(&phones, silent).unwrap();
    let args = [
        "probe",
        "train",
        "test",
        "--target=phones",
        "--by=speaker",
        "--out=silent",
    ];
    succeed(
        dir.path(),
        &[&args[..], &["--representation", names[0]]].concat(),
    );
    let found = read_results(&dir.path().join("silent.json")).unwrap();
    assert!(
        found[0].accuracy > 0.5 && found[0].interval.0.is_finite(),
        "{found:?}"
    );
    let groups: Vec<&str> = found[0]
        .groups
        .iter()
        .map(|group| &group.value[..])
        .collect();
    assert!(
        !groups.contains(&"s00") && groups.contains(&"s01"),
        "{groups:?}"
    );
    for (line, expected) in [
        (
            format!("{first} p9"),
            "phones of the training set, found p9",
        ),
        (String::new(), "its phones, found none"),
        (
            first.to_string() + &" p1 p2".repeat(20),
            "phones for at most",
        ),
    ] {
        let changed = match line.is_empty() {
            true => without.clone(),
            false => text.replacen(first, &line, 1),
        };
        fs::write(&phones, changed).unwrap();
        let args = [
            "probe",
            "train",
            "test",
            "--target=phones",
            "--representation",
            names[0],
        ];
        let error = fail(dir.path(), &args, b"");
        assert!(
            error.contains("utt2phones") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn bits_are_between_none_and_all() {
    let dir = workplace();
    let all = representation(dir.path(), "all", spoken);
    let nothing = representation(dir.path(), "nothing", silent);
    let results = probe(dir.path(), &[&all, &nothing], &["speaker"]);
    for result in &results {
        assert!((result.entropy - 2.0).abs() < 1e-9, "{result:?}");
        assert!(
            result.runs.iter().all(|run| run.temperature > 0.0),
            "{result:?}"
        );
    }
    // A split of ten utterances leaves doubt that costs log2(1 + 3 / 4 / 10) bits of the two.
    assert!(
        results[0].bits > 1.7 && results[0].bits <= 2.0,
        "{:?}",
        results[0]
    );
    assert!(results[1].bits < 0.2, "{:?}", results[1]);
}

#[test]
fn groups_and_the_curve_are_written() {
    let dir = workplace();
    let at = dir.path();
    // The representation has information on two of the four speakers.
    let half = representation(at, "half", |speaker, classes, rng| {
        if speaker < 2 {
            spoken(speaker, classes, rng)
        } else {
            silent(speaker, classes, rng)
        }
    });
    fs::write(at.join("spk2known"), "s00 yes\ns01 yes\ns02 no\ns03 no\n").unwrap();
    let plain = probe(at, &[&half], &["speaker"]);
    let args = [
        &[
            "probe", "train", "test", "--out", "result", "--target", "speaker",
        ][..],
        &[
            "--by",
            "spk2known",
            "--by",
            "speaker",
            "--curve",
            "curve.tsv",
            "--representation",
            &half,
        ],
        &SHORT,
    ];
    let text = String::from_utf8(succeed(at, &args.concat())).unwrap();
    let json = fs::read_to_string(at.join("result.json")).unwrap();
    let result = serde_json::from_str::<Vec<ProbeResult>>(&json)
        .unwrap()
        .remove(0);
    let groups = &result.groups;
    let named: Vec<(&str, &str, usize)> = groups
        .iter()
        .map(|group| (group.by.as_str(), group.value.as_str(), group.utterances))
        .collect();
    assert_eq!(
        named[..2],
        [("spk2known", "no", 24), ("spk2known", "yes", 24)]
    );
    assert_eq!(
        named[2..].iter().map(|g| g.1).collect::<Vec<_>>(),
        ["s00", "s01", "s02", "s03"]
    );
    assert!(
        groups[1].accuracy > 0.95 && groups[0].accuracy < 0.75,
        "{groups:?}"
    );
    let mean = (groups[0].accuracy + groups[1].accuracy) / 2.0;
    assert!((mean - result.accuracy).abs() < 1e-9);
    for group in groups {
        assert!(group.interval.0 <= group.accuracy && group.accuracy <= group.interval.1);
    }
    let by = fs::read_to_string(at.join("result.by.tsv")).unwrap();
    assert_eq!((by.lines().count(), text.lines().count()), (7, 3 + 1 + 8));
    // Looking on does not change what is seen.
    assert_eq!(plain[0].accuracy, result.accuracy);
    let curve = fs::read_to_string(at.join("curve.tsv")).unwrap();
    let lines: Vec<Vec<&str>> = curve
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(
        lines[0],
        [
            "representation",
            "target",
            "step",
            "family",
            "seed",
            "dev",
            "test"
        ]
    );
    // Two steps an epoch, 60 steps, a look every epoch; three families of two seeds.
    assert_eq!(lines.len(), 1 + 6 * 30);
    assert_eq!(lines[30][..5], ["half", "speaker", "60", "linear", "0"]);
    assert_eq!(
        lines[30][6],
        format!("{:.4}", result.runs[0].curve[29].test)
    );
    let last = &result.runs[0];
    let best = last
        .curve
        .iter()
        .find(|p| p.step == 2 * last.best_epoch.0)
        .unwrap();
    assert_eq!((best.dev, best.test), (last.dev, last.test));
}

#[test]
fn the_same_command_has_the_same_result() {
    let dir = workplace();
    let representation = representation(dir.path(), "all", spoken);
    let first = probe(dir.path(), &[&representation], &["speaker"]);
    assert_eq!(first, probe(dir.path(), &[&representation], &["speaker"]));
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = workplace();
    let at = dir.path();
    let good = representation(at, "all", spoken);
    representation(at, "vectors", vector);
    representation(at, "nan", |speaker, classes, rng| {
        spoken(speaker, classes, rng) * f32::NAN
    });
    let set = |name: &str, change: &dyn Fn(String) -> String| {
        let folder = at.join(name);
        fs::create_dir(&folder).unwrap();
        for file in ["utt2spk", "text", "ali.scp"] {
            let text = fs::read_to_string(at.join("test").join(file)).unwrap();
            fs::write(folder.join(file), change(text)).unwrap();
        }
    };
    set("stranger", &|text| text.replace("u000 s03", "u000 s09"));
    set("unheard", &|text| {
        text.replace("s03-u000 no", "s03-u000 maybe")
    });
    set("one", &|text| {
        text.replace(" s01\n", " s00\n")
            .replace(" s02\n", " s00\n")
            .replace(" s03\n", " s00\n")
    });
    fs::write(at.join("utt2few"), "s00-u000 x\n").unwrap();
    let before = names(at);
    let one = "--target=speaker";
    let given = |args: &[&str]| {
        let fixed = [
            &[
                "probe",
                "--min-steps",
                "2",
                "--epochs",
                "1",
                "--out",
                "result",
            ],
            args,
        ]
        .concat();
        let error = fail(at, &fixed, b"");
        assert_eq!(names(at), before, "{error}");
        error
    };
    let good = format!("--representation={good}");
    let swapped = "--representation=x=all.test.scp,all.train.scp";
    for (args, expected) in [
        (
            &["train", "none", one, &good][..],
            "none/utt2spk: No such file",
        ),
        (
            &[
                "train",
                "test",
                one,
                "--representation=x=none.scp,all.test.scp",
            ],
            "none.scp: No such file",
        ),
        (
            &["train", "test", one, swapped],
            "all.test.scp: s00-u012: expected",
        ),
        (
            &["train", "stranger", one, &good],
            "stranger: s03-u000: expected a speaker of train (or one data directory alone, for cross-validation), found another",
        ),
        (
            &["train", "unheard", "--target=text", &good],
            "unheard: s03-u000: expected a text of train, found another",
        ),
        (
            &[
                "one",
                "test",
                one,
                "--representation=x=all.test.scp,all.test.scp",
            ],
            "one: expected at least 2 classes, found 1",
        ),
        (
            &[
                "train",
                "test",
                one,
                "--representation=x=nan.train.scp,nan.test.scp",
            ],
            ": expected finite features, found NaN",
        ),
        (
            &[
                "train",
                "test",
                one,
                "--representation=x=all.train.scp,vectors.test.scp",
            ],
            "vectors.test.scp: expected matrices, as all.train.scp lists, found vectors",
        ),
        (
            &["train", "test", one, &good, "--by", "spk2none"],
            "spk2none: No such file",
        ),
        (
            &["train", "test", one, &good, "--by", "utt2few"],
            "utt2few: s00-u001: expected a line for this utterance or for its speaker 's00', found none",
        ),
        (
            &["train", "test", one, &good, "--curve", "no/such"],
            "no/such: No such file",
        ),
        (
            &["train", "test", one, &good, "--seeds", "0"],
            "seeds: expected 1 to 1000, found 0",
        ),
        (
            &["train", "test", one, &good, "--seeds=18446744073709551615"],
            "seeds: expected 1 to 1000, found 18446744073709551615",
        ),
        (
            &["train", one, &good],
            "--representation all: expected one feature list, as there is one data directory, found 2",
        ),
        (
            &["train", "test", one, "--representation=x=all.train.scp"],
            "--representation x: expected two feature lists, as there are two data directories, found 1",
        ),
        (
            &[
                "train",
                one,
                "--representation=x=all.train.scp",
                "--folds=1",
            ],
            "--folds: expected 2 to 96, the number of utterances, found 1",
        ),
        (
            &[
                "train",
                "test",
                one,
                "--family=cnn",
                "--representation=x=vectors.train.scp,vectors.test.scp",
            ],
            "probe families: expected one that fits the features",
        ),
    ] {
        let error = given(args);
        assert!(error.contains(expected), "{error}");
    }
    let nowhere = ["probe", "none", "none", one, &good, "--out=no/such"];
    let error = fail(at, &nowhere, b"");
    assert!(
        error.ends_with("no/such.json: No such file or directory (os error 2)"),
        "{error}"
    );
    fs::write(at.join("train/ali.scp"), "").unwrap();
    let error = given(&["train", "test", "--target=frames", &good]);
    assert!(error.contains("train/ali.scp: s00-u000"), "{error}");
}

/// A reader that is gone is an error in one line, no panic, and costs nothing of what is written to files.
#[test]
fn a_reader_that_leaves_is_no_error() {
    let dir = workplace();
    let representation = representation(dir.path(), "all", spoken);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .env("OMP_NUM_THREADS", "1")
        .args([
            "probe", "train", "test", "--target", "speaker", "--out", "result",
        ])
        .args([
            "--seeds",
            "1",
            "--epochs",
            "1",
            "--min-steps",
            "2",
            "--representation",
            &representation,
        ])
        .current_dir(dir.path())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.as_str()), (Some(0), ""));
    assert!(dir.path().join("result.json").exists());
}

/// One data directory: every utterance is tested, by probes that did not learn from it.
#[test]
fn one_directory_is_cross_validated() {
    let dir = workplace();
    let at = dir.path();
    representation::<Array2<f32>>(at, "known", |speaker, classes, rng| {
        Array2::from_shape_fn((classes.len(), 4), |(_, bin)| {
            f32::from(u8::from(bin == speaker)) + 0.3 * noise(rng)
        })
    });
    representation::<Array2<f32>>(at, "random", |_, classes, rng| {
        Array2::from_shape_fn((classes.len(), 4), |_| noise(rng))
    });
    let args = [
        "probe",
        "test",
        "--target=speaker",
        "--folds=3",
        "--seeds=1",
        "--min-steps=300",
        "--family=linear",
        "--representation=known=known.test.scp",
        "--representation=random=random.test.scp",
        "--by=speaker",
        "--curve=curve.tsv",
        "--out=probe",
    ];
    succeed(at, &args);
    let results = read_results(&at.join("probe.json")).unwrap();
    let [known, random] = &results[..] else {
        panic!("two results");
    };
    assert_eq!(known.utterances, (32, 48));
    assert!(known.accuracy > 0.9, "{}", known.accuracy);
    assert!(random.accuracy < 0.5, "{}", random.accuracy);
    assert_eq!(known.groups.len(), 4);
    assert!(known.groups.iter().all(|group| group.utterances == 12));
    // Curves are means over the folds, of 16 utterances each.
    let [run] = &known.runs[..] else {
        panic!("one probe");
    };
    let (first, last) = (run.curve[0], run.curve[run.curve.len() - 1]);
    assert!(
        first.test < last.test && last.test > 0.9,
        "{first:?} {last:?}"
    );
    let right = last.test * 48.0;
    assert!((right - right.round()).abs() < 1e-9, "{last:?}");
    assert!(run.best_epoch.0 <= run.best_epoch.1);
}
