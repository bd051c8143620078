//! Self-supervised encoders that are trained: the last layers of a model, two views of an utterance, masked prediction.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ndarray::Array2;
use unbraid::io::kaldi::{TableReader, TableWriter};

use crate::support::speech;
use crate::support::training::{Running, edit, newest_step};
use crate::support::{fail, names, put, root, succeed};

/// What all runs share; networks that nothing trains are small.
const COMMON: &str = "device = 'cpu'
[train]
steps = 12
checkpoint_every = 3
threads = 1
[data]
train = 'data'
front_end = 'front.toml'
crop_frames = 60
sampler = { kind = 'utterances', batch = 3 }
[method]
name = 'disentangle'
reconstruction_weight = 0.0
speaker_weight = 0.0
optimiser = { lr = 1e-3 }
model.speaker_encoder = { channels = 8, embedding_dim = 4 }
model.decoder = { kind = 'conv', channels = 8 }
";

const SPIN: &str = "base = 'common.toml'
[data]
input = 'audio'
second_view = { voice = {}, equaliser = {} }
[method.clustering]
unit = 'code'
weight = { weight = 1.0, start = 0, length = 0 }
second_view = 'perturbed'
balance = 'batch'
rounds = 3
epsilon = 0.02
queue = 0
clusters = 8
dim = 8
network = { layers = 0, batch_norm = false }
";

/// Spin on the last layer of a model of two.
const OF_A_MODEL: &str = "base = 'spin.toml'
normalisation = { cmvn = 'none' }
method.model.ssl_layers = { model = 'model', layers = 1 }
";

const HUBERT: &str = "base = 'common.toml'
data.labels = 'alignment'
[method]
label_weight = 1.0
masked_prediction = {}
model.phonetic_encoder = { channels = 8, code_dim = 8, subsampling = 2, instance_norm = false, backbone = { kind = 'conformer', layers = 2, heads = 2 } }
";

/// Spin on its last block.
const OF_HUBERT: &str = "base = 'spin.toml'
[method.model]
phonetic_encoder = { trained_layers = 1, channels = 8, code_dim = 8, subsampling = 2, instance_norm = false, backbone = { kind = 'conformer', layers = 2, heads = 2 } }
";

const TRAIN: [&str; 3] = ["train", "--conf=conf.toml", "--exp=exp"];
const RESUME: [&str; 4] = ["train", "--conf=conf.toml", "--exp=exp", "--resume"];

/// Recordings of two speakers, a model and Spin on it.
fn workplace(model: &str) -> tempfile::TempDir {
    let dir = speech::data();
    let from = root().join("tests/references/ssl").join(model);
    for file in names(&from).iter().filter(|name| !name.ends_with(".npy")) {
        put(
            &dir.path().join("model").join(file),
            fs::read(from.join(file)).unwrap(),
        );
    }
    let kind = model.split('-').next().unwrap();
    let front_end = format!("kind = '{kind}'\nmodel = 'model'\nlayer = 1\n");
    put(&dir.path().join("front.toml"), front_end);
    configurations(dir.path());
    put(&dir.path().join("conf.toml"), OF_A_MODEL);
    dir
}

fn configurations(at: &Path) {
    put(&at.join("common.toml"), COMMON);
    put(&at.join("spin.toml"), SPIN);
}

fn table(at: &Path, name: &str) -> Vec<(String, Array2<f32>)> {
    let ark = format!("ark:{}", at.join(name).display());
    let entries = TableReader::open(&ark).unwrap();
    entries.map(|entry| entry.unwrap()).collect()
}

/// In batches with padding too, codes are the states of the model's last layer until a step has changed them.
#[test]
fn layers_begin_as_the_models() {
    let models = names(&root().join("tests/references/ssl"));
    assert_eq!(models.len(), 5);
    for model in models {
        let dir = workplace(&model);
        let at = dir.path();
        let steps = ["--set=method.optimiser.lr=1e-12", "--steps=1"];
        succeed(at, &[&TRAIN[..], &steps].concat());
        succeed(
            at,
            &[
                "extract",
                "--exp=exp",
                "--output=phonetic",
                "--wav",
                "scp:data/wav.scp",
                "ark:codes.ark",
            ],
        );
        let last = [
            "feats",
            "ssl",
            "--device=cpu",
            "--model=model",
            "--layer=2",
            "scp:data/wav.scp",
            "ark:states.ark",
        ];
        succeed(at, &last);
        let (codes, states) = (table(at, "codes.ark"), table(at, "states.ark"));
        assert_eq!(codes.len(), 4);
        for ((id, codes), (_, states)) in codes.iter().zip(&states) {
            let gap = (codes - states)
                .mapv(f32::abs)
                .fold(0.0, |a: f32, &b| a.max(b));
            assert!(gap < 1e-4, "{model} {id}: {gap}");
        }
    }
}

#[test]
fn a_killed_run_goes_on_and_needs_no_model() {
    let dir = workplace("hubert-tiny-base");
    let (at, exp) = (dir.path(), dir.path().join("exp"));
    succeed(at, &TRAIN);
    let log = fs::read_to_string(exp.join("log.jsonl")).unwrap();
    assert!(log.contains("clustering/agreement"), "{log}");
    assert!(!log.contains("decoder/"), "nothing was decoded: {log}");
    let weights = || fs::read(exp.join("last/weights.safetensors")).unwrap();
    let expected = weights();
    fs::remove_dir_all(&exp).unwrap();
    let reached = || newest_step(&exp).is_some_and(|step| step >= 3);
    Running::start(at, &TRAIN).stop(libc::SIGKILL, Default::default(), reached);
    succeed(at, &RESUME);
    assert!(weights() == expected);
    // Stored states of the layer before are enough to extract.
    let before = [
        "feats",
        "ssl",
        "--device=cpu",
        "--conf=front.toml",
        "scp:data/wav.scp",
        "ark:before.ark",
    ];
    succeed(at, &before);
    fs::remove_dir_all(at.join("model")).unwrap();
    succeed(
        at,
        &[
            "extract",
            "--exp=exp",
            "--output=phonetic",
            "ark:before.ark",
            "ark:codes.ark",
        ],
    );
}

/// The weights and the model's configuration of a run that goes on are its own.
#[test]
fn a_run_that_goes_on_reads_no_model() {
    let dir = workplace("hubert-tiny-base");
    let at = dir.path();
    let states = "ark,scp:data/feats.ark,data/feats.scp";
    succeed(
        at,
        &[
            "feats",
            "ssl",
            "--device=cpu",
            "--conf=front.toml",
            "scp:data/wav.scp",
            states,
        ],
    );
    edit(
        &at.join("spin.toml"),
        "input = 'audio'\nsecond_view = { voice = {}, equaliser = {} }\n",
        "",
    );
    edit(
        &at.join("spin.toml"),
        "[method.clustering]",
        "[method.perturb]\nmask_frames = 4\n[method.clustering]",
    );
    edit(&at.join("common.toml"), "front_end = 'front.toml'\n", "");
    succeed(at, &TRAIN);
    fs::remove_dir_all(at.join("model")).unwrap();
    succeed(at, &[&RESUME[..], &["--steps=15"]].concat());
    succeed(
        at,
        &["train", "--conf=conf.toml", "--exp=other", "--init=exp"],
    );
    let named = ["--exp=new", "--init=exp", "--init-only=decoder"];
    let error = fail(
        at,
        &[&["train", "--conf=conf.toml"], &named[..]].concat(),
        b"",
    );
    assert!(error.contains("model/config.json"), "{error}");
}

/// Another voice is another view, and the first stays what it is.
#[test]
fn the_second_view_is_another_voice() {
    let dir = workplace("hubert-tiny-base");
    let at = dir.path();
    let weights = |exp: &str, more: &[&str]| {
        let exp = format!("--exp={exp}");
        succeed(
            at,
            &[&["train", "--conf=conf.toml", &exp, "--steps=2"], more].concat(),
        );
        fs::read(
            at.join(&exp["--exp=".len()..])
                .join("last/weights.safetensors"),
        )
        .unwrap()
    };
    let one = weights("one", &[]);
    assert_eq!(weights("threads", &["--set=data.workers=3"]), one);
    assert_ne!(weights("seed", &["--set=data.second_view.seed=1"]), one);
}

/// Predicts classes of frames where the input is masked, then Spin on the last block of two.
#[test]
fn a_small_hubert_is_trained_and_then_in_part() {
    let dir = speech::data();
    let at = dir.path();
    configurations(at);
    put(&at.join("front.toml"), speech::FBANK);
    succeed(
        at,
        &[
            "fbank",
            "--conf=front.toml",
            "scp:data/wav.scp",
            "ark,scp:data/feats.ark,data/feats.scp",
        ],
    );
    let ali = format!("ark,scp:{0}/ali.ark,{0}/ali.scp", at.join("data").display());
    let mut writer = TableWriter::<Vec<i32>>::create(&ali).unwrap();
    for (id, feats) in table(at, "data/feats.ark") {
        let classes = (0..feats.nrows() as i32).map(|frame| frame / 7 % 5);
        writer.write(&id, &classes.collect()).unwrap();
    }
    writer.finish().unwrap();
    put(&at.join("hubert.toml"), HUBERT);
    put(&at.join("conf.toml"), OF_HUBERT);
    succeed(at, &["train", "--conf=hubert.toml", "--exp=hubert"]);
    succeed(
        at,
        &["train", "--conf=conf.toml", "--exp=spin", "--init=hubert"],
    );
    let read = |exp: &str| fs::read(at.join(exp).join("last/weights.safetensors")).unwrap();
    let (before, after) = (read("hubert"), read("spin"));
    let tensors = |bytes: &[u8]| -> Vec<(String, Vec<u8>)> {
        let all = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let own = all
            .tensors()
            .into_iter()
            .filter(|(name, _)| name.starts_with("phonetic_encoder/"));
        own.map(|(name, view)| (name, view.data().to_vec()))
            .collect()
    };
    let is_trained = |after: &[u8], parts: &[&str]| {
        let after: BTreeMap<_, _> = tensors(after).into_iter().collect();
        for (name, values) in tensors(&before) {
            let trained = parts.iter().any(|part| name.contains(part));
            assert_eq!(after[&name] != values, trained, "{name}");
        }
    };
    is_trained(&after, &["block1", "/code."]);
    let both = [
        "--exp=both",
        "--init=hubert",
        "--set=method.model.phonetic_encoder.trained_layers=2",
    ];
    succeed(at, &[&["train", "--conf=conf.toml"], &both[..]].concat());
    is_trained(&read("both"), &["block0", "block1", "/code."]);
}

#[test]
fn what_does_not_fit_is_named() {
    let dir = workplace("hubert-tiny-base");
    let at = dir.path();
    let refuse = |setting: &str, expected: &str| {
        let error = fail(at, &[&TRAIN[..], &["--set", setting]].concat(), b"");
        assert!(error.contains(expected), "{setting}: {error}");
        assert!(!at.join("exp").exists(), "{setting}");
    };
    refuse(
        "method.model.ssl_layers.layers=2",
        "method.model.ssl_layers.layers: expected 1, so that the layers follow layer 1",
    );
    refuse(
        "method.model.ssl_layers.layers=3",
        "method.model.ssl_layers.layers: expected 1 to 2, found 3",
    );
    refuse(
        "method.model.ssl_layers.model=\"nowhere\"",
        "nowhere/config.json",
    );
    refuse(
        "normalisation.cmvn=\"global\"",
        "normalisation.cmvn: expected \"none\" with method.model.ssl_layers",
    );
    refuse(
        "data.second_view.speed={}",
        "data.second_view.speed: expected no table",
    );
    refuse("data.second_view={}", "data.second_view");
    refuse(
        "data.second_view.voice.pitch=3.0",
        "data.second_view.voice.pitch: expected a number from 1 to 2, found 3",
    );
    refuse(
        "data.input=\"features\"",
        "data.second_view: expected no value unless data.input = \"audio\"",
    );
    refuse(
        "method.clustering.rounds=0",
        "method.clustering.rounds: expected 1 to 1000, found 0",
    );
    refuse(
        "method.masked_prediction={}",
        "method.masked_prediction: expected data.labels = \"alignment\"",
    );
    refuse(
        "method.model.phonetic_encoder={ channels = 8 }",
        "method.model: expected one of",
    );
    refuse(
        "data.augment.speed={}",
        "data.augment.speed: expected no table, so that both views have the same length",
    );
    refuse(
        "method.clustering.second_view=\"converted\"",
        "data.second_view: expected no table unless",
    );
    refuse(
        "method.clustering.epsilon=0.001",
        "method.clustering.epsilon: expected 0.003 to 1000000, found 0.001",
    );
    // Of the same sizes, with other files.
    for file in names(&at.join("model")) {
        let mut bytes = fs::read(at.join("model").join(&file)).unwrap();
        if file == "config.json" {
            bytes.push(b'\n');
        }
        put(&at.join("other").join(file), bytes);
    }
    refuse(
        "method.model.ssl_layers.model=\"other\"",
        "the model of data.front_end, found other, another one",
    );
    edit(
        &at.join("spin.toml"),
        "second_view = { voice = {}, equaliser = {} }\n",
        "",
    );
    refuse(
        "seed=1",
        "method.clustering.second_view: expected \"converted\" without",
    );
}
