//! Networks of other people, as ONNX models: front-ends and vocoders, held against the same ones as TorchScript modules.

use std::fs;
use std::path::Path;

use ndarray::Array2;
use tch::{CModule, Device, Kind, Tensor};
use tempfile::TempDir;
use unbraid::io::kaldi::TableReader;

use crate::support::speech::{self, CONF, FBANK};
use crate::support::{fail, put, root, succeed};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// A front-end of `tests/references/user_modules.py`.
fn front_end(file: &str) -> String {
    format!(
        "kind = 'module'\nfile = '{file}'\nsample_rate_hz = 16000\nframe_shift = 320\nframe_length = 400\ndim = 6\n"
    )
}

/// The models in a folder with recordings in `data`.
fn with_models(dir: TempDir) -> TempDir {
    for entry in fs::read_dir(root().join("tests/golden/modules")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

/// Saves what `forward` does to `[1, ..]` as a TorchScript module.
fn save(path: &Path, example: Tensor, forward: impl Fn(&Tensor) -> Tensor) {
    let mut forward = |inputs: &[Tensor]| vec![forward(&inputs[0])];
    let traced = CModule::create_by_tracing("Module", "forward", &[example], &mut forward);
    traced.unwrap().save(path).unwrap();
}

fn features(at: &Path, file: &str) -> Vec<(String, Array2<f32>)> {
    put(&at.join("front.toml"), front_end(file));
    let args = ["feats", "ssl", "--device=cpu", "--conf=front.toml"];
    succeed(
        at,
        &[&args[..], &["scp:data/wav.scp", "ark:f.ark"]].concat(),
    );
    let table = TableReader::open(&format!("ark:{}", at.join("f.ark").display())).unwrap();
    table.map(Result::unwrap).collect()
}

fn largest_gap(one: &Array2<f32>, other: &Array2<f32>) -> f32 {
    assert_eq!(one.dim(), other.dim());
    (one - other).iter().fold(0.0, |gap, x| gap.max(x.abs()))
}

#[test]
fn an_onnx_front_end_is_its_torchscript_module() {
    let dir = with_models(speech::data());
    let at = dir.path();
    let sines = (Tensor::arange(2400, CPU) * 0.37).sin() * 0.05;
    let weight = sines.reshape([6, 1, 400]);
    save(&at.join("m.pt"), Tensor::zeros([1, 4000], CPU), |x| {
        let x = x
            .unsqueeze(1)
            .conv1d(&weight, None::<Tensor>, [320], [0], [1], 1);
        x.tanh().transpose(1, 2).contiguous()
    });
    let expected = features(at, "m.pt");
    assert!(!expected.is_empty());
    for file in ["front_end.onnx", "external.onnx"] {
        let found = features(at, file);
        assert_eq!(found.len(), expected.len());
        for ((key, found), (other, expected)) in found.iter().zip(&expected) {
            assert_eq!(key, other);
            let gap = largest_gap(found, expected);
            assert!(gap < 1e-5, "{file}: {key}: {gap}");
        }
    }
}

#[test]
fn an_experiment_takes_no_other_weights() {
    let dir = with_models(speech::data());
    let at = dir.path();
    put(&at.join("front.toml"), front_end("external.onnx"));
    put(
        &at.join("conf.toml"),
        CONF.replace("fbank.toml", "front.toml"),
    );
    let train = [
        "train",
        "--conf=conf.toml",
        "--exp=exp",
        "--set",
        "data.input=\"audio\"",
    ];
    succeed(at, &train);
    let extract = [
        "extract",
        "--exp=exp",
        "--output=phonetic",
        "--wav",
        "scp:data/wav.scp",
        "ark:z.ark",
    ];
    succeed(at, &extract);
    let mut weights = fs::read(at.join("external.onnx.data")).unwrap();
    weights[17] ^= 1;
    put(&at.join("external.onnx.data"), weights);
    let error = fail(at, &extract, b"");
    assert!(
        error.contains("external.onnx: checksum: expected"),
        "{error}"
    );
}

#[test]
fn an_onnx_vocoder_is_its_torchscript_module() {
    let dir = with_models(speech::workplace(FBANK, CONF));
    let at = dir.path();
    let weight = Tensor::full([40, 1, 160], 1e-3, CPU);
    save(&at.join("m.pt"), Tensor::zeros([1, 40, 7], CPU), |x| {
        let (stride, none, one): (&[i64], &[i64], &[i64]) = (&[160], &[0], &[1]);
        x.conv_transpose1d(&weight, None::<&Tensor>, stride, none, none, 1, one)
    });
    let audio = speech::recordings(at);
    let [source, target] = [0, 1].map(|place| audio[place].1.to_str().unwrap());
    let convert = |vocoder: &str| {
        let out = format!("{vocoder}.wav");
        let args = [
            "convert",
            "--exp=exp",
            "--out",
            &out,
            "--vocoder",
            vocoder,
            source,
            target,
        ];
        succeed(at, &args);
        fs::read(at.join(out)).unwrap()
    };
    let (expected, found) = (convert("m.pt"), convert("vocoder.onnx"));
    // 16-bit samples, of which rounding may move some by one.
    assert_eq!(found.len(), expected.len());
    let sample = |bytes: &[u8]| i32::from(i16::from_le_bytes([bytes[0], bytes[1]]));
    let pairs = found[44..]
        .chunks_exact(2)
        .zip(expected[44..].chunks_exact(2));
    assert!(pairs.clone().any(|(found, _)| sample(found) != 0));
    for (found, expected) in pairs {
        assert!((sample(found) - sample(expected)).abs() <= 1);
    }
}

#[test]
fn models_that_cannot_run_are_refused_in_one_line() {
    let dir = with_models(speech::data());
    let at = dir.path();
    let whole = fs::read(at.join("front_end.onnx")).unwrap();
    put(&at.join("cut.onnx"), &whole[..whole.len() / 2]);
    put(&at.join("empty.onnx"), "");
    put(&at.join("text.onnx"), "no model");
    fs::copy(at.join("external.onnx"), at.join("alone.onnx")).unwrap();
    let neither =
        "expected an ONNX model with one f32 input and one output, or a TorchScript module, found ";
    for (file, expected) in [
        ("cut.onnx", neither),
        ("empty.onnx", "found an empty file"),
        ("text.onnx", neither),
        ("none.onnx", "none.onnx: No such file"),
        ("two_inputs.onnx", "found 2 inputs and 1 outputs"),
        ("unknown.onnx", "Vocode"),
        ("alone.onnx", "external"),
        (
            "whole_numbers.onnx",
            "whole_numbers.onnx: output: expected [1, 20, 6] f32 for [1, 6480] f32",
        ),
        (
            "vocoder.onnx",
            "vocoder.onnx: output: expected [1, 20, 6] f32 for [1, 6480] f32",
        ),
    ] {
        put(&at.join("front.toml"), front_end(file));
        let args = [
            "feats",
            "ssl",
            "--device=cpu",
            "--conf=front.toml",
            "scp:data/wav.scp",
            "ark:f.ark",
        ];
        let error = fail(at, &args, b"");
        assert!(
            error.contains(expected) && error.contains(file),
            "{file}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!at.join("f.ark").exists());
    }
}
