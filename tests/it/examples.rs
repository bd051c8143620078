//! The examples do what the commands do.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::{Array1, Array2};
use unbraid::Model;
use unbraid::io::audio::{AudioOptions, Waveform, read_audio};
use unbraid::io::kaldi::TableReader;
use unbraid::signal::resample::resample;

use crate::support::speech::{CONF, FBANK, recordings, workplace};
use crate::support::{put, root, succeed};

#[allow(dead_code)] // Their main().
#[path = "../../examples/extract_codes.rs"]
mod extract_codes;
#[allow(dead_code)]
#[path = "../../examples/score_trials.rs"]
mod score_trials;
#[allow(dead_code)]
#[path = "../../examples/stream.rs"]
mod stream;

#[test]
fn they_give_what_the_commands_give() {
    let causal = CONF
        .replace(
            "code_dim = 4",
            "code_dim = 4, causal = true, instance_norm = false",
        )
        .replace("[method]", "[normalisation]\nloudness = false\n[method]");
    let dir = workplace(FBANK, &causal);
    let at = dir.path();
    let wavs = "scp:data/wav.scp";
    let extract = ["extract", "--exp=exp", "--device=cpu", "--wav", wavs];
    let with = |more: &[&'static str]| succeed(at, &[&extract[..], more].concat());
    with(&["ark:z.ark", "--output=phonetic"]);
    with(&["ark:s.ark", "--output=speaker"]);

    let table = format!("ark:{}", at.join("s.ark").display());
    let embeddings: HashMap<String, Array1<f32>> = TableReader::open(&table)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let table = format!("ark:{}", at.join("z.ark").display());
    for entry in TableReader::<Array2<f32>>::open(&table).unwrap() {
        let (key, expected) = entry.unwrap();
        let (_, audio) = (recordings(at).into_iter())
            .find(|(name, _)| *name == key)
            .unwrap();
        let (whole, embedding) = extract_codes::extract(&at.join("exp"), &audio).unwrap();
        assert_eq!(whole.dim(), expected.dim());
        let apart = &embedding - &embeddings[&key];
        assert!(apart.iter().all(|gap| gap.abs() < 1e-5), "{key}: {apart}");
        let streamed = stream::codes(&at.join("exp"), &audio).unwrap();
        assert_eq!(streamed.dim(), expected.dim());
        for ((a, b), c) in whole.iter().zip(&streamed).zip(&expected) {
            assert!((a - c).abs() < 1e-5 && (b - c).abs() < 1e-5, "{a} {b} {c}");
        }
    }

    let keys: Vec<String> = recordings(at).into_iter().map(|(name, _)| name).collect();
    let trials = format!(
        "{0} {1} target\n{2} {3} target\n{0} {2} nontarget\n{1} {3} nontarget\n",
        keys[0], keys[1], keys[2], keys[3]
    );
    std::fs::write(at.join("trials"), trials).unwrap();
    let embeddings = format!("ark:{}", at.join("s.ark").display());
    let eer = score_trials::equal_error_rate(&embeddings, &at.join("trials")).unwrap();
    succeed(at, &["score", "--trials=trials", "--out=eer", "ark:s.ark"]);
    let report = std::fs::read_to_string(at.join("eer.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["eer"].as_f64().unwrap(), eer);
}

/// A recording of another sample rate is resampled, and one speaker's words are decoded with the voice of another.
#[test]
fn a_model_takes_recordings_of_any_rate() {
    let dir = workplace(FBANK, CONF);
    let model = Model::open(dir.path().join("exp")).unwrap();
    let read = |path: &Path| read_audio(path, &AudioOptions::default()).unwrap();
    let [(_, first), (_, second), ..] = &recordings(dir.path())[..] else {
        panic!("two recordings");
    };
    let (first, second) = (read(first), read(second));
    let codes = model.phonetic(&first).unwrap();
    let doubled = Waveform {
        samples: resample(
            &first.samples,
            first.sample_rate_hz,
            2 * first.sample_rate_hz,
        )
        .unwrap()
        .into_owned(),
        sample_rate_hz: 2 * first.sample_rate_hz,
    };
    assert_eq!(model.phonetic(&doubled).unwrap().dim(), codes.dim());
    let cosine = model
        .speaker(&first)
        .unwrap()
        .dot(&model.speaker(&doubled).unwrap());
    assert!(cosine > 0.99, "{cosine}");
    let converted = model.convert(&first, &second).unwrap();
    let itself = model.convert(&first, &first).unwrap();
    assert_eq!(converted.dim(), itself.dim());
    assert_ne!(converted, itself);
    let error = Model::open(dir.path().join("none"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("none: expected an experiment"), "{error}");
}

/// A program that depends on the crate is built where ours was, with the profile of ours, so that only our crate is built
/// twice, quickly. It finds libtorch without `LD_LIBRARY_PATH`.
#[test]
fn a_crate_that_depends_on_unbraid_finds_libtorch() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let own = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let example = root().join("examples/dependent");
    let manifest = std::fs::read_to_string(example.join("Cargo.toml")).unwrap();
    let path = format!("{:?}", root().display().to_string());
    put(
        &own.path().join("Cargo.toml"),
        manifest.replace("\"../..\"", &path),
    );
    for name in ["build.rs", "src/main.rs"] {
        std::fs::create_dir_all(own.path().join("src")).unwrap();
        std::fs::copy(example.join(name), own.path().join(name)).unwrap();
    }
    std::fs::copy(root().join("Cargo.lock"), own.path().join("Cargo.lock")).unwrap();
    let ours = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let profile = ours.split_once("[profile.release]").unwrap().1;
    put(
        &own.path().join("profile.toml"),
        format!("[profile.release]{profile}\n[profile.release.package.unbraid]\nopt-level = 0\n"),
    );
    let libtorch = std::env::var_os("LIBTORCH").map_or(root().join(".libtorch"), PathBuf::from);
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--offline",
            "--config",
            "profile.toml",
        ])
        .current_dir(own.path())
        .env("CARGO_TARGET_DIR", target)
        .env("LIBTORCH", libtorch)
        .env("LIBTORCH_CXX11_ABI", "1")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");

    let dir = workplace(FBANK, CONF);
    let (_, recording) = &recordings(dir.path())[0];
    let output = Command::new(target.join("release/embed"))
        .arg("exp")
        .arg(recording)
        .current_dir(dir.path())
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(
        line.starts_with(&format!("{} [", recording.display())),
        "{line}"
    );
}
