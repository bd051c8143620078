//! `unbraid data augment` and `augment-feats` as a user runs them, on bundled speech, with made and with real noises.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use unbraid::dataset::validate::{ValidateOptions, validate};
use unbraid::io::audio::{AudioOptions, Waveform, read_audio, write_wav};
use unbraid::io::kaldi::{ScpTable, TableWriter};
use unbraid::signal::augment::power;

use crate::support::{fail, names, put, references, root, succeed, unbraid};

/// A data directory `d` of three bundled utterances, and a configuration.
fn folder(conf: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut wavs, mut speakers, mut texts) = (String::new(), String::new(), String::new());
    for key in ["f01-s01", "f01-s02", "m01-s03"] {
        let audio = root().join(format!("data/mini/audio/{key}.flac"));
        wavs += &format!("{key} {}\n", audio.display());
        speakers += &format!("{key} {}\n", &key[..3]);
        texts += &format!("{key} words of {key}\n");
    }
    put(&dir.path().join("d/wav.scp"), wavs);
    put(&dir.path().join("d/utt2spk"), speakers);
    put(
        &dir.path().join("d/spk2utt"),
        "f01 f01-s01 f01-s02\nm01 m01-s03\n",
    );
    put(&dir.path().join("d/text"), texts);
    put(&dir.path().join("aug.toml"), conf);
    dir
}

fn samples(path: PathBuf) -> Vec<f32> {
    read_audio(path, &AudioOptions::default()).unwrap().samples
}

fn valid(target: &Path) {
    let options = ValidateOptions {
        no_feats: true,
        ..ValidateOptions::default()
    };
    let problems = validate(target, options).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn a_seed_gives_the_same_folder_on_any_number_of_threads() {
    let dir = folder("seed = 3\n[speed]\n[codec]\nmu_law = true\n[volume]\n");
    for (target, threads, seed) in [("one", "1", "3"), ("two", "2", "3"), ("three", "2", "4")] {
        let target = format!("out/{target}");
        let args = [
            "augment",
            "--conf",
            "aug.toml",
            "--copies",
            "2",
            "--threads",
            threads,
            "--seed",
            seed,
            "d",
            &target,
        ];
        succeed(dir.path(), &args);
        valid(&dir.path().join("out/one"));
    }
    let wavs = |target: &str| -> Vec<Vec<u8>> {
        let folder = dir.path().join("out").join(target).join("wav");
        let files = names(&folder)
            .into_iter()
            .map(|name| std::fs::read(folder.join(name)).unwrap());
        files.collect()
    };
    assert_eq!(
        names(&dir.path().join("out/one/wav"))[0],
        "aug1-f01-s01.wav"
    );
    assert_eq!(wavs("one").len(), 6);
    assert!(wavs("one") == wavs("two"));
    assert!(wavs("one") != wavs("three"));
    let text = std::fs::read_to_string(dir.path().join("out/one/text")).unwrap();
    assert!(
        text.starts_with("aug1-f01-s01 words of f01-s01\n"),
        "{text}"
    );
    // What was made is read as any data directory is, by the path that was given.
    put(&dir.path().join("fbank.toml"), "dither = 0.0\n");
    succeed(
        dir.path(),
        &[
            "fbank",
            "--conf",
            "fbank.toml",
            "scp:out/one/wav.scp",
            "ark,scp:f.ark,f.scp",
        ],
    );
    let feats = ScpTable::<Array2<f32>>::open(dir.path().join("f.scp")).unwrap();
    assert_eq!(feats.keys().len(), 6);
}

#[test]
fn bad_input_is_one_line_and_leaves_nothing() {
    let noisy = "[noise]\n";
    for (conf, more, line) in [
        (
            "",
            &[][..],
            "unbraid: aug.toml: augmentation: expected a table: speed, voice, reverb, noise, equaliser, codec or volume, found none",
        ),
        (
            "[sped]\n",
            &[],
            "unbraid: aug.toml:1: expected known keys with values of their types, found sped: unknown field `sped`",
        ),
        (
            "[noise]\nsnrs_db = []\n",
            &["--noise", "d"],
            "unbraid: aug.toml: noise.snrs_db: expected at least one number, found an empty list",
        ),
        (
            noisy,
            &[],
            "unbraid: aug.toml: noise_folder: expected a folder for the table [noise], found none",
        ),
        (
            noisy,
            &["--noise", "empty"],
            "unbraid: aug.toml: empty: expected audio files, or a wav.scp that lists some, found none",
        ),
        (
            noisy,
            &["--noise", "none"],
            "unbraid: aug.toml: none: No such file or directory",
        ),
        (
            "[volume]\n",
            &["--rirs", "d"],
            "unbraid: aug.toml: rir_folder: expected a table [reverb] beside it, found none",
        ),
        (
            "[speed]\nfactors = [0.0]\n",
            &[],
            "unbraid: aug.toml: speed.factors: expected a number from 0.25 to 4, found 0",
        ),
    ] {
        let dir = folder(conf);
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        let args = [&["augment", "--conf", "aug.toml", "d", "t"], more].concat();
        let error = fail(dir.path(), &args, b"");
        assert!(error.starts_with(line), "{error}");
        assert_eq!(names(dir.path()), ["aug.toml", "d", "empty"]);
    }
    let dir = folder("[volume]\n");
    let error = fail(
        dir.path(),
        &["augment", "--conf", "aug.toml", "d", "d"],
        b"",
    );
    assert_eq!(
        error,
        "unbraid: d: expected a folder that is not there yet, found one"
    );
}

#[test]
fn silent_utterances_are_reported_and_the_others_augmented() {
    let dir = folder("[noise]\n");
    let noise = Waveform {
        samples: (0..8000).map(|i| (i % 37) as f32 / 74.0 - 0.25).collect(),
        sample_rate_hz: 8000,
    };
    std::fs::create_dir(dir.path().join("noise")).unwrap();
    write_wav(dir.path().join("noise/n.wav"), &noise).unwrap();
    let silent = Waveform {
        samples: vec![0.0; 100],
        sample_rate_hz: 16000,
    };
    write_wav(dir.path().join("silent.wav"), &silent).unwrap();
    let list = dir.path().join("d/wav.scp");
    let lines = std::fs::read_to_string(&list).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    put(
        &list,
        format!("{}\nf01-s02 silent.wav\n{}\n", lines[0], lines[2]),
    );
    let output = unbraid(
        dir.path(),
        &[
            "augment", "--conf", "aug.toml", "--noise", "noise", "d", "t",
        ],
    );
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        error,
        "unbraid: f01-s02: speech to add noise to: expected samples that are not all zero, found silence\n\
         unbraid: 1 of 3 utterances failed: f01-s02\n"
    );
    assert_eq!(output.status.code(), Some(1));
    valid(&dir.path().join("t"));
    assert_eq!(
        names(&dir.path().join("t/wav")),
        ["aug1-f01-s01.wav", "aug1-m01-s03.wav"]
    );
}

#[test]
fn features_are_masked() {
    let dir = folder(
        "seed = 1\n[vtlp]\n[spec_augment]\nfreq_masks = 1\nfreq_width = 4\nfill = \"zero\"\n",
    );
    let at = |name: &str| dir.path().join(name).display().to_string();
    let mut writer =
        TableWriter::create(&format!("ark,scp:{},{}", at("f.ark"), at("f.scp"))).unwrap();
    for key in ["a", "b"] {
        writer.write(key, &Array2::<f32>::ones((200, 23))).unwrap();
    }
    writer.finish().unwrap();
    let out = |name: &str| format!("ark:{name}");
    for name in ["x", "y"] {
        succeed(
            dir.path(),
            &[
                "augment-feats",
                "--conf",
                "aug.toml",
                "scp:f.scp",
                &out(name),
            ],
        );
    }
    let bytes = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(bytes("x") == bytes("y") && bytes("x") != bytes("f.ark"));
    put(&dir.path().join("none.toml"), "seed = 1\n");
    let error = fail(
        dir.path(),
        &["augment-feats", "--conf", "none.toml", "scp:f.scp", "ark:z"],
        b"",
    );
    assert_eq!(
        error,
        "unbraid: none.toml: augmentation: expected a table: vtlp or spec_augment, found none"
    );
}

/// Cells and street noise that were really recorded.
#[test]
#[ignore = "needs UNBRAID_CORPORA"]
fn with_corpora_real_noises_and_impulse_responses() {
    let corpora = references::corpora();
    let dir = folder("[reverb]\nprobability = 0.5\n[noise]\nsnrs_db = [10]\n");
    let noise = corpora.join("noise/audio").display().to_string();
    let rirs = corpora.join("noise/rirs");
    // Its list names files beside itself.
    let list = std::fs::read_to_string(rirs.join("wav.scp")).unwrap();
    let lines = list.lines().map(|line| {
        let (key, file) = line.split_once(char::is_whitespace).unwrap();
        let file = Path::new(file.trim()).file_name().unwrap();
        format!("{key} {}\n", rirs.join(file).display())
    });
    put(&dir.path().join("rirs/wav.scp"), lines.collect::<String>());
    let args = [
        "augment",
        "--conf",
        "aug.toml",
        "--copies",
        "8",
        "--keep-speakers",
        "--noise",
        &noise,
        "--rirs",
        "rirs",
        "d",
        "t",
    ];
    succeed(dir.path(), &args);
    valid(&dir.path().join("t"));
    let drawn = std::fs::read_to_string(dir.path().join("t/utt2aug")).unwrap();
    let (mut noises, mut dry) = (std::collections::HashSet::new(), 0);
    for line in drawn.lines() {
        noises.insert(
            line.split_once("noise=")
                .unwrap()
                .1
                .split(' ')
                .next()
                .unwrap(),
        );
        if line.contains("rir=") {
            continue;
        }
        dry += 1;
        let id = line.split(' ').next().unwrap();
        let clean = samples(root().join(format!("data/mini/audio/{}.flac", &id[..7])));
        let noisy = samples(dir.path().join(format!("t/wav/{id}.wav")));
        let added: Vec<f32> = noisy.iter().zip(&clean).map(|(a, b)| a - b).collect();
        let found = 10.0 * (power(&clean) / power(&added)).log10();
        // Loud peaks are the exception: the whole is made softer for them, and the difference is not the noise.
        let peak = noisy.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
        assert!(
            (found - 10.0).abs() < 0.05 || peak > 0.999,
            "{line}: {found} dB"
        );
    }
    assert!(noises.len() > 10 && dry > 3, "{drawn}");
}
