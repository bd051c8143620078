//! Features of augmented audio, as training from recordings computes them: FLAC files, three speeds, a room, noise and
//! fbank-80 on one core, compared with soundfile and torchaudio. Noises and room are made here and stay in memory.

#[path = "harness/mod.rs"]
mod harness;
#[path = "harness/speech.rs"]
mod speech;

use std::f64::consts::TAU;
use std::path::Path;
use std::sync::Arc;

use harness::{Baseline, Report, here};
use unbraid::dataset::DataDir;
use unbraid::dataset::augment::{AugmentChain, AugmentOptions};
use unbraid::dataset::computed::ComputedFeats;
use unbraid::io::audio::{Pipes, Waveform, write_wav};
use unbraid::signal::augment::{NoiseOptions, ReverbOptions, SpeedOptions};
use unbraid::signal::{FbankOptions, FrontEnd};

fn put(path: &Path, samples: Vec<f32>) {
    let waveform = Waveform {
        samples,
        sample_rate_hz: 16000,
    };
    write_wav(path, &waveform).expect("a temporary file");
}

/// A sum of tones that repeats only after minutes.
fn noise(seconds: f64, tone: f64) -> Vec<f32> {
    let sample = |at: usize| {
        let time = at as f64 / 16000.0;
        let tones = (1..40).map(|k| (TAU * time * tone * f64::from(k).sqrt()).sin());
        (tones.sum::<f64>() / 80.0) as f32
    };
    (0..(16000.0 * seconds) as usize).map(sample).collect()
}

/// An impulse response of 0.4 s.
fn room() -> Vec<f32> {
    let tail = noise(0.4, 1733.0);
    let decay = |at: usize| (-(at as f64) / 16000.0 / 0.06).exp() as f32;
    let mut room: Vec<_> = (tail.iter().enumerate())
        .map(|(at, x)| 0.5 * x * decay(at))
        .collect();
    room[20] = 1.0;
    room
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    for name in ["data", "noise", "rirs"] {
        std::fs::create_dir(at(name)).expect("a temporary folder");
    }
    for (place, tone) in [431.0, 577.0, 719.0].into_iter().enumerate() {
        put(&at(&format!("noise/{place}.wav")), noise(20.0, tone));
    }
    put(&at("rirs/room.wav"), room());
    let (mut wavs, mut speakers) = (String::new(), String::new());
    for path in speech::bundled() {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .to_string();
        wavs += &format!("{name} {}\n", path.display());
        speakers += &format!("{name} {name}\n");
    }
    std::fs::write(at("data/wav.scp"), wavs).expect("a temporary file");
    std::fs::write(at("data/utt2spk"), speakers).expect("a temporary file");

    let front_end = FrontEnd::new(FbankOptions {
        num_mel_bins: 80,
        dither: 0.0,
        ..FbankOptions::default()
    });
    let front_end = front_end.expect("options that fit");
    let open = |dir: &DataDir| {
        ComputedFeats::open(dir, Arc::new(front_end.clone()), false).expect("the bundled speech")
    };
    let augment = AugmentOptions {
        noise_folder: Some(at("noise")),
        rir_folder: Some(at("rirs")),
        speed: Some(SpeedOptions::default()),
        reverb: Some(ReverbOptions { probability: 1.0 }),
        noise: Some(NoiseOptions::default()),
        ..AugmentOptions::default()
    };
    let dir = DataDir::open(at("data")).expect("a data directory");
    let count = dir.utterances().len();
    let chain = AugmentChain::new(augment, Pipes::Refused).expect("options that fit");
    let feats = open(&dir);
    let frames: usize = feats.frames(1.0).iter().sum();
    let plain = open(&dir);
    let feats = feats.augmented(chain);
    let ours = |feats: &ComputedFeats, round: u64| {
        for utterance in 0..count {
            let drawn = feats.draw(utterance, 1.0, round);
            std::hint::black_box(drawn.expect("the bundled speech"));
        }
    };
    let mut round = 0;
    let augmented = here(|| {
        round += 1;
        ours(&feats, round);
    });
    let baseline = |name: &str| {
        let folder = folder.path().display().to_string();
        Baseline::start(&[name, &folder]).map(Baseline::side)
    };
    println!("{:.0} s of speech", frames as f64 / 100.0);
    let mut report = Report::default();
    let theirs = baseline("augmented_of_flac");
    report.compare(
        "FLAC, speed, room, noise, fbank-80",
        "soundfile, torchaudio",
        ">= 5",
        augmented,
        theirs,
    );
    let bare = here(|| ours(&plain, 0));
    let again = here(|| ours(&feats, 0));
    report.compare(
        "FLAC, speed, room, noise, fbank-80",
        "FLAC and fbank-80 alone",
        "",
        again,
        Some(bare),
    );
    report.print();
}
