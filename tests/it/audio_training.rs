//! `unbraid train` from recordings: as from stored features, the same for any number of threads, stopped and taken up again,
//! refused.

use std::fs;
use std::path::Path;

use unbraid::io::audio::{Waveform, write_wav};
use unbraid::io::kaldi::TableWriter;

use crate::support::training::{CONF, RESUME, Running, TRAIN, assert_same, newest_step, outcome};
use crate::support::{fail, put, succeed, unbraid};

const RATE: u32 = 8000;
const FRONT_END: &str =
    "kind = \"fbank\"\nsample_frequency = 8000\nnum_mel_bins = 20\ndither = 0.0\nhigh_freq = 0.0\n";

/// What all runs of this file share, in place of the data directories' features.
const AUDIO: &str = "input = \"audio\"\nfront_end = \"fbank.toml\"\n";

fn wav(path: &Path, seconds: f64, tone: f64, rate: u32) {
    let sample = |at: u32| {
        let time = f64::from(at) / f64::from(rate) * std::f64::consts::TAU;
        ((time * tone).sin() * 0.2 + (time * tone * 7.3).sin() * 0.1) as f32
    };
    let waveform = Waveform {
        samples: (0..(seconds * f64::from(rate)) as u32)
            .map(sample)
            .collect(),
        sample_rate_hz: rate,
    };
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_wav(path, &waveform).unwrap();
}

/// `train` and `valid` with recordings, a noise, a room and `fbank.toml`.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (set, utterances) in [("train", 4), ("valid", 2)] {
        let (mut wavs, mut speakers, mut texts) = (String::new(), String::new(), String::new());
        for speaker in 0..4u32 {
            for utterance in 0..utterances {
                let key = format!("s{speaker}-{utterance}");
                let path = format!("audio/{set}-{key}.wav");
                let tone = 90.0 + f64::from(40 * speaker + 3 * utterance);
                wav(&at(&path), 0.4 + 0.05 * f64::from(utterance), tone, RATE);
                wavs += &format!("{key} {path}\n");
                speakers += &format!("{key} s{speaker}\n");
                texts += &format!("{key} {}\n", ["no", "yes"][utterance as usize % 2]);
            }
        }
        put(&at(set).join("wav.scp"), wavs);
        put(&at(set).join("utt2spk"), speakers);
        put(&at(set).join("text"), texts);
    }
    wav(&at("noise/hum.wav"), 2.0, 50.0, RATE);
    wav(&at("rirs/room.wav"), 0.05, 900.0, RATE);
    put(&at("fbank.toml"), FRONT_END);
    dir
}

/// Writes `conf.toml`: the shared configuration with `data` in its table.
fn configure(folder: &Path, data: &str, more: &str) {
    let conf = CONF.replace("crop_frames = 20\n", data);
    put(&folder.join("conf.toml"), conf + more);
}

const AUGMENT: &str = r#"
[data.augment]
noise_folder = "noise"
rir_folder = "rirs"
speed = { factors = [0.95, 1.05] }
reverb = { probability = 0.5 }
noise = { probability = 0.5 }
volume = {}
[data.augment_feats]
spec_augment = { freq_width = 4, time_width = 5 }
"#;

#[test]
fn recordings_give_what_their_features_give() {
    let dir = workplace();
    configure(dir.path(), AUDIO, "");
    succeed(dir.path(), &TRAIN);
    let from_audio = outcome(&dir.path().join("exp"));
    fs::rename(dir.path().join("exp"), dir.path().join("audio_exp")).unwrap();
    for set in ["train", "valid"] {
        let (wavs, feats) = (
            format!("scp:{set}/wav.scp"),
            format!("ark,scp:{set}/feats.ark,{set}/feats.scp"),
        );
        let command = ["feats", "fbank", "--conf", "fbank.toml", &wavs, &feats];
        succeed(dir.path(), &command);
    }
    configure(dir.path(), "", "");
    succeed(dir.path(), &TRAIN);
    assert_same(&outcome(&dir.path().join("exp")), &from_audio);
}

/// Slow copies are empty above: what is there is the rounding of a file, by which a network could tell them from the rest.
#[test]
fn a_speed_gives_what_its_copies_give() {
    let dir = workplace();
    configure(dir.path(), &format!("{AUDIO}speeds = [0.9]\n"), "");
    succeed(dir.path(), &TRAIN);
    let from_speed = outcome(&dir.path().join("exp"));
    fs::rename(dir.path().join("exp"), dir.path().join("speed_exp")).unwrap();
    put(&dir.path().join("slow.toml"), "[speed]\nfactors = [0.9]\n");
    let augment = ["data", "augment", "--conf", "slow.toml", "train", "slow"];
    succeed(dir.path(), &augment);
    configure(dir.path(), AUDIO, "");
    let copies = ["--set", "data.train=\"slow\""];
    succeed(dir.path(), &[&TRAIN[..], &copies].concat());
    assert_same(&outcome(&dir.path().join("exp")), &from_speed);
}

#[test]
fn threads_kills_and_segments_change_nothing() {
    let dir = workplace();
    let exp = dir.path().join("exp");
    let data = format!("{AUDIO}crop_frames = 20\nspeeds = [0.9, 1.0, 1.1]\n");
    configure(dir.path(), &format!("{data}workers = 1\n"), AUGMENT);
    succeed(dir.path(), &TRAIN);
    let expected = outcome(&exp);
    let inventory = fs::read_to_string(exp.join("inventory.json")).unwrap();
    for speaker in ["\"s0\"", "\"sp0.9-s0\"", "\"sp1.1-s3\""] {
        assert!(inventory.contains(speaker), "{inventory}");
    }

    fs::remove_dir_all(&exp).unwrap();
    configure(dir.path(), &format!("{data}workers = 3\n"), AUGMENT);
    let reached = || newest_step(&exp).is_some_and(|step| step >= 14);
    Running::start(dir.path(), &TRAIN).stop(libc::SIGKILL, Default::default(), reached);
    // The same recordings as segments of one longer each.
    let utterances = fs::read_to_string(dir.path().join("train/wav.scp")).unwrap();
    let segments: String = (utterances.lines())
        .map(|line| line.split_once(' ').unwrap().0)
        .map(|key| format!("{key} {key} 0 -1\n"))
        .collect();
    put(&dir.path().join("train/segments"), segments);
    configure(dir.path(), &format!("{data}workers = 2\n"), AUGMENT);
    succeed(dir.path(), &RESUME);
    assert_same(&outcome(&exp), &expected);
}

/// Steps that are done when a recording turns out to be damaged are not lost.
#[test]
fn a_run_that_meets_a_damaged_recording_is_saved() {
    let dir = workplace();
    let exp = dir.path().join("exp");
    configure(dir.path(), &format!("{AUDIO}crop_frames = 20\n"), "");
    let conf = fs::read_to_string(dir.path().join("conf.toml")).unwrap();
    let rarely = conf.replace("checkpoint_every = 7", "checkpoint_every = 60");
    let rarely = rarely.replace("validate_every = 10", "validate_every = 60");
    put(&dir.path().join("conf.toml"), rarely);
    succeed(dir.path(), &TRAIN);
    let expected = outcome(&exp);

    fs::remove_dir_all(&exp).unwrap();
    let recording = dir.path().join("audio/train-s3-3.wav");
    let whole = fs::read(&recording).unwrap();
    let log = exp.join("log.jsonl");
    let reached = || fs::read_to_string(&log).is_ok_and(|log| log.contains(r#""step":8,"#));
    let ended = Running::start(dir.path(), &TRAIN).end(|| {
        let due = reached();
        if due {
            put(&recording, &whole[..whole.len() / 2]);
        }
        due
    });
    assert_eq!(ended.code(), Some(1));
    let saved = newest_step(&exp).unwrap();
    assert!((8..60).contains(&saved), "{saved}");
    put(&recording, &whole);
    succeed(dir.path(), &RESUME);
    assert_same(&outcome(&exp), &expected);
}

#[test]
fn alignments_follow_the_speed() {
    let dir = workplace();
    let frames =
        |utterance: usize| 1 + ((0.4 + 0.05 * utterance as f64) * 8000.0 - 200.0) as usize / 80;
    for (set, utterances) in [("train", 4), ("valid", 2)] {
        let target = dir.path().join(set).join("ali").display().to_string();
        let target = format!("ark,scp:{target}.ark,{target}.scp");
        let mut alignments = TableWriter::<Vec<i32>>::create(&target).unwrap();
        for (speaker, utterance) in (0..4).flat_map(|s| (0..utterances).map(move |u| (s, u))) {
            let classes = (0..frames(utterance)).map(|frame| frame as i32 / 8 % 3);
            let key = format!("s{speaker}-{utterance}");
            alignments.write(&key, &classes.collect()).unwrap();
        }
        alignments.finish().unwrap();
    }
    let data = format!("{AUDIO}crop_frames = 20\nspeeds = [0.8, 1.2]\n");
    configure(dir.path(), &data, "");
    let aligned = ["--set", "data.labels=\"alignment\"", "--steps", "6"];
    succeed(dir.path(), &[&TRAIN[..], &aligned].concat());
}

#[test]
fn what_cannot_be_trained_on_is_named() {
    let whole = format!("{AUDIO}crop_frames = 20\n");
    let silent = |dir: &Path| {
        let waveform = Waveform {
            samples: vec![0.0; 4000],
            sample_rate_hz: RATE,
        };
        write_wav(dir.join("audio/train-s2-1.wav"), &waveform).unwrap();
    };
    let noisy = "[data.augment]\nnoise_folder = \"noise\"\nnoise = {}\n";
    let nothing = |_: &Path| {};
    type Damage<'a> = &'a dyn Fn(&Path);
    let cases: [(&str, &str, Damage, &str); 22] = [
        (
            "input = \"audio\"\n",
            "",
            &nothing,
            "data.front_end: expected a front-end beside data.input = \"audio\", found none",
        ),
        (
            "speeds = [0.9]\n",
            "",
            &nothing,
            "data.speeds: expected no value unless data.input = \"audio\", found one",
        ),
        (
            &format!("{AUDIO}train_feats = \"a.scp\"\n"),
            "",
            &nothing,
            "data.train_feats: expected no value unless data.input = \"features\", found one",
        ),
        (
            &format!("{AUDIO}speeds = [1.1, 1.1]\n"),
            "",
            &nothing,
            "data.speeds: expected factors that differ by 0.001 or more, found 1.1 and 1.1",
        ),
        (
            &format!("{AUDIO}speeds = [9.0]\n"),
            "",
            &nothing,
            "data.speeds: expected 0.25 to 4, found 9",
        ),
        (
            &whole,
            "[data.augment]\nnoise = {}\n",
            &nothing,
            "data.augment.noise_folder: expected a folder for the table [noise], found none",
        ),
        (
            &whole,
            "[data.augment]\nseed = 3\n",
            &nothing,
            "data.augment.augmentation: expected a table",
        ),
        (
            &whole,
            "[data.augment]\nnoise_folder = \"empty\"\nnoise = {}\n",
            &|dir| fs::create_dir(dir.join("empty")).unwrap(),
            "empty: expected audio files, or a wav.scp that lists some, found none",
        ),
        (
            &format!("{whole}speeds = [1.0, 0.9]\n"),
            "",
            &|dir| {
                let speakers = fs::read_to_string(dir.join("train/utt2spk")).unwrap();
                put(
                    &dir.join("train/utt2spk"),
                    speakers.replace(" s3", " sp0.9-s0"),
                );
            },
            "data.speeds: expected names of speakers that no other speaker has at another speed, found 'sp0.9-s0' twice",
        ),
        (
            &whole,
            noisy,
            &|dir| {
                let waveform = Waveform {
                    samples: vec![0.0; 4000],
                    sample_rate_hz: RATE,
                };
                write_wav(dir.join("noise/hum.wav"), &waveform).unwrap();
            },
            ": noise 'hum': expected samples that are not all zero, found silence",
        ),
        (
            &whole,
            noisy,
            &|dir| put(&dir.join("noise/text.wav"), "no audio"),
            "noise/text.wav: expected audio, as its name says, found none",
        ),
        (
            &whole,
            "",
            &|dir| put(&dir.join("train/utt2dur"), "s0-0 0.4\ns0-1 x\n"),
            "train/utt2dur:2: expected seconds above 0, found 'x'",
        ),
        (
            &whole,
            "[data.augment_feats]\nvtlp = {}\n",
            &|dir| {
                let options = FRONT_END.replace("fbank", "mfcc").replace("20", "23");
                put(&dir.join("fbank.toml"), options);
            },
            "data.augment_feats.vtlp: expected no table unless data.feature_type = \"filter_bank\", whose mel axis it warps, found cepstrum",
        ),
        (
            &whole,
            "",
            &|dir| fs::remove_file(dir.join("train/wav.scp")).unwrap(),
            "train/wav.scp: No such file",
        ),
        (
            &whole,
            "",
            &|dir| fs::remove_file(dir.join("audio/train-s1-2.wav")).unwrap(),
            "audio/train-s1-2.wav: No such file",
        ),
        (
            &whole,
            "",
            &|dir| {
                put(&dir.join("train/utt2dur"), "s1-2 0.5\n");
                fs::remove_file(dir.join("audio/train-s1-2.wav")).unwrap();
            },
            "audio/train-s1-2.wav: No such file",
        ),
        (
            &whole,
            "",
            &|dir| put(&dir.join("train/wav.scp"), "s0-0 audio/train-s0-0.wav\n"),
            "train/wav.scp: s0-1: expected its recording, found none",
        ),
        (
            &whole,
            "",
            &|dir| wav(&dir.join("audio/train-s2-1.wav"), 0.5, 100.0, 16000),
            "train/wav.scp: s2-1: expected 8000 Hz, the front-end's rate (or data.resample = true), found 16000 Hz",
        ),
        (
            &whole,
            "",
            &|dir| wav(&dir.join("audio/train-s2-1.wav"), 0.01, 100.0, RATE),
            "train/wav.scp: s2-1: audio: expected audio of one frame, 200 samples or more, found 80 samples",
        ),
        (
            &whole,
            noisy,
            &silent,
            "train/wav.scp: s2-1: speech to add noise to: expected samples that are not all zero, found silence",
        ),
        (
            &whole,
            "",
            &|dir| {
                let path = dir.join("audio/train-s2-1.wav");
                let bytes = fs::read(&path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            },
            "audio/train-s2-1.wav: expected",
        ),
        (
            &whole,
            "",
            &|dir| {
                let list = fs::read_to_string(dir.join("train/wav.scp")).unwrap();
                let piped = list.replace("audio/train-s2-1.wav", "cat audio/train-s2-1.wav |");
                put(&dir.join("train/wav.scp"), piped);
            },
            "cat audio/train-s2-1.wav |: expected a file",
        ),
    ];
    for (data, more, damage, expected) in cases {
        let dir = workplace();
        configure(dir.path(), data, more);
        damage(dir.path());
        let error = fail(dir.path(), &TRAIN, b"");
        assert!(error.contains(expected), "{expected}\n{error}");
    }
    let dir = workplace();
    configure(dir.path(), &format!("{whole}resample = true\n"), "");
    wav(&dir.path().join("audio/train-s2-1.wav"), 0.5, 100.0, 16000);
    succeed(dir.path(), &[&TRAIN[..], &["--steps", "2"]].concat());
}

#[test]
fn a_run_goes_on_with_its_own_data_and_front_end_alone() {
    let dir = workplace();
    let exp = dir.path().join("exp");
    configure(dir.path(), &format!("{AUDIO}crop_frames = 20\n"), "");
    let few = ["--steps", "6"];
    succeed(dir.path(), &[&TRAIN[..], &few].concat());
    let files = ["conf.toml", "inventory.json", "front_end.toml"];
    let before = files.map(|name| fs::read(exp.join(name)).unwrap());
    let speakers = fs::read_to_string(dir.path().join("train/utt2spk")).unwrap();
    let texts = fs::read_to_string(dir.path().join("train/text")).unwrap();
    let without = |text: &str, start: &str| -> String {
        let kept = text.lines().filter(|line| !line.starts_with(start));
        kept.map(|line| format!("{line}\n")).collect()
    };
    type Change<'a> = &'a dyn Fn();
    let at = |name: &str| dir.path().join(name);
    let cases: [(Change, &str); 5] = [
        (
            &|| put(&at("fbank.toml"), format!("{FRONT_END}low_freq = 50\n")),
            "fbank.toml: low_freq: expected 20.0, as the checkpoint was trained, found 50.0",
        ),
        (
            &|| put(&at("train/utt2spk"), without(&speakers, "s2")),
            "train: speakers: expected 's2', as the checkpoint was trained, found none",
        ),
        (
            &|| put(&at("train/utt2spk"), speakers.replace(" s2", " s9")),
            "train: speakers: expected 's2', as the checkpoint was trained, found none",
        ),
        (
            &|| put(&at("train/utt2spk"), without(&speakers, "s2-1")),
            "train: utterances: expected 16, as the checkpoint was trained, found 15",
        ),
        (
            &|| wav(&at("audio/train-s2-1.wav"), 0.7, 333.0, RATE),
            "train: features: expected those of the statistics, as the checkpoint was trained, found others",
        ),
    ];
    for (change, expected) in cases {
        put(&at("fbank.toml"), FRONT_END);
        put(&at("train/utt2spk"), &speakers);
        put(&at("train/text"), &texts);
        change();
        let output = unbraid(dir.path(), &RESUME);
        assert_eq!(output.status.code(), Some(1), "{expected}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(expected), "{expected}\n{error}");
        let after = files.map(|name| fs::read(exp.join(name)).unwrap());
        assert!(before == after, "{expected}");
    }
}
