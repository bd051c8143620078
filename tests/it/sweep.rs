//! The scripts that all recipes share: their options, fetching, and a sweep that is killed and taken up.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::corpus::Corpus;
use crate::support::training::CONF;
use crate::support::{names, put, root};

/// The scripts of the recipes with one small recipe of its own, on a made corpus.
pub struct Recipes {
    pub dir: tempfile::TempDir,
}

const TINY: &str = r#"#!/usr/bin/env bash
# A small recipe.
#
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"
corpus=
url=
md5=-
. ../start.sh
if at 0 && [ -n "$url" ]; then
  fetch "$url" "$md5"
  unpack made "${url##*/}"
fi
if at 0 && [ -n "$corpus" ]; then find_corpus; echo "$corpus"; fi
if at 1; then touch data/ready; fi
if at 2; then train_all; fi
if at 3; then
  for exp in $(each_exp); do extract_one "$exp" phonetic train valid; done
fi
if at 4; then
  for exp in $out/log-mel_0 $(each_exp); do
    representation=phonetic=$exp/phonetic_train.scp,$exp/phonetic_valid.scp
    [ $exp != $out/log-mel_0 ] || representation=log-mel=data/train/feats.scp,data/valid/feats.scp
    mkdir -p $exp
    unbraid probe data/train data/valid --target speaker --target text "${probe_options[@]}" --family linear \
      --representation $representation --out $exp/probe
  done
fi
if at 5; then show_results; fi
"#;

impl Recipes {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let recipes = root().join("recipes");
        for name in names(&recipes).iter().filter(|name| name.ends_with(".sh")) {
            let script = recipes.join(name);
            put(&dir.path().join("recipes").join(name), "");
            fs::copy(script, dir.path().join("recipes").join(name)).unwrap();
        }
        let tiny = dir.path().join("recipes/tiny");
        put(&tiny.join("run.sh"), TINY);
        fs::set_permissions(tiny.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let (before, adversary) = CONF.split_once("[[method.adversaries]]").unwrap();
        let (_, train) = adversary.split_once("[train]").unwrap();
        for (name, conf) in [
            ("alternating", CONF.to_string()),
            (
                "gradient_reversal",
                CONF.replace("\"alternating\"", "\"gradient_reversal\""),
            ),
            ("alone", format!("{before}[train]{train}")),
        ] {
            let conf = conf
                .replace("\"train\"", "\"data/train\"")
                .replace("\"valid\"", "\"data/valid\"");
            put(&tiny.join("conf").join(format!("{name}.toml")), conf);
        }
        for (set, utterances, seed) in [("train", 4, 0), ("valid", 2, 1)] {
            let corpus = Corpus {
                utterances,
                seed,
                ..Corpus::default()
            };
            corpus.write(&tiny.join("data").join(set));
        }
        Self { dir }
    }

    pub fn command(&self, script: &str, args: &[&str]) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_unbraid")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(self.dir.path().join("recipes").join(script));
        command
            .args(args)
            .env("PATH", format!("{}:{path}", binary.display()))
            .env("OMP_NUM_THREADS", "1")
            .current_dir(self.dir.path());
        command
    }

    fn run(&self, script: &str, args: &[&str]) -> (bool, String, String) {
        let output = self.command(script, args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn exp(&self, path: &str) -> PathBuf {
        self.dir.path().join("recipes/tiny/exp/quick").join(path)
    }
}

const GRID: [&str; 14] = [
    "tiny",
    "--set",
    "method.adversaries.0.lambda.weight=0.1,0.3 method.optimiser.lr=1e-3",
    "--confs",
    "gradient_reversal alternating",
    "--points",
    "alone",
    "--seeds",
    "0",
    "--jobs",
    "2",
    "--quick",
    "true",
    "--",
];

#[test]
fn a_sweep_that_was_killed_is_taken_up() {
    let recipes = Recipes::new();
    let mut sweep = recipes
        .command("sweep.sh", &GRID)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let done = |cell: &str| recipes.exp(cell).join("done").exists();
    let began = Instant::now();
    while !done("alone_0") {
        assert!(began.elapsed() < Duration::from_secs(300), "no progress");
        assert!(
            sweep.try_wait().unwrap().is_none(),
            "the sweep ended by itself"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // SAFETY: the child is not yet waited for, so the number is its own.
    unsafe { libc::kill(sweep.id() as libc::pid_t, libc::SIGTERM) };
    assert_eq!(sweep.wait().unwrap().code(), Some(143));
    let last = "alternating+adversaries.0.lambda.weight=0.3+optimiser.lr=1e-3_0";
    assert!(!done(last), "it was killed too late to show anything");

    let (success, table, error) = recipes.run("sweep.sh", &GRID);
    assert!(success, "{error}");
    assert!(error.contains("already done: exp/quick/alone_0"), "{error}");
    assert!(done(last));
    let tsv = fs::read_to_string(recipes.exp("sweep.tsv")).unwrap();
    assert_eq!(tsv.lines().count(), 1 + 1 + 1 + 2 * 2, "{tsv}");
    let points = fs::read_to_string(recipes.exp("sweep_frontier.tsv")).unwrap();
    for curve in [
        "gradient_reversal+optimiser.lr 1e-3",
        "alternating+optimiser.lr 1e-3",
    ] {
        for value in ["0.1", "0.3"] {
            let start = format!("{curve}\t{value}\tphonetic\t");
            assert!(
                points.lines().any(|line| line.starts_with(&start)),
                "{points}"
            );
        }
    }
    let svg = fs::read_to_string(recipes.exp("sweep_frontier.svg")).unwrap();
    for label in [
        "log-mel",
        "alone",
        "gradient_reversal+optimiser.lr 1e-3",
        "alternating+optimiser.lr 1e-3",
    ] {
        assert!(svg.contains(&format!(">{label}</text>")), "{label}: {svg}");
    }
    assert!(table.contains("alternating+optimiser.lr 1e-3"), "{table}");

    // A third time there is nothing to do; a changed configuration is reported.
    let (success, _, error) = recipes.run("sweep.sh", &GRID);
    assert!(success && !error.contains("cell "), "{error}");
    let conf = recipes.dir.path().join("recipes/tiny/conf/alone.toml");
    fs::write(
        &conf,
        fs::read_to_string(&conf)
            .unwrap()
            .replace("channels = 8, code", "channels = 4, code"),
    )
    .unwrap();
    let (success, _, error) = recipes.run("sweep.sh", &GRID);
    assert!(!success);
    assert!(
        error.contains("channels: expected 8 (as the checkpoint was trained), found 4"),
        "{error}"
    );
}

#[test]
fn a_sweep_that_makes_no_sense_is_refused() {
    let recipes = Recipes::new();
    for (args, message) in [
        (&["none"][..], "expected a recipe, found 'none'"),
        (&["tiny"], "--set: expected 'KEY=V1,V2,...', found none"),
        (
            &["tiny", "--set", "a.b"],
            "--set: expected 'KEY=V1,V2,...', found 'a.b'",
        ),
        (&["tiny", "--set", "a=1,,2"], "found 'a=1,,2'"),
        (
            &["tiny", "--set", "a=1", "--jobs", "0"],
            "--jobs: expected a number from 1, found '0'",
        ),
        (
            &["tiny", "--set", "a=1", "--confs", "x"],
            "configurations of tiny/conf, found 'x'",
        ),
        (
            &["tiny", "--sets", "a=1"],
            "--sets: expected an option of this recipe",
        ),
        (&["tiny", "--set"], "--set: expected a value, found none"),
    ] {
        let (success, _, error) = recipes.run("sweep.sh", args);
        assert!(!success && error.contains(message), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let unknown = [
        "tiny",
        "--set",
        "method.lamda=1",
        "--confs",
        "gradient_reversal",
        "--quick",
        "true",
    ];
    let (success, _, error) = recipes.run("sweep.sh", &unknown);
    assert!(
        !success && error.contains("unknown field `lamda`"),
        "{error}"
    );
}

#[test]
fn a_corpus_is_fetched_once_whole_and_checked() {
    let recipes = Recipes::new();
    let tiny = recipes.dir.path().join("recipes/tiny");
    let packed = recipes.dir.path().join("made.tar.gz");
    put(&recipes.dir.path().join("made/inside"), "speech");
    let tar = Command::new("tar")
        .args(["-czf", "made.tar.gz", "made"])
        .current_dir(recipes.dir.path())
        .status();
    assert!(tar.unwrap().success());
    let sum = Command::new("md5sum").arg(&packed).output().unwrap();
    let md5 = String::from_utf8(sum.stdout).unwrap()[..32].to_string();
    let url = format!("file://{}", packed.display());
    let stage = ["--stage", "0", "--stop-stage", "0"];
    let fetch = |url: &str, md5: &str| {
        let args = [&["--url", url, "--md5", md5], &stage[..]].concat();
        recipes.run("tiny/run.sh", &args)
    };

    let (success, _, error) = fetch("file:///no/such/made.tar.gz", &md5);
    assert!(
        !success && error.contains("give the corpus with --corpus DIR"),
        "{error}"
    );
    let (success, _, error) = fetch(&url, &"0".repeat(32));
    assert!(
        !success && error.contains("expected a file with MD5 0000"),
        "{error}"
    );
    assert!(names(&tiny.join("downloads")).is_empty());
    // Half of it is there from before.
    let bytes = fs::read(&packed).unwrap();
    fs::write(
        tiny.join("downloads/made.tar.gz.part"),
        &bytes[..bytes.len() / 2],
    )
    .unwrap();
    let (success, _, error) = fetch(&url, &md5);
    assert!(success, "{error}");
    assert_eq!(
        fs::read_to_string(tiny.join("downloads/made/made/inside")).unwrap(),
        "speech"
    );
    fs::remove_file(&packed).unwrap();
    assert!(fetch(&url, &md5).0, "it is not fetched again");

    let (success, _, error) = recipes.run(
        "tiny/run.sh",
        &[&["--corpus", "nowhere"], &stage[..]].concat(),
    );
    assert!(
        !success && error.contains("--corpus nowhere: expected the corpus's folder, found none"),
        "{error}"
    );
    let (success, said, _) =
        recipes.run("tiny/run.sh", &[&["--corpus", "made"], &stage[..]].concat());
    assert!(success && said.trim().ends_with("/made"), "{said}");
}

#[test]
fn every_recipe_prints_its_options() {
    for name in names(&root().join("recipes")) {
        let script = root().join("recipes").join(&name).join("run.sh");
        if !script.exists() {
            continue;
        }
        let binary = Path::new(env!("CARGO_BIN_EXE_unbraid")).parent().unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let output = Command::new(&script)
            .arg("--help")
            .env("PATH", path)
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && help.contains("--stop-stage N"),
            "{name}: {help}"
        );
        assert!(
            help.contains(&format!("recipes/{name}/run.sh")),
            "{name}: {help}"
        );
    }
}
