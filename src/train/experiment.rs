//! The folder of a run: `conf.toml` as resolved, `inventory.json`, the log, the checkpoints.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::checkpoint;
use crate::error::{Error, Result};
use crate::io::config::first_difference;
use crate::io::lock::Lock;
use crate::io::{atomic, json};

/// The configuration of a run.
pub trait Configuration: Serialize + DeserializeOwned {
    /// Reads a file of any version.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Line`] naming the file.
    fn read(path: &Path) -> Result<Self>;
}

/// An experiment's folder.
#[derive(Debug, Clone)]
pub struct Experiment {
    path: PathBuf,
    /// Held by the one that trains.
    _lock: Option<Arc<Lock>>,
}

impl Experiment {
    /// Creates an experiment, or with `resume` opens one with checkpoints. `config` is saved, or compared with the saved
    /// one. A key that is missing in the saved one has its default there. Keys that do not affect the steps already done
    /// (`FREE`) may differ, and are saved. No other process can train in the folder until the experiment is dropped.
    ///
    /// # Errors
    /// [`Error::Format`] when another process trains there; [`Error::Option`] when there is a checkpoint and `resume` is
    /// false; [`Error::Key`] for the first value that differs, and for fewer steps than are done; [`Error::Io`] naming the
    /// folder.
    pub fn create<C: Configuration>(path: &Path, config: &C, resume: bool) -> Result<Self> {
        atomic::create_dir_all(path)?;
        let experiment = Self {
            path: path.to_path_buf(),
            _lock: Some(Arc::new(Lock::take(path, path.join(".lock"))?)),
        };
        let conf = path.join("conf.toml");
        let table = |config: &C| {
            Table::try_from(config)
                .map_err(|e| Error::format(&conf, "a configuration", e.to_string()))
        };
        let resolved = table(config)?;
        let Some(done) = checkpoint::steps(path)?.into_iter().max() else {
            atomic::rewrite(&conf, resolved.to_string())?;
            return Ok(experiment);
        };
        if !resume {
            return Err(Error::option(
                format!("--exp {}", path.display()),
                "a new folder (or --resume to continue this run)",
                "one with checkpoints",
            ));
        }
        let saved = table(&C::read(&conf)?)?;
        let as_trained = |key, expected: String, found| {
            let expected = format!("{expected} (as the checkpoint was trained)");
            Err(Error::key(&conf, key, expected, found))
        };
        let [old, new] = [&saved, &resolved].map(|table| Value::Table(without_free(table)));
        if let Some((key, expected, found)) = first_difference("", Some(&old), Some(&new)) {
            return as_trained(key, expected, found);
        }
        let [old, new] = [&saved, &resolved].map(steps_of);
        if let Some(new) = new.filter(|&new| Some(new) != old) {
            if new < done {
                let expected = format!("at least the {done} steps that are done");
                return Err(Error::key(&conf, "train.steps", expected, new.to_string()));
            }
            let old = old.map_or("none".into(), |old| old.to_string());
            log::info!(
                "{}: {new} steps in all, {old} before: schedules over all steps follow the new number",
                path.display()
            );
        }
        if saved != resolved {
            atomic::rewrite(&conf, resolved.to_string())?;
        }
        Ok(experiment)
    }

    /// The folder of an experiment that another rank writes; nothing of it is read.
    pub(crate) fn of_another_rank(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            _lock: None,
        }
    }

    /// Opens a trained experiment to read from.
    ///
    /// # Errors
    /// [`Error::Format`] when the folder holds no `conf.toml`.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.join("conf.toml").is_file() {
            let found = if path.exists() {
                "none"
            } else {
                "no such folder"
            };
            return Err(Error::format(
                path,
                "an experiment's folder with a conf.toml",
                found,
            ));
        }
        Ok(Self {
            path: path.to_path_buf(),
            _lock: None,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of a checkpoint: `last`, `best` or `step_000123`.
    ///
    /// # Errors
    /// [`Error::Format`] when there is none of that name.
    pub fn checkpoint(&self, name: &str) -> Result<PathBuf> {
        let folder = self.path.join(name);
        if folder.join("state.json").is_file() {
            return Ok(folder);
        }
        Err(Error::format(
            &self.path,
            format!("a checkpoint '{name}'"),
            "none",
        ))
    }

    /// The files that a model with the weights of checkpoint `name` depends on, with its front-end if `front_end`.
    ///
    /// # Errors
    /// As [`Experiment::checkpoint`].
    pub fn model_files(&self, name: &str, front_end: bool) -> Result<Vec<PathBuf>> {
        let mut files = vec![self.checkpoint(name)?.join("weights.safetensors")];
        files.extend(["conf.toml", "inventory.json"].map(|name| self.path.join(name)));
        files.extend(front_end.then(|| self.path.join("front_end.toml")));
        Ok(files)
    }

    /// Whether it began from the weights of another one.
    pub fn is_fine_tuning(&self) -> bool {
        self.path.join(ORIGIN).exists()
    }

    /// The resolved configuration.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] naming `conf.toml`.
    pub fn config<C: Configuration>(&self) -> Result<C> {
        C::read(&self.path.join("conf.toml"))
    }

    /// Saves a value as `NAME` in JSON.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.path.join(name);
        let json = serde_json::to_string_pretty(value)
            .map_err(|e| Error::format(&path, "a value JSON can hold", e.to_string()))?;
        atomic::rewrite(path, json + "\n")
    }

    /// Saves options as `NAME` in TOML.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn write_toml(&self, name: &str, options: &impl Serialize) -> Result<()> {
        let path = self.path.join(name);
        let text = toml::to_string(options)
            .map_err(|e| Error::format(&path, "options TOML can hold", e.to_string()))?;
        atomic::rewrite(path, text)
    }

    /// Reads a value saved by [`Experiment::write_json`].
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] naming the file.
    pub fn read_json<V: DeserializeOwned>(&self, name: &str) -> Result<V> {
        json::read(self.path.join(name), "a file written by unbraid train")
    }
}

/// File that tells which experiment a run began from.
pub(crate) const ORIGIN: &str = "initial.json";

/// Keys, and their tables, that may differ when a run is resumed.
const FREE: [(&str, &str); 8] = [
    ("train", "accumulate"),
    ("train", "steps"),
    ("train", "log_every"),
    ("train", "checkpoint_every"),
    ("train", "checkpoint_minutes"),
    ("train", "keep_checkpoints"),
    ("train", "threads"),
    ("data", "workers"),
];

fn without_free(config: &Table) -> Table {
    let mut config = config.clone();
    for (table, key) in FREE {
        if let Some(Value::Table(table)) = config.get_mut(table) {
            table.remove(key);
        }
    }
    config
}

fn steps_of(config: &Table) -> Option<u64> {
    let steps = config.get("train")?.get("steps")?.as_integer()?;
    u64::try_from(steps).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::config::read_toml;
    use crate::train::trainer::TrainOptions;

    impl Configuration for Table {
        fn read(path: &Path) -> Result<Self> {
            read_toml(path)
        }
    }

    impl Configuration for TrainOptions {
        fn read(path: &Path) -> Result<Self> {
            read_toml(path)
        }
    }

    /// An experiment of one checkpoint.
    fn begun(config: &impl Configuration) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        Experiment::create(dir.path(), config, false).unwrap();
        std::fs::create_dir(dir.path().join("step_000010")).unwrap();
        dir
    }

    #[test]
    fn the_difference_is_shown() {
        let config: Table = toml::from_str("seed = 1\n[train]\nvalidate_every = 100\n").unwrap();
        let dir = begun(&config);
        let error = Experiment::create(dir.path(), &config, false).unwrap_err();
        assert!(error.to_string().contains("--resume"), "{error}");
        Experiment::create(dir.path(), &config, true).unwrap();
        let other: Table = toml::from_str("seed = 1\n[train]\nvalidate_every = 200\n").unwrap();
        let error = Experiment::create(dir.path(), &other, true)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with(
                "train.validate_every: expected 100 (as the checkpoint was trained), found 200"
            ),
            "{error}"
        );
    }

    #[test]
    fn keys_that_do_not_affect_past_steps_may_change() {
        let of = |train: &str| -> Table { toml::from_str(&format!("[train]\n{train}")).unwrap() };
        let dir = begun(&of("steps = 20\nkeep_checkpoints = 2"));
        for other in [
            "steps = 30\nkeep_checkpoints = 5",
            "steps = 10\nthreads = 3",
        ] {
            Experiment::create(dir.path(), &of(other), true).unwrap();
            let saved: Table = read_toml(dir.path().join("conf.toml")).unwrap();
            assert_eq!(saved, of(other));
        }
        let error = Experiment::create(dir.path(), &of("steps = 9"), true).unwrap_err();
        let message =
            "conf.toml: train.steps: expected at least the 10 steps that are done, found 9";
        assert!(error.to_string().ends_with(message), "{error}");
    }

    #[test]
    fn a_key_missing_in_the_saved_configuration_has_its_default() {
        let options = TrainOptions::default();
        let dir = begun(&options);
        let conf = dir.path().join("conf.toml");
        let mut saved: toml::Table = read_toml(&conf).unwrap();
        saved.remove("validate_every").unwrap();
        std::fs::write(&conf, saved.to_string()).unwrap();
        Experiment::create(dir.path(), &options, true).unwrap();
        let other = TrainOptions {
            validate_every: 7,
            ..options
        };
        let error = Experiment::create(dir.path(), &other, true).unwrap_err();
        let message = "validate_every: expected 500 (as the checkpoint was trained), found 7";
        assert!(error.to_string().ends_with(message), "{error}");
    }
}
