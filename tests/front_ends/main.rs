//! Front-ends compared with their originals. Kaldi (kaldi-native-fbank) and librosa run live, so that no golden file can
//! grow old: `UNBRAID_PYTHON` names a Python that has them, `UNBRAID_CORPORA` a folder with fsdd and speechocean762.
//! torchaudio and Whisper, which bring PyTorch with them, have golden files; where `UNBRAID_BASELINES` names a Python with
//! `benches/baselines/requirements.txt`, Whisper runs live too.

mod golden;
mod kaldi;
mod librosa;
#[path = "../it/support/references.rs"]
#[allow(dead_code)] // The other tests need more.
mod references;
mod whisper;

use std::path::Path;

use ndarray::Array2;
use unbraid::io::audio::{AudioOptions, Waveform, read_audio};
use unbraid::signal::FrontEndOptions;

/// What a script of `tests/references` makes of samples under options.
fn reference(
    python: &Path,
    script: &str,
    options: &FrontEndOptions,
    columns: usize,
    samples: &[f32],
) -> Array2<f32> {
    let dir = tempfile::tempdir().unwrap();
    let args = ["options.json", "samples.f32", "feats.f32"];
    let paths = args.map(|name| dir.path().join(name));
    std::fs::write(&paths[0], serde_json::to_string(options).unwrap()).unwrap();
    let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(&paths[1], bytes).unwrap();
    references::run_reference(python, dir.path(), script, &args);
    let values: Vec<f32> = (std::fs::read(&paths[2]).unwrap().chunks_exact(4))
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    Array2::from_shape_vec((values.len() / columns, columns), values).unwrap()
}

/// A chirp over noise: every bin is excited, the level swings over 60 dB. Rounded to 16 bits as a file would hold it.
fn generated(rate_hz: u32, length: usize) -> Vec<f32> {
    let mut state = 1u32;
    (0..length)
        .map(|i| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            let noise = f64::from(state) / f64::from(u32::MAX) - 0.5;
            let t = i as f64 / f64::from(rate_hz);
            let level = 10f64.powf(-1.5 + 1.5 * (7.0 * t).sin());
            let chirp = (std::f64::consts::TAU * (100.0 + 900.0 * t) * t).sin();
            ((level * (0.4 * chirp + 0.1 * noise) * 32768.0).round() / 32768.0) as f32
        })
        .collect()
}

/// Signals that break what was not thought of: silence, a frame and less of one, clipping, much DC.
fn edge_cases(frame: usize) -> Vec<(&'static str, Vec<f32>)> {
    let speech = generated(16000, 4000);
    let step = |x: f32| (x * 32768.0).round() / 32768.0;
    vec![
        ("silence", vec![0.0; 4000]),
        ("one frame", speech[..frame].to_vec()),
        ("less than a frame", speech[..frame - 1].to_vec()),
        ("a third of a frame", speech[..frame / 3].to_vec()),
        (
            "clipping",
            speech
                .iter()
                .map(|x| (30.0 * x).clamp(-1.0, 32767.0 / 32768.0))
                .collect(),
        ),
        (
            "much DC",
            speech.iter().map(|x| step(0.3 * x) + 0.5).collect(),
        ),
        ("nothing but DC", vec![0.5; 4000]),
        (
            "silence, then speech",
            [&vec![0.0; 1000], &speech[..]].concat(),
        ),
    ]
}

/// Six recordings each of FSDD (8 kHz WAV) and speechocean762 (16 kHz FLAC).
fn recordings() -> Vec<(String, Waveform)> {
    let corpora = references::corpora();
    let mut found = Vec::new();
    for (folder, suffix, rate_hz) in [
        ("fsdd/recordings", "_theo_0.wav", 8000),
        ("speechocean762/WAVE/SPEAKER0001", ".flac", 16000),
    ] {
        let mut paths: Vec<_> = (std::fs::read_dir(corpora.join(folder)).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().to_lowercase().ends_with(suffix))
            .collect();
        paths.sort();
        assert!(paths.len() >= 6, "{folder}");
        for path in &paths[..6] {
            let waveform = read_audio(path, &AudioOptions::default()).unwrap();
            assert_eq!(waveform.sample_rate_hz, rate_hz, "{}", path.display());
            found.push((path.display().to_string(), waveform));
        }
    }
    found
}
