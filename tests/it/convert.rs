//! `convert` and `griffin-lim` as a user runs them, on bundled speech.

use std::path::Path;

use unbraid::io::audio::{AudioOptions, Waveform, read_audio, write_wav};
use unbraid::signal::resample::resample;
use unbraid::signal::{FbankOptions, FrontEnd, FrontEndOptions};

use crate::support::speech::{self, CONF, FBANK};
use crate::support::{fail, put, succeed, unbraid};

fn workplace() -> tempfile::TempDir {
    speech::workplace(FBANK, CONF)
}

fn audio_of(dir: &Path) -> Vec<String> {
    let list = std::fs::read_to_string(dir.join("data/wav.scp")).unwrap();
    list.lines()
        .map(|line| line.split_once(' ').unwrap().1.to_string())
        .collect()
}

#[test]
fn converted_speech_has_the_length_of_the_source() {
    let dir = workplace();
    let audio = audio_of(dir.path());
    let args = |more: &[&'static str]| {
        let mut args = vec!["convert", "--exp=exp", "--iterations=2"];
        args.extend(more);
        args
    };
    let both = args(&["--out=lent.wav", "--feats=ark,scp:lent.ark,lent.scp"]);
    let both = [&both[..], &[&audio[0], &audio[3]]].concat();
    succeed(dir.path(), &both);
    let samples = |path: &Path| {
        let waveform = read_audio(path, &AudioOptions::default()).unwrap();
        waveform.samples
    };
    let own = samples(Path::new(&audio[0]));
    let lent = samples(&dir.path().join("lent.wav"));
    assert_eq!(lent.len(), own.len());
    let power = |samples: &[f32]| samples.iter().map(|x| x * x).sum::<f32>();
    let louder = power(&lent) / power(&own);
    assert!((louder - 1.0).abs() < 0.01, "{louder}");
    assert_eq!(
        std::fs::read_to_string(dir.path().join("lent.scp"))
            .unwrap()
            .lines()
            .count(),
        1
    );

    let slow = dir.path().join("slow.wav");
    let waveform = read_audio(&audio[3], &AudioOptions::default()).unwrap();
    let samples = resample(&waveform.samples, 16000, 8000)
        .unwrap()
        .into_owned();
    write_wav(
        &slow,
        &Waveform {
            samples,
            sample_rate_hz: 8000,
        },
    )
    .unwrap();
    let args_of_slow = [
        &args(&["--out=y.wav", "--threads=1"])[..],
        &[&audio[0], "slow.wav"],
    ]
    .concat();
    let output = unbraid(dir.path(), &args_of_slow);
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "unbraid: 1 recording of 8000 Hz resampled to the model's 16000 Hz\n"
    );
    let other = [&args(&["--out=x.mp3"])[..], &[&audio[0], &audio[3]]].concat();
    let error = fail(dir.path(), &other, b"");
    assert!(
        error.ends_with("--out: expected a name that ends in .wav, found x.mp3"),
        "{error}"
    );
    put(&dir.path().join("text.wav"), "no audio");
    let broken = [&args(&["--out=x.wav"])[..], &["text.wav", &audio[0]]].concat();
    assert!(fail(dir.path(), &broken, b"").starts_with("unbraid: text.wav: "));
    let steps = [
        &args(&["--out=x.wav", "--momentum=2"])[..],
        &[&audio[0], &audio[1]],
    ]
    .concat();
    assert!(fail(dir.path(), &steps, b"").contains("momentum: expected"));
    assert!(!dir.path().join("x.wav").exists());
    std::fs::remove_file(dir.path().join("exp/front_end.toml")).unwrap();
    let error = fail(dir.path(), &both, b"");
    assert!(error.contains("exp/front_end.toml"), "{error}");
}

/// The features of what comes back are near those that went in.
#[test]
fn features_become_recordings_with_these_features() {
    let dir = workplace();
    let args = [
        "griffin-lim",
        "--conf=fbank.toml",
        "--iterations=40",
        "scp:data/feats.scp",
        "wavs",
    ];
    succeed(dir.path(), &args);
    let list = std::fs::read_to_string(dir.path().join("wavs/wav.scp")).unwrap();
    assert_eq!(list.lines().count(), 4);
    let options = FbankOptions {
        num_mel_bins: 40,
        dither: 0.0,
        ..FbankOptions::default()
    };
    let front_end = FrontEnd::new(FrontEndOptions::from(options)).unwrap();
    let of = |path: &Path| {
        let Waveform { samples, .. } = read_audio(path, &AudioOptions::default()).unwrap();
        front_end
            .compute(&samples)
            .unwrap()
            .mapv(|x| (0.5 * f64::from(x)).exp())
    };
    let first = list.lines().next().unwrap().split_once(' ').unwrap().1;
    let (real, made) = (
        of(Path::new(&audio_of(dir.path())[0])),
        of(&dir.path().join(first)),
    );
    let error = (&made - &real).mapv(f64::abs).sum() / real.sum();
    assert!(error < 0.25, "{error}");

    put(&dir.path().join("mfcc.toml"), "kind = 'mfcc'\n");
    let error = fail(
        dir.path(),
        &["griffin-lim", "--conf=mfcc.toml", "scp:data/feats.scp", "w"],
        b"",
    );
    assert!(
        error.contains("mfcc, which has a cosine transform"),
        "{error}"
    );
    put(
        &dir.path().join("other.toml"),
        "kind = 'fbank'\nnum_mel_bins = 23\n",
    );
    let error = fail(
        dir.path(),
        &[
            "griffin-lim",
            "--conf=other.toml",
            "scp:data/feats.scp",
            "w",
        ],
        b"",
    );
    assert!(
        error.contains("23 columns, found") && error.contains("scp:data/feats.scp: "),
        "{error}"
    );
}
