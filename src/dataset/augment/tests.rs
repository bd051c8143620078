//! Data directories of augmented copies, from synthetic speech, noises and a room.

use std::path::{Path, PathBuf};

use super::*;
use crate::dataset::RecordingOptions;
use crate::dataset::validate::{ValidateOptions, validate};
use crate::io::audio::{AudioOptions, read_audio, write_wav};
use crate::signal::augment::power;

fn noise(length: usize, step: usize) -> Vec<f32> {
    (0..length)
        .map(|i| ((i * i * step + i * 17) % 1009) as f32 / 2018.0 - 0.25)
        .collect()
}

fn put_wav(path: &Path, samples: Vec<f32>, sample_rate_hz: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_wav(
        path,
        &Waveform {
            samples,
            sample_rate_hz,
        },
    )
    .unwrap();
}

/// A data directory `d` with or without segments, a folder of noises, one of impulse responses.
fn made(segments: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (name, step) in [("b-1", 3), ("a-2", 5), ("a-1", 7)] {
        put_wav(&at(&format!("audio/{name}.wav")), noise(8000, step), 8000);
    }
    put_wav(&at("noise/rain 1.wav"), noise(3000, 11), 16000);
    put_wav(&at("noise/deep/wind.wav"), noise(40_000, 13), 8000);
    std::fs::write(at("noise/README"), "no audio").unwrap();
    let rir = (0..800)
        .map(|i| (-f64::from(i) / 100.0).exp() as f32 * noise(800, 3)[i as usize])
        .collect();
    put_wav(&at("rirs/hall.wav"), rir, 8000);
    let audio = at("audio").display().to_string();
    let put = |name: &str, text: &str| {
        std::fs::create_dir_all(at("d")).unwrap();
        std::fs::write(at("d").join(name), text.replace('@', &audio)).unwrap();
    };
    put("utt2spk", "a-1 a\na-2 a\nb-1 b\n");
    put("spk2utt", "a a-1 a-2\nb b-1\n");
    put("text", "a-1 one  two\na-2 three\nb-1 four\n");
    put("spk2gender", "a f\nb m\n");
    put("utt2dur", "a-1 1\na-2 1\nb-1 1\n");
    put("utt2num_frames", "a-1 98\na-2 98\nb-1 98\n");
    put("feats.scp", "a-1 x:1\na-2 x:2\nb-1 x:3\n");
    if segments {
        put("wav.scp", "r1 @/a-1.wav\nr2 @/a-2.wav\n");
        put("segments", "a-1 r1 0 0.5\na-2 r2 0.2 0.9\nb-1 r2 0.5 1\n");
        put("reco2dur", "r1 1\nr2 1\n");
    } else {
        put("wav.scp", "a-1 @/a-1.wav\na-2 @/a-2.wav\nb-1 @/b-1.wav\n");
    }
    dir
}

fn everything() -> AugmentOptions {
    AugmentOptions {
        seed: 4,
        speed: Some(SpeedOptions::default()),
        voice: Some(VoiceOptions::default()),
        reverb: Some(ReverbOptions { probability: 0.5 }),
        noise: Some(NoiseOptions::default()),
        equaliser: Some(EqualiserOptions::default()),
        codec: Some(CodecOptions {
            probability: 0.5,
            mu_law: true,
            ..CodecOptions::default()
        }),
        volume: Some(VolumeOptions::default()),
        ..AugmentOptions::default()
    }
}

fn chain(dir: &Path, options: AugmentOptions) -> Result<AugmentChain> {
    let folders = AugmentOptions {
        noise_folder: options.noise.is_some().then(|| dir.join("noise")),
        rir_folder: options.reverb.is_some().then(|| dir.join("rirs")),
        ..options
    };
    AugmentChain::new(folders, Pipes::Refused)
}

fn run(
    dir: &Path,
    target: &str,
    options: AugmentOptions,
    copies: usize,
    keep: bool,
) -> Result<(Augmented, Vec<String>)> {
    let mut errors = Vec::new();
    let job = AugmentJob {
        source: &dir.join("d"),
        target: &dir.join(target),
        chain: &chain(dir, options)?,
        copies,
        prefix: "aug",
        keep_speakers: keep,
        recordings: RecordingOptions::default(),
    };
    let made = augment(&job, |utterance, error| {
        errors.extend(error.map(|error| format!("{utterance}: {error}")));
    })?;
    Ok((made, errors))
}

fn text(path: PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_directory_is_valid_and_has_its_tables() {
    for (segments, keep) in [(false, false), (false, true), (true, false), (true, true)] {
        let dir = made(segments);
        let (made, errors) = run(dir.path(), "t", everything(), 2, keep).unwrap();
        assert_eq!((made.written, made.utterances, errors.len()), (6, 3, 0));
        let target = dir.path().join("t");
        let options = ValidateOptions {
            no_feats: true,
            ..ValidateOptions::default()
        };
        let problems = validate(&target, options).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        let (first, speaker) = if keep {
            ("a-1-aug1", "a")
        } else {
            ("aug1-a-1", "aug1-a")
        };
        assert!(text(target.join("text")).starts_with(&format!("{first} one  two\n")));
        assert!(text(target.join("utt2spk")).starts_with(&format!("{first} {speaker}\n")));
        assert!(text(target.join("spk2gender")).starts_with(&format!("{speaker} f\n")));
        let mut left_out = vec!["feats.scp", "utt2num_frames"];
        if segments {
            left_out.splice(1..1, ["reco2dur", "segments"]);
        }
        assert_eq!(made.left_out, left_out);
        let durations = text(target.join("utt2dur"));
        let wav = read_audio(
            target.join(format!("wav/{first}.wav")),
            &AudioOptions::default(),
        )
        .unwrap();
        assert!(durations.starts_with(&format!("{first} {:.4}\n", wav.duration_s())));
        assert!(
            text(target.join("utt2aug"))
                .lines()
                .all(|line| line.contains(" speed="))
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_threads() {
    let dir = made(false);
    let bytes_of = |target: &str| {
        let folder = dir.path().join(target).join("wav");
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        names
            .iter()
            .map(|name| std::fs::read(name).unwrap())
            .collect::<Vec<_>>()
    };
    for (target, threads, seed) in [("one", 1, 4), ("four", 4, 4), ("other", 1, 5)] {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let options = AugmentOptions {
            seed,
            ..everything()
        };
        threads
            .install(|| run(dir.path(), target, options, 3, false))
            .unwrap();
    }
    assert!(bytes_of("one") == bytes_of("four"));
    assert!(bytes_of("one") != bytes_of("other"));
    assert_eq!(
        text(dir.path().join("one/utt2aug")),
        text(dir.path().join("four/utt2aug"))
    );
}

#[test]
fn noise_has_the_ratio_that_utt2aug_tells() {
    let dir = made(false);
    let options = AugmentOptions {
        noise: Some(NoiseOptions::default()),
        ..AugmentOptions::default()
    };
    run(dir.path(), "t", options, 1, true).unwrap();
    for line in text(dir.path().join("t/utt2aug")).lines() {
        let id = line.split(' ').next().unwrap();
        let snr: f64 = line.rsplit_once("snr=").unwrap().1.parse().unwrap();
        let read = |path: String| {
            read_audio(dir.path().join(path), &AudioOptions::default())
                .unwrap()
                .samples
        };
        let noisy = read(format!("t/wav/{id}.wav"));
        let clean = read(format!("audio/{}.wav", id.strip_suffix("-aug1").unwrap()));
        let added: Vec<f32> = noisy.iter().zip(&clean).map(|(a, b)| a - b).collect();
        let found = 10.0 * (power(&clean) / power(&added)).log10();
        assert!((found - snr).abs() < 0.05, "{line}: {found}");
    }
}

#[test]
fn failures_are_reported_and_the_rest_is_written() {
    let dir = made(false);
    std::fs::write(dir.path().join("audio/a-2.wav"), b"RIFF").unwrap();
    let (made, errors) = run(dir.path(), "t", everything(), 1, false).unwrap();
    assert_eq!((made.written, made.utterances, errors.len()), (2, 3, 1));
    assert!(errors[0].starts_with("a-2: "), "{errors:?}");
    let options = ValidateOptions {
        no_feats: true,
        ..ValidateOptions::default()
    };
    assert!(validate(dir.path().join("t"), options).unwrap().is_empty());
    for name in ["a-1", "b-1"] {
        std::fs::write(dir.path().join(format!("audio/{name}.wav")), b"").unwrap();
    }
    let error = run(dir.path(), "u", everything(), 1, false)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("d: expected an utterance that can be augmented, found none of 3"),
        "{error}"
    );
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| name != "u" && !name.to_string_lossy().starts_with(".unbraid"))
    );
}

/// A truncated recording is found only after its segments, whose copies are written by then.
#[test]
fn a_late_failure_leaves_no_wav() {
    let dir = made(true);
    let cut = dir.path().join("audio/a-2.wav");
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    let (made, errors) = run(dir.path(), "t", everything(), 2, false).unwrap();
    assert_eq!((made.written, errors.len()), (2, 2));
    assert!(errors[0].ends_with("the file is cut short"), "{errors:?}");
    assert_eq!(
        std::fs::read_dir(dir.path().join("t/wav")).unwrap().count(),
        2
    );
}

#[test]
fn invalid_options_are_refused() {
    let dir = made(false);
    std::fs::create_dir(dir.path().join("t")).unwrap();
    let error = run(dir.path(), "t", everything(), 1, false)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("t: expected a folder that is not there yet, found one"),
        "{error}"
    );
    let refused = |options: AugmentOptions, noise: Option<&str>| {
        let options = AugmentOptions {
            noise_folder: noise.map(|name| dir.path().join(name)),
            ..options
        };
        let chain = AugmentChain::new(options, Pipes::Refused);
        chain.err().unwrap().to_string()
    };
    let noisy = AugmentOptions {
        noise: Some(NoiseOptions::default()),
        ..AugmentOptions::default()
    };
    assert!(refused(AugmentOptions::default(), None).starts_with("augmentation: expected a table"));
    assert!(refused(noisy.clone(), None).starts_with("noise_folder: expected a folder"));
    assert!(
        refused(noisy.clone(), Some("t"))
            .ends_with("t: expected audio files, or a wav.scp that lists some, found none")
    );
    assert!(refused(noisy.clone(), Some("none")).contains("No such file"));
    let fast = AugmentOptions {
        speed: Some(SpeedOptions { factors: vec![9.0] }),
        ..AugmentOptions::default()
    };
    assert!(
        refused(fast.clone(), None).starts_with("speed.factors: expected a number from 0.25 to 4")
    );
    let quick = AugmentOptions {
        speed: Some(SpeedOptions::default()),
        ..AugmentOptions::default()
    };
    assert!(refused(quick, Some("noise")).starts_with("noise_folder: expected a table [noise]"));
}
