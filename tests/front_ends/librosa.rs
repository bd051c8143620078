//! Mel spectrograms compared with librosa.

use std::path::Path;

use crate::references;
use crate::{edge_cases, generated, recordings, reference};
use unbraid::signal::{FrontEnd, FrontEndOptions};

/// Decibels; of energies, times their size.
const TOLERANCE: f32 = 1e-4;

fn assert_agrees(python: &Path, toml: &str, samples: &[f32], what: &str) {
    let options: FrontEndOptions = toml::from_str(&format!("kind = 'mel'\n{toml}")).unwrap();
    let front_end = FrontEnd::new(options.clone()).unwrap();
    let ours = front_end.compute(samples).unwrap();
    let theirs = reference(python, "librosa_mel.py", &options, front_end.dim(), samples);
    assert_eq!(ours.dim(), theirs.dim(), "{what}: {toml}");
    let size = |b: f32| match toml.contains("output = 'db'") {
        true => 1.0,
        false => b.abs().max(1.0),
    };
    for ((at, a), b) in ours.indexed_iter().zip(&theirs) {
        let allowed = TOLERANCE * size(*b);
        assert!(
            (a - b).abs() <= allowed,
            "{what}: {toml} {at:?}: {a} for {b}"
        );
    }
}

/// At 16 kHz, every option once.
const VARIANTS: [&str; 12] = [
    "",
    "output = 'db'",
    "output = 'db'\nref = 0.0\ntop_db = 0.0\namin = 1e-7",
    "output = 'db'\nref = 0.25\ntop_db = 60.0\nhtk = true",
    "htk = true\nnorm = 'none'\npower = 1.0",
    "pad_mode = 'reflect'\nwindow = 'hamming'\noutput = 'db'",
    "pad_mode = 'edge'\nwindow = 'blackman'\nfmin = 60.0\nfmax = 7600.0",
    "center = false\nwindow = 'boxcar'\noutput = 'db'",
    "win_length = 400\npower = 1.5",
    "n_mels = 256",
    "n_mels = 300\noutput = 'db'\nhtk = true",
    "hop_length = 77\nn_mels = 23\noutput = 'db'\npower = 1.0",
];

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_librosas_under_every_option() {
    let python = references::python();
    let samples = generated(16000, 20_001);
    for variant in VARIANTS {
        let base = "sr = 16000.0\nn_fft = 512\n";
        let rest = [("hop_length", "160"), ("n_mels", "64")]
            .map(|(name, value)| match variant.contains(name) {
                true => String::new(),
                false => format!("{name} = {value}\n"),
            })
            .concat();
        assert_agrees(
            &python,
            &format!("{base}{rest}{variant}"),
            &samples,
            "generated",
        );
    }
    assert_agrees(&python, "", &generated(22050, 30_000), "defaults");
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_librosas_on_edge_cases() {
    let python = references::python();
    let toml = "sr = 16000.0\nn_fft = 400\nhop_length = 160\nn_mels = 40\noutput = 'db'";
    for (what, samples) in edge_cases(400) {
        assert_agrees(&python, toml, &samples, what);
        assert_agrees(
            &python,
            &format!("{toml}\npad_mode = 'reflect'"),
            &samples,
            what,
        );
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON and UNBRAID_CORPORA"]
fn with_python_with_corpora_librosas_on_real_recordings() {
    let python = references::python();
    for (path, waveform) in recordings() {
        let rate = waveform.sample_rate_hz;
        let toml =
            format!("sr = {rate}.0\nn_fft = 512\nhop_length = 128\nn_mels = 40\noutput = 'db'");
        assert_agrees(&python, &toml, &waveform.samples, &path);
    }
}
