//! A small experiment: its configuration, and runs of it that are stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use unbraid::io::config::Document;

use super::corpus::Corpus;

/// What every test of training starts from: all networks, tiny; dropout, crops and averages on.
pub const CONF: &str = r#"seed = 3
device = "cpu"

[data]
train = "train"
valid = "valid"
labels = "utterance_class"
crop_frames = 20
sampler = { kind = "speakers", speakers = 2, utterances = 3 }

[method]
name = "disentangle"
label_weight = 0.5
label_head = { channels = 8, dropout = 0.2 }

[method.model]
phonetic_encoder = { channels = 8, code_dim = 4 }
speaker_encoder = { channels = 8, embedding_dim = 8 }
decoder = { kind = "conv", channels = 8 }

[method.optimiser]
lr = 0.003
ema_decay = 0.9

[[method.adversaries]]
update = "alternating"
inner_steps = 2
lambda = { weight = 0.3, start = 5, length = 10 }
classifier = { channels = 8, dropout = 0.3 }

[method.adversaries.optimiser]
ema_decay = 0.5

[train]
steps = 60
log_every = 4
validate_every = 10
checkpoint_every = 7
threads = 1
"#;

/// A folder with `train`, `valid` and `conf.toml`, in which each of `changes` stands for what it replaces.
pub fn workplace(changes: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    Corpus::default().write(&dir.path().join("train"));
    let valid = Corpus {
        utterances: 2,
        seed: 1,
        ..Corpus::default()
    };
    valid.write(&dir.path().join("valid"));
    configure(dir.path(), changes);
    dir
}

/// Writes `conf.toml` with `changes`.
pub fn configure(folder: &Path, changes: &[(&str, &str)]) {
    let conf = changes
        .iter()
        .fold(CONF.to_string(), |conf, (old, new)| change(&conf, old, new));
    fs::write(folder.join("conf.toml"), conf).unwrap();
}

/// A configuration of the recipes, merged with its base; `path` is below `recipes/`.
pub fn of_recipes(path: impl AsRef<Path>) -> toml::Table {
    let path = super::root().join("recipes").join(path);
    let document = Document::read(&path).unwrap_or_else(|error| panic!("{error}"));
    document.table().clone()
}

fn change(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old}");
    text.replace(old, new)
}

/// Changes a file; `old` has to stand in it once.
pub fn edit(path: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, change(&text, old, new)).unwrap();
}

pub const TRAIN: [&str; 5] = ["train", "--conf", "conf.toml", "--exp", "exp"];
pub const RESUME: [&str; 6] = ["train", "--conf", "conf.toml", "--exp", "exp", "--resume"];

/// A command of the binary that goes on in the background.
pub struct Running(Child);

impl Running {
    pub fn start(folder: &Path, args: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_unbraid"))
            .env("OMP_NUM_THREADS", "1")
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until `reached` is true or the process has ended, and sends `signal` `later`.
    pub fn stop(
        mut self,
        signal: i32,
        later: Duration,
        reached: impl FnMut() -> bool,
    ) -> ExitStatus {
        self.wait_until(reached);
        std::thread::sleep(later);
        // SAFETY: the child is not yet waited for (or has left its status behind), so the number is its own.
        unsafe { libc::kill(self.0.id() as libc::pid_t, signal) };
        self.0.wait().unwrap()
    }

    /// Waits until `reached` is true, and then for the end that this brings.
    pub fn end(mut self, reached: impl FnMut() -> bool) -> ExitStatus {
        self.wait_until(reached);
        self.0.wait().unwrap()
    }

    fn wait_until(&mut self, mut reached: impl FnMut() -> bool) {
        let began = Instant::now();
        while self.0.try_wait().unwrap().is_none() && !reached() {
            assert!(began.elapsed() < Duration::from_secs(60), "no progress");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The newest checkpoint of an experiment.
pub fn newest_step(exp: &Path) -> Option<u64> {
    let entries = fs::read_dir(exp).ok()?;
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_prefix("step_")?.parse().ok()
        })
        .max()
}

/// Everything that has to be the same after a stop: the last and the best checkpoint, byte for byte, and the
/// log without its clock.
pub fn outcome(exp: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in ["last", "best"] {
        for file in ["weights.safetensors", "optimiser.safetensors", "state.json"] {
            let path = Path::new(folder).join(file);
            found.push((path.clone(), fs::read(exp.join(path)).unwrap()));
        }
    }
    found.push(("log.jsonl".into(), log_without_clock(exp).into_bytes()));
    found
}

fn log_without_clock(exp: &Path) -> String {
    let lines = unbraid::train::log::read(&exp.join("log.jsonl")).unwrap();
    let line = |line: &unbraid::train::log::LogLine| {
        format!("{} {} {:?}\n", line.step, line.split, line.values)
    };
    lines.iter().map(line).collect()
}

/// Compares outcomes by name first, so that a difference does not print megabytes.
pub fn assert_same(found: &[(PathBuf, Vec<u8>)], expected: &[(PathBuf, Vec<u8>)]) {
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        if name == Path::new("log.jsonl") {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(text(found), text(expected));
        }
        assert!(found == expected, "{} differs", name.display());
    }
}

/// The largest difference of the last weights of two experiments in a folder.
pub fn gap_of_weights(folder: &Path, [a, b]: [&str; 2]) -> f32 {
    let read = |exp: &str| {
        let path = folder.join(exp).join("last/weights.safetensors");
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (a, b) = (read(a), read(b));
    let (a, b) = (
        SafeTensors::deserialize(&a).unwrap(),
        SafeTensors::deserialize(&b).unwrap(),
    );
    let mut worst = 0f32;
    // Running statistics are those of rank 0's parts.
    let trained = a.tensors().into_iter();
    for (name, tensor) in trained.filter(|(name, _)| !name.contains("running_")) {
        let values = |data: &[u8]| -> Vec<f32> {
            let words = data.chunks_exact(4);
            words
                .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
                .collect()
        };
        let other = values(b.tensor(&name).unwrap().data());
        for (x, y) in values(tensor.data()).into_iter().zip(other) {
            worst = worst.max((x - y).abs());
        }
    }
    worst
}
