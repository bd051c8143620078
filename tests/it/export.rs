//! `unbraid export` and `extract --module` as a user runs them: by this program, by PyTorch and by C++.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ndarray::{Array1, Array2};
use unbraid::io::audio::{AudioOptions, read_audio};
use unbraid::io::kaldi::{KaldiObject, TableReader};
use zip::write::SimpleFileOptions;

use crate::support::speech::{CONF, FBANK, recordings, workplace};
use crate::support::{fail, names, references, root, run_reference, succeed, unbraid};

const FEATS: &str = "scp:data/feats.scp";
const WAVS: &str = "scp:data/wav.scp";

fn trained() -> tempfile::TempDir {
    workplace(FBANK, CONF)
}

/// Exports a representation, with the front-end or without.
fn export(dir: &Path, representation: &str, front_end: bool) -> String {
    let name = format!("{representation}{}.pt", if front_end { "_wav" } else { "" });
    let mut args = vec!["export", "--exp=exp", "--output", representation, &name];
    args.extend(front_end.then_some("--front-end"));
    succeed(dir, &args);
    name
}

/// All entries of an archive that `unbraid extract` with these arguments writes.
fn extract<T: KaldiObject>(dir: &Path, args: &[&str]) -> BTreeMap<String, T> {
    let fixed = ["extract", "--device=cpu"];
    succeed(dir, &[&fixed[..], args, &["ark:found.ark"]].concat());
    let table = format!("ark:{}", dir.join("found.ark").display());
    TableReader::open(&table)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// How far from the experiment, of the largest value, a module of features may be.
const NEAR: f32 = 1e-5;
/// How far a module of waveforms may be: the front-end of this program rounds to single precision, which costs up to 1e-3
/// nats in bins 16 nats and more below the loudest of their frame, as synthetic speech has them; the module's to double.
const ROUNDED: f32 = 2e-4;

fn assert_within(bound: f32, found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= bound * largest, "{what}: {a} for {b}");
    }
}

fn values(codes: &Array2<f32>) -> Vec<f32> {
    codes.iter().copied().collect()
}

#[test]
fn a_module_extracts_what_its_experiment_does() {
    let dir = trained();
    let at = dir.path();
    let (plain, wav) = (export(at, "phonetic", false), export(at, "phonetic", true));
    let experiment = ["--exp=exp", "--output=phonetic"];
    let expected = extract::<Array2<f32>>(at, &[&experiment[..], &[FEATS]].concat());
    for (bound, args) in [
        (NEAR, &["--module", &plain, FEATS][..]),
        (NEAR, &["--module", &plain, "--wav", WAVS]),
        (ROUNDED, &["--module", &wav, "--wav", WAVS]),
    ] {
        let found = extract::<Array2<f32>>(at, args);
        assert_eq!(found.len(), 4);
        for (key, codes) in &found {
            assert_eq!(codes.dim(), expected[key].dim());
            assert_within(bound, &values(codes), &values(&expected[key]), key);
        }
    }
    let (plain, wav) = (export(at, "speaker", false), export(at, "speaker", true));
    let pool = ["--pool=speaker", "--utt2spk=data/utt2spk"];
    let experiment = ["--exp=exp", "--output=speaker"];
    let expected = extract::<Array1<f32>>(at, &[&experiment[..], &pool, &[FEATS]].concat());
    for (bound, args) in [
        (NEAR, &["--module", &plain, FEATS][..]),
        (ROUNDED, &["--module", &wav, "--wav", WAVS]),
    ] {
        let found = extract::<Array1<f32>>(at, &[&pool[..], args].concat());
        assert_eq!(found.len(), 2);
        for (key, mean) in &found {
            assert_within(bound, &mean.to_vec(), &expected[key].to_vec(), key);
        }
    }
}

/// Writes what modules read, `NAME.in`, runs PyTorch over it, and gives what came out.
fn by_pytorch(python: &Path, module: &Path, inputs: &[(String, Vec<f32>)]) -> Vec<Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, values) in inputs {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        fs::write(folder.path().join(format!("{name}.in")), bytes).unwrap();
    }
    let (path, at) = (
        module.display().to_string(),
        folder.path().display().to_string(),
    );
    run_reference(python, folder.path(), "run_module.py", &[&path, &at]);
    let metadata = fs::read_to_string(folder.path().join("unbraid.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["format"], 1);
    assert_eq!(metadata["sample_rate_hz"], 16000.0);
    let read = |name: &str| floats(&fs::read(folder.path().join(format!("{name}.out"))).unwrap());
    inputs.iter().map(|(name, _)| read(name)).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
}

fn waveforms(dir: &Path) -> Vec<(String, Vec<f32>)> {
    let read = |path: PathBuf| read_audio(path, &AudioOptions::default()).unwrap().samples;
    (recordings(dir).into_iter())
        .map(|(name, path)| (name, read(path)))
        .collect()
}

#[test]
#[ignore = "needs UNBRAID_BASELINES"]
fn with_baselines_pytorch_gives_what_extract_gives() {
    let python = references::baselines();
    let dir = trained();
    let at = dir.path();
    let table = format!("ark:{}", at.join("data/feats.ark").display());
    let feats: Vec<(String, Vec<f32>)> = (TableReader::<Array2<f32>>::open(&table).unwrap())
        .map(|entry| entry.unwrap())
        .map(|(key, feats)| (key, values(&feats)))
        .collect();
    for representation in ["phonetic", "speaker"] {
        let (plain, wav) = (
            export(at, representation, false),
            export(at, representation, true),
        );
        let experiment = ["--exp=exp", "--output", representation, FEATS];
        let expected = representations(at, representation, &experiment);
        let inside = representations(at, representation, &["--module", &wav, "--wav", WAVS]);
        for (module, inputs, holds) in [
            (plain, &feats, &[(NEAR, &expected)][..]),
            (
                wav,
                &waveforms(at),
                &[(NEAR, &inside), (ROUNDED, &expected)],
            ),
        ] {
            let found = by_pytorch(&python, &at.join(&module), inputs);
            for ((name, _), found) in inputs.iter().zip(&found) {
                for (bound, expected) in holds {
                    assert_within(*bound, found, &expected[name], &format!("{module} {name}"));
                }
            }
        }
    }
}

/// What `unbraid extract` gives of a representation, one value after another.
fn representations(dir: &Path, representation: &str, args: &[&str]) -> BTreeMap<String, Vec<f32>> {
    match representation {
        "phonetic" => (extract::<Array2<f32>>(dir, args).into_iter())
            .map(|(key, codes)| (key, values(&codes)))
            .collect(),
        _ => (extract::<Array1<f32>>(dir, args).into_iter())
            .map(|(key, embedding)| (key, embedding.to_vec()))
            .collect(),
    }
}

/// libtorch's folder and a compiler; building unbraid took both.
fn compiler() -> (PathBuf, &'static str) {
    let libtorch = match std::env::var_os("LIBTORCH") {
        Some(folder) => PathBuf::from(folder),
        None => root().join(".libtorch"),
    };
    let works = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    let found = ["c++", "g++", "clang++"].into_iter().find(works);
    (libtorch, found.expect("a C++ compiler on PATH"))
}

#[test]
fn cpp_gives_what_extract_gives() {
    let (libtorch, compiler) = compiler();
    let dir = trained();
    let at = dir.path();
    let folder = |name: &str| libtorch.join(name).display().to_string();
    let (include, lib) = (folder("include"), folder("lib"));
    let output = Command::new(compiler)
        .args(["-std=c++17", "-O0", "-o", "codes"])
        .arg(root().join("examples/cpp/codes.cpp"))
        .args([
            format!("-I{include}"),
            format!("-I{include}/torch/csrc/api/include"),
        ])
        .args([format!("-L{lib}"), format!("-Wl,-rpath,{lib}")])
        .args(["-ltorch_cpu", "-lc10"])
        .current_dir(at)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let module = export(at, "phonetic", true);
    let expected = extract::<Array2<f32>>(at, &["--module", &module, "--wav", WAVS]);
    for (name, samples) in waveforms(at) {
        let mut child = Command::new(at.join("codes"))
            .arg(at.join(&module))
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), expected[&name].nrows());
        let found: Vec<f32> = text
            .split_whitespace()
            .map(|x| x.parse().unwrap())
            .collect();
        assert_within(NEAR, &found, &values(&expected[&name]), &name);
    }
}

/// The module with what `change` makes of its metadata; none leaves it out.
fn altered(from: &Path, to: &Path, change: impl Fn(&str) -> Option<String>) {
    let mut archive = zip::ZipArchive::new(File::open(from).unwrap()).unwrap();
    let mut writer = zip::ZipWriter::new(File::create(to).unwrap());
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).unwrap();
        let name = entry.name().unwrap().into_owned();
        if !name.ends_with("extra/unbraid.json") {
            writer.raw_copy_file(entry).unwrap();
            continue;
        }
        drop(entry);
        let mut text = String::new();
        let mut entry = archive.by_index(index).unwrap();
        entry.read_to_string(&mut text).unwrap();
        if let Some(text) = change(&text) {
            writer.start_file(name, stored).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
    }
    writer.finish().unwrap();
}

#[test]
fn another_kind_of_module_is_refused_in_one_line() {
    let dir = trained();
    let at = dir.path();
    let (plain, wav) = (
        at.join(export(at, "phonetic", false)),
        export(at, "phonetic", true),
    );
    let bytes = fs::read(&plain).unwrap();
    fs::write(at.join("half.pt"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(at.join("text.pt"), "codes\n").unwrap();
    altered(&plain, &at.join("other.pt"), |_| None);
    let swapped = |from: &'static str, to: &'static str| {
        move |text: &str| {
            assert!(text.contains(from), "{text}");
            Some(text.replacen(from, to, 1))
        }
    };
    altered(
        &plain,
        &at.join("newer.pt"),
        swapped("\"format\": 1", "\"format\": 2"),
    );
    altered(&plain, &at.join("odd.pt"), swapped("\"dim\"", "\"dims\""));
    altered(
        &plain,
        &at.join("dim.pt"),
        swapped("\"dim\": 4", "\"dim\": 5"),
    );
    let dumb = |text: &str| {
        let mut metadata: serde_json::Value = serde_json::from_str(text).unwrap();
        metadata["front_end"] = serde_json::Value::Null;
        Some(metadata.to_string())
    };
    altered(&plain, &at.join("dumb.pt"), dumb);
    altered(
        &plain,
        &at.join("wide.pt"),
        swapped("\"bins\": 40", "\"bins\": 4000000000000"),
    );
    let mut flipped = bytes.clone();
    let place = bytes.len() / 2;
    flipped[place] ^= 1;
    fs::write(at.join("flipped.pt"), flipped).unwrap();
    let before = names(at);
    for (args, expected) in [
        (&["none.pt", FEATS][..], "none.pt: No such file"),
        (
            &["half.pt", FEATS],
            "half.pt: expected a module that unbraid export wrote, found no whole zip",
        ),
        (
            &["text.pt", FEATS],
            "text.pt: expected a module that unbraid export wrote, found no whole zip",
        ),
        (
            &["other.pt", FEATS],
            "found an archive without unbraid.json",
        ),
        (
            &["newer.pt", FEATS],
            "newer.pt: unbraid.json: expected a module of format 1, found format 2",
        ),
        (
            &["odd.pt", FEATS],
            "odd.pt: unbraid.json:7: expected metadata, found unknown field `dims`",
        ),
        (
            &["dim.pt", FEATS],
            "dim.pt: expected 3 dimensions, the last 5, found [1, ",
        ),
        (
            &["wide.pt", FEATS],
            "wide.pt: unbraid.json: expected sizes of a module, found bins: expected 1 to 65536, found 4000000000000",
        ),
        (
            &["flipped.pt", FEATS],
            "found other bytes, by their checksum",
        ),
        (
            &["dumb.pt", "--wav", WAVS],
            "--wav: expected a module with a front-end",
        ),
        (
            &[&wav, FEATS],
            "--module: expected --wav beside a module that takes waveforms",
        ),
    ] {
        let error = fail(
            at,
            &[
                &["extract", "--device=cpu", "--module"][..],
                args,
                &["ark:z.ark"],
            ]
            .concat(),
            b"",
        );
        assert!(error.contains(expected), "{error}");
        assert_eq!(names(at), before, "{error}");
    }
    fs::write(at.join("wide.txt"), "a [ 1 2 3\n4 5 6 ]\n").unwrap();
    let args = [
        "extract",
        "--module=phonetic.pt",
        "ark:wide.txt",
        "ark:z.ark",
    ];
    let output = unbraid(at, &args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("a: expected 40 bins, found 3"), "{error}");
    let args = [
        "extract",
        "--module=phonetic.pt",
        "--exp=exp",
        FEATS,
        "ark:z.ark",
    ];
    let error = String::from_utf8(unbraid(at, &args).stderr).unwrap();
    assert!(error.contains("cannot be used with"), "{error}");
}

/// libtorch ends the process where it cannot write: nothing of it goes to a disk.
#[test]
fn a_module_needs_no_other_disk_space() {
    let dir = trained();
    let output = Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .env("OMP_NUM_THREADS", "1")
        .env("TMPDIR", "/proc/none")
        .args(["export", "--exp=exp", "--output=phonetic", "z.pt"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    extract::<Array2<f32>>(dir.path(), &["--module=z.pt", FEATS]);
}

#[test]
fn what_cannot_be_exported_is_named() {
    let dir = workplace(FBANK, &CONF.replace("front_end = 'fbank.toml'\n", ""));
    let at = dir.path();
    let before = names(at);
    let args = [
        "export",
        "--exp=exp",
        "--output=phonetic",
        "--front-end",
        "z.pt",
    ];
    let error = fail(at, &args, b"");
    let expected = "--front-end: expected an experiment whose data.front_end names one, found none";
    assert!(error.ends_with(expected), "{error}");
    let args = ["export", "--exp=exp", "--output=phonetic", "no/z.pt"];
    assert!(fail(at, &args, b"").contains("no/z.pt: No such file"));
    assert_eq!(names(at), before);
}
