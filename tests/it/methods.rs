//! Every method, as the recipes configure it: it trains, is taken up again to the same bytes, and gives both representations.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use toml::Value;
use unbraid::method::run::{Overrides, Run};

use crate::support::training::{RESUME, TRAIN, assert_same, of_recipes, outcome, workplace};
use crate::support::{fail, succeed, unbraid};

/// The configurations of a recipe, cut down to four steps on a made corpus.
fn configurations(recipe: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("recipes")
        .join(recipe)
        .join("conf");
    let mut paths: Vec<PathBuf> = (fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let all = paths.into_iter().map(|path| (name(&path), path));
    all.filter(|(name, _)| name != "fbank" && !name.starts_with("base"))
        .map(|(name, path)| (name, cut_down(of_recipes(path))))
        .collect()
}

fn cut_down(mut conf: toml::Table) -> String {
    conf.insert("device".into(), "cpu".into());
    let data = conf["data"].as_table_mut().unwrap();
    data.remove("front_end");
    for key in ["input", "resample", "augment"] {
        data.remove(key);
    }
    let second_view = data.remove("second_view");
    data.insert("train".into(), "train".into());
    data.insert("valid".into(), "valid".into());
    let sampler: toml::Table =
        toml::from_str("kind = \"speakers\"\nspeakers = 3\nutterances = 2").unwrap();
    data.insert("sampler".into(), Value::Table(sampler));
    // Nothing is found in four steps, and what waits would not play.
    let method = conf["method"].as_table_mut().unwrap();
    method.remove("adversary_start_below_label_loss");
    // There are features alone, which are perturbed in place of their audio.
    if second_view.is_some() {
        let masks = toml::from_str("mask_frames = 4").unwrap();
        method.insert("perturb".into(), Value::Table(masks));
    }
    let train: toml::Table = toml::from_str(
        "steps = 4\ncheckpoint_every = 2\nkeep = 4\nlog_every = 1\nvalidate_every = 2\nthreads = 1",
    )
    .unwrap();
    conf.insert("train".into(), Value::Table(train));
    conf.to_string()
}

/// Trains four steps, then again from the checkpoint of two.
fn trains_and_resumes(recipe: &str) {
    for (name, conf) in configurations(recipe) {
        println!("{recipe}: {name}");
        resumes_to_the_same(&conf);
    }
}

fn resumes_to_the_same(conf: &str) {
    let dir = resumed(conf);
    for representation in ["phonetic", "speaker", "reconstruction"] {
        succeed(dir.path(), &extraction(representation));
    }
    // The command itself holds a module against the experiment, at several lengths.
    for representation in ["phonetic", "speaker"] {
        succeed(
            dir.path(),
            &[
                "export",
                "--exp=exp",
                "--output",
                representation,
                "module.pt",
            ],
        );
    }
}

fn extraction(representation: &'static str) -> [&'static str; 6] {
    let target = match representation {
        "phonetic" => "ark:phonetic.ark",
        "speaker" => "ark:speaker.ark",
        _ => "ark:reconstruction.ark",
    };
    let source = "scp:valid/feats.scp";
    [
        "extract",
        "--exp=exp",
        "--output",
        representation,
        source,
        target,
    ]
}

fn resumed(conf: &str) -> tempfile::TempDir {
    let dir = workplace(&[]);
    fs::write(dir.path().join("conf.toml"), conf).unwrap();
    succeed(dir.path(), &TRAIN);
    ends_the_same_from(dir.path(), "step_000002", "step_000004");
    dir
}

/// Goes back to a checkpoint, without the one of the end, and trains on to the same bytes.
fn ends_the_same_from(folder: &Path, kept: &str, end: &str) {
    let exp = folder.join("exp");
    let whole = outcome(&exp);
    fs::remove_dir_all(exp.join(end)).unwrap();
    fs::remove_file(exp.join("last")).unwrap();
    symlink(kept, exp.join("last")).unwrap();
    succeed(folder, &RESUME);
    assert_same(&outcome(&exp), &whole);
}

/// Clusters from the first step on, of utterances and of codes: their queue is saved with the weights.
#[test]
fn clusters_resume_with_their_queue() {
    let (_, conf) = (configurations("fsdd").into_iter())
        .find(|(name, _)| name == "clusters")
        .unwrap();
    for unit in ["utterance", "code"] {
        let mut conf: toml::Table = toml::from_str(&conf).unwrap();
        let method = conf["method"].as_table_mut().unwrap();
        let clustering = method["clustering"].as_table_mut().unwrap();
        clustering.insert("unit".into(), unit.into());
        clustering.insert("queue".into(), 20.into());
        let weight = toml::from_str("weight = 1.0\nstart = 0\nlength = 1").unwrap();
        clustering.insert("weight".into(), Value::Table(weight));
        resumes_to_the_same(&conf.to_string());
    }
}

/// One speaker has no labels; only a phonetic representation is trained.
#[test]
fn dann_adapts_to_a_speaker() {
    for play in ["gradient_reversal", "alternating"] {
        let conf = of_recipes(format!("fsdd/conf/dann/{play}.toml"));
        let conf = cut_down(conf).replace("\"george\"", "\"s01\"");
        let dir = resumed(&conf);
        succeed(dir.path(), &extraction("phonetic"));
        for representation in ["speaker", "reconstruction"] {
            let error = fail(dir.path(), &extraction(representation), b"");
            assert!(
                error.contains("the phonetic representation only"),
                "{error}"
            );
        }
        let export = ["export", "--exp=exp", "z.pt", "--output"];
        succeed(dir.path(), &[&export[..], &["phonetic"]].concat());
        let error = fail(dir.path(), &[&export[..], &["speaker"]].concat(), b"");
        assert!(
            error.contains("expected a method with a speaker representation"),
            "{error}"
        );
        let export = ["export", "--format=onnx", "--exp=exp", "z.onnx", "--output"];
        succeed(dir.path(), &[&export[..], &["phonetic"]].concat());
        let error = fail(dir.path(), &[&export[..], &["speaker"]].concat(), b"");
        let expected =
            "method.name: expected disentangle or fhvae, which have a speaker encoder, found dann";
        assert!(error.contains(expected), "{error}");
        for (from, to, message) in [
            (
                "\"s01\"",
                "\"nobody\"",
                "expected speakers of data.train, found nobody",
            ),
            (
                "[\"s01\"]",
                "[]",
                "method.target_speakers: expected some of",
            ),
            (
                "labels = \"utterance_class\"",
                "labels = \"none\"",
                "data.labels: expected \"utterance_class\"",
            ),
        ] {
            fs::write(dir.path().join("conf.toml"), conf.replace(from, to)).unwrap();
            let args = ["train", "--conf=conf.toml", "--exp=other"];
            let error = fail(dir.path(), &args, b"");
            assert!(error.contains(message), "{error}");
            assert!(!dir.path().join("other").exists());
        }
    }
}

#[test]
fn every_method_of_fsdd_trains_and_resumes() {
    trains_and_resumes("fsdd");
}

/// All TOML files of a folder `conf` anywhere under `folder`.
fn confs(folder: &Path, inside: bool, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_owned();
        if path.is_dir() && name != "exp" && name != "data" {
            confs(&path, inside || name == "conf", found);
        } else if inside && path.extension().is_some_and(|ext| ext == "toml") {
            found.push(path);
        }
    }
}

/// Those for a GPU too, which are trained nowhere here.
#[test]
fn every_configuration_of_the_recipes_is_one() {
    let mut paths = Vec::new();
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    confs(&recipes, false, &mut paths);
    let mut read = 0;
    for path in paths {
        if of_recipes(&path).contains_key("method") {
            let run = Run::read(&path, &Overrides::default());
            let checked = run.and_then(|run| run.check());
            checked.unwrap_or_else(|error| panic!("{error}"));
            read += 1;
        }
    }
    assert!(read > 60, "{read}");
}

#[test]
fn every_method_of_mini_trains_and_resumes() {
    trains_and_resumes("mini");
}

#[test]
fn every_method_of_speechocean762_trains_and_resumes() {
    trains_and_resumes("speechocean762");
}

/// A speaker encoder that reads windows and joins its input's statistics.
#[test]
fn windows_and_statistics_train_and_resume() {
    let conf = of_recipes("speechocean762/conf/phones_ctc.toml");
    // A window that is shorter than the made utterances.
    let window = "crop_frames = 12\ninput_statistics = 0.5";
    let conf = cut_down(conf).replace("crop_frames = 160", window);
    assert!(conf.contains(window), "{conf}");
    resumes_to_the_same(&conf);
}

/// Critic and consistency that wait for a loss that never comes are none to the encoders; where it comes at once they are
/// let loose after ten steps, also if the run was stopped in between.
#[test]
fn what_disturbs_waits_for_the_labels() {
    let encoder = |wait: &str, weight: &str| {
        let waiting = format!("label_weight = 0.5\nwait_for_labels = {wait}");
        let lambda = format!("weight = {weight}, start = 0, length = 1 }}");
        let dir = workplace(&[
            ("label_weight = 0.5", &waiting),
            ("weight = 0.3, start = 5, length = 10 }", &lambda),
            (
                "[method.optimiser]",
                &format!("[method.consistency]\nswap = {weight}\n[method.optimiser]"),
            ),
            // The negated cross-entropy of an adversary at chance adds no loss.
            ("inner_steps = 2", "inner_steps = 2\ndefeat = \"confusion\""),
            ("steps = 60", "steps = 14\nkeep = 9"),
        ]);
        let output = unbraid(dir.path(), &TRAIN);
        assert!(output.status.success());
        (dir, String::from_utf8(output.stderr).unwrap())
    };
    let weights = |dir: &tempfile::TempDir| {
        let last = dir.path().join("exp/last/weights.safetensors");
        let tensors = tch::Tensor::read_safetensors(last).unwrap();
        let encoder = |(name, _): &(String, _)| name.starts_with("phonetic_encoder");
        let found: BTreeMap<String, f64> = (tensors.into_iter().filter(encoder))
            .map(|(name, tensor)| (name, tensor.sum(tch::Kind::Double).double_value(&[])))
            .collect();
        assert!(!found.is_empty());
        found
    };
    let ((never, message), (undisturbed, _)) = (encoder("0.000001", "1.0"), encoder("100", "0.0"));
    assert_eq!(weights(&never), weights(&undisturbed));
    assert!(
        message.contains("unbraid: exp: the loss lacked terms until the last step: the label loss"),
        "{message}"
    );
    assert!(!never.path().join("exp/best").exists());
    let (soon, message) = encoder("100", "1.0");
    assert!(!message.contains("lacked"), "{message}");
    assert!(soon.path().join("exp/best").exists());
    assert_ne!(weights(&soon), weights(&undisturbed));

    ends_the_same_from(soon.path(), "step_000007", "step_000014");
}

/// Help that the recipes do not ask for: strings of phones, of a few utterances.
#[test]
fn a_few_phone_strings_help() {
    let dir = workplace(&[
        (
            "labels = \"utterance_class\"\ncrop_frames = 20",
            "labels = \"phone_sequence\"\nlabelled = 0.5",
        ),
        ("steps = 60", "steps = 10"),
    ]);
    succeed(dir.path(), &TRAIN);
    let lines = unbraid::train::log::read(&dir.path().join("exp/log.jsonl")).unwrap();
    let heard: Vec<f64> = lines
        .iter()
        .filter_map(|line| line.values.get("label_head/ctc").copied())
        .collect();
    // Too many phones for the codes of an utterance, of the validation set too, are reported before anything is written.
    let phones = dir.path().join("valid/utt2phones");
    let text = fs::read_to_string(&phones).unwrap();
    let first = text.lines().next().unwrap();
    let long = first.to_string() + &" p1 p2".repeat(9);
    fs::write(&phones, text.replacen(first, &long, 1)).unwrap();
    fs::remove_dir_all(dir.path().join("exp")).unwrap();
    let error = fail(dir.path(), &TRAIN, b"");
    assert!(
        error.contains("valid/utt2phones: ") && error.contains("phones for at most"),
        "{error}"
    );
    assert!(!dir.path().join("exp").exists());
    assert!(
        heard.len() > 2 && heard.iter().all(|loss| *loss > 0.0),
        "{heard:?}"
    );
}

/// Utterances longer than `max_frames` are reported; where all are longer, nothing is trained.
#[test]
fn utterances_that_are_too_long_are_reported() {
    let dir = workplace(&[("steps = 60", "steps = 2")]);
    let longest = |frames: &str| {
        let setting = format!("data.max_frames={frames}");
        let args = [&TRAIN[..], &["--set", &setting]].concat();
        let output = unbraid(dir.path(), &args);
        let message = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), message)
    };
    let (trained, message) = longest("1");
    assert!(
        !trained && message.contains("of at most data.max_frames"),
        "{message}"
    );
    assert!(!dir.path().join("exp").exists());
    let (trained, message) = longest("100000");
    assert!(trained && !message.contains("max_frames"), "{message}");
}
