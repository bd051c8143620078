//! `unbraid feats pitch` as a user runs it, and its pitches compared with those of Kaldi's own code: generated ones and, where
//! `UNBRAID_CORPORA` names a folder with fsdd and speechocean762, those of real speech.

use std::path::{Path, PathBuf};

use crate::support::{fail, names, references, run_reference, succeed, unbraid};
use ndarray::{Array1, Array2};
use unbraid::io::audio::{AudioOptions, Waveform, read_audio, write_wav};
use unbraid::io::kaldi::{TableReader, TableWriter};
use unbraid::signal::pitch::{PitchComputer, PitchOptions, PitchPostOptions};

/// Four harmonics of a gliding pitch in a little noise, with silence at both ends.
fn voice(rate_hz: u32, seconds: f64, low_hz: f64, high_hz: f64) -> Waveform {
    let (mut phase, mut state) = (0.0, 1u32);
    let count = (seconds * f64::from(rate_hz)) as usize;
    let samples = (0..count)
        .map(|i| {
            let part = i as f64 / count as f64;
            let hz = low_hz * (high_hz / low_hz).powf(part);
            phase += std::f64::consts::TAU * hz / f64::from(rate_hz);
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            let noise = f64::from(state) / f64::from(u32::MAX) - 0.5;
            let harmonics = (1..5).map(|k| (f64::from(k) * phase).sin() / f64::from(k));
            let level = if (0.1..0.9).contains(&part) { 0.2 } else { 0.0 };
            let value: f64 = level * harmonics.sum::<f64>() + 0.002 * noise;
            ((value * 32768.0).round() / 32768.0) as f32
        })
        .collect();
    Waveform {
        samples,
        sample_rate_hz: rate_hz,
    }
}

fn assert_agrees(python: &Path, options: &PitchOptions, waveforms: &[Waveform]) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("ark:{}", dir.path().join(name).display());
    let mut samples = TableWriter::<Array1<f32>>::create(&at("samples.ark")).unwrap();
    let mut pitches = TableWriter::<Array2<f32>>::create(&at("pitch.ark")).unwrap();
    let mut features = TableWriter::<Array2<f32>>::create(&at("features.ark")).unwrap();
    let computer = PitchComputer::new(options).unwrap();
    for (index, waveform) in waveforms.iter().enumerate() {
        let key = format!("u{index:04}");
        let scaled: Array1<f32> = waveform.samples.iter().map(|x| x * 32768.0).collect();
        samples.write(&key, &scaled).unwrap();
        pitches
            .write(&key, &computer.compute(&waveform.samples).unwrap())
            .unwrap();
        features
            .write(
                &key,
                &computer.features(&computer.compute(&waveform.samples).unwrap()),
            )
            .unwrap();
    }
    samples.finish().unwrap();
    pitches.finish().unwrap();
    features.finish().unwrap();
    let options = serde_json::to_string(options).unwrap();
    std::fs::write(dir.path().join("options.json"), options).unwrap();
    let args = ["options.json", "samples.ark", "pitch.ark", "features.ark"];
    run_reference(python, dir.path(), "pitch.py", &args);
}

/// Without noise on the gradients, which Kaldi draws by its own.
fn options(rate_hz: u32) -> PitchOptions {
    PitchOptions {
        sample_frequency: f64::from(rate_hz),
        post: PitchPostOptions {
            delta_pitch_noise_stddev: 0.0,
            add_raw_log_pitch: true,
            ..PitchPostOptions::default()
        },
        ..PitchOptions::default()
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_kaldi_finds_the_same_pitch_in_glides() {
    let python = references::python();
    let waveforms: Vec<Waveform> = [(0.03, 100.0, 120.0), (0.9, 80.0, 300.0), (7.0, 350.0, 60.0)]
        .map(|(seconds, low_hz, high_hz)| voice(16000, seconds, low_hz, high_hz))
        .to_vec();
    let default = options(16000);
    let mut other = PitchOptions {
        snip_edges: false,
        min_f0: 70.0,
        max_f0: 500.0,
        soft_min_f0: 20.0,
        frame_length: 30.0,
        frame_shift: 5.0,
        penalty_factor: 0.3,
        delta_pitch: 0.01,
        nccf_ballast: 3000.0,
        lowpass_filter_width: 2,
        upsample_filter_width: 4,
        ..options(16000)
    };
    other.post.normalization_left_context = 20;
    other.post.delta_window = 3;
    other.post.pov_offset = 0.5;
    assert_agrees(&python, &default, &waveforms);
    // Without snip_edges Kaldi's own assertions do not hold for the shortest.
    assert_agrees(&python, &other, &waveforms[1..]);
    for rate_hz in [8000, 11025, 44100, 48000] {
        let waveforms = [voice(rate_hz, 1.3, 90.0, 210.0)];
        assert_agrees(&python, &options(rate_hz), &waveforms);
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON and UNBRAID_CORPORA"]
fn with_python_with_corpora_kaldi_finds_the_same_pitch_in_speech() {
    let python = references::python();
    let corpora = references::corpora();
    for (folder, rate_hz, every) in [
        ("fsdd/recordings", 8000, 40),
        ("speechocean762/WAVE/SPEAKER0001", 16000, 2),
        ("speechocean762/WAVE/SPEAKER0006", 16000, 2),
    ] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(corpora.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let waveforms: Vec<Waveform> = files
            .iter()
            .step_by(every)
            .map(|path| read_audio(path, &AudioOptions::default()).unwrap())
            .collect();
        assert!(waveforms.len() > 3, "{folder}");
        for snip_edges in [true, false] {
            let options = PitchOptions {
                snip_edges,
                ..options(rate_hz)
            };
            assert_agrees(&python, &options, &waveforms);
        }
    }
}

/// `u` and `v`, a second and a half of speech-like sound, and `w`, which is too short.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, seconds) in [("u", 1.5), ("v", 1.5), ("w", 0.01)] {
        let waveform = voice(16000, seconds, 100.0, 200.0);
        write_wav(dir.path().join(format!("{name}.wav")), &waveform).unwrap();
    }
    std::fs::write(dir.path().join("two.scp"), "u u.wav\nv v.wav\n").unwrap();
    std::fs::write(dir.path().join("all.scp"), "u u.wav\nw w.wav\nx no.wav\n").unwrap();
    std::fs::write(dir.path().join("segments"), "v-1 v 0.5 1.0\n").unwrap();
    dir
}

fn read(dir: &Path, name: &str) -> Vec<(String, Array2<f32>)> {
    let reader = TableReader::open(&format!("ark:{}/{name}", dir.display())).unwrap();
    reader.collect::<Result<_, _>>().unwrap()
}

#[test]
fn pitch_and_features_are_written() {
    let dir = folder();
    succeed(dir.path(), &["pitch", "scp:two.scp", "ark,scp:p.ark,p.scp"]);
    let found = read(dir.path(), "p.ark");
    assert_eq!((found.len(), found[0].1.dim()), (2, (148, 2)));
    // In the middle of the glide.
    let (correlation, hz) = (found[0].1[[74, 0]], found[0].1[[74, 1]]);
    assert!(
        correlation > 0.9 && (hz - 141.4).abs() < 4.0,
        "{correlation} {hz}"
    );
    std::fs::write(
        dir.path().join("p.toml"),
        "sample_frequency = 8000.0\nsnip_edges = false\npost = { add_delta_pitch = false }\n",
    )
    .unwrap();
    let line = [
        "pitch",
        "--post",
        "--conf",
        "p.toml",
        "--resample",
        "8000",
        "--segments",
        "segments",
        "scp:two.scp",
        "ark:q.ark",
    ];
    succeed(dir.path(), &line);
    let found = read(dir.path(), "q.ark");
    assert_eq!((found[0].0.as_str(), found[0].1.dim()), ("v-1", (50, 2)));
}

#[test]
fn failures_are_reported() {
    let dir = folder();
    let output = unbraid(dir.path(), &["pitch", "scp:all.scp", "ark:p.ark"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = "unbraid: w: frame_length: expected audio of one frame of 25 ms, found 160 samples\n\
                    unbraid: x: no.wav: No such file or directory (os error 2)\n\
                    unbraid: 2 of 3 utterances failed: w x\n";
    assert_eq!(error, expected);
    assert_eq!(read(dir.path(), "p.ark").len(), 1);
    std::fs::remove_file(dir.path().join("p.ark")).unwrap();
    std::fs::write(dir.path().join("bad.toml"), "min_f0 = 500.0\n").unwrap();
    std::fs::write(dir.path().join("odd.toml"), "min_fo = 50.0\n").unwrap();
    let before = names(dir.path());
    for (args, message) in [
        (
            &["--conf", "bad.toml", "scp:two.scp"][..],
            "bad.toml: min_f0: expected a number",
        ),
        (&["--conf", "odd.toml", "scp:two.scp"], "odd.toml"),
        (
            &["--conf", "no.toml", "scp:two.scp"],
            "no.toml: No such file",
        ),
        (
            &["ark:two.scp"],
            "'ark:two.scp': expected a list of audio files",
        ),
        (&["scp:no.scp"], "no.scp: No such file"),
    ] {
        let line = [&["pitch"], args, &["ark:p.ark"]].concat();
        let error = fail(dir.path(), &line, b"");
        assert!(error.starts_with(&format!("unbraid: {message}")), "{error}");
        assert_eq!(names(dir.path()), before);
    }
}
