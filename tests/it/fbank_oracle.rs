//! Filter bank features beside those of kaldi-native-fbank, bin by bin. Run live, so that no golden file can
//! grow old: `UNBRAID_PYTHON` names a Python that has it, `UNBRAID_CORPORA` a folder with fsdd and
//! speechocean762.

use std::path::{Path, PathBuf};

use crate::support::{oracle, python};
use ndarray::Array2;
use unbraid::io::audio::{AudioOptions, Waveform, read_audio};
use unbraid::signal::frames::WindowType;
use unbraid::signal::{FbankComputer, FbankOptions};

/// Nats on every bin that carries anything.
const TOLERANCE: f32 = 1e-3;

/// What two bins may differ by. kaldi-native-fbank's FFT is f32: its rounding, half a unit of 2^-23 of the
/// loudest amplitude of the frame, weighs on a bin by how far it lies below that. Only bins 84 dB and more
/// below, a few in ten thousand, get more than [`TOLERANCE`]; there kaldi-native-fbank differs as much from
/// itself when the same samples are scaled by 1.1.
fn tolerance(bin: f32, loudest: f32, log: bool) -> f32 {
    match log {
        true => TOLERANCE.max(6e-8 * ((loudest - bin) / 2.0).exp()),
        false => TOLERANCE * bin.abs().max(1.0),
    }
}

fn reference(python: &Path, options: &FbankOptions, samples: &[f32]) -> Array2<f32> {
    let dir = tempfile::tempdir().unwrap();
    let args = ["options.json", "samples.f32", "feats.f32"];
    let paths = args.map(|name| dir.path().join(name));
    std::fs::write(&paths[0], serde_json::to_string(options).unwrap()).unwrap();
    let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(&paths[1], bytes).unwrap();
    oracle(python, dir.path(), "fbank.py", &args);
    let values: Vec<f32> = (std::fs::read(&paths[2]).unwrap().chunks_exact(4))
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    Array2::from_shape_vec((values.len() / options.dim(), options.dim()), values).unwrap()
}

fn assert_agrees(python: &Path, options: &FbankOptions, samples: &[f32], what: &str) {
    let ours = FbankComputer::new(options).unwrap().compute(samples);
    let theirs = reference(python, options, samples);
    assert_eq!(ours.dim(), theirs.dim(), "{what}");
    let first_bin = usize::from(options.use_energy && !options.htk_compat);
    for ((at, a), b) in ours.indexed_iter().zip(&theirs) {
        let bins = theirs
            .row(at.0)
            .into_iter()
            .skip(first_bin)
            .take(options.num_mel_bins);
        let loudest = bins.copied().fold(f32::MIN, f32::max);
        let allowed = tolerance(*b, loudest, options.use_log_fbank);
        assert!((a - b).abs() <= allowed, "{what} {at:?}: {a} for {b}");
    }
}

fn options(rate_hz: u32) -> FbankOptions {
    FbankOptions {
        sample_frequency: f64::from(rate_hz),
        dither: 0.0,
        ..FbankOptions::default()
    }
}

/// A chirp over noise: every bin is excited, the level swings over 60 dB.
fn generated(rate_hz: u32, length: usize) -> Vec<f32> {
    let mut state = 1u32;
    (0..length)
        .map(|i| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            let noise = f64::from(state) / f64::from(u32::MAX) - 0.5;
            let t = i as f64 / f64::from(rate_hz);
            let level = 10f64.powf(-1.5 + 1.5 * (7.0 * t).sin());
            let chirp = (std::f64::consts::TAU * (100.0 + 900.0 * t) * t).sin();
            // Rounded to 16 bits as a file would hold it.
            ((level * (0.4 * chirp + 0.1 * noise) * 32768.0).round() / 32768.0) as f32
        })
        .collect()
}

#[test]
fn generated_signals_under_every_option() {
    let Some(python) = python("generated_signals_under_every_option") else {
        return;
    };
    let base = options(16000);
    let variants = [
        base.clone(),
        FbankOptions {
            num_mel_bins: 80,
            ..base.clone()
        },
        FbankOptions {
            snip_edges: false,
            num_mel_bins: 40,
            ..base.clone()
        },
        FbankOptions {
            use_energy: true,
            htk_compat: true,
            raw_energy: false,
            ..base.clone()
        },
        FbankOptions {
            use_energy: true,
            energy_floor: 1e6,
            ..base.clone()
        },
        FbankOptions {
            use_power: false,
            remove_dc_offset: false,
            ..base.clone()
        },
        FbankOptions {
            use_log_fbank: false,
            ..base.clone()
        },
        FbankOptions {
            low_freq: 64.0,
            high_freq: -400.0,
            frame_shift: 12.5,
            ..base.clone()
        },
        FbankOptions {
            round_to_power_of_two: false,
            preemphasis_coefficient: 0.0,
            ..base
        },
        FbankOptions {
            frame_length: 20.0,
            ..options(11025)
        },
        FbankOptions {
            num_mel_bins: 40,
            high_freq: 3700.0,
            ..options(8000)
        },
    ];
    for options in variants {
        let samples = generated(options.sample_frequency as u32, 20_001);
        assert_agrees(&python, &options, &samples, &format!("{options:?}"));
    }
    use WindowType::{Blackman, Hamming, Hanning, Rectangular, Sine};
    for window_type in [Hamming, Hanning, Sine, Blackman, Rectangular] {
        let options = FbankOptions {
            window_type,
            ..options(16000)
        };
        assert_agrees(
            &python,
            &options,
            &generated(16000, 8000),
            &format!("{window_type:?}"),
        );
    }
}

#[test]
fn real_utterances() {
    let name = "real_utterances";
    let Some(python) = python(name) else {
        return;
    };
    let Some(corpora) = std::env::var_os("UNBRAID_CORPORA").map(PathBuf::from) else {
        eprintln!("skipped: {name}: UNBRAID_CORPORA is not set");
        return;
    };
    let mut seen = 0;
    for (folder, suffix, rate_hz) in [
        ("fsdd/recordings", "_theo_0.wav", 8000),
        ("speechocean762/WAVE/SPEAKER0001", ".flac", 16000),
    ] {
        let mut paths: Vec<_> = (std::fs::read_dir(corpora.join(folder)).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().to_lowercase().ends_with(suffix))
            .collect();
        paths.sort();
        for path in paths.iter().take(6) {
            let Waveform {
                samples,
                sample_rate_hz,
            } = read_audio(path, &AudioOptions::default()).unwrap();
            assert_eq!(sample_rate_hz, rate_hz, "{}", path.display());
            let options = FbankOptions {
                num_mel_bins: 40,
                ..options(rate_hz)
            };
            assert_agrees(&python, &options, &samples, &path.display().to_string());
            seen += 1;
        }
    }
    assert_eq!(seen, 12);
}
