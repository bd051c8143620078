//! Folders and files of a report: the experiment, the baseline beside it, the data directory of the test set.

use std::path::{Path, PathBuf};

use toml::Value;

use crate::dataset::DataDir;
use crate::error::{Error, Result};
use crate::io::lines;
use crate::method::old_keys::document;
use crate::train::experiment::Experiment;
use crate::train::trainer::verdict_of;

/// The name of the folder with the same probes on raw features, in recipes.
pub(super) const BASELINE: &str = "log-mel";

/// The kind of a run's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Data directories.
    Speech,
    /// Sets of images.
    Images,
}

/// An experiment's folder.
#[derive(Debug, Clone)]
pub struct ExpFolder {
    experiment: Experiment,
    name: String,
    config: toml::Table,
}

impl ExpFolder {
    /// Opens it.
    ///
    /// # Errors
    /// [`Error::Format`] for a folder without `conf.toml`, or whose `conf.toml` is no configuration.
    pub fn open(path: &Path) -> Result<Self> {
        let experiment = Experiment::open(path)?;
        let config = document(&path.join("conf.toml"))?.table().clone();
        let whole = path.canonicalize().map_err(Error::io(path))?;
        let name = whole.file_name().unwrap_or(whole.as_os_str());
        Ok(Self {
            experiment,
            name: name.to_string_lossy().into_owned(),
            config,
        })
    }

    /// The experiment.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The folder as given.
    pub fn path(&self) -> &Path {
        self.experiment.path()
    }

    /// The folder's own name: `default_0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name without its seed, as recipes add it, and as tables of results name it: `default`, `default+lambda 0.1`.
    pub fn configuration(&self) -> String {
        configuration(&self.name)
    }

    /// A value of the configuration by the path of its key.
    pub fn value(&self, keys: &[&str]) -> Option<&Value> {
        let (first, rest) = keys.split_first()?;
        rest.iter()
            .try_fold(self.config.get(*first)?, |value, key| value.get(*key))
    }

    /// The method's name.
    pub fn method(&self) -> String {
        match self.value(&["method", "name"]) {
            Some(Value::String(name)) => name.clone(),
            _ => "an unnamed method".into(),
        }
    }

    /// The kind of its data: sets of images are tables.
    pub fn field(&self) -> Field {
        match self.value(&["data", "train"]) {
            Some(Value::Table(_)) => Field::Images,
            _ => Field::Speech,
        }
    }

    /// A file of the folder, if it exists.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.path().join(name)).filter(|path| path.is_file())
    }

    /// Whether the run looks right by its log, in lines as `unbraid train` prints them; none without a log.
    ///
    /// # Errors
    /// For a damaged log or checkpoint.
    pub fn verdict(&self) -> Result<Vec<String>> {
        let options = self.value(&["train"]).cloned().map(Value::try_into);
        match (self.file("log.jsonl"), options) {
            (Some(_), Some(Ok(options))) => verdict_of(&self.experiment, &options),
            _ => Ok(Vec::new()),
        }
    }

    /// A file of a folder beside this one (of the parent folder, if `folder` is empty), if it exists.
    pub fn beside(&self, folder: &str, name: &str) -> Option<PathBuf> {
        let path = match self.path().parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.join(folder),
            // The parent of `default_0` alone has no name; that of `.` and the like is another one.
            _ => self.path().join("..").join(folder),
        };
        Some(path.join(name)).filter(|path| path.is_file())
    }

    /// The same of the baseline's folder.
    pub fn of_baseline(&self, name: &str) -> Option<PathBuf> {
        self.beside(&format!("{BASELINE}_0"), name)
    }

    /// Names of the folder's files with this beginning and end, sorted.
    ///
    /// # Errors
    /// [`Error::Io`] naming the folder.
    pub fn files(&self, folder: &str, begin: &str, end: &str) -> Result<Vec<String>> {
        let path = self.path().join(folder);
        if !path.is_dir() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(Error::io(&path))? {
            let name = entry.map_err(Error::io(&path))?.file_name();
            // Our names are UTF-8.
            if let Some(name) = name.to_str()
                && name.starts_with(begin)
                && name.ends_with(end)
                && name.len() >= begin.len() + end.len()
            {
                names.push(match folder {
                    "" => name.to_string(),
                    _ => format!("{folder}/{name}"),
                });
            }
        }
        names.sort();
        Ok(names)
    }
}

/// The configuration of a run by its folder's name: without the seed behind its last `_`, and without `=`, which parts
/// names from files in lists of results.
pub(super) fn configuration(folder: &str) -> String {
    let digits = |seed: &str| !seed.is_empty() && seed.bytes().all(|b| b.is_ascii_digit());
    let name = match folder.rsplit_once('_') {
        Some((name, seed)) if !name.is_empty() && digits(seed) => name,
        _ => folder,
    };
    name.replace('=', " ")
}

/// The data directory of the test set.
#[derive(Debug, Clone)]
pub struct TestSet {
    /// The directory.
    pub dir: DataDir,
    name: String,
}

impl TestSet {
    /// Opens it.
    ///
    /// # Errors
    /// As [`DataDir::open`].
    pub fn open(path: &Path) -> Result<Self> {
        let dir = DataDir::open(path)?;
        let whole = path.canonicalize().map_err(Error::io(path))?;
        let name = whole.file_name().unwrap_or(whole.as_os_str());
        Ok(Self {
            dir,
            name: name.to_string_lossy().into_owned(),
        })
    }

    /// The folder's own name, which the files of its representations end with: `test`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The text of a file of at most a megabyte.
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] for one that is longer.
pub(super) fn read_text(path: &Path) -> Result<String> {
    const MOST_BYTES: u64 = 1 << 20;
    let size = std::fs::metadata(path).map_err(Error::io(path))?.len();
    if size > MOST_BYTES {
        let found = format!("{size} bytes");
        return Err(Error::format(path, "a file of at most 1 MiB", found));
    }
    lines::read_text(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_seeds_are_removed() {
        for (name, expected) in [
            ("default_0", "default"),
            ("in_turns_12", "in_turns"),
            ("in_turns", "in_turns"),
            ("_0", "_0"),
            ("a+l=1_0", "a+l 1"),
            ("a_", "a_"),
        ] {
            assert_eq!(configuration(name), expected);
        }
    }

    #[test]
    fn the_baseline_lies_beside() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["a_0", "log-mel_0"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
            std::fs::write(dir.path().join(folder).join("conf.toml"), "seed = 1\n").unwrap();
        }
        std::fs::write(dir.path().join("log-mel_0/probe.json"), "[]").unwrap();
        let exp = ExpFolder::open(&dir.path().join("a_0")).unwrap();
        assert!(exp.of_baseline("probe.json").is_some());
        assert!(exp.of_baseline("other.json").is_none());
        assert_eq!((exp.name(), exp.configuration()), ("a_0", "a".into()));
        assert_eq!(exp.files("", "co", ".toml").unwrap(), ["conf.toml"]);
        assert!(exp.files("none", "", "").unwrap().is_empty());
    }
}
