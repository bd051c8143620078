//! `unbraid extract` as a user runs it: in batches or alone, killed and taken up, pooled, and with bad input.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::speech::{self, CONF, FBANK};
use crate::support::training::{Running, TRAIN, workplace};
use crate::support::{fail, names, put, root, succeed, unbraid, unbraid_with};
use ndarray::{Array1, Array2, Axis, concatenate};
use unbraid::io::audio::{AudioOptions, Waveform, read_audio, write_wav};
use unbraid::io::kaldi::{KaldiObject, TableReader};
use unbraid::signal::resample::resample;

/// A folder with `train`, `valid` and a trained `exp`.
fn trained() -> tempfile::TempDir {
    let dir = workplace(&[("steps = 60", "steps = 4")]);
    succeed(dir.path(), &TRAIN);
    dir
}

fn extract(representation: &str, rest: &[&str]) -> Vec<String> {
    let fixed = [
        "extract",
        "--exp",
        "exp",
        "--device",
        "cpu",
        "--output",
        representation,
    ];
    fixed
        .iter()
        .chain(rest)
        .map(|arg| arg.to_string())
        .collect()
}

fn run(dir: &Path, representation: &str, rest: &[&str]) -> Vec<u8> {
    let args = extract(representation, rest);
    succeed(dir, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn refuse(dir: &Path, representation: &str, rest: &[&str]) -> String {
    let args = extract(representation, rest);
    fail(
        dir,
        &args.iter().map(String::as_str).collect::<Vec<_>>(),
        b"",
    )
}

fn read<T: KaldiObject>(dir: &Path, name: &str) -> BTreeMap<String, T> {
    let table = format!("ark:{}", dir.join(name).display());
    TableReader::open(&table)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Writes a list of some lines of `train/feats.scp`.
fn list(dir: &Path, name: &str, keep: impl Fn(usize, &str) -> bool) {
    let text = fs::read_to_string(dir.join("train/feats.scp")).unwrap();
    let lines = text
        .lines()
        .enumerate()
        .filter(|(at, line)| keep(*at, line));
    let kept: String = lines.map(|(_, line)| format!("{line}\n")).collect();
    fs::write(dir.join(name), kept).unwrap();
}

/// A text archive with one utterance of `frames` frames.
fn text_archive(key: &str, frames: usize, bins: usize) -> String {
    let mut text = format!("{key} [");
    for frame in 0..frames {
        for bin in 0..bins {
            write!(text, " {}", (frame * 7 + bin * 3) % 11).unwrap();
        }
        text.push('\n');
    }
    text + "]\n"
}

#[test]
fn an_utterance_gives_the_same_in_a_batch_and_alone() {
    let dir = trained();
    let at = dir.path();
    fs::write(at.join("one.txt"), text_archive("a-short", 1, 20)).unwrap();
    succeed(
        at,
        &["copy-feats", "ark:one.txt", "ark,scp:one.ark,one.scp"],
    );
    list(at, "all.scp", |_, _| true);
    let short = fs::read_to_string(at.join("one.scp")).unwrap();
    let all = short.clone() + &fs::read_to_string(at.join("all.scp")).unwrap();
    fs::write(at.join("all.scp"), all).unwrap();
    list(at, "two.scp", |line, _| line == 2);
    for representation in ["phonetic", "reconstruction", "features"] {
        run(at, representation, &["scp:all.scp", "ark:all.out"]);
        let together = read::<Array2<f32>>(at, "all.out");
        assert_eq!(together.len(), 17);
        for alone in ["one.scp", "two.scp"] {
            run(
                at,
                representation,
                &[&format!("scp:{alone}"), "ark:alone.out"],
            );
            for (key, alone) in read::<Array2<f32>>(at, "alone.out") {
                assert_eq!(together[&key].dim(), alone.dim(), "{representation} {key}");
                let gap = (&together[&key] - &alone).mapv(f32::abs);
                let gap = gap.iter().fold(0f32, |a, &b| a.max(b));
                // Decoded codes have gone through instance normalisation, which enlarges what rounding leaves.
                let bound = if representation == "reconstruction" {
                    1e-4
                } else {
                    1e-5
                };
                assert!(gap < bound, "{representation} {key}: {gap}");
            }
        }
    }
    run(at, "speaker", &["scp:all.scp", "ark:all.out"]);
    run(at, "speaker", &["scp:two.scp", "ark:alone.out"]);
    let together = read::<Array1<f32>>(at, "all.out");
    for (key, alone) in read::<Array1<f32>>(at, "alone.out") {
        assert!(
            (&together[&key] - &alone)
                .iter()
                .all(|gap| gap.abs() < 1e-5)
        );
        assert!((alone.dot(&alone) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn means_are_over_frames_and_over_utterances() {
    let dir = trained();
    let at = dir.path();
    run(at, "phonetic", &["scp:train/feats.scp", "ark:z"]);
    run(
        at,
        "phonetic",
        &[
            "--pool",
            "utterance",
            "scp:train/feats.scp",
            "ark,scp:u,u.scp",
        ],
    );
    let by_speaker = [
        "--pool",
        "speaker",
        "--utt2spk",
        "train/utt2spk",
        "scp:train/feats.scp",
    ];
    run(at, "phonetic", &[&by_speaker[..], &["ark:s"]].concat());
    let codes = read::<Array2<f32>>(at, "z");
    let utterances = read::<Array1<f32>>(at, "u");
    let speakers = read::<Array1<f32>>(at, "s");
    assert_eq!((codes.len(), utterances.len(), speakers.len()), (16, 16, 4));
    for (key, codes) in &codes {
        let gap = codes.mean_axis(Axis(0)).unwrap() - &utterances[key];
        assert!(gap.iter().all(|gap| gap.abs() < 1e-5));
    }
    let own = utterances.iter().filter(|(key, _)| key.starts_with("s02"));
    let mean = own
        .map(|(_, vector)| vector)
        .fold(Array1::zeros(4), |sum, v| sum + v)
        / 4.0;
    let gap: Array1<f32> = mean - &speakers["s02"];
    assert!(gap.iter().all(|gap| gap.abs() < 1e-5));

    let text = run(at, "phonetic", &[&by_speaker[..], &["ark,t:-"]].concat());
    assert_eq!(String::from_utf8(text).unwrap().lines().count(), 4);
    assert!(names(at).iter().all(|name| !name.ends_with(".parts")));
}

#[test]
fn killed_it_is_taken_up_and_ends_the_same() {
    let dir = trained();
    let at = dir.path();
    // Enough utterances for several parts, all out of one small archive.
    let feats = fs::read_to_string(at.join("train/feats.scp")).unwrap();
    let many: String = (0..150)
        .flat_map(|copy| {
            feats
                .lines()
                .map(move |line| format!("c{copy:03}-{line}\n"))
        })
        .collect();
    fs::write(at.join("many.scp"), many).unwrap();
    run(
        at,
        "phonetic",
        &["scp:many.scp", "ark,scp:whole.ark,whole.scp"],
    );

    let args = extract(
        "phonetic",
        &["scp:many.scp", "ark,scp:z.ark,z.scp", "--resume"],
    );
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let part = |number: usize| at.join(format!("z.ark.parts/{number:06}.ark"));
    for number in [0, 2] {
        Running::start(at, &args).stop(libc::SIGKILL, Duration::ZERO, || part(number).exists());
        assert!(part(number).exists() && !at.join("z.ark").exists());
    }
    let other = refuse(
        at,
        "features",
        &["scp:many.scp", "ark,scp:z.ark,z.scp", "--resume"],
    );
    let expected = "z.ark.parts: representation: expected parts of \"features\" (without --resume they are extracted again), found \"phonetic\"";
    assert!(other.ends_with(expected), "{other}");
    // Features made anew under the same list.
    let archive = fs::File::options()
        .append(true)
        .open(at.join("train/feats.ark"))
        .unwrap();
    let changed = archive.metadata().unwrap().modified().unwrap();
    archive
        .set_modified(changed + Duration::from_secs(1))
        .unwrap();
    let anew = fail(at, &args, b"");
    assert!(anew.contains("z.ark.parts: inputs: expected "), "{anew}");
    archive.set_modified(changed).unwrap();
    // A model trained anew in the same folder.
    let seed = ["train", "--conf=conf.toml", "--exp=other", "--seed=9"];
    succeed(at, &seed);
    let weights = at.join("exp/last/weights.safetensors");
    let own = fs::read(&weights).unwrap();
    fs::copy(at.join("other/last/weights.safetensors"), &weights).unwrap();
    let trained = fail(at, &args, b"");
    assert!(
        trained.contains("z.ark.parts: model: expected "),
        "{trained}"
    );
    fs::write(&weights, own).unwrap();
    succeed(at, &args);
    assert_eq!(
        fs::read(at.join("z.ark")).unwrap(),
        fs::read(at.join("whole.ark")).unwrap()
    );
    assert!(!at.join("z.ark.parts").exists());
}

#[test]
fn a_failed_utterance_is_reported_and_the_others_are_extracted() {
    let dir = trained();
    let at = dir.path();
    let mut text = text_archive("a-wide", 5, 21) + &text_archive("b-good", 5, 20);
    text += &text_archive("c-nan", 5, 20).replacen('3', "nan", 1);
    text += "d-empty [ ]\n";
    fs::write(at.join("in.txt"), text).unwrap();
    let args = extract("phonetic", &["ark:in.txt", "ark,scp:z.ark,z.scp"]);
    let output = unbraid(at, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    for expected in [
        "a-wide: expected 20 bins, found 21",
        "c-nan: expected finite features, found NaN",
        "d-empty: expected",
        "unbraid: 3 of 4 utterances failed",
    ] {
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(error.lines().count(), 4, "{error}");
    let codes = read::<Array2<f32>>(at, "z.ark");
    assert_eq!(codes.keys().collect::<Vec<_>>(), ["b-good"]);
}

/// Features beyond all measure, of which networks make NaN.
#[test]
fn what_networks_make_no_numbers_of_is_not_written() {
    let dir = trained();
    let at = dir.path();
    let huge = format!("[ {} ]\n", ("3e38 -3e38 ".repeat(10) + "\n").repeat(5));
    let both = format!("a-huge {huge}{}", text_archive("b-good", 5, 20));
    fs::write(at.join("in.txt"), both).unwrap();
    for representation in ["phonetic", "speaker", "reconstruction"] {
        let args = extract(representation, &["ark:in.txt", "ark:z"]);
        let output = unbraid(at, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{representation} {error}");
        let error_text =
            "a-huge: expected features for which the model's output is finite, found NaN";
        assert!(error.contains(error_text), "{error}");
        assert!(
            error.contains("unbraid: 1 of 2 utterances failed"),
            "{error}"
        );
        let written = fs::read(at.join("z")).unwrap();
        assert!(written.starts_with(b"b-good "));
    }
    fs::write(at.join("one.txt"), format!("s00-u000 {huge}")).unwrap();
    succeed(
        at,
        &["copy-feats", "ark:one.txt", "ark,scp:one.ark,one.scp"],
    );
    let list = fs::read_to_string(at.join("train/feats.scp")).unwrap();
    let (_, others) = list.split_once('\n').unwrap();
    let one = fs::read_to_string(at.join("one.scp")).unwrap();
    fs::write(at.join("train/feats.scp"), one + others).unwrap();
    let output = unbraid(at, &["swap", "--exp=exp", "--voices=1", "train", "swap"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let error_text =
        "-s00-u000: expected features for which the model's output is finite, found NaN";
    assert!(error.contains(error_text), "{error}");
    assert!(error.contains(" of 16 utterances failed"), "{error}");
    let written = fs::read_to_string(at.join("swap/utt2spk")).unwrap();
    assert!(
        !written.is_empty() && !written.contains("-s00-u000 "),
        "{written}"
    );
    let of = "--representation=mel=train/feats.scp,train/feats.scp";
    let probe = [
        "probe",
        "train",
        "train",
        "--target=speaker",
        of,
        "--epochs=1",
        "--min-steps=1",
        "--device=cpu",
    ];
    let error = String::from_utf8(unbraid(at, &probe).stderr).unwrap();
    assert!(
        error.ends_with("features for which a probe's output is finite, found others\n"),
        "{error}"
    );
}

/// What a broken disk or a hand makes of an experiment.
#[test]
fn numbers_that_are_none_are_not_used() {
    let dir = trained();
    let at = dir.path();
    let feats = ["scp:train/feats.scp", "ark:z"];
    let weights = at.join("exp/last/weights.safetensors");
    let own = fs::read(&weights).unwrap();
    let mut broken = own.clone();
    let last = broken.len() - 4;
    broken[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&weights, broken).unwrap();
    let swap = ["swap", "--exp=exp", "train", "swap"];
    for error in [refuse(at, "phonetic", &feats), fail(at, &swap, b"")] {
        let error_text = "weights.safetensors: ";
        assert!(
            error.contains(error_text) && error.ends_with("expected finite numbers, found NaN"),
            "{error}"
        );
    }
    fs::write(&weights, own).unwrap();
    let info = at.join("exp/inventory.json");
    let own = fs::read_to_string(&info).unwrap();
    let change = |change: fn(&mut serde_json::Value)| {
        let mut value = serde_json::from_str(&own).unwrap();
        change(&mut value);
        fs::write(&info, value.to_string()).unwrap();
        refuse(at, "phonetic", &feats)
    };
    for (error, expected) in [
        (
            change(|v| v["normalisation"]["std"][3] = 0.into()),
            "normalisation.std: expected finite numbers above 0, found 0",
        ),
        (
            change(|v| v["normalisation"]["std"] = vec![1; 19].into()),
            "normalisation.std: expected 20 values, as many as normalisation.mean has, found 19",
        ),
        (
            change(|v| v["normalisation"]["options"]["fixed_frames"] = 1u64.rotate_right(2).into()),
            "normalisation.fixed_frames: expected 0 to 65536, found 4611686018427387904",
        ),
        (
            change(|v| v["utterances"] = 0.into()),
            "utterances: expected 1 to 16777216, found 0",
        ),
    ] {
        assert!(error.ends_with(expected), "{error}");
    }
    assert!(!at.join("z").exists());
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = trained();
    let at = dir.path();
    fs::write(at.join("empty.scp"), "").unwrap();
    list(at, "some", |line, _| line == 0);
    fs::write(at.join("few"), "s00-u000 s00\n").unwrap();
    let before = names(at);
    let to = "ark,scp:z.ark,z.scp";
    let feats = "scp:train/feats.scp";
    for (rest, expected) in [
        (&["scp:none.scp", to][..], "none.scp: No such file"),
        (
            &["scp:empty.scp", to],
            "scp:empty.scp: expected utterances, found none",
        ),
        (&[feats, "z.ark"], "'z.ark': expected a write specifier"),
        (&[feats, "ark:no/z.ark"], "no/z.ark"),
        (
            &["--checkpoint", "step_000009", feats, to],
            "exp: expected a checkpoint 'step_000009', found none",
        ),
        (
            &["--utt2spk", "few", feats, to],
            "--utt2spk: expected --pool speaker",
        ),
        (
            &["--pool", "speaker", "--utt2spk", "few", feats, to],
            "few: s00-u001: expected a speaker for this utterance, found none",
        ),
    ] {
        let error = refuse(at, "phonetic", rest);
        assert!(error.contains(expected), "{error}");
        assert_eq!(names(at), before, "{error}");
    }
    let other = ["extract", "--exp", "none", "--output", "speaker", feats, to];
    let error = fail(at, &other, b"");
    assert!(
        error.contains("none: expected an experiment's folder"),
        "{error}"
    );
    fs::write(at.join("exp/last/weights.safetensors"), "{}").unwrap();
    let error = refuse(at, "speaker", &[feats, to]);
    assert!(
        error.contains("last/weights.safetensors: expected tensors"),
        "{error}"
    );
}

#[test]
fn audio_gives_what_its_features_give() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let root = env!("CARGO_MANIFEST_DIR");
    let bundle = Path::new(root).join("data/mini/train");
    fs::create_dir(path.join("train")).unwrap();
    let first = |name: &str| {
        let text = fs::read_to_string(bundle.join(name)).unwrap();
        let voices = text
            .lines()
            .filter(|line| line.ends_with("f01") || line.ends_with("f02"));
        voices
            .map(|line| line.to_string() + "\n")
            .collect::<String>()
    };
    let utt2spk = first("utt2spk");
    let wavs: String = utt2spk
        .lines()
        .map(|line| line.split_once(' ').unwrap().0)
        .map(|utterance| format!("{utterance} {root}/data/mini/audio/{utterance}.flac\n"))
        .collect();
    fs::write(path.join("train/utt2spk"), utt2spk).unwrap();
    fs::write(path.join("train/wav.scp"), wavs).unwrap();
    fs::write(
        path.join("fbank.toml"),
        "kind = \"fbank\"\nsample_frequency = 16000.0\nnum_mel_bins = 20\ndither = 0.0\n",
    )
    .unwrap();
    fs::write(path.join("bare.toml"), "num_mel_bins = 20\n").unwrap();
    fs::write(path.join("mfcc.toml"), "kind = \"mfcc\"\n").unwrap();
    let conf = r#"device = "cpu"
data = { train = "train", front_end = "fbank.toml", crop_frames = 40, sampler = { kind = "speakers", speakers = 2, utterances = 2 } }
method = { name = "disentangle", adversaries = [{ inner_steps = 1 }] }
train = { steps = 1, threads = 1 }
"#;
    fs::write(path.join("conf.toml"), conf).unwrap();
    let (wavs, feats) = ("scp:train/wav.scp", "ark,scp:feats.ark,train/feats.scp");
    succeed(path, &["fbank", "--conf", "fbank.toml", wavs, feats]);
    for (file, message) in [
        (
            "bare.toml",
            "bare.toml: kind: expected a front-end, one of \"fbank\",",
        ),
        (
            "mfcc.toml",
            "data.front_end: expected a front-end that gives the features' 20 columns, found 13 of mfcc",
        ),
        ("none.toml", "none.toml: No such file"),
    ] {
        let setting = format!("data.front_end=\"{file}\"");
        let args: Vec<&str> = TRAIN.into_iter().chain(["--set", &setting]).collect();
        let error = fail(path, &args, b"");
        assert!(error.starts_with(&format!("unbraid: {message}")), "{error}");
        assert!(!path.join("exp").exists());
    }
    succeed(path, &TRAIN);
    let kept = fs::read_to_string(path.join("exp/front_end.toml")).unwrap();
    assert!(kept.starts_with("kind = \"fbank\"\n"), "{kept}");
    run(
        path,
        "phonetic",
        &["scp:train/feats.scp", "ark:feats_z.ark"],
    );
    run(path, "phonetic", &["--wav", wavs, "ark:wav_z.ark"]);
    assert_eq!(
        fs::read(path.join("feats_z.ark")).unwrap(),
        fs::read(path.join("wav_z.ark")).unwrap()
    );
    let error_text = refuse(path, "phonetic", &["--wav", "ark:x.ark", "ark:y.ark"]);
    assert!(
        error_text.contains("expected a list of audio files"),
        "{error_text}"
    );
    embeddings_of_speeds_lie_side_by_side(path, wavs);
    let mut lines = fs::read_to_string(path.join("train/wav.scp")).unwrap();
    let stereo = format!(
        "{}/tests/audio_files/stereo.wav",
        env!("CARGO_MANIFEST_DIR")
    );
    lines += &format!(
        "z-none none.wav\nz-short {}\nz-two {stereo}\n",
        stereo.replace("stereo", "sox_stream")
    );
    fs::write(path.join("more.scp"), lines).unwrap();
    let args = extract("phonetic", &["--wav", "scp:more.scp", "ark:y.ark"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = unbraid(path, &args);
    assert_eq!(output.status.code(), Some(1));
    let error_text = String::from_utf8(output.stderr).unwrap();
    let two = format!(
        "unbraid: z-two: {stereo}: expected one channel, or the choice of one (--channel, from 0, or --channel mean), found 2 channels\n"
    );
    assert!(
        error_text.contains("unbraid: z-none: none.wav: No such file") && error_text.contains(&two),
        "{error_text}"
    );
    fs::remove_file(path.join("y.ark")).unwrap();
    fs::remove_file(path.join("exp/front_end.toml")).unwrap();
    let error_text = refuse(path, "phonetic", &["--wav", wavs, "ark:y.ark"]);
    assert!(error_text.contains("front_end.toml"), "{error_text}");
}

/// `exp`, with its front-end, and its list of recordings.
fn trained_on_audio() -> (tempfile::TempDir, String) {
    let dir = speech::workplace(FBANK, CONF);
    let list = fs::read_to_string(dir.path().join("data/wav.scp")).unwrap();
    (dir, list)
}

#[test]
fn recordings_are_brought_to_what_the_model_reads() {
    let (dir, list) = trained_on_audio();
    let path = dir.path();
    let (_, file) = list.lines().next().unwrap().split_once(' ').unwrap();
    let recording = read_audio(file, &AudioOptions::default()).unwrap();
    let seconds = recording.samples.len() as f64 / f64::from(recording.sample_rate_hz);
    let other = Waveform {
        samples: resample(&recording.samples, 16000, 44100)
            .unwrap()
            .into_owned(),
        sample_rate_hz: 44100,
    };
    write_wav(path.join("other.wav"), &other).unwrap();
    let stereo: Vec<f32> = other
        .samples
        .iter()
        .flat_map(|&x| [x * 1.5, x * 0.5])
        .collect();
    write_stereo(&path.join("stereo.wav"), &stereo);
    put(&path.join("own.scp"), format!("a {file}\n"));
    put(&path.join("other.scp"), "a other.wav\n");
    put(&path.join("stereo.scp"), "a stereo.wav\n");
    put(
        &path.join("segments"),
        format!("a-1 a 0 {}\na-2 a {} -1\n", seconds / 2.0, seconds / 2.0),
    );

    let codes = |name: &str, options: &[&str], list: &str| {
        let target = format!("ark:{name}.ark");
        let args = [&["--wav"], options, &[list, &target]].concat();
        let args = extract("phonetic", &args);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = unbraid_with(path, &args, format!("a {file}\n").as_bytes());
        let note = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{note}");
        (read::<Array2<f32>>(path, &format!("{name}.ark")), note)
    };
    let (own, note) = codes("own", &["--threads=1"], "scp:own.scp");
    assert_eq!(note, "");
    assert_eq!(codes("piped", &[], "scp:-").0, own);
    let (mean, note) = codes("mean", &["--channel=mean"], "scp:stereo.scp");
    assert_eq!(
        note,
        "unbraid: 1 recording of 44100 Hz resampled to the model's 16000 Hz\n"
    );
    let shape = |table: &BTreeMap<String, Array2<f32>>| table["a"].dim();
    assert_eq!(shape(&mean), shape(&own));
    let (left, _) = codes("left", &["--channel=0"], "scp:stereo.scp");
    assert_ne!(left, mean);
    let (halves, _) = codes("halves", &["--segments=segments"], "scp:own.scp");
    assert_eq!(halves.keys().collect::<Vec<_>>(), ["a-1", "a-2"]);
    assert!(halves["a-1"].nrows() < own["a"].nrows());

    for (option, found) in [
        ("--segments=segments", "--segments"),
        ("--channel=mean", "--channel"),
        ("--resample=8000", "--resample"),
        ("--allow-pipes", "--allow-pipes"),
    ] {
        let error = refuse(path, "phonetic", &[option, "scp:own.scp", "ark:y.ark"]);
        assert_eq!(
            error,
            format!("unbraid: {found}: expected --wav beside it, found none")
        );
    }
    let error = refuse(path, "phonetic", &["scp:other.scp", "ark:y.ark"]);
    assert_eq!(
        error,
        "unbraid: 'scp:other.scp': expected features, found the recording other.wav: add --wav"
    );
    assert!(!path.join("y.ark").exists());
}

/// A WAV file of 16 bits and two interleaved channels at 44.1 kHz.
fn write_stereo(path: &Path, interleaved: &[f32]) {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 44100,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for &sample in interleaved {
        writer.write_sample((sample * 32767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
}

/// The parts are the embeddings of the recording itself and of the files that `unbraid data augment` makes of it.
fn embeddings_of_speeds_lie_side_by_side(path: &Path, wavs: &str) {
    let slow = ["augment", "--conf", "slow.toml", "--prefix", "slow_"];
    fs::write(path.join("slow.toml"), "[speed]\nfactors = [0.9]\n").unwrap();
    succeed(path, &[&slow[..], &["train", "slow"]].concat());
    run(path, "speaker", &["--wav", wavs, "ark:own.ark"]);
    run(
        path,
        "speaker",
        &["--wav", "scp:slow/wav.scp", "ark:slow.ark"],
    );
    let both = ["--wav", "--speeds=0.9,1", wavs, "ark:both.ark"];
    run(path, "speaker", &both);
    let [own, slow, both] =
        ["own.ark", "slow.ark", "both.ark"].map(|name| read::<Array1<f32>>(path, name));
    assert_eq!(both.len(), own.len());
    for ((key, both), (own, slow)) in both.iter().zip(own.values().zip(slow.values())) {
        let expected = concatenate![Axis(0), *slow, *own] / 2f32.sqrt();
        let near = (both - &expected).iter().all(|gap| gap.abs() < 1e-5);
        assert!(near, "{key}");
    }
    let error_text = refuse(
        path,
        "phonetic",
        &["--wav", "--speeds=0.9", wavs, "ark:y.ark"],
    );
    let message = "unbraid: --speeds: expected the speaker representation";
    assert!(error_text.starts_with(message), "{error_text}");
    for (options, message) in [
        (
            vec!["--wav", "--speeds=9"],
            "a number from 0.25 to 4, found 9",
        ),
        (vec!["--wav", "--speeds=fast"], "expected a number"),
        (vec!["--speeds=0.9"], "--wav"),
    ] {
        let args = extract("speaker", &[&options[..], &[wavs, "ark:y.ark"]].concat());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = unbraid(path, &args);
        let error_text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error_text}");
        assert!(error_text.contains(message), "{error_text}");
    }
    assert!(!path.join("y.ark").exists());
}

#[test]
fn a_place_that_cannot_be_written_is_found_before_the_work() {
    let dir = trained();
    let before = names(dir.path());
    for (target, error_text) in [
        ("ark,scp:z.ark,no/z.scp", "no/z.scp: No such file"),
        ("ark:train", "train: is a directory"),
        ("ark:train/feats.scp", "found a file that is read"),
    ] {
        let args = ["extract", "--exp=exp", "--output=phonetic", "--device=cpu"];
        let rest = ["scp:train/feats.scp", target];
        let error = fail(dir.path(), &[&args[..], &rest].concat(), b"");
        assert!(error.contains(error_text), "{error}");
        assert_eq!(names(dir.path()), before, "{target}");
    }
    assert!(!dir.path().join("train/feats.scp.parts").exists());
}

#[test]
fn recordings_by_name_give_both_representations() {
    let (dir, list) = trained_on_audio();
    let path = dir.path();
    let files: Vec<&str> = list
        .lines()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    fs::create_dir_all(path.join("talks/über")).unwrap();
    fs::copy(files[0], path.join("talks/one.flac")).unwrap();
    fs::copy(files[1], path.join("talks/über/one.flac")).unwrap();
    put(&path.join("talks/notes.txt"), "no audio");
    fs::copy(files[2], path.join("one.flac")).unwrap();
    fs::copy(files[2], path.join("one-2.flac")).unwrap();
    let extract = |rest: &[&str]| {
        let args = [&["extract", "--model", "./exp", "--device=cpu"], rest].concat();
        succeed(path, &args)
    };
    let lines = String::from_utf8(extract(&["talks", "one-2.flac", "one.flac"])).unwrap();
    let objects: Vec<serde_json::Value> = (lines.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let keys: Vec<&str> = objects
        .iter()
        .map(|o| o["utterance"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["one", "uber-one", "one-2", "one-3"]);
    assert_eq!(objects[1]["file"], "talks/über/one.flac");

    put(&path.join("one.scp"), format!("one {}\n", files[0]));
    run(path, "phonetic", &["--wav", "scp:one.scp", "ark:z.ark"]);
    run(path, "speaker", &["--wav", "scp:one.scp", "ark:s.ark"]);
    let codes = &read::<Array2<f32>>(path, "z.ark")["one"];
    let embedding = &read::<Array1<f32>>(path, "s.ark")["one"];
    let row =
        |value: &serde_json::Value| -> Vec<f32> { serde_json::from_value(value.clone()).unwrap() };
    assert_eq!(
        objects[0]["phonetic"].as_array().unwrap().len(),
        codes.nrows()
    );
    assert_eq!(row(&objects[0]["phonetic"][0]), codes.row(0).to_vec());
    assert_eq!(row(&objects[0]["speaker"]), embedding.to_vec());

    extract(&["--out=both.ark", "talks"]);
    assert_eq!(
        &read::<Array2<f32>>(path, "both.phonetic.ark")["one"],
        codes
    );
    assert_eq!(
        &read::<Array1<f32>>(path, "both.speaker.ark")["one"],
        embedding
    );
    extract(&["--out=both.npy", "--output=speaker", "talks"]);
    assert!(path.join("both.speaker.npy").exists() && !path.join("both.phonetic.npy").exists());
    extract(&["--out=both.txt", "talks"]);
    extract(&["--out=both.json", "talks"]);
    let whole: serde_json::Value =
        serde_json::from_slice(&fs::read(path.join("both.json")).unwrap()).unwrap();
    assert_eq!(whole.as_array().unwrap(), &objects[..2]);

    let wrong = |rest: &[&str]| {
        let args = [&["extract", "--model", "./exp", "--device=cpu"], rest].concat();
        let output = unbraid(path, &args);
        assert_eq!(output.status.code(), Some(1), "{rest:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    fs::create_dir(path.join("empty")).unwrap();
    fs::create_dir(path.join("bad")).unwrap();
    put(&path.join("bad/text.wav"), "no audio");
    let short = Waveform {
        samples: vec![0.1; 79],
        sample_rate_hz: 16000,
    };
    write_wav(path.join("bad/short.wav"), &short).unwrap();
    for (rest, message) in [
        (
            &["--out=x.mp4", "talks"][..],
            "--out: expected a name that ends in .json, .jsonl, .txt, .ark or .npy, found x.mp4",
        ),
        (
            &["empty"],
            "empty: expected recordings in the folder, found none",
        ),
        (
            &["--wav", "talks"],
            "--wav: expected RSPECIFIER and WSPECIFIER beside it, found 'talks'",
        ),
        (
            &["--out=x.json", "scp:one.scp", "ark:y.ark"],
            "--out: expected recordings, found an archive or a list",
        ),
        (
            &["scp:one.scp"],
            "expected RSPECIFIER and WSPECIFIER, found 1 arguments",
        ),
        (
            &["--out=x.json", "none.wav"],
            "none: none.wav: No such file",
        ),
        (&["--out=x.json", "bad"], "text: bad/text.wav: expected WAV"),
        (
            &["--out=x.json", "bad"],
            "short: audio: expected audio of one frame, 400 samples or more, found 79",
        ),
        (
            &["--resample=8000", "talks"],
            "--resample: expected RSPECIFIER and WSPECIFIER beside it",
        ),
    ] {
        assert!(wrong(rest).contains(message), "{rest:?}: {}", wrong(rest));
    }
    assert!(!path.join("x.json").exists());
}

/// The model of the repository on recordings of another kind than it was trained on.
#[test]
fn a_shipped_model_is_found_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let audio = |name: &str| {
        root()
            .join("data/mini/audio")
            .join(name)
            .display()
            .to_string()
    };
    let models = String::from_utf8(succeed(dir.path(), &["models"])).unwrap();
    assert!(
        models.starts_with("en-16k ") && models.contains("\nen-16k-causal "),
        "{models}"
    );
    let extract = [
        "extract",
        "--model=en-16k",
        "--out=z.ark",
        &audio("f51-s01.flac"),
    ];
    succeed(dir.path(), &extract);
    let codes = &read::<Array2<f32>>(dir.path(), "z.phonetic.ark")["f51-s01"];
    let embedding = &read::<Array1<f32>>(dir.path(), "z.speaker.ark")["f51-s01"];
    assert!(codes.iter().all(|value| value.abs() <= 1.0) && codes.nrows() > 10);
    assert!((embedding.dot(embedding) - 1.0).abs() < 1e-4);
    let same = |other: &str| {
        let line = succeed(
            dir.path(),
            &[
                "same",
                "--model=en-16k",
                &audio("f51-s01.flac"),
                &audio(other),
            ],
        );
        String::from_utf8(line).unwrap()
    };
    let itself = same("f51-s01.flac");
    assert!(
        itself.starts_with("same  ratio ") && itself.ends_with("cosine 1.000\n"),
        "{itself}"
    );
    assert!(same("m51-s01.flac").starts_with("different  "));
    let silence = Waveform {
        samples: vec![0.0; 16000],
        sample_rate_hz: 16000,
    };
    write_wav(dir.path().join("silence.wav"), &silence).unwrap();
    let short = Waveform {
        samples: vec![0.1; 4000],
        sample_rate_hz: 16000,
    };
    write_wav(dir.path().join("short.wav"), &short).unwrap();
    for (file, message) in [
        (
            "silence.wav",
            "unbraid: silence.wav: expected speech, found silence",
        ),
        (
            "short.wav",
            "unbraid: short.wav: expected at least 0.5 s of speech, found 0.25 s",
        ),
    ] {
        let args = ["same", "--model=en-16k", file, &audio("f51-s01.flac")];
        assert_eq!(fail(dir.path(), &args, b""), message);
    }
    let error = fail(dir.path(), &["same", "--model=fr", "a.wav", "b.wav"], b"");
    assert_eq!(
        error,
        "unbraid: --model: expected one of en-16k, en-16k-causal, or a path, found 'fr'"
    );
}
