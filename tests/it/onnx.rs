//! `unbraid export --format onnx` as a user runs it: its models by onnxruntime and sherpa-onnx, compared with
//! `unbraid extract`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::{Array1, Array2};
use unbraid::io::audio::{AudioOptions, read_audio};
use unbraid::io::kaldi::{KaldiObject, TableReader};

use crate::support::speech::{CONF, FBANK, recordings, workplace};
use crate::support::{fail, names, put, references, root, run_reference, succeed};

const WAVS: &str = "scp:data/wav.scp";
/// How far values may be from those of `unbraid extract`, of the largest.
const NEAR: f32 = 1e-4;

/// Representations of utterances, one value after another.
type Found = BTreeMap<String, Vec<f32>>;

fn extract<T: KaldiObject>(dir: &Path, args: &[&str]) -> BTreeMap<String, T> {
    let fixed = ["extract", "--device=cpu"];
    succeed(dir, &[&fixed[..], args, &["ark:found.ark"]].concat());
    let table = format!("ark:{}", dir.join("found.ark").display());
    let entries = TableReader::open(&table).unwrap();
    entries.collect::<Result<_, _>>().unwrap()
}

/// What `unbraid extract` gives of a representation.
fn extracted(dir: &Path, output: &str, args: &[&str]) -> Found {
    let args = [args, &["--output", output]].concat();
    match output {
        "phonetic" => (extract::<Array2<f32>>(dir, &args).into_iter())
            .map(|(key, codes)| (key, codes.iter().copied().collect()))
            .collect(),
        _ => (extract::<Array1<f32>>(dir, &args).into_iter())
            .map(|(key, embedding)| (key, embedding.to_vec()))
            .collect(),
    }
}

fn waveforms(dir: &Path) -> Found {
    let read = |path: PathBuf| read_audio(path, &AudioOptions::default()).unwrap().samples;
    (recordings(dir).into_iter())
        .map(|(name, path)| (name, read(path)))
        .collect()
}

/// What onnxruntime gives of inputs, each alone and all in one batch.
fn by_onnxruntime(dir: &Path, model: &str, inputs: &Found) -> [Found; 2] {
    let python = references::python();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (name, values) in inputs {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        fs::write(at.join(format!("{name}.in")), bytes).unwrap();
    }
    let paths = [dir.join(model), at.to_path_buf()].map(|path| path.display().to_string());
    run_reference(&python, at, "run_onnx.py", &[&paths[0], &paths[1]]);
    let metadata = fs::read_to_string(at.join("unbraid.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["format"], 1);
    ["alone", "batch"].map(|kind| {
        let read = |name: &str| floats(&fs::read(at.join(format!("{name}.{kind}"))).unwrap());
        let names = inputs.keys();
        names.map(|name| (name.clone(), read(name))).collect()
    })
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
}

/// Holds what was found to what `unbraid extract` gives. Of `steps` values in all, which are rounded, one in ten
/// thousand may be on the next step.
fn assert_near(found: &Found, expected: &Found, steps: bool, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let (mut other, mut all) = (0, 0);
    for (key, expected) in expected {
        let found = &found[key];
        assert_eq!(found.len(), expected.len(), "{what}: {key}");
        let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
        let apart = |(a, b): (&f32, &f32)| (a - b).abs();
        let gaps: Vec<f32> = found.iter().zip(expected).map(apart).collect();
        let far = |gap: &&f32| gap.is_nan() || **gap > NEAR * largest;
        let far = gaps.iter().filter(far).count();
        let most = gaps.iter().copied().fold(0f32, f32::max);
        assert!(far == 0 || steps, "{what}: {key}: {most} of {largest}");
        (other, all) = (other + far, all + gaps.len());
    }
    assert!(other * 10_000 <= all, "{what}: {other} of {all}");
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y));
        products.sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Exports `model` with the front-end inside and holds it to extraction, alone and in a batch.
fn agrees(dir: &Path, model: &[&str], output: &str, steps: bool, what: &str) {
    let export = ["export", "--format=onnx", "--front-end", "--output", output];
    succeed(dir, &[&export[..], model, &["model.onnx"]].concat());
    let expected = extracted(dir, output, &[model, &["--wav", WAVS]].concat());
    let found = by_onnxruntime(dir, "model.onnx", &waveforms(dir));
    for (found, kind) in found.iter().zip(["alone", "in a batch"]) {
        assert_near(found, &expected, steps, &format!("{what} {output} {kind}"));
        if output == "speaker" {
            for (key, found) in found {
                let cosine = cosine(found, &expected[key]);
                assert!(cosine > 0.99999, "{what}: {key}: {cosine}");
            }
        }
    }
}

/// A folder with `data/wav.scp` of eight recordings from 0.1 to 60 s, cut from `audio` as it repeats.
fn lengths(audio: &[PathBuf]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let read = |path: &PathBuf| read_audio(path, &AudioOptions::default()).unwrap();
    let samples: Vec<f32> = (audio.iter()).flat_map(|path| read(path).samples).collect();
    let mut table = String::new();
    for (place, seconds) in [0.1, 0.13, 0.5, 1.0, 2.5, 7.0, 20.0, 60.0]
        .iter()
        .enumerate()
    {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let path = dir.path().join(format!("r{place}.wav"));
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        let wanted = (seconds * 16000.0) as usize;
        let piece = samples.iter().cycle().skip(7000 * place).take(wanted);
        piece.for_each(|x| writer.write_sample((x * 32768.0) as i16).unwrap());
        writer.finalize().unwrap();
        table += &format!("r{place} {}\n", path.display());
    }
    put(&dir.path().join("data/wav.scp"), table);
    dir
}

fn shipped(audio: &[PathBuf]) {
    let dir = lengths(audio);
    // The codes of this model are rounded, its embeddings are not.
    let model = root().join("data/models/en-16k").display().to_string();
    agrees(dir.path(), &["--exp", &model], "phonetic", true, "en-16k");
    agrees(dir.path(), &["--exp", &model], "speaker", false, "en-16k");
}

fn files(folder: &Path, count: usize) -> Vec<PathBuf> {
    let names = names(folder).into_iter().take(count);
    names.map(|name| folder.join(name)).collect()
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_the_shipped_model_gives_what_extract_gives() {
    shipped(&files(&root().join("data/mini/audio"), 25));
}

#[test]
#[ignore = "needs UNBRAID_PYTHON and UNBRAID_CORPORA"]
fn with_python_with_corpora_the_shipped_model_gives_what_extract_gives() {
    let corpus = references::corpora().join("speechocean762/WAVE");
    for speaker in ["SPEAKER0044", "SPEAKER0457"] {
        shipped(&files(&corpus.join(speaker), 20));
    }
}

/// The tiny configuration with other tables and keys.
fn conf(phonetic: &str, speaker: &str, more: &str) -> String {
    let replaced = CONF
        .replace("code_dim = 4", &format!("code_dim = 4, {phonetic}"))
        .replace(
            "embedding_dim = 4",
            &format!("embedding_dim = 4, {speaker}"),
        );
    format!("{more}\n{replaced}")
}

/// Every network of the phonetic encoder.
const PHONETIC: [&str; 13] = [
    "subsampling = 1",
    "subsampling = 8, kernel = 3, backbone = { kind = 'conv', layers = 0 }",
    "instance_norm = false, causal = true",
    "code_norm = true, bottleneck = { kind = 'vae', weight = 1.0 }",
    "bottleneck = { kind = 'vq', codes = 8 }",
    "bottleneck = { kind = 'fsq', levels = 4 }",
    "code_norm = true, bottleneck = { kind = 'fsq', levels = 3, balanced = true }",
    "backbone = { kind = 'recurrent', layers = 2 }",
    "backbone = { kind = 'recurrent', layers = 1 }, instance_norm = false, causal = true",
    "backbone = { kind = 'conformer', layers = 2, heads = 2 }",
    "backbone = { kind = 'conformer', layers = 1, heads = 4 }, instance_norm = false, causal = true",
    "code_norm = true, backbone = { kind = 'recurrent', layers = 1 }",
    "instance_norm = false, backbone = { kind = 'conv', layers = 3 }",
];

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_every_phonetic_encoder_gives_what_extract_gives() {
    for options in PHONETIC {
        let dir = workplace(FBANK, &conf(options, "", ""));
        let steps = options.contains("fsq") || options.contains("vq");
        agrees(dir.path(), &["--exp=exp"], "phonetic", steps, options);
    }
    let pooled = conf("pool = true", "", "").replace("kind = 'conv'", "kind = 'recurrent'");
    let dir = workplace(FBANK, &pooled);
    agrees(dir.path(), &["--exp=exp"], "phonetic", false, "pool");
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_every_speaker_encoder_gives_what_extract_gives() {
    for options in [
        "backbone = 'tdnn'",
        "backbone = 'ecapa'",
        "backbone = 'resnet'",
        "backbone = 'resnet', input_statistics = 0.5",
        "embedding_levels = 4",
    ] {
        let dir = workplace(FBANK, &conf("", options, ""));
        let steps = options.contains("levels");
        agrees(dir.path(), &["--exp=exp"], "speaker", steps, options);
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_every_normalisation_and_method_gives_what_extract_gives() {
    for normalisation in [
        "normalisation = { cmvn = 'utterance' }",
        "normalisation = { cmvn = 'none', subtract_utterance_mean = false }",
        "normalisation.fixed_frames = 40",
    ] {
        let dir = workplace(FBANK, &conf("", "", normalisation));
        agrees(dir.path(), &["--exp=exp"], "phonetic", false, normalisation);
        agrees(dir.path(), &["--exp=exp"], "speaker", false, normalisation);
    }
    let dir = workplace(FBANK, &fhvae());
    agrees(dir.path(), &["--exp=exp"], "phonetic", false, "fhvae");
    agrees(dir.path(), &["--exp=exp"], "speaker", false, "fhvae");
    let encoder = "model.phonetic_encoder = { channels = 8, code_dim = 4 }";
    for (from, to) in [
        (encoder, "model.baseline = { kind = 'standardise' }"),
        (
            encoder,
            "model.baseline = { kind = 'speaker_pca', directions = 1 }",
        ),
        ("[train]", "model.regress_speaker_out = true\n[train]"),
    ] {
        let dir = workplace(FBANK, &CONF.replace(from, to));
        agrees(dir.path(), &["--exp=exp"], "phonetic", false, to);
    }
}

/// All kinds of front-ends, and all ways of treating ends and energies.
const FRONT_ENDS: [&str; 12] = [
    "kind = 'fbank'\ndither = 0.0\nsnip_edges = false\nnum_mel_bins = 40\nuse_energy = true",
    "kind = 'fbank'\ndither = 0.0\nsnip_edges = false\nframe_shift = 40.0\nuse_energy = true\nhtk_compat = true",
    "kind = 'fbank'\ndither = 0.0\nsubtract_mean = true\nuse_power = false\nuse_log_fbank = false",
    "kind = 'mfcc'\ndither = 0.0\nsnip_edges = false\nhtk_compat = true",
    "kind = 'mfcc'\ndither = 0.0\nround_to_power_of_two = false\nraw_energy = false",
    "kind = 'spectrogram'\ndither = 0.0",
    "kind = 'spectrogram'\ndither = 0.0\noutput = 'magnitude'\nsnip_edges = false",
    "kind = 'mel'\nsr = 16000.0\nn_fft = 512\nhop_length = 160\nn_mels = 40\noutput = 'db'",
    "kind = 'mel'\nsr = 16000.0\nn_fft = 512\nhop_length = 100\nn_mels = 20\npad_mode = 'reflect'\npower = 1.0",
    "kind = 'mel'\nsr = 16000.0\nn_fft = 512\nhop_length = 100\nn_mels = 20\ncenter = false\noutput = 'db'\nref = 0.0",
    "kind = 'mel'\nsr = 16000.0\nn_fft = 512\nn_mels = 20\npad_mode = 'edge'\noutput = 'db'\ntop_db = 20.0\npower = 3.0",
    "kind = 'whisper'\npadding = 777",
];

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_every_front_end_gives_what_extract_gives() {
    for front_end in FRONT_ENDS {
        let dir = front_end_workplace(front_end);
        agrees(dir.path(), &["--exp=exp"], "phonetic", false, front_end);
    }
}

/// A workplace whose features are those of any front-end, by its own command.
fn front_end_workplace(front_end: &str) -> tempfile::TempDir {
    let dir = workplace(FBANK, CONF);
    let kind = front_end.split('\'').nth(1).unwrap();
    put(&dir.path().join("fbank.toml"), front_end);
    let command = ["feats", kind, "--conf=fbank.toml", WAVS];
    let to = ["ark,scp:data/feats.ark,data/feats.scp"];
    succeed(dir.path(), &[&command[..], &to].concat());
    fs::remove_dir_all(dir.path().join("exp")).unwrap();
    succeed(dir.path(), &["train", "--conf=conf.toml", "--exp=exp"]);
    dir
}

/// The front-end of sherpa-onnx's speaker models.
const SHERPA: &str =
    "kind = 'fbank'\nsnip_edges = false\nnum_mel_bins = 80\nhigh_freq = -400.0\ndither = 0.0\n";

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_sherpa_gives_what_extract_gives() {
    for (front_end, options) in [
        (SHERPA.to_string(), "backbone = 'tdnn'"),
        (format!("{SHERPA}full_scale = 1.0\n"), "backbone = 'ecapa'"),
    ] {
        let dir = workplace(&front_end, &conf("", options, ""));
        let at = dir.path();
        let export = [
            "export",
            "--format=sherpa-onnx",
            "--exp=exp",
            "--output=speaker",
        ];
        succeed(at, &[&export[..], &["s.onnx"]].concat());
        let paths = ["s.onnx", "data/wav.scp", "."].map(|name| at.join(name).display().to_string());
        let args = [&paths[0][..], &paths[1], &paths[2]];
        run_reference(&references::python(), at, "sherpa_embeddings.py", &args);
        for (key, expected) in extracted(at, "speaker", &["--exp=exp", "--wav", WAVS]) {
            let found = floats(&fs::read(at.join(format!("{key}.out"))).unwrap());
            let cosine = cosine(&found, &expected);
            assert!(cosine > 0.9999, "{options}: {key}: {cosine}");
        }
    }
}

/// The program of `examples/python`, and every set of operators.
#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_the_example_gives_what_extract_gives() {
    let dir = workplace(FBANK, CONF);
    let at = dir.path();
    for (output, opset) in [("phonetic", "--opset=17"), ("speaker", "--opset=21")] {
        let export = ["export", "--format=onnx", "--exp=exp", "--front-end", opset];
        succeed(at, &[&export[..], &["--output", output, output]].concat());
    }
    let (name, path) = recordings(at).remove(0);
    let python = Command::new(references::python())
        .arg(root().join("examples/python/encode.py"))
        .args(["phonetic", "speaker"])
        .args([&path, &at.join("out.npz")])
        .current_dir(at)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&python.stderr);
    assert!(python.status.success(), "{error}");
    for (output, array) in [("phonetic", "codes"), ("speaker", "embedding")] {
        let expected = extracted(at, output, &["--exp=exp", "--wav", WAVS]);
        let mut archive =
            zip::ZipArchive::new(fs::File::open(at.join("out.npz")).unwrap()).unwrap();
        let mut bytes = Vec::new();
        let mut entry = archive.by_name(&format!("{array}.npy")).unwrap();
        entry.read_to_end(&mut bytes).unwrap();
        let values = &bytes[bytes.len() - 4 * expected[&name].len()..];
        let found = Found::from([(name.clone(), floats(values))]);
        let expected = Found::from([(name.clone(), expected[&name].clone())]);
        assert_near(&found, &expected, false, array);
    }
}

/// FHVAE, tiny.
fn fhvae() -> String {
    let (head, tail) = CONF.split_once("name = 'disentangle'").unwrap();
    let method = "name = 'fhvae'\nchannels = 8\ncode_dim = 4\nembedding_dim = 4\n[train]";
    format!("{head}{method}{}", tail.split_once("[train]").unwrap().1)
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_a_stream_gives_what_extract_gives() {
    let level = "normalisation.subtract_utterance_mean = false";
    for options in PHONETIC.iter().filter(|options| options.contains("causal")) {
        let dir = workplace(FBANK, &conf(options, "", level));
        let at = dir.path();
        let export = ["export", "--format=onnx", "--exp=exp", "--output=phonetic"];
        succeed(at, &[&export[..], &["--stream", "m.onnx"]].concat());
        let table = format!("ark:{}", at.join("data/feats.ark").display());
        for entry in TableReader::<Array2<f32>>::open(&table).unwrap() {
            let (key, feats) = entry.unwrap();
            let bytes: Vec<u8> = feats.iter().flat_map(|x| x.to_le_bytes()).collect();
            fs::write(at.join(format!("{key}.in")), bytes).unwrap();
        }
        let paths = ["m.onnx", "."].map(|name| at.join(name).display().to_string());
        let args = [&paths[0][..], &paths[1]];
        run_reference(&references::python(), at, "stream_onnx.py", &args);
        let expected = extracted(at, "phonetic", &["--exp=exp", "scp:data/feats.scp"]);
        let read = |key: &String| floats(&fs::read(at.join(format!("{key}.out"))).unwrap());
        let found = expected
            .keys()
            .map(|key| (key.clone(), read(key)))
            .collect();
        assert_near(&found, &expected, false, options);
    }
}

#[test]
fn what_cannot_be_exported_is_refused_in_one_line() {
    let dir = workplace(FBANK, CONF);
    let at = dir.path();
    let onnx = ["--format=onnx", "--output=phonetic"];
    let sherpa = ["--format=sherpa-onnx", "--output=speaker"];
    succeed(
        at,
        &[&["export", "--exp=exp", "x.onnx"][..], &onnx].concat(),
    );
    put(&at.join("folder/kept"), "");
    put(&at.join("fhvae.toml"), fhvae());
    succeed(at, &["train", "--conf=fhvae.toml", "--exp=fhvae"]);
    put(&at.join("causal.toml"), self::conf(PHONETIC[2], "", ""));
    succeed(at, &["train", "--conf=causal.toml", "--exp=causal"]);
    copy(&at.join("exp"), &at.join("cut"));
    let weights = at.join("cut/last/weights.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    copy(&at.join("exp"), &at.join("plain"));
    fs::remove_file(at.join("plain/front_end.toml")).unwrap();
    let shipped = root().join("data/models/en-16k").display().to_string();
    let before = names(at);
    for (args, expected) in [
        (
            &["--exp=exp", "--opset=16", onnx[0], onnx[1]][..],
            "--opset: expected 17 to 21, found 16",
        ),
        (
            &["--exp=exp", "--opset=22", onnx[0], onnx[1]],
            "--opset: expected 17 to 21, found 22",
        ),
        (
            &["--exp=exp", "--opset=17", "--format=torchscript", onnx[1]],
            "--opset: expected --format onnx beside it, found torchscript",
        ),
        (
            &["--exp=fhvae", "--stream", onnx[0], onnx[1]],
            "method.name: expected disentangle or dann for a stream, found fhvae",
        ),
        (
            &["--exp=exp", "--stream", onnx[0], onnx[1]],
            "phonetic_encoder.causal: expected true for a stream, found false",
        ),
        (
            &["--exp=exp", "--stream", onnx[0], "--output=speaker"],
            "--output: expected phonetic for a stream, found speaker",
        ),
        (
            &["--exp=exp", "--stream", "--front-end", onnx[0], onnx[1]],
            "--front-end: expected features as input for a stream, found waveforms",
        ),
        (
            &["--exp=causal", "--stream", onnx[0], onnx[1]],
            "normalisation.subtract_utterance_mean: expected false for a stream",
        ),
        (
            &["--exp=exp", "--stream", "--format=torchscript", onnx[1]],
            "--stream: expected --format onnx beside it, found torchscript",
        ),
        (
            &["--exp=cut", onnx[0], onnx[1]],
            "weights.safetensors: expected tensors in safetensors format",
        ),
        (
            &["--exp=plain", "--front-end", onnx[0], onnx[1]],
            "--front-end: expected an experiment whose data.front_end names one, found none",
        ),
        (
            &["--exp=exp", sherpa[0], "--output=phonetic"],
            "--output: expected speaker with --format sherpa-onnx, found phonetic",
        ),
        (
            &["--exp=exp", "--front-end", sherpa[0], sherpa[1]],
            "--front-end: expected --format onnx beside it, found sherpa-onnx",
        ),
        (
            &["--exp=plain", sherpa[0], sherpa[1]],
            "--format sherpa-onnx: expected an experiment whose data.front_end names one, found none",
        ),
        (
            &["--exp", &shipped, sherpa[0], sherpa[1]],
            "front_end.high_freq: expected -400.0, as in sherpa-onnx, found 0.0",
        ),
    ] {
        let error = fail(at, &[&["export", "z.onnx"][..], args].concat(), b"");
        assert!(error.contains(expected), "{error}");
        assert_eq!(names(at), before, "{error}");
    }
    for (target, expected) in [
        ("none/z.onnx", "none/z.onnx: No such file"),
        ("folder", "folder: is a directory"),
    ] {
        let error = fail(
            at,
            &[&["export", "--exp=exp", target][..], &onnx].concat(),
            b"",
        );
        assert!(
            error.to_lowercase().contains(&expected.to_lowercase()),
            "{error}"
        );
        assert_eq!(names(at), before, "{error}");
    }
    let args = [
        "extract",
        "--module=x.onnx",
        "scp:data/feats.scp",
        "ark:z.ark",
    ];
    let error = fail(at, &args, b"");
    let expected = "x.onnx: expected a module that unbraid export wrote, found no whole zip";
    assert!(error.contains(expected), "{error}");
}

/// Copies an experiment, whose links become folders.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(from) {
        match from.join(&name).is_dir() {
            true => copy(&from.join(&name), &to.join(&name)),
            false => drop(fs::copy(from.join(&name), to.join(&name)).unwrap()),
        }
    }
}
