//! `convert` and `feats waveform` as a user runs them, on bundled speech.

use std::path::Path;

use tch::{CModule, Device, Kind, Tensor};
use unbraid::io::audio::{AudioOptions, Waveform, read_audio, write_wav};
use unbraid::signal::loudness::mean_power;
use unbraid::signal::pitch::{F0Contour, PitchComputer, PitchOptions};
use unbraid::signal::resample::resample;
use unbraid::signal::{FbankOptions, FrontEnd, FrontEndOptions};

use crate::support::speech::{self, CONF, FBANK};
use crate::support::{fail, put, root, succeed, unbraid};

fn workplace() -> tempfile::TempDir {
    speech::workplace(FBANK, CONF)
}

fn audio_of(dir: &Path) -> Vec<String> {
    let list = std::fs::read_to_string(dir.join("data/wav.scp")).unwrap();
    list.lines()
        .map(|line| line.split_once(' ').unwrap().1.to_string())
        .collect()
}

/// Two channels of 16 bits: the recording, and silence.
fn write_stereo(path: &Path, recording: &Waveform) {
    let interleaved = Waveform {
        samples: recording.samples.iter().flat_map(|&x| [x, 0.0]).collect(),
        ..*recording
    };
    write_wav(path, &interleaved).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let rate = recording.sample_rate_hz;
    for (at, field) in [(22, 2), (28, 4 * rate), (32, 4)] {
        let size = if at == 28 { 4 } else { 2 };
        bytes[at..at + size].copy_from_slice(&field.to_le_bytes()[..size]);
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn source_and_target_may_be_in_different_channels() {
    let dir = workplace();
    let audio = audio_of(dir.path());
    let target = read_audio(&audio[3], &AudioOptions::default()).unwrap();
    let stereo = dir.path().join("stereo.wav");
    write_stereo(&stereo, &target.rounded());
    let convert = |out: &str, more: &[&str]| {
        let args = [
            &["convert", "--exp=exp", "--iterations=2", "--out", out],
            more,
        ]
        .concat();
        succeed(dir.path(), &args);
        std::fs::read(dir.path().join(out)).unwrap()
    };
    let stereo = stereo.to_str().unwrap();
    let mono = convert("mono.wav", &[&audio[0], &audio[3]]);
    assert_eq!(
        convert("first.wav", &["--target-channel=0", &audio[0], stereo]),
        mono
    );
    let both = ["--channel=1", "--target-channel=0", stereo, stereo];
    assert_ne!(convert("silence.wav", &both), mono);
    let args = ["convert", "--exp=exp", "--out=x.wav", &audio[0], stereo];
    let error = fail(dir.path(), &args, b"");
    assert!(
        error.ends_with("stereo.wav: expected one channel, or the choice of one (--target-channel, from 0, or --target-channel mean), found 2 channels"),
        "{error}"
    );
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
    let args = [
        "griffin-lim",
        "--conf=other.toml",
        "scp:data/feats.scp",
        "w",
    ];
    let output = unbraid(dir.path(), &args);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    for expected in [
        "23 columns, found",
        "scp:data/feats.scp: ",
        "4 of 4 utterances failed",
    ] {
        assert!(error.contains(expected), "{error}");
    }
    assert!(!dir.path().join("w/wav.scp").exists());
}

/// F0 and voicing of a file at 16 kHz, by frames of 10 ms.
fn contour(path: &Path) -> F0Contour {
    let options = PitchOptions {
        snip_edges: false,
        ..PitchOptions::default()
    };
    let pitch = PitchComputer::new(&options).unwrap();
    F0Contour::new(pitch.compute(&samples(path)).unwrap().view()).unwrap()
}

fn samples(path: &Path) -> Vec<f32> {
    read_audio(path, &AudioOptions::default()).unwrap().samples
}

fn voiced_share(contour: &F0Contour) -> f64 {
    let voiced = contour.voiced().iter().filter(|&&voiced| voiced).count();
    voiced as f64 / contour.frames() as f64
}

/// Correlation of log F0 over frames that are voiced in both.
fn f0_correlation(a: &F0Contour, b: &F0Contour) -> f64 {
    let both = (0..a.frames()).filter(|&frame| a.voiced()[frame] && b.voiced()[frame]);
    let pairs: Vec<_> = both
        .map(|frame| (a.hz(frame).ln(), b.hz(frame).ln()))
        .collect();
    assert!(pairs.len() > 30, "{}", pairs.len());
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    let (x, y) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let product = |of: fn(f64, f64) -> f64| -> f64 {
        pairs.iter().map(|pair| of(pair.0 - x, pair.1 - y)).sum()
    };
    product(|x, y| x * y) / (product(|x, _| x * x) * product(|_, y| y * y)).sqrt()
}

fn decibels_apart(a: &[f32], b: &[f32]) -> f64 {
    10.0 * (mean_power(a) / mean_power(b)).log10()
}

/// With the shipped model: voicing and pitch movement of the source, mean pitch of the target, length and level.
#[test]
fn converted_recordings_are_voices() {
    let dir = tempfile::tempdir().unwrap();
    let audio = root().join("data/mini/audio");
    for (source, target) in [("f51-s01", "m51-s11"), ("m52-s16", "f52-s06")] {
        let [source, target] = [source, target].map(|name| audio.join(format!("{name}.flac")));
        let [from, to] = [&source, &target].map(|path| path.display().to_string());
        let args = [
            "convert",
            "--model=en-16k",
            "--device=cpu",
            &from,
            &to,
            "--out=made.wav",
        ];
        succeed(dir.path(), &args);
        let made = dir.path().join("made.wav");
        assert_eq!(samples(&made).len(), samples(&source).len());
        let level = decibels_apart(&samples(&made), &samples(&source));
        assert!(level.abs() < 0.1, "{level} dB");
        let [made, source, target] = [&made, &source, &target].map(|path| contour(path));
        let [found, own] = [&made, &source].map(voiced_share);
        assert!((found - own).abs() < 0.1, "{found} of {own}");
        let correlation = f0_correlation(&made, &source);
        assert!(correlation > 0.8, "{correlation}");
        let [found, wanted] = [&made, &target].map(|of| of.statistics().unwrap().mean);
        assert!((found - wanted).abs() < 0.1, "{found} {wanted}");
    }
}

/// Features and pitch of a recording become a voice of that pitch; pitch that does not fit is refused.
#[test]
fn features_with_pitch_become_voices() {
    let dir = workplace();
    let in_dir = |args: &[&str]| succeed(dir.path(), args);
    in_dir(&[
        "feats",
        "pitch",
        "scp:data/wav.scp",
        "ark,scp:pitch.ark,pitch.scp",
    ]);
    let waveform = |more: &[&'static str]| {
        let args = [
            "feats",
            "waveform",
            "--conf=fbank.toml",
            "scp:data/feats.scp",
            "wavs",
        ];
        [&args[..], more].concat()
    };
    in_dir(&waveform(&["--pitch=scp:pitch.scp"]));
    for (name, path) in speech::recordings(dir.path()) {
        let made = dir.path().join(format!("wavs/{name}.wav"));
        // Frames that lie inside leave out the end.
        let (made, source) = (contour(&made), contour(&path));
        let [found, own] = [&made, &source].map(voiced_share);
        assert!((found - own).abs() < 0.1, "{name}: {found} of {own}");
        let correlation = f0_correlation(&made, &source);
        assert!(correlation > 0.8, "{name}: {correlation}");
    }

    let scp = std::fs::read_to_string(dir.path().join("pitch.scp")).unwrap();
    let (first, others) = scp.split_once('\n').unwrap();
    let key = first.split(' ').next().unwrap();
    put(&dir.path().join("others.scp"), others);
    put(
        &dir.path().join("short.scp"),
        format!("{first}[0:9]\n{others}"),
    );
    in_dir(&[
        "feats",
        "pitch",
        "--post",
        "scp:data/wav.scp",
        "ark,scp:post.ark,post.scp",
    ]);
    std::fs::remove_dir_all(dir.path().join("wavs")).unwrap();
    // An utterance without fitting pitch is left out.
    for (pitch, made, expected) in [
        (
            "--pitch=scp:others.scp",
            Some(3),
            format!("scp:others.scp: {key}: expected pitch of this utterance, found none"),
        ),
        (
            "--pitch=scp:short.scp",
            Some(3),
            "(by their frame_shift and snip_edges), found 10".into(),
        ),
        (
            "--pitch=scp:post.scp",
            None,
            "('unbraid feats pitch' without --post), found 3 columns".into(),
        ),
    ] {
        let output = unbraid(dir.path(), &waveform(&[pitch]));
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(&expected), "{error}");
        let list = std::fs::read_to_string(dir.path().join("wavs/wav.scp")).ok();
        assert_eq!(list.map(|list| list.lines().count()), made);
        std::fs::remove_dir_all(dir.path().join("wavs")).unwrap();
    }
    let both = waveform(&["--pitch=scp:pitch.scp", "--iterations=3"]);
    let output = unbraid(dir.path(), &both);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("cannot be used with"), "{error}");
}

/// Recordings without voice, of one frame, and of half the rate; options that contradict each other.
#[test]
fn odd_recordings_are_converted_with_a_warning() {
    let dir = workplace();
    let audio = audio_of(dir.path());
    let speech = samples(Path::new(&audio[3]));
    let wav = |name: &str, samples: Vec<f32>, sample_rate_hz| {
        let waveform = Waveform {
            samples,
            sample_rate_hz,
        };
        write_wav(dir.path().join(name), &waveform).unwrap();
    };
    let mut state = 1u32;
    let noise = (0..16000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0 * 0.1 - 0.05
    });
    wav("noise.wav", noise.collect(), 16000);
    wav("frame.wav", speech[16000..16400].to_vec(), 16000);
    wav("short.wav", speech[..399].to_vec(), 16000);
    let slow = resample(&speech, 16000, 8000).unwrap().into_owned();
    wav("slow.wav", slow.clone(), 8000);
    let convert = |source: &str, target: &str| {
        let output = unbraid(
            dir.path(),
            &[
                "convert",
                "--exp=exp",
                "--threads=1",
                "--out=made.wav",
                source,
                target,
            ],
        );
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(message.lines().count(), 1, "{message}");
        (output.status.success(), message)
    };
    let (ok, message) = convert("noise.wav", &audio[0]);
    assert!(
        ok && message.contains("SOURCE has no voiced frame"),
        "{message}"
    );
    let made = samples(&dir.path().join("made.wav"));
    assert_eq!(made.len(), 16000);
    let level = decibels_apart(&made, &samples(&dir.path().join("noise.wav")));
    assert!(level.abs() < 0.1, "{level} dB");
    let (ok, message) = convert(&audio[0], "noise.wav");
    assert!(
        ok && message.contains("TARGET has no voiced frame"),
        "{message}"
    );
    let (ok, message) = convert("slow.wav", &audio[0]);
    assert!(ok && message.contains("8000 Hz resampled"), "{message}");
    let made = samples(&dir.path().join("made.wav"));
    assert_eq!(made.len(), 2 * slow.len());
    let one = [
        "convert",
        "--exp=exp",
        "--out=made.wav",
        "frame.wav",
        &audio[0],
    ];
    assert!(unbraid(dir.path(), &one).status.success());
    assert_eq!(samples(&dir.path().join("made.wav")).len(), 400);
    let (ok, message) = convert("short.wav", &audio[0]);
    assert!(!ok && message.contains("found 399 samples"), "{message}");
    let error = fail(
        dir.path(),
        &[
            "convert",
            "--exp=exp",
            "--out=x.wav",
            "--generator=source-filter",
            "--momentum=0",
            "a",
            "b",
        ],
        b"",
    );
    assert!(
        error.ends_with("to which --iterations and --momentum belong, found source-filter"),
        "{error}"
    );
}

/// A module that lays so many samples for each frame.
fn vocoder(path: &Path, samples: i64) {
    let weight = Tensor::full([40, 1, samples], 1e-3, (Kind::Float, Device::Cpu));
    let module = CModule::create_by_tracing(
        "Vocoder",
        "forward",
        &[Tensor::zeros([1, 40, 7], (Kind::Float, Device::Cpu))],
        &mut |inputs| {
            let stride: &[i64] = &[samples];
            let none: &[i64] = &[0];
            let one: &[i64] = &[1];
            vec![inputs[0].conv_transpose1d(&weight, None::<&Tensor>, stride, none, none, 1, one)]
        },
    );
    module.unwrap().save(path).unwrap();
}

#[test]
fn a_vocoder_of_the_users_own() {
    let dir = workplace();
    let audio = audio_of(dir.path());
    let convert = |vocoder: &'static str| {
        [
            "convert",
            "--exp=exp",
            "--out=made.wav",
            "--vocoder",
            vocoder,
            &audio[0],
            &audio[3],
        ]
    };
    vocoder(&dir.path().join("good.pt"), 160);
    vocoder(&dir.path().join("other.pt"), 256);
    put(&dir.path().join("text.pt"), "no module");
    succeed(dir.path(), &convert("good.pt"));
    let (made, own) = (
        samples(&dir.path().join("made.wav")),
        samples(Path::new(&audio[0])),
    );
    assert_eq!(made.len(), own.len());
    assert!(decibels_apart(&made, &own).abs() < 0.1);
    std::fs::remove_file(dir.path().join("made.wav")).unwrap();
    for (file, expected) in [
        (
            "text.pt",
            "text.pt: expected a TorchScript module (torch.jit.save) or an ONNX model, found",
        ),
        ("none.pt", "none.pt: "),
        ("other.pt", "(160 per frame at 16000 Hz), found"),
    ] {
        let error = fail(dir.path(), &convert(file), b"");
        assert!(
            error.contains(expected) && error.lines().count() == 1,
            "{error}"
        );
        assert!(!dir.path().join("made.wav").exists());
    }
}
