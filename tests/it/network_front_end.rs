//! Experiments whose front-end is a network: a tiny HuBERT with random weights, and a TorchScript module. They read
//! recordings as they read archives, and what cannot work is refused.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2};
use tch::{CModule, Device, Kind, Tensor};
use unbraid::io::audio::{Waveform, write_wav};
use unbraid::io::kaldi::{KaldiObject, TableReader};

use crate::support::speech::{self, CONF, recordings};
use crate::support::training::edit;
use crate::support::{fail, put, root, succeed, unbraid};

const LAYER: &str = "kind = 'hubert'\nmodel = 'model'\nlayer = 1\n";
const MODULE: &str = "kind = 'module'\nfile = 'm.pt'\nsample_rate_hz = 16000\nframe_shift = 320\nframe_length = 400\ndim = 6\n";

/// A copy of a golden model as `at`.
fn model(at: &Path, name: &str) {
    let from = root().join("tests/references/ssl").join(name);
    for file in [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ] {
        put(&at.join(file), fs::read(from.join(file)).unwrap());
    }
}

/// Recordings in `data`, the model, and `conf.toml` with a front-end.
fn workplace(front_end: &str) -> tempfile::TempDir {
    let dir = speech::data();
    model(&dir.path().join("model"), "hubert-tiny-base");
    put(&dir.path().join("front.toml"), front_end);
    put(
        &dir.path().join("conf.toml"),
        CONF.replace("fbank.toml", "front.toml"),
    );
    dir
}

const TRAIN: [&str; 3] = ["train", "--conf=conf.toml", "--exp=exp"];
const AUDIO: [&str; 2] = ["--set", "data.input=\"audio\""];
const STATES: [&str; 6] = [
    "feats",
    "ssl",
    "--device=cpu",
    "--conf=front.toml",
    "scp:data/wav.scp",
    "ark,scp:data/feats.ark,data/feats.scp",
];

fn table<T: KaldiObject>(dir: &Path, name: &str) -> Vec<(String, T)> {
    let ark = format!("ark:{}", dir.join(name).display());
    let entries = TableReader::<T>::open(&ark).unwrap();
    entries.map(|entry| entry.unwrap()).collect()
}

fn weights(dir: &Path, exp: &str) -> Vec<u8> {
    fs::read(dir.join(exp).join("last/weights.safetensors")).unwrap()
}

fn recorded(dir: &Path) -> toml::Table {
    let text = fs::read_to_string(dir.join("exp/front_end.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

#[test]
fn stored_features_of_another_layer_are_noticed() {
    let dir = workplace(LAYER);
    let at = dir.path();
    succeed(at, &STATES);
    let is_warned = || {
        let output = unbraid(at, &TRAIN);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{error}");
        fs::remove_dir_all(at.join("exp")).unwrap();
        error.contains(": the stored features are not those that data.front_end (hubert) computes")
    };
    assert!(!is_warned());
    fs::write(
        at.join("front.toml"),
        LAYER.replace("layer = 1", "layer = 2"),
    )
    .unwrap();
    assert!(is_warned());
}

#[test]
fn recordings_give_what_archives_give() {
    let dir = workplace(LAYER);
    let at = dir.path();
    succeed(at, &STATES);
    succeed(at, &TRAIN);
    let front_end = recorded(at);
    assert_eq!(front_end["kind"].as_str(), Some("hubert"));
    assert_eq!(front_end["layer"].as_integer(), Some(1));
    assert_eq!(front_end["checksum"].as_str().map(str::len), Some(8));
    assert!(Path::new(front_end["model"].as_str().unwrap()).is_absolute());
    let inventory = fs::read_to_string(at.join("exp/inventory.json")).unwrap();
    let inventory: serde_json::Value = serde_json::from_str(&inventory).unwrap();
    let level = &inventory["normalisation"]["options"]["subtract_utterance_mean"];
    assert_eq!(level, false);
    // The relative path in front.toml means nothing from here on.
    fs::create_dir(at.join("elsewhere")).unwrap();
    let elsewhere = at.join("elsewhere");
    for (output, wav, feats) in [
        ("phonetic", "z_wav.ark", "z.ark"),
        ("speaker", "s_wav.ark", "s.ark"),
    ] {
        let extract = |from: &str, to: &str, more: &[&str]| {
            let to = format!("ark:{to}");
            let args = [
                "extract",
                "--device=cpu",
                "--exp=../exp",
                "--output",
                output,
                from,
                &to,
            ];
            succeed(&elsewhere, &[&args[..], more].concat());
        };
        extract("scp:../data/wav.scp", wav, &["--wav"]);
        fs::write(
            elsewhere.join("feats.scp"),
            fs::read_to_string(at.join("data/feats.scp"))
                .unwrap()
                .replace(" data/", " ../data/"),
        )
        .unwrap();
        extract("scp:feats.scp", feats, &[]);
    }
    let codes = table::<Array2<f32>>(&elsewhere, "z.ark");
    assert_eq!(codes.len(), 4);
    assert_eq!(table::<Array2<f32>>(&elsewhere, "z_wav.ark"), codes);
    assert_eq!(
        table::<Array1<f32>>(&elsewhere, "s_wav.ark"),
        table::<Array1<f32>>(&elsewhere, "s.ark")
    );
    // The same of recordings by their names.
    let audio: Vec<String> = recordings(at)
        .iter()
        .map(|(_, path)| path.display().to_string())
        .collect();
    let args = [
        "extract",
        "--device=cpu",
        "--exp=../exp",
        "--out=named.ark",
        &audio[0],
        &audio[3],
    ];
    succeed(&elsewhere, &args);
    for (name, found) in table::<Array2<f32>>(&elsewhere, "named.phonetic.ark") {
        let expected = codes.iter().find(|(key, _)| name.contains(key.as_str()));
        let gap = &found - &expected.unwrap_or_else(|| panic!("{name}")).1;
        // Of another batch: matrix products of other sizes are rounded differently.
        assert!(gap.iter().all(|gap| gap.abs() < 5e-5), "{gap}");
    }
    put(
        &at.join("exp/calibration.json"),
        fs::read(root().join("data/models/en-16k/calibration.json")).unwrap(),
    );
    let same = succeed(
        at,
        &["same", "--device=cpu", "--exp=exp", &audio[0], &audio[0]],
    );
    assert!(String::from_utf8(same).unwrap().ends_with("cosine 1.000\n"));
    // Features of the decoder, but no waveform.
    let convert = ["convert", "--device=cpu", "--exp=exp", &audio[0], &audio[3]];
    succeed(at, &[&convert[..], &["--feats=ark:mel.ark"]].concat());
    assert_eq!(table::<Array2<f32>>(at, "mel.ark")[0].1.ncols(), 24);
    // Training from the recordings themselves.
    let exp = ["train", "--conf=conf.toml", "--exp=audio"];
    succeed(at, &[&exp[..], &AUDIO].concat());
    assert_eq!(weights(at, "audio"), weights(at, "exp"));
}

#[test]
fn weighted_layers_and_other_architectures_are_front_ends() {
    for (name, front_end) in [
        (
            "hubert-tiny-base",
            "kind = 'hubert'\nmodel = 'model'\nlayer_weights = [0.5, 0, 0.5]\n",
        ),
        ("wav2vec2-tiny-base", "kind = 'wav2vec2'\nmodel = 'model'\n"),
        (
            "wavlm-tiny-large",
            "kind = 'wavlm'\nmodel = 'model'\nlayer = 0\n",
        ),
    ] {
        let dir = workplace(front_end);
        let at = dir.path();
        model(&at.join("model"), name);
        succeed(at, &[&TRAIN[..], &AUDIO].concat());
        let extract = [
            "extract",
            "--device=cpu",
            "--exp=exp",
            "--output=features",
            "--wav",
            "scp:data/wav.scp",
            "ark:f.ark",
        ];
        succeed(at, &extract);
        assert_eq!(table::<Array2<f32>>(at, "f.ark").len(), 4);
    }
}

#[test]
fn another_model_is_refused() {
    let dir = workplace(LAYER);
    let at = dir.path();
    model(&at.join("other"), "hubert-tiny-base");
    let path = at.join("other/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    succeed(at, &[&TRAIN[..], &AUDIO].concat());
    let checksum = recorded(at)["checksum"].as_str().unwrap().to_string();
    let extract = [
        "extract",
        "--device=cpu",
        "--exp=exp",
        "--output=phonetic",
        "--wav",
        "scp:data/wav.scp",
        "ark:z.ark",
    ];
    succeed(at, &extract);
    // The folder may move, where its content does not change.
    let conf = at.join("exp/front_end.toml");
    let (old, new) = (at.join("model"), at.join("moved"));
    fs::rename(&old, &new).unwrap();
    let error = fail(at, &extract, b"");
    assert!(error.contains("model/config.json: No such file"), "{error}");
    let named = |path: &PathBuf| path.display().to_string();
    edit(&conf, &named(&old), &named(&new));
    succeed(at, &extract);
    put(&at.join("front.toml"), LAYER.replace("'model'", "'moved'"));
    let resume = [&TRAIN[..], &AUDIO, &["--resume", "--steps=3"]].concat();
    succeed(at, &resume);
    // Another one is not the model's.
    put(&at.join("front.toml"), LAYER.replace("'model'", "'other'"));
    let error = fail(
        at,
        &[&TRAIN[..], &AUDIO, &["--resume", "--steps=4"]].concat(),
        b"",
    );
    let expected = format!(
        "front.toml: checksum: expected \"{checksum}\", as the checkpoint was trained, found "
    );
    assert!(error.contains(&expected), "{error}");
    put(
        &at.join("front.toml"),
        LAYER.replace("'model'\nlayer = 1", "'moved'\nlayer = 2"),
    );
    let error = fail(
        at,
        &[&TRAIN[..], &AUDIO, &["--resume", "--steps=4"]].concat(),
        b"",
    );
    assert!(
        error.contains("front.toml: layer: expected 1, as the checkpoint was trained, found 2"),
        "{error}"
    );
    edit(&conf, &named(&new), &named(&at.join("other")));
    let error = fail(at, &extract, b"");
    let expected = format!(
        "other: checksum: expected \"{checksum}\", the checksum of the network that was recorded, found "
    );
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn what_a_network_cannot_do_is_refused() {
    let dir = workplace(LAYER);
    let at = dir.path();
    succeed(at, &[&TRAIN[..], &AUDIO].concat());
    let audio: Vec<String> = recordings(at)
        .iter()
        .map(|(_, path)| path.display().to_string())
        .collect();
    let spectral = "front_end.kind: expected a spectral front-end";
    let network = "found \"hubert\", a network";
    let cases: [(&[&str], String); 7] = [
        (&["export", "--exp=exp", "--output=phonetic", "--front-end", "x.pt"], format!("{spectral} to put into a module, {network}")),
        (&["export", "--exp=exp", "--output=phonetic", "--front-end", "--format=onnx", "x.onnx"], format!("{spectral} to put into an ONNX model, {network}")),
        (&["export", "--exp=exp", "--output=speaker", "--format=sherpa-onnx", "x.onnx"], format!("{spectral} that sherpa-onnx computes, {network}")),
        (&["stream", "--exp=exp", "--rate=16000", "--format=s16le"], format!("{spectral} for a stream, {network}")),
        (&["convert", "--device=cpu", "--exp=exp", &audio[0], &audio[3], "--out=x.wav"], format!("{spectral} for --out without --vocoder (--feats writes the features), {network}")),
        (&["feats", "waveform", "--conf=exp/front_end.toml", "ark:none.ark", "out"], "front_end.toml: kind: expected a front-end, one of \"fbank\", \"mfcc\", \"spectrogram\", \"mel\", \"whisper\", found \"hubert\"".into()),
        (&["feats", "fbank", "--conf=exp/front_end.toml", "scp:data/wav.scp", "ark:x.ark"], "front_end.toml: kind: expected a front-end, one of".into()),
    ];
    for (args, expected) in cases {
        let error = fail(at, args, b"");
        assert!(error.contains(&expected), "{expected}\n{error}");
        assert!(
            ["x.pt", "x.onnx", "x.wav", "x.ark"]
                .iter()
                .all(|name| !at.join(name).exists()),
            "{args:?}"
        );
    }
    // Features are what an exported model takes, and its front-end is known.
    succeed(at, &["export", "--exp=exp", "--output=phonetic", "z.pt"]);
    let of_module = [
        "extract",
        "--device=cpu",
        "--module=z.pt",
        "--wav",
        "scp:data/wav.scp",
        "ark:m.ark",
    ];
    succeed(at, &of_module);
    succeed(
        at,
        &[
            "extract",
            "--device=cpu",
            "--exp=exp",
            "--output=phonetic",
            "--wav",
            "scp:data/wav.scp",
            "ark:z.ark",
        ],
    );
    let pairs = table::<Array2<f32>>(at, "m.ark")
        .into_iter()
        .zip(table::<Array2<f32>>(at, "z.ark"));
    for ((_, found), (_, expected)) in pairs {
        assert!((&found - &expected).iter().all(|gap| gap.abs() < 1e-5));
    }
}

#[test]
fn front_ends_that_do_not_fit_are_named() {
    let dir = workplace(LAYER);
    let at = dir.path();
    succeed(at, &STATES);
    model(&at.join("bare"), "hubert-tiny-base");
    fs::remove_file(at.join("bare/config.json")).unwrap();
    let cases = [
        (
            LAYER.replace("hubert", "wavlm"),
            "model/config.json: model_type: expected \"wavlm\", as the front-end's kind is, found \"hubert\"",
        ),
        (
            LAYER.replace("= 1", "= 3"),
            "front_end.layer: expected 0 to 2, found 3",
        ),
        (
            format!("{LAYER}layer_weights = [1, 0, 0]\n"),
            "front_end.layer: expected layer or layer_weights, found both, layer = 1",
        ),
        (
            LAYER.replace("layer = 1", "layer_weights = [1, 2]"),
            "front_end.layer_weights: expected 3 numbers, of layers 0 to 2",
        ),
        (
            LAYER.replace("'model'", "'nowhere'"),
            "nowhere/config.json: No such file",
        ),
        (
            LAYER.replace("'model'", "'bare'"),
            "bare/config.json: No such file",
        ),
        (
            format!("{LAYER}checksum = '00000000'\n"),
            "model: checksum: expected \"00000000\", the checksum of the network that was recorded, found \"",
        ),
        (
            LAYER.replace("layer", "layers"),
            "front.toml:3: expected known keys with values of their types, found layers: unknown field `layers`",
        ),
        (
            "kind = 'fbank'\nnum_mel_bins = 40\n".into(),
            "data.front_end: expected a front-end that gives the features' 24 columns, found 40 of fbank",
        ),
    ];
    for (front_end, expected) in &cases {
        put(&at.join("front.toml"), front_end);
        let error = fail(at, &TRAIN, b"");
        assert!(error.contains(expected), "{expected}\n{error}");
        assert!(!at.join("exp/conf.toml").exists());
    }
    let error = fail(at, &STATES, b"");
    assert!(
        error.contains(
            "front.toml: kind: expected one of hubert, wav2vec2, wavlm, module, found fbank"
        ),
        "{error}"
    );
    // What assumes frequencies is off and refused.
    put(&at.join("front.toml"), LAYER);
    for (setting, expected) in [
        (
            "method.perturb.warp=0.1",
            "method.perturb.warp: expected 0 with features of type hidden_states",
        ),
        (
            "normalisation.subtract_utterance_mean=true",
            "normalisation.subtract_utterance_mean: expected false with features of type hidden_states",
        ),
    ] {
        let error = fail(at, &[&TRAIN[..], &["--set", setting]].concat(), b"");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn recordings_that_do_not_fit_are_named() {
    let dir = workplace(LAYER);
    let at = dir.path();
    let tone = |samples: usize, rate: u32| Waveform {
        samples: (0..samples)
            .map(|at| (at as f32 * 0.05).sin() * 0.3)
            .collect(),
        sample_rate_hz: rate,
    };
    succeed(at, &[&TRAIN[..], &AUDIO].concat());
    write_wav(at.join("slow.wav"), &tone(8000, 8000)).unwrap();
    write_wav(at.join("short.wav"), &tone(399, 16_000)).unwrap();
    let extract = [
        "extract",
        "--device=cpu",
        "--exp=exp",
        "--output=phonetic",
        "--wav",
        "scp:list.scp",
        "ark:z.ark",
    ];
    put(&at.join("list.scp"), "a short.wav\n");
    let error = String::from_utf8(crate::support::unbraid(at, &extract).stderr).unwrap();
    assert!(
        error
            .contains("audio: expected audio of one frame, 400 samples or more, found 399 samples"),
        "{error}"
    );
    // As with spectral front-ends, extraction resamples and training asks to.
    put(&at.join("list.scp"), "a slow.wav\n");
    succeed(at, &extract);
    let list = fs::read_to_string(at.join("data/wav.scp")).unwrap();
    let (first, rest) = list.split_once('\n').unwrap();
    let id = first.split_once(' ').unwrap().0;
    put(&at.join("data/wav.scp"), format!("{id} slow.wav\n{rest}"));
    let again = ["train", "--conf=conf.toml", "--exp=slow"];
    let error = fail(at, &[&again[..], &AUDIO].concat(), b"");
    let expected = format!(
        "{id}: expected 16000 Hz, the front-end's rate (or data.resample = true), found 8000 Hz"
    );
    assert!(error.contains(&expected), "{error}");
    succeed(
        at,
        &[&again[..], &AUDIO, &["--set", "data.resample=true"]].concat(),
    );
}

/// Writes a module: a convolution of 400 samples with a stride of 320 to 6 values, behind `more` samples of padding.
fn module(path: &Path, more: i64) {
    tch::manual_seed(0);
    let weight = Tensor::randn([6, 1, 400], (Kind::Float, Device::Cpu)) * 0.05;
    let mut forward = |inputs: &[Tensor]| {
        let x = inputs[0].unsqueeze(1).constant_pad_nd([more, more]);
        let x = x.conv1d(&weight, None::<Tensor>, [320], [0], [1], 1);
        vec![x.tanh().transpose(1, 2).contiguous()]
    };
    let example = Tensor::zeros([1, 4000], (Kind::Float, Device::Cpu));
    let traced = CModule::create_by_tracing("Features", "forward", &[example], &mut forward);
    traced.unwrap().save(path).unwrap();
}

#[test]
fn any_module_is_a_front_end() {
    let dir = workplace(MODULE);
    let at = dir.path();
    module(&at.join("m.pt"), 0);
    succeed(at, &STATES);
    succeed(at, &TRAIN);
    succeed(
        at,
        &[
            "train",
            "--conf=conf.toml",
            "--exp=audio",
            AUDIO[0],
            AUDIO[1],
        ],
    );
    assert_eq!(weights(at, "audio"), weights(at, "exp"));
    let extract = |more: &[&str]| {
        let args = ["extract", "--device=cpu", "--exp=exp", "--output=phonetic"];
        succeed(at, &[&args[..], more].concat());
    };
    extract(&["--wav", "scp:data/wav.scp", "ark:wav.ark"]);
    extract(&["scp:data/feats.scp", "ark:feats.ark"]);
    assert_eq!(
        table::<Array2<f32>>(at, "wav.ark"),
        table::<Array2<f32>>(at, "feats.ark")
    );
    // A module may compute spectra, and says so.
    put(
        &at.join("front.toml"),
        format!("{MODULE}feature_type = 'filter_bank'\n"),
    );
    succeed(at, &["train", "--conf=conf.toml", "--exp=mel"]);
    let inventory = fs::read_to_string(at.join("mel/inventory.json")).unwrap();
    assert!(
        inventory.contains("\"subtract_utterance_mean\": true"),
        "{inventory}"
    );
}

#[test]
fn modules_that_give_other_features_are_named() {
    let dir = workplace(MODULE);
    let at = dir.path();
    module(&at.join("m.pt"), 0);
    module(&at.join("padded.pt"), 200);
    put(&at.join("text.pt"), "no module");
    let output = |frames: usize, dim: usize, samples: usize| {
        format!(
            "m.pt: output: expected [1, {frames}, {dim}] f32 for [1, {samples}] f32, as the front-end's frame_length, frame_shift and dim say, found [1, "
        )
    };
    for (old, new, expected) in [
        ("dim = 6", "dim = 8", output(20, 8, 6480) + "20, 6] Float"),
        ("= 320", "= 160", output(20, 6, 3440) + "10, 6] Float"),
        ("= 320", "= 321", output(20, 6, 6819) + "21, 6] Float"),
        ("= 400", "= 401", output(20, 6, 6800) + "21, 6] Float"),
        ("= 400", "= 399", output(20, 6, 6479) + "19, 6] Float"),
        ("'m.pt'", "'padded.pt'", "padded.pt: output: expected [1, 20, 6] f32 for [1, 6480] f32".into()),
        ("'m.pt'", "'none.pt'", "none.pt: No such file".into()),
        ("'m.pt'", "'text.pt'", "text.pt: expected a TorchScript module (torch.jit.save) or an ONNX model, found ".into()),
        ("= 16000", "= 0", "front_end.sample_rate_hz: expected 100 to 1000000, found 0".into()),
        ("= 320", "= 0", "front_end.frame_shift: expected 1 to 1048576, found 0".into()),
        ("dim = 6", "dim = 6\nchecksum = '0'", "m.pt: checksum: expected \"0\", the checksum of the network that was recorded, found \"".into()),
    ] {
        put(&at.join("front.toml"), MODULE.replace(old, new));
        let error = fail(at, &[&TRAIN[..], &AUDIO].concat(), b"");
        assert!(error.contains(&expected), "{new}: {expected}\n{error}");
        assert!(!at.join("exp/conf.toml").exists());
    }
    // 200 zeros on both sides are those of a module that pads.
    let padded = MODULE
        .replace("'m.pt'", "'padded.pt'")
        .replace("= 400", "= 0");
    put(&at.join("front.toml"), padded);
    succeed(at, &[&TRAIN[..], &AUDIO].concat());
}
