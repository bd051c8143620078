//! `unbraid feats ssl`: hidden states of encoders with random weights, as transformers computed them
//! (`tests/references/ssl_golden.py`), and models that do not fit.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, s};
use unbraid::io::kaldi::TableReader;

use crate::support::{fail, names, put, root, succeed};

const RECORDING: &str = "m05-s02";

fn goldens() -> PathBuf {
    root().join("tests/references/ssl")
}

/// Layers, frames and values of a file of NumPy's format 1.
fn golden(folder: &Path) -> Array3<f32> {
    let bytes = fs::read(folder.join(format!("{RECORDING}.npy"))).unwrap();
    let head = u16::from_le_bytes([bytes[8], bytes[9]]) as usize + 10;
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let shape = text
        .split_once("'shape': (")
        .unwrap()
        .1
        .split(')')
        .next()
        .unwrap();
    let shape: Vec<usize> = shape
        .split(',')
        .map(|size| size.trim().parse().unwrap())
        .collect();
    let values = bytes[head..]
        .as_chunks()
        .0
        .iter()
        .map(|&four| f32::from_le_bytes(four));
    Array3::from_shape_vec((shape[0], shape[1], shape[2]), values.collect()).unwrap()
}

/// `wav.scp` of the recording in a folder.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let audio = root().join(format!("data/mini/audio/{RECORDING}.flac"));
    put(
        &dir.path().join("wav.scp"),
        format!("{RECORDING} {}\n", audio.display()),
    );
    dir
}

fn states(at: &Path, model: &Path, more: &[&str]) -> Array2<f32> {
    let model = model.display().to_string();
    let args = ["feats", "ssl", "--device=cpu", "--model", &model];
    succeed(
        at,
        &[&args[..], more, &["scp:wav.scp", "ark:out.ark"]].concat(),
    );
    let ark = format!("ark:{}", at.join("out.ark").display());
    let mut reader = TableReader::<Array2<f32>>::open(&ark).unwrap();
    reader.next().unwrap().unwrap().1
}

fn furthest(found: &Array2<f32>, expected: &Array2<f32>) -> f32 {
    assert_eq!(found.dim(), expected.dim());
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn hidden_states_are_those_of_transformers() {
    let dir = workplace();
    let models = names(&goldens());
    assert_eq!(models.len(), 5);
    for model in models {
        let folder = goldens().join(&model);
        let golden = golden(&folder);
        let of = |layer: usize| golden.slice(s![layer, .., ..]).to_owned();
        for layer in 0..3 {
            let found = states(dir.path(), &folder, &["--layer", &layer.to_string()]);
            let difference = furthest(&found, &of(layer));
            assert!(
                difference < 1e-4,
                "{model}: layer {layer} differs by {difference}"
            );
        }
        assert_eq!(
            states(dir.path(), &folder, &[]),
            states(dir.path(), &folder, &["--layer=2"])
        );
        let sum = of(0) * 0.5 + of(1) * -1.0 + of(2) * 0.25;
        let found = states(dir.path(), &folder, &["--layer-weights=0.5,-1,0.25"]);
        let difference = furthest(&found, &sum);
        assert!(
            difference < 1e-4,
            "{model}: the sum differs by {difference}"
        );
    }
}

/// A copy of a golden model in which `change` was made to a file.
fn changed(at: &Path, model: &str, file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let source = goldens().join(model);
    for name in [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ] {
        let bytes = fs::read(source.join(name)).unwrap();
        put(
            &at.join("model").join(name),
            if name == file { change(bytes) } else { bytes },
        );
    }
}

#[test]
fn models_that_do_not_fit_are_named() {
    let dir = workplace();
    let at = dir.path();
    let ssl = |more: &[&str]| {
        let args = ["feats", "ssl", "--device=cpu", "--model=model"];
        fail(
            at,
            &[&args[..], more, &["scp:wav.scp", "ark:out.ark"]].concat(),
            b"",
        )
    };
    let text = |old: &'static str, new: &'static str| {
        move |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(old), "{old}");
            text.replace(old, new).into_bytes()
        }
    };
    let config = "config.json";
    type Change<'a> = &'a dyn Fn(Vec<u8>) -> Vec<u8>;
    let cases: [(&str, &str, Change, &str); 10] = [
        (
            "hubert-tiny-base",
            config,
            &text("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
            "model.safetensors: encoder.layers.2.attention.q_proj.weight: expected a tensor [24, 24], found none",
        ),
        (
            "hubert-tiny-base",
            config,
            &text("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1"),
            "model.safetensors: encoder.layers.1.",
        ),
        (
            "hubert-tiny-base",
            config,
            &text("\"intermediate_size\": 40", "\"intermediate_size\": 48"),
            "encoder.layers.0.feed_forward.intermediate_dense.weight: expected [48, 24], found [40, 24]",
        ),
        (
            "wavlm-tiny-base",
            config,
            &text("\"model_type\": \"wavlm\"", "\"model_type\": \"hubert\""),
            "expected no such tensor in config.json's model, found one",
        ),
        (
            "hubert-tiny-base",
            config,
            &text("\"model_type\": \"hubert\"", "\"model_type\": \"bert\""),
            "model/config.json",
        ),
        (
            "hubert-tiny-base",
            config,
            &text("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"relu\""),
            "model/config.json: hidden_act: expected \"gelu\", found \"relu\"",
        ),
        (
            "hubert-tiny-base",
            config,
            &text("\"num_attention_heads\": 3", "\"num_attention_heads\": 5"),
            "num_attention_heads: expected a divisor of hidden_size, 24, found 5",
        ),
        (
            "hubert-tiny-base",
            "preprocessor_config.json",
            &text("16000", "8000"),
            "preprocessor_config.json: sampling_rate: expected 16000, found 8000",
        ),
        (
            "hubert-tiny-base",
            "model.safetensors",
            &|bytes| bytes[..bytes.len() / 2].to_vec(),
            "model/model.safetensors: expected tensors in safetensors format",
        ),
        (
            "hubert-tiny-base",
            "model.safetensors",
            &|mut bytes| {
                let data = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
                bytes[data..data + 4].copy_from_slice(&f32::NAN.to_le_bytes());
                bytes
            },
            "expected finite numbers, found NaN",
        ),
    ];
    for (model, file, change, expected) in cases {
        changed(at, model, file, change);
        let error = ssl(&[]);
        assert!(error.contains(expected), "{expected}\n{error}");
        assert!(!at.join("out.ark").exists());
    }
    changed(at, "hubert-tiny-base", "", |bytes| bytes);
    for (more, expected) in [
        (
            &["--layer=3"][..],
            "front_end.layer: expected 0 to 2, found 3",
        ),
        (
            &["--layer-weights=1,2"],
            "layer_weights: expected 3 numbers, of layers 0 to 2",
        ),
        (&["--layer-weights=0,0,0"], "one of them not 0"),
    ] {
        let error = ssl(more);
        assert!(error.contains(expected), "{error}");
    }
    fs::rename(
        at.join("model/model.safetensors"),
        at.join("model/pytorch_model.bin"),
    )
    .unwrap();
    assert!(ssl(&[]).contains("found pytorch_model.bin, which is pickled"));
    fs::remove_file(at.join("model/pytorch_model.bin")).unwrap();
    assert!(ssl(&[]).contains("model/model.safetensors: No such file"));
    fs::remove_file(at.join("model/config.json")).unwrap();
    assert!(ssl(&[]).contains("model/config.json: No such file"));
}

#[test]
fn recordings_that_do_not_fit_are_named_and_long_ones_have_windows() {
    let dir = workplace();
    let at = dir.path();
    let model = goldens().join("hubert-tiny-large");
    let tone = |samples: usize, rate: u32| {
        let sample =
            |at: usize| (at as f32 * 0.05).sin() * 0.3 + ((at * at % 977) as f32 - 488.0) / 3000.0;
        unbraid::io::audio::wav_bytes(&unbraid::io::audio::Waveform {
            samples: (0..samples).map(sample).collect(),
            sample_rate_hz: rate,
        })
        .unwrap()
    };
    put(&at.join("slow.wav"), tone(8000, 8000));
    put(&at.join("short.wav"), tone(399, 16_000));
    put(&at.join("long.wav"), tone(16_000 * 130 + 77, 16_000));
    let run = |list: &str, more: &[&str]| {
        put(&at.join("wav.scp"), list);
        let model = model.display().to_string();
        let args = ["feats", "ssl", "--device=cpu", "--model", &model];
        crate::support::unbraid(
            at,
            &[&args[..], more, &["scp:wav.scp", "ark,scp:o.ark,o.scp"]].concat(),
        )
    };
    for (list, expected) in [
        (
            "a slow.wav\n",
            "audio: expected the 16000 Hz of hubert (or --resample 16000), found 8000 Hz",
        ),
        (
            "a short.wav\n",
            "audio: expected audio of one frame, 400 samples or more, found 399 samples",
        ),
    ] {
        let output = run(list, &[]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(error.contains(expected), "{error}");
    }
    assert!(run("a slow.wav\n", &["--resample=16000"]).status.success());
    assert!(run("a long.wav\n", &[]).status.success());
    let shape = succeed(at, &["feats", "copy", "scp:o.scp", "ark,t:-"]);
    let frames = String::from_utf8(shape).unwrap().lines().count() - 1;
    assert_eq!(frames, (16_000 * 130 + 77 - 400) / 320 + 1);
}
