//! `unbraid units` as a user runs it.

use std::fs;
use std::path::Path;

use crate::support::{fail, names, succeed};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unbraid::io::kaldi::{KaldiObject, ReadOptions, TableReader, TableWriter};

const PHONES: usize = 5;
const ITEMS: usize = 12;
const DIMS: usize = 6;

fn id(item: usize) -> String {
    format!("u{item:03}")
}

/// Phones that last for three or six frames.
fn phones(item: usize) -> Vec<i32> {
    let phone = |frame: usize| ((frame / 3 * (item + 2) / 2 + item) % PHONES) as i32;
    (0..60 + 3 * (item % 4)).map(phone).collect()
}

/// A place for every phone, and noise that is small compared with the distances.
fn codes(item: usize, every: usize) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(item as u64);
    let phones: Vec<i32> = phones(item).into_iter().step_by(every).collect();
    Array2::from_shape_fn((phones.len(), DIMS), |(frame, dim)| {
        let own = if phones[frame] as usize == dim {
            20.0
        } else {
            0.0
        };
        own + rng.random_range(-1.0..1.0f32)
    })
}

fn write<T: KaldiObject>(folder: &Path, name: &str, object: impl Fn(usize) -> Option<T>) {
    let at = folder.join(name).display().to_string();
    let mut writer = TableWriter::create(&format!("ark,scp:{at}.ark,{at}.scp")).unwrap();
    for item in 0..ITEMS {
        if let Some(object) = object(item) {
            writer.write(&id(item), &object).unwrap();
        }
    }
    writer.finish().unwrap();
}

/// Codes `z` by frame and `slow` by three, with their alignment `ali`.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "z", |item| Some(codes(item, 1)));
    write(dir.path(), "slow", |item| Some(codes(item, 3)));
    write(dir.path(), "ali", |item| Some(phones(item)));
    dir
}

fn train(folder: &Path, out: &str, more: &[&str]) -> String {
    let args = [
        "units",
        "train",
        "scp:z.scp",
        "--clusters",
        "5",
        "--out",
        out,
    ];
    String::from_utf8(succeed(folder, &[&args[..], more].concat())).unwrap()
}

/// The units of `codes` by `model`, one a frame, as `units.ark`.
fn apply(folder: &Path, codes: &str, model: &str) {
    let args = ["units", "apply", codes, "--model", model];
    let out = ["--out=units.txt", "--frames=ark:units.ark", "--keep-runs"];
    succeed(folder, &[&args[..], &out].concat());
}

/// The row of numbers that `units score` prints.
fn score(folder: &Path, args: &[&str]) -> Vec<String> {
    let message = succeed(folder, &[&["units", "score"], args].concat());
    let message = String::from_utf8(message).unwrap();
    let row = message.lines().last().unwrap();
    row.split("  ")
        .map(|cell| cell.trim().to_string())
        .filter(|cell| !cell.is_empty())
        .collect()
}

#[test]
fn clusters_of_phones_have_all_information() {
    let dir = folder();
    let at = dir.path();
    let message = train(at, "u.ark", &[]);
    assert!(
        message.starts_with("u.ark: 5 units of 6 values from 774 frames; "),
        "{message}"
    );
    assert!(
        message.contains(" steps, converged; mean squared distance "),
        "{message}"
    );
    apply(at, "scp:z.scp", "u.ark");
    let row = score(at, &["ark:units.ark", "--ali=scp:ali.scp"]);
    assert_eq!(row[..4], ["774", "5", "5", "1.000"], "{row:?}");
    assert_eq!((&*row[6], &*row[9]), ("1.000", "1.000"), "{row:?}");
    assert_eq!(
        (&*row[4], &*row[10]),
        ("1.000..1.000", "1.000..1.000"),
        "{row:?}"
    );
    assert_eq!(row[7], row[8], "bits are all of the entropy: {row:?}");
    let chance: f64 = row[5].parse().unwrap();
    assert!((0.2..0.35).contains(&chance), "{row:?}");
    let text = ["ark:units.txt", "--ali=ali.scp"];
    assert_eq!(score(at, &text), row, "text says the same");

    apply(at, "scp:slow.scp", "u.ark");
    let slow = ["ark:units.ark", "--ali=ali.scp", "--subsampling=3"];
    let row = score(at, &slow);
    assert_eq!((&*row[0], &*row[9]), ("258", "1.000"), "{row:?}");
    // One unit is chance.
    let one = [
        "units",
        "train",
        "scp:z.scp",
        "--clusters=1",
        "--out=one.ark",
    ];
    succeed(at, &one);
    apply(at, "scp:z.scp", "one.ark");
    let row = score(at, &["ark:units.ark", "--ali=ali.scp"]);
    assert_eq!((&row[3], &*row[9]), (&row[5], "0.000"), "{row:?}");
}

#[test]
fn units_have_the_information_of_the_speaker_codes() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    write(at, "ali", |item| Some(vec![0, 1, item as i32 % 2, 1]));
    // Of each of four speakers a unit; units 7 and 9 of one and all others.
    write(at, "own", |item| Some(vec![item as i32 % 4; 4]));
    write(at, "pair", |item| {
        Some(vec![if item % 4 == 0 { 7 } else { 9 }; 4])
    });
    write(at, "alike", |_| Some(vec![3, 1, 4, 1]));
    let speakers = (0..ITEMS).map(|item| format!("{} s{}\n", id(item), item % 4));
    fs::write(at.join("utt2spk"), speakers.collect::<String>()).unwrap();
    let more = ["--ali=ali.scp", "--utt2spk=utt2spk"];
    let of = |units: &str| score(at, &[&[units], &more[..]].concat())[11..].to_vec();
    assert_eq!(of("scp:own.scp"), ["2.000", "2.000"]);
    assert_eq!(of("ark:pair.ark"), ["0.811", "2.000"]);
    assert_eq!(of("ark:alike.ark"), ["0.000", "2.000"]);
    let without = score(at, &["scp:own.scp", "--ali=ali.scp"]);
    assert_eq!(without.len(), 11, "{without:?}");
}

#[test]
fn units_are_written_by_run_and_by_frame() {
    let dir = folder();
    let at = dir.path();
    train(at, "u.ark", &[]);
    let apply = ["units", "apply", "scp:z.scp", "--model=u.ark"];
    let by_frame = ["--keep-runs", "--out=all", "--frames=ark:frames.ark"];
    succeed(at, &[&apply[..], &by_frame].concat());
    succeed(at, &[&apply[..], &["--out=runs"]].concat());
    let read = |name: &str| -> Vec<(String, Vec<i32>)> {
        let text = fs::read_to_string(at.join(name)).unwrap();
        let line = |line: &str| {
            let (id, units) = line.split_once(' ').unwrap();
            let units = units.split(' ').map(|unit| unit.parse().unwrap());
            (id.to_string(), units.collect())
        };
        text.lines().map(line).collect()
    };
    let mut all = read("all");
    assert_eq!(all.len(), ITEMS);
    let frames = format!("ark:{}", at.join("frames.ark").display());
    let table = TableReader::<Vec<i32>>::open_with(&frames, ReadOptions::default()).unwrap();
    assert_eq!(table.collect::<Result<Vec<_>, _>>().unwrap(), all);
    for (item, (name, units)) in all.iter_mut().enumerate() {
        let phones = phones(item);
        assert_eq!((&*name, units.len()), (&id(item), phones.len()));
        units.dedup();
    }
    assert_eq!(read("runs"), all);
}

#[test]
fn units_are_balanced_over_the_given_speakers() {
    let dir = folder();
    let at = dir.path();
    let (speaker, word) = (|item: usize| item / 4, |item: usize| item % 4);
    // The third speaker's rows are shifted by more than the distance of two words.
    write(at, "rows", |item| {
        let place = |(_, dim): (usize, usize)| match dim {
            0 => word(item) as f32 + 0.6 * speaker(item) as f32,
            _ => (item * 7 % 5) as f32 / 50.0,
        };
        Some(Array2::from_shape_fn((1, 2), place))
    });
    let who = |name: &str, items: usize, speaker: fn(usize) -> usize| {
        let lines = (0..items).map(|item| format!("{} s{}\n", id(item), speaker(item)));
        fs::write(at.join(name), lines.collect::<String>()).unwrap();
    };
    who("utt2spk", ITEMS, speaker);
    who("few", ITEMS - 1, speaker);
    who("mixed", ITEMS, |item| item % 3);
    let train = [
        "units",
        "train",
        "scp:rows.scp",
        "--out=m.ark",
        "--starts=10",
    ];
    let train = |more: &[&'static str]| [&train[..], more].concat();
    let apply = ["units", "apply", "scp:rows.scp", "--model=m.ark"];
    let apply = |more: &[&'static str]| [&apply[..], more].concat();
    succeed(at, &train(&["--clusters=4", "--utt2spk=utt2spk"]));
    let units = |more: &[&'static str]| -> Vec<String> {
        succeed(at, &apply(more));
        let text = fs::read_to_string(at.join("text")).unwrap();
        let units = text.lines().map(|line| line.split_once(' ').unwrap().1);
        units.map(str::to_string).collect()
    };
    let alike = units(&["--utt2spk=utt2spk", "--out=text"]);
    for item in 0..ITEMS {
        assert_eq!(alike[item], alike[word(item)], "{alike:?}");
    }
    assert_eq!(
        units(&["--utt2spk=utt2spk", "--out=text", "--threads=1"]),
        alike
    );
    assert_ne!(units(&["--out=text"]), alike, "the nearest are other ones");

    let before = names(at);
    let no_line = "few: u011: expected a line of every utterance that has units, found none";
    let cases = [
        (train(&["--clusters=4", "--utt2spk=few"]), no_line),
        (apply(&["--utt2spk=few", "--out=x"]), no_line),
        (
            apply(&["--utt2spk=mixed", "--out=x"]),
            "scp:rows.scp: u003: expected the utterances of a speaker one after another, found another speaker's between them",
        ),
        (
            train(&["--clusters=13", "--utt2spk=utt2spk"]),
            "--clusters: expected 1 to 12, of 12 frames, found 13",
        ),
    ];
    for (args, expected) in cases {
        let error = fail(at, &args, b"");
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(names(at), before);
}

#[test]
fn equal_seeds_make_equal_bytes_with_any_threads() {
    let dir = folder();
    let at = dir.path();
    let options = ["--most=300", "--clusters=9"];
    let made = |out: &str, more: &[&str]| {
        let args = ["units", "train", "scp:z.scp", "--out", out];
        let message = succeed(at, &[&args[..], &options, more].concat());
        let message = String::from_utf8(message).unwrap();
        assert!(message.contains("from 300 of 774 frames"), "{message}");
        fs::read(at.join(out)).unwrap()
    };
    let first = made("a.ark", &["--threads=1"]);
    assert_eq!(made("b.ark", &["--threads=1"]), first);
    assert_eq!(made("c.ark", &["--threads=2"]), first);
    assert_ne!(made("d.ark", &["--seed=1"]), first);
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = folder();
    let at = dir.path();
    train(at, "u.ark", &[]);
    let odd = |change: fn(&mut Array2<f32>)| {
        move |item: usize| {
            let mut codes = codes(item, 1);
            if item == 3 {
                change(&mut codes);
            }
            Some(codes)
        }
    };
    write(at, "nan", odd(|codes| codes[[7, 2]] = f32::NAN));
    write(at, "bare", odd(|codes| *codes = Array2::zeros((0, 0))));
    write(at, "wide", |item| {
        Some(Array2::<f32>::zeros((60 + item, DIMS + 1)))
    });
    write(at, "gap", |item| (item != 3).then(|| phones(item)));
    write(at, "minus", |item| Some(vec![-1; phones(item).len()]));
    write::<Array2<f32>>(at, "none", |_| None);
    fs::write(at.join("text"), "centroids 1 2 3\n").unwrap();
    apply(at, "scp:z.scp", "u.ark");
    fs::rename(at.join("units.txt"), at.join("u.txt")).unwrap();
    write(at, "short", |_| Some(vec![0; 20]));
    fs::write(at.join("void.txt"), "u000\n").unwrap();
    fs::write(at.join("few"), "u000 s0\n").unwrap();
    let before = names(at);
    let cases: [(&[&str], &str); 20] = [
        (
            &["train", "scp:z.scp", "--clusters=775"],
            "--clusters: expected 1 to 774, of 774 frames, found 775",
        ),
        (
            &["train", "scp:z.scp", "--clusters=0"],
            "--clusters: expected 1 to 774",
        ),
        (
            &["train", "scp:wide.scp", "--clusters=2"],
            "--clusters: expected at most 1, as many as frames that differ, found 2",
        ),
        (
            &["train", "scp:z.scp", "--clusters=9", "--most=8"],
            "--max-frames: expected at least the 9 of --clusters, found 8",
        ),
        (
            &["train", "scp:z.scp", "--clusters=9", "--steps=0"],
            "--steps: expected at least 1, found 0",
        ),
        (
            &["train", "scp:nan.scp", "--clusters=2"],
            "u003: expected finite values, found NaN",
        ),
        (
            &["train", "scp:bare.scp", "--clusters=2"],
            "u003: expected at least one frame of at least one value, found none",
        ),
        (
            &["train", "scp:none.scp", "--clusters=2"],
            "scp:none.scp: expected at least one utterance, found none",
        ),
        (
            &["apply", "scp:wide.scp", "--model=u.ark"],
            "u000: expected 6 values per frame, found 7",
        ),
        (
            &[
                "apply",
                "scp:nan.scp",
                "--model=u.ark",
                "--frames=ark:f.ark",
            ],
            "u003: expected finite values, found NaN",
        ),
        (
            &["apply", "scp:z.scp", "--model=z.ark"],
            "z.ark: expected one matrix 'centroids', as units train writes it, found 'u000'",
        ),
        (
            &["apply", "scp:z.scp", "--model=text"],
            "text: centroids: expected",
        ),
        (
            &["score", "ark:u.txt", "--ali=scp:gap.scp"],
            "gap.scp: u003: expected an alignment of this utterance, found none",
        ),
        (
            &["score", "scp:short.scp", "--ali=ali.scp"],
            "ali.scp: u000: expected 20 frames, as many as units (--subsampling), found 60",
        ),
        (
            &["score", "ark:u.txt", "--ali=minus.scp"],
            "minus.scp: u000: expected phones from 0, found -1",
        ),
        (
            &["score", "scp:minus.scp", "--ali=ali.scp"],
            "scp:minus.scp: u000: expected units from 0, found -1",
        ),
        (
            &["score", "ark:void.txt", "--ali=ali.scp"],
            "ark:void.txt: u000: expected at least one unit, found none",
        ),
        (
            &["score", "ark:none.ark", "--ali=ali.scp"],
            "ark:none.ark: expected at least one unit, found none",
        ),
        (
            &["score", "ark:u.txt", "--ali=ali.scp", "--utt2spk=few"],
            "few: u001: expected a line of every utterance that has units, found none",
        ),
        (
            &["score", "scp:z.scp", "--ali=ali.scp"],
            "z.ark: u000: expected an integer vector, found a matrix",
        ),
    ];
    for (args, expected) in cases {
        let out: &[&str] = if args[0] == "score" {
            &[]
        } else {
            &["--out=out"]
        };
        let error = fail(at, &[&["units"], args, out].concat(), b"");
        assert!(error.contains(expected), "{args:?}: {error}");
        assert_eq!(names(at), before, "{args:?}");
    }
}
