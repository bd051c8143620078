//! `unbraid train --init`: from another experiment's weights, with parts that stay; and what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::training::{
    Running, TRAIN, assert_same, edit, newest_step, outcome, workplace,
};
use crate::support::{fail, succeed, unbraid};

const TUNE: [&str; 7] = [
    "train",
    "--conf",
    "conf.toml",
    "--exp",
    "tuned",
    "--init",
    "exp",
];

fn with(extra: &[&'static str]) -> Vec<&'static str> {
    [&TUNE[..], extra].concat()
}

/// The tensors of the last checkpoint, by name.
fn weights(exp: &Path, checkpoint: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(exp.join(checkpoint).join("weights.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let content =
        |(name, tensor): (String, safetensors::tensor::TensorView)| (name, tensor.data().to_vec());
    tensors.tensors().into_iter().map(content).collect()
}

/// A trained experiment `exp` of few steps.
fn trained() -> tempfile::TempDir {
    let dir = workplace(&[("steps = 60", "steps = 12")]);
    succeed(dir.path(), &TRAIN);
    dir
}

fn said(dir: &Path, args: &[&str]) -> String {
    let output = unbraid(dir, args);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    message
}

#[test]
fn a_run_begins_from_the_initial_weights_and_normalisation() {
    let dir = trained();
    let path = dir.path();
    // Other features: their own statistics would be others.
    let other = [
        "--set",
        "train.keep_checkpoints=9",
        "--set",
        "data.train='valid'",
        "--set",
        "data.valid='train'",
    ];
    let message = said(path, &with(&other));
    assert!(
        message.contains(
            "weights of exp, last: taken phonetic_encoder, speaker_encoder, decoder, label_head, speaker_adversary; \
             new nothing\n"
        ),
        "{message}"
    );
    let (first, tuned) = (path.join("exp"), path.join("tuned"));
    assert!(weights(&tuned, "step_000000") == weights(&first, "last"));
    let normalisation = |exp: &Path| -> serde_json::Value {
        let text = fs::read_to_string(exp.join("inventory.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["normalisation"].clone()
    };
    assert_eq!(normalisation(&tuned), normalisation(&first));
    assert!(weights(&tuned, "last") != weights(&first, "last"));
}

#[test]
fn heads_for_other_speakers_and_labels_are_new() {
    let dir = trained();
    let path = dir.path();
    for table in ["utt2spk", "text"] {
        let file = path.join("train").join(table);
        let text = fs::read_to_string(&file).unwrap();
        let other = match table {
            "text" => text.replace(' ', " new_"),
            _ => text.replace(" s00", " a00"),
        };
        fs::write(file, other).unwrap();
    }
    let _ = fs::remove_file(path.join("train/spk2utt"));
    let message = said(path, &with(&["--set", "train.keep_checkpoints=9"]));
    assert!(
        message.contains(
            "taken phonetic_encoder, speaker_encoder, decoder; new label_head (other labels: "
        ),
        "{message}"
    );
    assert!(
        message.contains("speaker_adversary (other speakers: "),
        "{message}"
    );
    let begun = weights(&path.join("tuned"), "step_000000");
    let first = weights(&path.join("exp"), "last");
    for (name, tensor) in &begun {
        let is_new =
            name.starts_with("label_head/out") || name.starts_with("speaker_adversary/out");
        assert!(
            !name.contains("output.weight") || is_new || tensor == &first[name],
            "{name}"
        );
        assert!(
            !is_new || tensor != &first[name] || name.ends_with("bias"),
            "{name}"
        );
    }
}

#[test]
fn a_stopped_run_goes_on_without_the_initial_model() {
    let dir = trained();
    let path = dir.path();
    let tuned = path.join("tuned");
    succeed(path, &with(&["--steps=40"]));
    let expected = outcome(&tuned);
    fs::remove_dir_all(&tuned).unwrap();
    let begun = || newest_step(&tuned).is_some_and(|step| step >= 7);
    Running::start(path, &with(&["--steps=40"])).stop(libc::SIGKILL, Duration::ZERO, begun);
    assert!(newest_step(&tuned).unwrap() < 40);
    fs::remove_file(path.join("exp/last/weights.safetensors")).unwrap();
    fs::remove_file(path.join("exp/inventory.json")).unwrap();
    // It may be named again.
    succeed(path, &with(&["--resume", "--steps=40"]));
    assert_same(&outcome(&tuned), &expected);
    let unnamed = [
        "train",
        "--conf=conf.toml",
        "--exp=tuned",
        "--resume",
        "--steps=40",
    ];
    succeed(path, &unnamed);
    assert_same(&outcome(&tuned), &expected);
}

#[test]
fn frozen_parts_stay_bit_for_bit() {
    let dir = trained();
    let path = dir.path();
    for frozen in [
        "phonetic_encoder",
        "speaker_encoder",
        "decoder",
        "label_head",
        "speaker_adversary",
    ] {
        let freeze = format!("method.freeze=['{frozen}']");
        let _ = fs::remove_dir_all(path.join("tuned"));
        said(path, &[&TUNE[..], &["--set", &freeze]].concat());
        let (first, tuned) = (
            weights(&path.join("exp"), "last"),
            weights(&path.join("tuned"), "last"),
        );
        let module = format!("{frozen}/");
        for (name, tensor) in &tuned {
            if name.starts_with(&module) && !name.ends_with("log_gain") {
                assert!(tensor == &first[name], "{name} has moved");
            }
        }
        let moved = (tuned.iter())
            .any(|(name, tensor)| !name.starts_with(&module) && tensor != &first[name]);
        assert!(moved, "nothing has learned beside {frozen}");
    }
}

#[test]
fn parts_by_name_leave_the_others_new() {
    let dir = trained();
    let message = said(dir.path(), &with(&["--init-only=phonetic_encoder,decoder"]));
    assert!(
        message.contains("taken phonetic_encoder, decoder; new speaker_encoder (not named), "),
        "{message}"
    );
    // A frozen part that is new is no mistake that stays unsaid.
    fs::remove_dir_all(dir.path().join("tuned")).unwrap();
    let message = said(
        dir.path(),
        &with(&[
            "--init-only=decoder",
            "--set",
            "method.freeze=['speaker_encoder']",
        ]),
    );
    assert!(
        message.contains("speaker_encoder is new: it stays at its random weights"),
        "{message}"
    );
}

#[test]
fn what_does_not_fit_is_refused_in_one_line() {
    let dir = trained();
    let path = dir.path();
    let cases: &[(&[&str], &str)] = &[
        (
            &["--set", "method.model.phonetic_encoder.channels=16"],
            "weights.safetensors: phonetic_encoder/code.weight: expected F32 [4, 16, 1], found F32 [4, 8, 1]",
        ),
        (
            &["--set", "normalisation.cmvn='none'"],
            "exp: normalisation.cmvn: expected \"global\" in the new configuration too, as the initial model learned it, \
             found \"none\"",
        ),
        (
            &["--init-only=phonetic_encoder,encoder"],
            "--init-only: expected parts of both models: phonetic_encoder, speaker_encoder, decoder, label_head, \
             speaker_adversary, found encoder",
        ),
        (
            &["--set", "method.freeze=['codes']"],
            "method.freeze: expected parts of phonetic_encoder, speaker_encoder, decoder, label_head, speaker_adversary, \
             found codes",
        ),
        (
            &[
                "--set",
                "method.freeze=['phonetic_encoder','speaker_encoder','decoder','label_head','speaker_adversary']",
            ],
            "method.freeze: expected at least one part to train, found all parts",
        ),
    ];
    for (change, expected) in cases {
        let error = fail(path, &[&TUNE[..], change].concat(), b"");
        assert!(error.contains(expected), "{error}");
        assert!(!path.join("tuned/conf.toml").exists(), "{expected}");
    }
    let named = |init: &'static str| ["train", "--conf=conf.toml", "--exp=tuned", "--init", init];
    for (init, expected) in [
        ("exp:best", ""),
        (
            "exp:step_000099",
            "exp: expected a checkpoint 'step_000099', found none",
        ),
        (
            "none",
            "--init: expected one of en-16k, en-16k-causal, or a path, found 'none'",
        ),
        (
            "./none",
            "./none: expected an experiment's folder with a conf.toml, found no such folder",
        ),
        (
            "en-16k",
            "features of 80 columns, as the initial model learned, found 20",
        ),
    ] {
        if !expected.is_empty() {
            let error = fail(path, &named(init), b"");
            assert!(error.contains(expected), "{init}: {error}");
        }
    }
    fs::create_dir(path.join("empty")).unwrap();
    fs::copy(path.join("conf.toml"), path.join("empty/conf.toml")).unwrap();
    let error = fail(path, &named("empty"), b"");
    assert!(
        error.contains("empty: expected a checkpoint 'last', found none"),
        "{error}"
    );
    // The folder of a run.
    let onto = ["train", "--conf=conf.toml", "--exp=exp", "--init=exp"];
    for args in [&onto[..], &[&onto[..], &["--resume"]].concat()] {
        let error = fail(path, args, b"");
        assert!(
            error.contains("--init exp:last: expected a new experiment folder (or --resume without --init), found checkpoints in exp"),
            "{error}"
        );
    }
    succeed(path, &TUNE);
    let error = fail(path, &with(&["--resume", "--init-only=decoder"]), b"");
    assert!(
        error.contains("expected --init exp:last, as this run began, found another initial model"),
        "{error}"
    );
}

#[test]
fn another_front_end_is_refused() {
    let dir = workplace(&[("steps = 60", "steps = 4")]);
    let path = dir.path();
    let front_end = "kind = \"fbank\"\nsample_frequency = 16000\nnum_mel_bins = BINS\n";
    let text = fs::read_to_string(path.join("train/feats.scp")).unwrap();
    assert!(!text.is_empty());
    let bins = bins(path);
    let conf = path.join("fbank.toml");
    fs::write(&conf, front_end.replace("BINS", &bins)).unwrap();
    edit(
        &path.join("conf.toml"),
        "train = \"train\"",
        "train = \"train\"\nfront_end = \"fbank.toml\"",
    );
    succeed(path, &TRAIN);
    for (old, new, expected) in [
        (
            "16000",
            "8000",
            "front_end.toml: sample_frequency: expected 16000.0",
        ),
        (
            "num_mel_bins",
            "frame_shift = 20\nnum_mel_bins",
            "front_end.toml: frame_shift: expected 10.0",
        ),
    ] {
        fs::write(&conf, front_end.replace("BINS", &bins).replace(old, new)).unwrap();
        let error = fail(path, &TUNE, b"");
        assert!(error.contains(expected), "{error}");
    }
}

/// The number of columns of the features.
fn bins(path: &Path) -> String {
    let error = fail(
        path,
        &["train", "--conf=conf.toml", "--exp=tuned", "--init=en-16k"],
        b"",
    );
    error.trim_end().rsplit(' ').next().unwrap().to_string()
}
