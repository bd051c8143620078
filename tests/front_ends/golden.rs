//! Front-ends compared with golden files of torchaudio and Whisper, made by `tests/references/torch_golden.py`, which has
//! the command to make them again. Inputs are made here: bundled speech and generated signals.

use std::path::Path;

use ndarray::Array2;
use serde::Deserialize;
use unbraid::io::audio::{AudioOptions, read_audio};
use unbraid::signal::{FrontEnd, FrontEndOptions};

/// Some frames of what an original makes of a signal.
#[derive(Debug, Deserialize)]
struct Case {
    signal: String,
    options: String,
    /// How many frames there are, and which of them are kept.
    frames: usize,
    at: Vec<usize>,
    rows: Vec<Vec<f32>>,
}

fn cases(original: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{original}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn speech(utterance: &str) -> Vec<i32> {
    let name = format!("data/mini/audio/{utterance}.flac");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let waveform = read_audio(path, &AudioOptions::default()).unwrap();
    waveform
        .samples
        .iter()
        .map(|x| (x * 32768.0) as i32)
        .collect()
}

fn noise(length: usize) -> Vec<i32> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        ((state >> 16) as i32 - 32768) >> 3
    };
    (0..length).map(next).collect()
}

fn signal(name: &str) -> Vec<f32> {
    let integers = match name {
        "speech" => speech("f01-s01"),
        "other speech" => speech("m01-s03"),
        "noise" => noise(8000),
        "silence" => vec![0; 4000],
        "one frame" => noise(400),
        "less than a frame" => noise(399),
        "clipping" => speech("f01-s01")
            .iter()
            .map(|x| (x * 20).clamp(-32768, 32767))
            .collect(),
        "DC" => speech("f01-s01").iter().map(|x| (x >> 2) + 16384).collect(),
        other => panic!("no signal {other}"),
    };
    integers.iter().map(|&x| x as f32 / 32768.0).collect()
}

fn compute(case: &Case) -> Array2<f32> {
    let options: FrontEndOptions = toml::from_str(&case.options).unwrap();
    let feats = FrontEnd::new(options)
        .unwrap()
        .compute(&signal(&case.signal))
        .unwrap();
    assert_eq!(
        feats.nrows(),
        case.frames,
        "{} {}",
        case.signal,
        case.options
    );
    assert!(!case.rows.is_empty(), "a case that tells nothing");
    feats
}

/// Asserts that every value of the kept frames differs by no more than `allowed(theirs, their row)`.
fn assert_within(case: &Case, allowed: impl Fn(f32, &[f32]) -> f32) {
    let feats = compute(case);
    for (&at, row) in case.at.iter().zip(&case.rows) {
        assert_eq!(feats.ncols(), row.len());
        for (column, (&ours, &theirs)) in feats.row(at).iter().zip(row).enumerate() {
            let place = format!("{} {:?}: frame {at}, {column}", case.signal, case.options);
            let allowed = allowed(theirs, row);
            assert!(
                (ours - theirs).abs() <= allowed,
                "{place}: {ours} for {theirs}, {allowed}"
            );
        }
    }
}

#[test]
fn torchaudios() {
    let cases = cases("torchaudio");
    assert!(cases.len() > 30);
    for case in &cases {
        let linear = case.options.contains("use_log_fbank = false");
        let spectrogram = case.options.contains("spectrogram");
        assert_within(case, |theirs, row| {
            let loudest = row.iter().copied().fold(f32::MIN, f32::max);
            // Rounding of f32, on both sides, by how far a bin lies below the loudest; a spectrogram's bins are not
            // averaged as a filter's are, and its DC bin is what is left of a mean that was taken out.
            let rounding = 9e-8 * ((loudest - theirs) / 2.0).exp();
            match (linear, spectrogram) {
                (true, _) => 1e-3 * theirs.abs().max(1.0),
                (_, true) => 1e-3f32.max(4.0 * rounding),
                _ => 1e-3f32.max(rounding),
            }
        });
    }
}

#[test]
fn whispers() {
    let cases = cases("whisper");
    assert!(cases.len() == 16);
    for case in &cases {
        assert_within(case, |_, _| 1e-4);
    }
}
