//! Filter banks and cepstra compared with kaldi-native-fbank.

use std::path::Path;

use crate::references;
use crate::{edge_cases, generated, recordings, reference};
use ndarray::Array2;
use unbraid::signal::{FbankOptions, FrontEnd, FrontEndOptions, MfccOptions, WindowType};

/// Nats on every bin that carries anything; cepstra likewise.
const TOLERANCE: f32 = 1e-3;

/// What rounding weighs on a bin, in nats. Both FFTs are f32: their rounding, half a unit of 2^-23 of the loudest amplitude of
/// the frame, weighs on a bin by how far it lies below that. Only bins 80 dB and more below, a few in ten
/// thousand, get more than [`TOLERANCE`]; there kaldi-native-fbank differs as much from itself when the same samples
/// are scaled by 1.1.
fn rounding(bin: f32, loudest: f32) -> f32 {
    9e-8 * ((loudest - bin) / 2.0).exp()
}

fn compare(
    python: &Path,
    options: &FrontEndOptions,
    samples: &[f32],
) -> (Array2<f32>, Array2<f32>) {
    let front_end = FrontEnd::new(options.clone()).unwrap();
    let ours = front_end.compute(samples).unwrap();
    let theirs = reference(python, "kaldi_feats.py", options, front_end.dim(), samples);
    assert_eq!(ours.dim(), theirs.dim(), "{options:?}");
    (ours, theirs)
}

fn assert_fbank(python: &Path, options: &FbankOptions, samples: &[f32], what: &str) {
    let (ours, theirs) = compare(python, &options.clone().into(), samples);
    let first_bin = usize::from(options.use_energy && !options.htk_compat);
    for ((at, a), b) in ours.indexed_iter().zip(&theirs) {
        let row = theirs.row(at.0);
        let bins = row.iter().skip(first_bin).take(options.num_mel_bins);
        let loudest = bins.copied().fold(f32::MIN, f32::max);
        let allowed = match options.use_log_fbank {
            true => TOLERANCE.max(rounding(*b, loudest)),
            false => TOLERANCE * b.abs().max(1.0),
        };
        assert!((a - b).abs() <= allowed, "{what} {at:?}: {a} for {b}");
    }
}

fn assert_mfcc(python: &Path, options: &MfccOptions, samples: &[f32], what: &str) {
    let (ours, theirs) = compare(python, &options.clone().into(), samples);
    let banks = FrontEnd::new(FbankOptions {
        sample_frequency: options.sample_frequency,
        dither: 0.0,
        snip_edges: options.snip_edges,
        window_type: options.window_type,
        num_mel_bins: options.num_mel_bins,
        high_freq: options.high_freq,
        ..FbankOptions::default()
    });
    let banks = banks.unwrap().compute(samples).unwrap();
    // The largest entry of the cosine transform with its lifter.
    let weight =
        (1.0 + options.cepstral_lifter as f32 / 2.0) * (2.0 / options.num_mel_bins as f32).sqrt();
    for ((at, a), b) in ours.indexed_iter().zip(&theirs) {
        let row = banks.row(at.0);
        let loudest = row.iter().copied().fold(f32::MIN, f32::max);
        // Errors of bins are as good as independent.
        let squares: f32 = row.iter().map(|&bin| rounding(bin, loudest).powi(2)).sum();
        let allowed = TOLERANCE.max(2.0 * weight * squares.sqrt());
        assert!(
            (a - b).abs() <= allowed,
            "{what} {at:?}: {a} for {b}, {allowed}"
        );
    }
}

fn fbank(rate_hz: u32) -> FbankOptions {
    FbankOptions {
        sample_frequency: f64::from(rate_hz),
        dither: 0.0,
        ..FbankOptions::default()
    }
}

fn mfcc(rate_hz: u32) -> MfccOptions {
    MfccOptions {
        sample_frequency: f64::from(rate_hz),
        dither: 0.0,
        ..MfccOptions::default()
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_filter_banks_under_every_option() {
    let python = references::python();
    let variant = |rate_hz: u32, toml: &str| -> FbankOptions {
        let text = format!("dither = 0.0\nsample_frequency = {rate_hz}.0\n{toml}");
        toml::from_str(&text).unwrap()
    };
    for options in [
        variant(16000, ""),
        variant(16000, "num_mel_bins = 80"),
        variant(16000, "snip_edges = false\nnum_mel_bins = 40"),
        variant(
            16000,
            "use_energy = true\nhtk_compat = true\nraw_energy = false",
        ),
        variant(16000, "use_energy = true\nenergy_floor = 1e6"),
        variant(16000, "use_power = false\nremove_dc_offset = false"),
        variant(16000, "use_log_fbank = false"),
        variant(
            16000,
            "low_freq = 64.0\nhigh_freq = -400.0\nframe_shift = 12.5",
        ),
        variant(
            16000,
            "round_to_power_of_two = false\npreemphasis_coefficient = 0.0",
        ),
        variant(16000, "full_scale = 1.0"),
        variant(11025, "frame_length = 20.0"),
        variant(8000, "num_mel_bins = 40\nhigh_freq = 3700.0"),
    ] {
        let samples = generated(options.sample_frequency as u32, 20_001);
        assert_fbank(&python, &options, &samples, &format!("{options:?}"));
    }
    use WindowType::{Blackman, Hamming, Hanning, Rectangular, Sine};
    for window_type in [Hamming, Hanning, Sine, Blackman, Rectangular] {
        let options = FbankOptions {
            window_type,
            ..fbank(16000)
        };
        let samples = generated(16000, 8000);
        assert_fbank(&python, &options, &samples, &format!("{window_type:?}"));
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_cepstra_under_every_option() {
    let python = references::python();
    let variant = |rate_hz: u32, toml: &str| -> MfccOptions {
        let text = format!("dither = 0.0\nsample_frequency = {rate_hz}.0\n{toml}");
        toml::from_str(&text).unwrap()
    };
    for options in [
        variant(16000, ""),
        variant(16000, "use_energy = false\nhtk_compat = true"),
        variant(16000, "htk_compat = true\nraw_energy = false"),
        variant(16000, "energy_floor = 1e6\ncepstral_lifter = 0.0"),
        variant(
            16000,
            "num_mel_bins = 40\nnum_ceps = 40\nuse_energy = false\nhigh_freq = -400.0",
        ),
        variant(16000, "snip_edges = false\nwindow_type = 'hamming'"),
        variant(8000, "num_mel_bins = 30\nnum_ceps = 20"),
    ] {
        let samples = generated(options.sample_frequency as u32, 20_001);
        assert_mfcc(&python, &options, &samples, &format!("{options:?}"));
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_kaldis_on_edge_cases() {
    let python = references::python();
    for (what, samples) in edge_cases(400) {
        for snip_edges in [true, false] {
            let options = FbankOptions {
                num_mel_bins: 80,
                snip_edges,
                use_energy: true,
                ..fbank(16000)
            };
            assert_fbank(&python, &options, &samples, what);
            let options = MfccOptions {
                snip_edges,
                ..mfcc(16000)
            };
            assert_mfcc(&python, &options, &samples, what);
        }
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON and UNBRAID_CORPORA"]
fn with_python_with_corpora_kaldis_on_real_recordings() {
    let python = references::python();
    for (path, waveform) in recordings() {
        let options = FbankOptions {
            num_mel_bins: 40,
            ..fbank(waveform.sample_rate_hz)
        };
        assert_fbank(&python, &options, &waveform.samples, &path);
        let options = mfcc(waveform.sample_rate_hz);
        assert_mfcc(&python, &options, &waveform.samples, &path);
    }
}
