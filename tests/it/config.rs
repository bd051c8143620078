//! Configurations: bases, all values of `config show`, reference and schema.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::Table;
use unbraid::method::old_keys::document;
use unbraid::method::run::{Overrides, Run};

use crate::support::training::{TRAIN, of_recipes, workplace};
use crate::support::{fail, names, put, root, succeed};

/// What `unbraid config show` prints, without its head.
fn shown(folder: &Path, conf: &str, settings: &[&str]) -> (String, String) {
    let args = [&["config", "show", "--conf", conf], settings].concat();
    let text = String::from_utf8(succeed(folder, &args)).unwrap();
    let (head, values) = text.split_once("\n\n").unwrap();
    (head.to_string(), values.to_string())
}

#[test]
fn a_run_has_the_values_of_its_base() {
    let dir = workplace(&[]);
    let own = "base = \"../conf.toml\"\ntrain.steps = 4\nmethod.model.decoder = { kind = \"conv\", channels = 12 }\n";
    put(&dir.path().join("conf/wide.toml"), own);
    let settings = ["--set", "train.log_every=2"];
    let (head, values) = shown(dir.path(), "conf/wide.toml", &settings);
    assert_eq!(
        head,
        "# Resolved from conf/wide.toml, over conf/../conf.toml, with --set 'train.log_every=2'."
    );
    let train = ["train", "--conf", "conf/wide.toml", "--exp", "exp"];
    succeed(dir.path(), &[&train[..], &settings].concat());
    assert_eq!(
        fs::read_to_string(dir.path().join("exp/conf.toml")).unwrap(),
        values
    );
    let table: Table = toml::from_str(&values).unwrap();
    assert!(!table.contains_key("base"));
    assert_eq!(table["method"]["model"]["decoder"]["channels"], 12.into());
    assert_eq!(table["method"]["label_weight"], 0.5.into());
    assert_eq!(table["train"]["steps"], 4.into());
    assert_eq!(table["train"]["log_every"], 2.into());
    // What is shown is a configuration of the same values.
    put(&dir.path().join("again.toml"), &values);
    assert_eq!(shown(dir.path(), "again.toml", &[]).1, values);
}

#[test]
fn a_wrong_key_is_reported_with_its_line() {
    let dir = workplace(&[("threads = 1", "threadz = 1")]);
    put(&dir.path().join("own.toml"), "base = \"conf.toml\"\n");
    let show = ["config", "show", "--conf", "own.toml"];
    let error = fail(dir.path(), &show, b"");
    assert!(error.starts_with("unbraid: conf.toml:"), "{error}");
    assert!(error.contains("train.threadz: unknown field"), "{error}");
    put(&dir.path().join("conf.toml"), "base = \"own.toml\"\n");
    for command in [
        &show[..],
        &[&TRAIN[..1], &["--conf=own.toml", "--exp=exp"]].concat(),
    ] {
        let error = fail(dir.path(), command, b"");
        let message = "conf.toml:1: expected a base that is not built on this file, found own.toml";
        assert!(error.contains(message), "{error}");
    }
    put(
        &dir.path().join("conf.toml"),
        crate::support::training::CONF,
    );
    let error = fail(
        dir.path(),
        &[&show[..], &["--set", "train.steps=0"]].concat(),
        b"",
    );
    assert!(error.contains("train.steps: expected 1 to "), "{error}");
}

#[test]
fn the_reference_is_that_of_the_program() {
    let printed = String::from_utf8(succeed(root(), &["config", "reference"])).unwrap();
    let path = "docs/configuration.md";
    let kept = fs::read_to_string(root().join(path)).unwrap();
    let lines = printed.lines().zip(kept.lines());
    let differing = lines
        .enumerate()
        .find(|(_, (printed, kept))| printed != kept);
    assert_eq!(differing, None, "run 'unbraid config reference > {path}'");
    assert_eq!(
        printed.len(),
        kept.len(),
        "run 'unbraid config reference > {path}'"
    );
    for row in [
        "| `levels` | integer | 2 to ",
        "| `kind` | [Optimiser kind](#optimiser-kind) |  | `\"adam\"` | The update rule. |",
        "| `update` | [Adversary update](#adversary-update) |  | `\"alternating\"` |",
        "| `encoder_loss` | [Encoder loss](#encoder-loss) |  | `\"negated_ce\"` |",
        "| `mask_outputs` | integer | 0 to 1000 |",
    ] {
        assert!(printed.contains(row), "{row}");
    }
}

/// What a value has that its schema has not.
fn beyond(schema: &Value, value: &toml::Value, definitions: &Value, path: &str) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/definitions/").unwrap();
        return beyond(&definitions[name], value, definitions, path);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all
            .iter()
            .find_map(|one| beyond(one, value, definitions, path));
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let message: Vec<Option<String>> = (any.iter())
            .map(|one| beyond(one, value, definitions, path))
            .collect();
        return match message.contains(&None) {
            true => None,
            false => message.into_iter().flatten().max_by_key(String::len),
        };
    }
    let fits = match (value, schema["type"].as_str()) {
        (toml::Value::Table(table), Some("object")) => {
            return table.iter().find_map(|(key, value)| {
                let path = format!("{path}.{key}");
                match schema["properties"].get(key) {
                    Some(schema) => beyond(schema, value, definitions, &path),
                    None => Some(path),
                }
            });
        }
        (toml::Value::Array(list), Some("array")) => {
            let of = |at: usize| match &schema["items"] {
                Value::Array(items) => items[at].clone(),
                items => items.clone(),
            };
            return (list.iter().enumerate()).find_map(|(at, value)| {
                beyond(&of(at), value, definitions, &format!("{path}.{at}"))
            });
        }
        (toml::Value::String(text), Some("string")) => {
            let known = schema["enum"]
                .as_array()
                .is_none_or(|all| all.iter().any(|one| one == text));
            known && schema.get("const").is_none_or(|one| one == text)
        }
        (toml::Value::Boolean(_), Some("boolean")) => true,
        (toml::Value::Integer(_), Some("integer" | "number")) => true,
        (toml::Value::Float(_), Some("number")) => true,
        _ => false,
    };
    (!fits).then(|| path.to_string())
}

/// The configurations of the recipes that train something.
fn recipes() -> Vec<PathBuf> {
    let mut folders = vec![root().join("recipes")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = folder.join(&name);
            let below = path.strip_prefix(root()).unwrap().components();
            let is_conf = below.clone().any(|part| part.as_os_str() == "conf");
            if path.is_dir() && name != "exp" && name != "data" {
                folders.push(path);
            } else if is_conf && name.ends_with(".toml") && of_recipes(&path).contains_key("method")
            {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn the_schema_has_every_key_of_the_recipes() {
    let schema: Value = serde_json::from_slice(&succeed(root(), &["config", "schema"])).unwrap();
    let beyond = |table: Table| beyond(&schema, &table.into(), &schema["definitions"], "");
    let all = recipes();
    assert!(all.len() > 130, "{}", all.len());
    for path in &all {
        let written = fs::read_to_string(path).unwrap();
        assert_eq!(
            beyond(toml::from_str(&written).unwrap()),
            None,
            "{}",
            path.display()
        );
        let run = Run::read(path, &Overrides::default()).unwrap();
        assert_eq!(beyond(run.resolved().unwrap()), None, "{}", path.display());
    }
    for (text, path) in [
        ("trian.steps = 1", ".trian"),
        ("train.stepz = 1", ".train.stepz"),
        ("train.steps = \"x\"", ".train.steps"),
        ("data.sampler.batchez = 1", ".data.sampler.batchez"),
        (
            "method = { name = \"dann\", reconstruction = \"l1\" }",
            ".method.reconstruction",
        ),
    ] {
        assert_eq!(
            beyond(toml::from_str(text).unwrap()).as_deref(),
            Some(path),
            "{text}"
        );
    }
}

/// As the recipe of speechocean762 had it before it had a base.
const SPEECH: &str = r#"device = "auto"
bf16 = true

[data]
train = "data/train_speed"
valid = "data/dev"
labels = "frames"
crop_frames = 160
front_end = "conf/fbank.toml"
sampler = { kind = "speakers", speakers = 32, utterances = 3 }

[method]
name = "disentangle"
speaker = { kind = "supervised_contrastive", temperature = 0.1 }
speaker_weight = 2.0
label_weight = 2.0
label_head = { channels = 128, dropout = 0.2 }
perturb = { warp = 0.1, mask_bins = 12, mask_frames = 12 }

[method.model]
phonetic_encoder = { channels = 128, code_dim = 32, code_norm = true, bottleneck = { kind = "scalar", levels = 3 }, subsampling = 4 }
speaker_encoder = { channels = 128, embedding_dim = 128 }
decoder = { kind = "conv", channels = 96 }

[method.consistency]
swap = 0.5

[method.optimiser]
lr = 1e-3
average = 0.98
schedule = { decay = "cosine", final_ratio = 0.05 }

[[method.adversaries]]
play = "in_turns"
critic_steps = 2
critic = { channels = 96, layers = 2, dropout = 0.3 }
lambda = { weight = 1.0, start = 100, length = 300 }

[train]
steps = 800
select_after = 600
"#;

/// As the recipe of Triple GAN had it.
const IMAGES: &str = r#"bf16 = true

[data]
train = { kind = "idx", images = "data/mnist/train-images-idx3-ubyte.gz", labels = "data/mnist/train-labels-idx1-ubyte.gz" }
labelled = 100
labelled_batch = 50
batch = 100

[method]
name = "triplegan"
alone_steps = 300
pairs_after = 1000
game_steps = 3
entropy_weight = 1.0
balance_weight = 1.0
pairs_weight = 0.3

[method.classifier]
layers = [
  { channels = 16, kernel = 5, padding = 2, pool = true, dropout = 0.25 },
  { channels = 32 },
  { channels = 32, pool = true, dropout = 0.25 },
  { channels = 64 },
  { channels = 64 },
]
mean = true
hidden = []

[method.classifier_optimiser]
lr = 3e-3
beta1 = 0.5
clip_norm = 0.0
weight_decay = 1e-4
average = 0.99
schedule = { decay = "cosine", final_ratio = 0.02 }

[method.optimiser]
lr = 1e-3
beta1 = 0.5
clip_norm = 0.0

[train]
steps = 2500
"#;

/// As `conf.toml` of an experiment holds a recogniser.
const RECOGNISER: &str = r#"bf16 = false
device = "cpu"
seed = 0

[data]
crop_frames = 0
labelled = 1.0
labels = "phones"
longest_frames = 0
train = "data/train"
valid = "data/dev"

[data.sampler]
frames = 4000
kind = "frames"

[method]
mask_outputs = 4
mask_share = 0.2
name = "recogniser"

[method.network]
channels = 128
dropout = 0.3
kernel = 5
subsampling = 1

[method.network.body]
kind = "recurrent"
layers = 2

[method.optimiser]
average = 0.98
beta1 = 0.9
beta2 = 0.999
clip_norm = 5.0
eps = 0.00000001
kind = "adam"
lr = 0.002
weight_decay = 0.0

[method.optimiser.schedule]
decay = "cosine"
final_ratio = 0.01
warmup_steps = 50

[train]
checkpoint_every = 500
keep = 2
log_every = 50
select = "loss"
select_after = 0
steps = 3000
threads = 0
undefeated_steps = 2000
validate_every = 500

[view]
cmvn = "global"
loudness = true
stretch_frames = 0
"#;

/// Files that were written before there were bases mean what they meant.
#[test]
fn configurations_of_yesterday_still_train() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("speech", SPEECH),
        ("images", IMAGES),
        ("recogniser", RECOGNISER),
    ] {
        put(&dir.path().join(format!("{name}.toml")), text);
    }
    for (name, recipe) in [
        ("speech", "speechocean762/conf/phones_aligned.toml"),
        ("images", "mnist/triplegan/conf/default.toml"),
    ] {
        let today = root().join("recipes").join(recipe).display().to_string();
        let (_, yesterday) = shown(dir.path(), &format!("{name}.toml"), &[]);
        assert_eq!(yesterday, shown(dir.path(), &today, &[]).1, "{name}");
    }
    let resolved: Table = toml::from_str(&shown(dir.path(), "recogniser.toml", &[]).1).unwrap();
    for (table, old) in document(&dir.path().join("recogniser.toml"))
        .unwrap()
        .table()
        .clone()
    {
        match old {
            toml::Value::Table(keys) => {
                for (key, value) in keys {
                    assert_eq!(resolved[&table][&key], value, "{table}.{key}");
                }
            }
            value => assert_eq!(resolved[&table], value, "{table}"),
        }
    }
}

/// Every configuration of the recipes as it was before keys, values and files were renamed
/// (`tests/golden/before_renaming`) resolves to what the recipe has today.
#[test]
fn configurations_of_before_the_renaming_mean_what_they_meant() {
    let old = root().join("tests/golden/before_renaming");
    let mut names = Vec::new();
    files_below(&old, &mut names);
    let resolved = |path: PathBuf| {
        let run = Run::read(&path, &Overrides::default()).unwrap();
        let text = run.resolved().unwrap().to_string();
        text.replace("data/discovered/", "data/pseudo_labels/")
    };
    let mut compared = 0;
    for path in names {
        let name = path.strip_prefix(&old).unwrap().to_str().unwrap();
        if name.ends_with("base.toml") {
            continue;
        }
        let today = [
            ("at_once.toml", "gradient_reversal.toml"),
            ("in_turns.toml", "alternating.toml"),
            ("discovered.toml", "pseudo_labels.toml"),
            ("phones.toml", "phones_aligned.toml"),
            ("strings.toml", "phones_ctc.toml"),
        ];
        let today = today.iter().fold(name.to_string(), |name, (old, new)| {
            name.replace(&format!("/{old}"), &format!("/{new}"))
        });
        assert_eq!(
            resolved(path.clone()),
            resolved(root().join("recipes").join(today)),
            "{name}"
        );
        compared += 1;
    }
    assert!(compared > 70, "{compared}");
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_below(&path, found),
            false => found.push(path),
        }
    }
}

/// Settings and flags of before the renaming do what they did.
#[test]
fn settings_of_before_the_renaming_mean_what_they_meant() {
    let conf = "recipes/mini/conf/default.toml";
    for (old, new) in [
        (
            "method.adversaries.0.play=\"at_once\"",
            "method.adversaries.0.update=\"gradient_reversal\"",
        ),
        (
            "method.adversaries=[{critic_steps=2}]",
            "method.adversaries=[{inner_steps=2}]",
        ),
        (
            "view.loudness=false",
            "normalisation.subtract_utterance_mean=false",
        ),
        (
            "method.optimiser.average=0.5",
            "method.optimiser.ema_decay=0.5",
        ),
        ("data.labels=\"frames\"", "data.labels=\"alignment\""),
        ("train.keep=7", "train.keep_checkpoints=7"),
        ("train.undefeated_steps=7", "seed=0"),
    ] {
        let [old, new] = [old, new].map(|setting| {
            let (_, text) = shown(root(), conf, &["--set", setting]);
            text
        });
        assert_eq!(old, new);
    }
}
