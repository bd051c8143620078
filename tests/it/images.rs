//! Methods on images, as the recipes configure them, on made images: each trains, is taken up again to the same bytes,
//! has scores and pictures; invalid input is refused in one line.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use toml::{Table, Value};

use crate::support::training::{RESUME, TRAIN, assert_same, of_recipes, outcome};
use crate::support::{fail, names, put, root, succeed};

/// The configurations of a recipe and below, by their path there.
fn configurations(recipe: &str) -> Vec<(String, Table)> {
    let mut folders = vec![root().join("recipes").join(recipe).join("conf")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = folder.join(name);
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.display().to_string(), of_recipes(&path)));
            }
        }
    }
    found
}

fn table(text: &str) -> Value {
    Value::Table(toml::from_str(text).unwrap())
}

/// Four steps of narrow networks on few made images of the same form.
fn cut_down(mut conf: Table) -> Table {
    conf.insert("device".into(), "cpu".into());
    let data = conf["data"].as_table_mut().unwrap();
    data.insert(
        "train".into(),
        table("kind = 'sprites'\ncount = 60\nseed = 0"),
    );
    data.insert(
        "valid".into(),
        table("kind = 'sprites'\ncount = 20\nseed = 1"),
    );
    if data.contains_key("target") {
        data.insert(
            "target".into(),
            table("kind = 'sprites'\ncount = 60\nseed = 2"),
        );
    }
    data.insert("batch".into(), 8.into());
    if data.contains_key("labelled") {
        data.insert("labelled".into(), 12.into());
    }
    if data.contains_key("labelled_batch") {
        data.insert("labelled_batch".into(), 6.into());
    }
    let method = conf["method"].as_table_mut().unwrap();
    for (key, value) in method.iter_mut() {
        if key == "pretrain_steps" || key == "pairs_after" {
            *value = 1.into();
        }
        narrow(value);
    }
    conf.insert(
        "train".into(),
        table("steps = 4\ncheckpoint_every = 2\nkeep = 4\nlog_every = 1\nvalidate_every = 2\nthreads = 1"),
    );
    conf
}

/// Widths of at most 8.
fn narrow(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(narrow),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| narrow(value)),
        Value::Integer(width) if *width > 8 => *width = 8,
        _ => {}
    }
}

/// A folder with a configuration, trained.
fn trained(conf: &Table) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("conf.toml"), conf.to_string()).unwrap();
    succeed(dir.path(), &TRAIN);
    dir
}

fn of_recipe(recipe: &str, name: &str) -> Table {
    let ending = format!("conf/{name}.toml");
    let mut all = configurations(recipe).into_iter();
    cut_down(all.find(|(path, _)| path.ends_with(&ending)).unwrap().1)
}

const RECIPES: [&str; 6] = [
    "mnist/lenet",
    "mnist/infogan",
    "mnist/vaegan",
    "mnist/bigan",
    "mnist/triplegan",
    "mnist/dann",
];

#[test]
fn every_method_on_images_trains_and_resumes() {
    for (path, conf) in RECIPES.into_iter().flat_map(configurations) {
        println!("{path}");
        let dir = trained(&cut_down(conf));
        let exp = dir.path().join("exp");
        let whole = outcome(&exp);
        fs::remove_dir_all(exp.join("step_000004")).unwrap();
        fs::remove_file(exp.join("last")).unwrap();
        symlink("step_000002", exp.join("last")).unwrap();
        succeed(dir.path(), &RESUME);
        assert_same(&outcome(&exp), &whole);
    }
}

/// Every method's numbers, with a classifier that measures what is generated, and its pictures.
#[test]
fn every_method_has_scores_and_pictures() {
    let lenet = trained(&of_recipe("mnist/lenet", "default"));
    let lenet = lenet.path().join("exp").display().to_string();
    for (recipe, name, message, pictures) in [
        ("lenet", "default", "accuracy", vec![]),
        (
            "infogan",
            "default",
            "Hungarian accuracy",
            vec!["code0.png", "code1.png", "samples.png"],
        ),
        (
            "vaegan",
            "three",
            "Frechet-LeNet, samples",
            WITH_ENCODER.to_vec(),
        ),
        (
            "bigan",
            "default",
            "nearest neighbour's class",
            WITH_ENCODER.to_vec(),
        ),
        (
            "bigan",
            "autoencoder",
            "class by a linear probe",
            WITH_ENCODER[..2].to_vec(),
        ),
        (
            "triplegan",
            "default",
            "class, by an independent classifier",
            vec!["samples.png"],
        ),
        (
            "dann",
            "mnistm/gradient_reversal",
            "domain by a linear probe",
            vec![],
        ),
    ] {
        let dir = trained(&of_recipe(&format!("mnist/{recipe}"), name));
        let mut args = vec![
            "evaluate",
            "--exp=exp",
            "--test=sprites:40,7",
            "--test=other=sprites:30,8",
            "--out=scores",
        ];
        let with_lenet = format!("--lenet={lenet}");
        if recipe != "dann" {
            args.push(&with_lenet);
        }
        let printed = String::from_utf8(succeed(dir.path(), &args)).unwrap();
        assert!(printed.contains(message), "{recipe} {name}: {printed}");
        let report = fs::read_to_string(dir.path().join("scores.json")).unwrap();
        assert!(report.contains(&format!("\"{message}\"")), "{report}");
        let results = ["scores", "a=scores.json,scores.json", "--out=results"];
        let printed = String::from_utf8(succeed(dir.path(), &results)).unwrap();
        assert!(printed.contains(message), "{printed}");

        let args = ["sample", "--exp=exp", "--out=pictures"];
        if pictures.is_empty() {
            let error = fail(dir.path(), &args, b"");
            assert!(
                error.contains("expected a method that generates images"),
                "{error}"
            );
            continue;
        }
        succeed(dir.path(), &args);
        assert_eq!(names(&dir.path().join("pictures")), pictures);
        let one = ["sample", "--exp=exp", "--out=one", "--test=sprites:1"];
        let error = fail(dir.path(), &one, b"");
        assert!(
            error.contains("--test: expected at least 2 images, found 1"),
            "{error}"
        );
    }
}

const WITH_ENCODER: [&str; 3] = ["interpolations.png", "reconstructions.png", "samples.png"];

/// One line names the key; nothing is written.
#[test]
fn mismatches_are_refused_in_one_line() {
    let bytes = |shape: &[u32], count: usize| {
        let mut idx = vec![0, 0, 8, shape.len() as u8];
        idx.extend(shape.iter().flat_map(|side| side.to_be_bytes()));
        idx.extend((0..count).map(|number| number as u8 % 3));
        idx
    };
    let set = |conf: &mut Table, path: &[&str], value: Value| {
        let (last, before) = path.split_last().unwrap();
        let mut place = conf;
        for key in before {
            place = place[*key].as_table_mut().unwrap();
        }
        place.insert(last.to_string(), value);
    };
    let idx = "kind = 'idx'\nimages = 'images'\nlabels = 'labels'";
    type Change<'a> = (&'a str, &'a [&'a str], Value, &'a str);
    let changes: Vec<Change> = vec![
        (
            "infogan",
            &["data", "batch"],
            1.into(),
            "data.batch: expected 2 to 65536, found 1",
        ),
        (
            "infogan",
            &["data", "labelled"],
            5.into(),
            "data.labelled: expected 0",
        ),
        (
            "infogan",
            &["method", "categories"],
            1.into(),
            "method.categories: expected 2",
        ),
        (
            "infogan",
            &["method", "channels"],
            Value::Array(vec![8.into(); 3]),
            "method.channels: ",
        ),
        (
            "infogan",
            &["method", "noize"],
            1.into(),
            "unknown field `noize`",
        ),
        (
            "vaegan",
            &["method", "discriminator"],
            "none".into(),
            "method.reconstruction: ",
        ),
        (
            "vaegan",
            &["method", "gamma"],
            Value::Float(-1.0),
            "method.gamma: ",
        ),
        (
            "vaegan",
            &["data", "target"],
            table("kind = 'sprites'\ncount = 9\nseed = 0"),
            "data.target: expected none",
        ),
        ("triplegan", &["data", "labelled"], 61.into(), "61"),
        ("triplegan", &["data", "labelled"], 2.into(), "found 2"),
        (
            "triplegan",
            &["data", "labelled_batch"],
            0.into(),
            "data.labelled_batch: expected at least 2, found 0",
        ),
        (
            "triplegan",
            &["method", "gan_weight"],
            Value::Float(f64::NAN),
            "method.gan_weight: ",
        ),
        (
            "lenet",
            &["view"],
            table("size = 3"),
            "method.network.layers: ",
        ),
        (
            "lenet",
            &["data", "train"],
            table("kind = 'folder'\npath = 'none'"),
            "none: ",
        ),
        ("lenet", &["data", "train"], table(idx), "images: expected"),
        (
            "lenet",
            &["data", "train"],
            table("kind = 'idx'\nimages = 'whole'\nlabels = 'labels'"),
            "expected",
        ),
        (
            "lenet",
            &["data", "train"],
            table("kind = 'idx'\nimages = 'whole'\nlabels = 'one'"),
            "class",
        ),
        (
            "lenet",
            &["data", "train"],
            table("kind = 'idx'\nimages = 'whole'"),
            "data.train: expected images with labels, found none",
        ),
    ];
    for (recipe, path, value, message) in changes {
        let mut conf = of_recipe(&format!("mnist/{recipe}"), "default");
        set(&mut conf, path, value);
        let dir = tempfile::tempdir().unwrap();
        put(
            &dir.path().join("images"),
            &bytes(&[4, 28, 28], 4 * 784)[..999],
        );
        put(&dir.path().join("whole"), bytes(&[4, 28, 28], 4 * 784));
        put(&dir.path().join("labels"), bytes(&[3], 3));
        put(
            &dir.path().join("one"),
            [&bytes(&[4], 0)[..], &[5; 4]].concat(),
        );
        put(&dir.path().join("conf.toml"), conf.to_string());
        let error = fail(dir.path(), &TRAIN, b"");
        assert!(error.contains(message), "{recipe} {path:?}: {error}");
        assert!(!dir.path().join("exp").exists(), "{recipe} {path:?}");
    }
    let mut conf = of_recipe("mnist/dann", "mnistm/gradient_reversal");
    conf["data"].as_table_mut().unwrap().remove("target");
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("conf.toml"), conf.to_string());
    let error = fail(dir.path(), &TRAIN, b"");
    assert!(
        error.contains("data.target: expected images of the target domain"),
        "{error}"
    );
}

/// A diverged run is reported with its step, and keeps its last good checkpoint.
#[test]
fn a_run_gone_astray_keeps_its_last_checkpoint() {
    let mut conf = of_recipe("mnist/infogan", "default");
    let method = conf["method"].as_table_mut().unwrap();
    // The discriminator soon separates a fixed generator from real images.
    for weight in ["category_weight", "continuous_weight"] {
        method.insert(weight.into(), 0.0.into());
    }
    for (key, lr) in [
        ("generator_optimiser", 0.0),
        ("discriminator_optimiser", 0.002),
    ] {
        method.insert(key.into(), table(&format!("lr = {lr}\nbeta1 = 0.5")));
    }
    let train =
        "steps = 400\ncheckpoint_every = 5\nlog_every = 1\nthreads = 1\nundefeated_steps = 10";
    conf.insert("train".into(), table(train));
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("conf.toml"), conf.to_string());
    let message = |dir: &Path| {
        let output = crate::support::unbraid(dir, &TRAIN);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        text.lines().last().unwrap().to_string()
    };
    let error = message(dir.path());
    assert!(
        error.contains("right in every answer since step"),
        "{error}"
    );
    assert!(dir.path().join("exp/last/state.json").exists());
    // How long it has been right is saved, too: a run that goes on ends as it would have.
    let resumed = crate::support::unbraid(dir.path(), &[&TRAIN[..], &["--resume"]].concat());
    let resumed = String::from_utf8(resumed.stderr).unwrap();
    assert!(resumed.starts_with("resuming "), "{resumed}");
    assert_eq!(resumed.lines().last().unwrap(), error);

    let method = conf["method"].as_table_mut().unwrap();
    method.insert("discriminator_optimiser".into(), table("lr = 1e30"));
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("conf.toml"), conf.to_string());
    let error = message(dir.path());
    assert!(
        error.contains("step ") && error.contains("expected a finite number"),
        "{error}"
    );
}

/// An experiment of images is none of speech, and the other way round.
#[test]
fn the_other_kind_of_experiment_is_refused() {
    let dir = trained(&of_recipe("mnist/lenet", "default"));
    put(&dir.path().join("feats.scp"), "");
    let args = [
        "extract",
        "--exp=exp",
        "--output=phonetic",
        "scp:feats.scp",
        "ark:out.ark",
    ];
    let error = fail(dir.path(), &args, b"");
    assert!(error.contains("exp/conf.toml"), "{error}");
    let missing = ["evaluate", "--exp=none", "--test=sprites:9"];
    let error = fail(dir.path(), &missing, b"");
    assert!(
        error.contains("none: expected an experiment's folder"),
        "{error}"
    );
    let error = fail(
        dir.path(),
        &["evaluate", "--exp=exp", "--test=sprites:9", "--lenet=none"],
        b"",
    );
    assert!(error.contains("none: "), "{error}");
}

/// Images of another shape than the method's, or the measuring classifier's, never reach its networks.
#[test]
fn other_shapes_are_refused() {
    let mut small = of_recipe("mnist/vaegan", "vae");
    small.insert("view".into(), table("size = 16"));
    let small = trained(&small);
    let idx = [
        &[0, 0, 8, 3][..],
        &[0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 9],
        &[0; 162],
    ]
    .concat();
    put(&small.path().join("idx"), idx);
    let lenet = trained(&of_recipe("mnist/lenet", "default"));
    let lenet = format!("--lenet={}", lenet.path().join("exp").display());
    let args = ["evaluate", "--exp=exp", "--test=sprites:9", &lenet];
    let error = fail(small.path(), &args, b"");
    assert!(
        error.contains("--lenet: expected a classifier of images of [1, 16, 16]"),
        "{error}"
    );

    let own = trained(&of_recipe("mnist/vaegan", "vae"));
    let file = small.path().join("idx").display().to_string();
    let test = format!("--test=idx:{file}");
    for args in [
        ["sample", "--exp=exp", "--out=pictures"],
        ["evaluate", "--exp=exp", "--out=scores"],
        ["encode", "--exp=exp", "ark:codes.ark"],
    ] {
        let error = fail(own.path(), &[&args[..], &[&test]].concat(), b"");
        assert!(
            error.contains("--test idx: expected images of [1, 28, 28]"),
            "{error}"
        );
    }
    assert!(!own.path().join("codes.ark").exists());
}
