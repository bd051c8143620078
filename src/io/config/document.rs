//! A TOML file merged with its base.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::de::DeTable;
use toml::{Table, Value};

use super::place::{culprit, place_of};
use super::renamed::{Renamed, present_table};
use crate::error::{Error, Result};
use crate::io::lines::{line_of, read_text};
use crate::io::serde_words::in_words;

/// The key under which a file names the file that it changes.
const BASE: &str = "base";

/// Keys that decide which other keys their table may have: of the method, and of all other tables.
const TAGS: [&str; 2] = ["name", "kind"];

/// A TOML file merged with the one that it names as its `base`, which may have a base itself. A table is merged key by key
/// with the base's, unless both have a `kind` (or `name`) and these differ; any other value replaces that of the base.
#[derive(Debug)]
pub struct Document {
    /// The file, its base, the base of that one, and so on.
    layers: Vec<Layer>,
    table: Table,
    renamed: &'static [Renamed],
}

/// One file of a document.
#[derive(Debug)]
struct Layer {
    path: PathBuf,
    text: String,
}

impl Document {
    /// Reads a file and its bases, each relative to the file that names it.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Line`] for what is not TOML, and for a base that is no string,
    /// cannot be read or leads back to itself.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Self::read_renamed(path, &[])
    }

    /// The same, with present names for keys that `renamed` lists under earlier ones.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn read_renamed(path: impl AsRef<Path>, renamed: &'static [Renamed]) -> Result<Self> {
        let (layer, table) = Layer::read(path.as_ref())?;
        let (mut layers, mut tables) = (vec![layer], vec![table]);
        while let Some((layer, table)) = base_of(&layers, tables.last_mut())? {
            layers.push(layer);
            tables.push(table);
        }
        let present = tables
            .into_iter()
            .rev()
            .map(|table| present_table("", table, renamed));
        let table = present.reduce(merged).unwrap_or_default();
        Ok(Self {
            layers,
            table,
            renamed,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.layers[0].path
    }

    /// The file, its base, the base of that one, and so on.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.layers.iter().map(|layer| layer.path.as_path())
    }

    /// The merged values.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The merged values, mutable.
    pub fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    /// The string that `key` stands for, if the file has it.
    ///
    /// # Errors
    /// [`Error::Key`] when it is not a string.
    pub fn tag(&self, key: &str) -> Result<Option<&str>> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::String(name)) => Ok(Some(name)),
            Some(other) => {
                let found = format!("a value of type {}", other.type_str());
                Err(Error::key(self.path(), key, "a string", found))
            }
        }
    }

    /// The merged options.
    ///
    /// # Errors
    /// [`Error::Line`] for an unknown key or a value of another type.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T> {
        self.read_as(self.table.clone())
    }

    /// The options `defaults`, replaced by those of the file; the keys `left_out` are not read.
    ///
    /// # Errors
    /// [`Error::Line`] for an unknown key or a value of another type.
    pub fn over<T: Serialize + DeserializeOwned>(
        &self,
        defaults: &T,
        left_out: &[&str],
    ) -> Result<T> {
        let mut table = self.table.clone();
        table.retain(|key, _| !left_out.contains(&key));
        // Read by itself, so that errors have a line.
        self.read_as::<T>(table.clone())?;
        let mut whole = Table::try_from(defaults).map_err(|error| {
            let expected = "options that TOML can hold";
            Error::format(self.path(), expected, error.to_string())
        })?;
        whole.extend(table);
        self.read_as(whole)
    }

    fn read_as<T: DeserializeOwned>(&self, table: Table) -> Result<T> {
        T::deserialize(table.clone()).map_err(|error| self.wrong::<T>(&table, &error))
    }

    /// An error for the key that cannot be read, at its line in the file that sets it last.
    fn wrong<T: DeserializeOwned>(&self, table: &Table, error: &toml::de::Error) -> Error {
        let keys = culprit::<T>(table, error.message());
        let message = in_words(error.message().trim()).replace('\n', "; ");
        let found = match keys.is_empty() {
            true => message,
            false => format!("{}: {message}", keys.join(".")),
        };
        let places = self
            .layers
            .iter()
            .map(|layer| (layer, layer.place(&keys, self.renamed)));
        let deeper = |a: (_, (usize, usize)), b: (_, (usize, usize))| match b.1.0 > a.1.0 {
            true => b,
            false => a,
        };
        let (layer, (_, offset)) = places.reduce(deeper).unwrap_or((&self.layers[0], (0, 0)));
        layer.wrong(offset, "known keys with values of their types", found)
    }
}

impl Layer {
    fn read(path: &Path) -> Result<(Self, Table)> {
        let (path, text) = (path.to_path_buf(), read_text(path)?);
        match toml::from_str(&text) {
            Ok(table) => Ok((Self { path, text }, table)),
            Err(error) => Err(no_toml(&path, &text, &error)),
        }
    }

    /// How many keys of a path stand here, and the byte at which the last of these does.
    fn place(&self, keys: &[String], renamed: &[Renamed]) -> (usize, usize) {
        DeTable::parse(&self.text).map_or((0, 0), |table| place_of(table.get_ref(), keys, renamed))
    }

    /// What is wrong at the byte `offset`.
    fn wrong(&self, offset: usize, expected: &str, found: String) -> Error {
        let line = line_of(self.text.as_bytes(), offset);
        Error::line(&self.path, line, expected, found)
    }
}

/// The path and the values of the base of the last of `layers`, with the values `table`; removes the key `base`.
fn base_of(layers: &[Layer], table: Option<&mut Table>) -> Result<Option<(Layer, Table)>> {
    let (Some(layer), Some(value)) = (layers.last(), table.and_then(|table| table.remove(BASE)))
    else {
        return Ok(None);
    };
    let wrong = |expected: &str, found: String| {
        let (_, offset) = layer.place(&[BASE.to_string()], &[]);
        Err(layer.wrong(offset, expected, found))
    };
    let Value::String(name) = &value else {
        return wrong("base = \"FILE\"", format!("base = {value}"));
    };
    let path = layer.path.parent().unwrap_or(Path::new("")).join(name);
    let whole = |path: &Path| path.canonicalize().unwrap_or(path.to_path_buf());
    if layers
        .iter()
        .any(|layer| whole(&layer.path) == whole(&path))
    {
        let found = format!("{}, which is built on this file", path.display());
        return wrong("a base that is not built on this file", found);
    }
    match Layer::read(&path) {
        Ok(base) => Ok(Some(base)),
        Err(error @ Error::Io { .. }) => wrong("a base that can be read", error.to_string()),
        Err(error) => Err(error),
    }
}

/// `lower` with the values of `upper`.
fn merged(mut lower: Table, upper: Table) -> Table {
    let differ = |tag: &&str| match (lower.get(*tag), upper.get(*tag)) {
        (Some(lower), Some(upper)) => lower != upper,
        _ => false,
    };
    if TAGS.iter().any(differ) {
        return upper;
    }
    for (key, value) in upper {
        let value = match (lower.remove(&key), value) {
            (Some(Value::Table(lower)), Value::Table(upper)) => Value::Table(merged(lower, upper)),
            (_, value) => value,
        };
        lower.insert(key, value);
    }
    lower
}

/// What is wrong with a text that is not TOML.
fn no_toml(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let offset = error.span().map_or(0, |span| span.start);
    let line = line_of(text.as_bytes(), offset);
    let key = text
        .lines()
        .nth(line - 1)
        .and_then(|line| line.split_once('='));
    let found = match key.map(|(key, _)| key.trim()) {
        Some(key) if key.contains(' ') && !key.contains(['"', '\'', '#', '.']) => {
            format!("a key with a space, '{key}'")
        }
        _ => error.message().trim().replace('\n', "; "),
    };
    Error::line(path, line, "TOML, as 'key = value' and '[table]'", found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::config::made::{Inner, Run};
    use crate::io::config::read_toml;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        bins: usize,
    }

    fn read(content: &[u8]) -> Result<Options> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        read_toml(file.path())
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Tagged {
        run: Run,
        #[serde(default)]
        inner: Inner,
        sampler: Sampler,
        #[serde(default)]
        critics: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
    #[allow(dead_code)]
    enum Sampler {
        Utterances {
            batch: usize,
        },
        Speakers {
            speakers: usize,
            more: Option<Inner>,
        },
    }

    #[test]
    fn the_key_is_named_wherever_it_stands() {
        let good = "[sampler]\nkind = \"speakers\"\nspeakers = 4\n\n[run]\nname = \"a\"\nrate = 1.0\n\n[[critics]]\nsteps = 1\n\n\
                    [[critics]]\nsteps = 2\n";
        let read = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), good.replace(from, to)).unwrap();
            read_toml::<Tagged>(file.path()).map_err(|error| {
                let message = error.to_string();
                message.replace(&file.path().display().to_string(), "f")
            })
        };
        assert!(read("", "").is_ok());
        for (from, to, line, found) in [
            (
                "speakers = 4",
                "speakers = \"x\"",
                3,
                "sampler.speakers: invalid type",
            ),
            (
                "speakers = 4",
                "speakers = -1",
                3,
                "sampler.speakers: invalid value",
            ),
            (
                "speakers = 4",
                "speakers = 4\nspeakerz = 5",
                4,
                "sampler.speakerz: unknown field `speakerz`",
            ),
            (
                "speakers = 4",
                "speakers = 4\nmore = {steps = 1, stepz = 2}",
                4,
                "sampler.more.stepz: unknown field",
            ),
            (
                "\"speakers\"",
                "\"speaker\"",
                2,
                "sampler.kind: unknown variant `speaker`",
            ),
            (
                "kind = \"speakers\"\n",
                "",
                1,
                "sampler: missing field `kind`",
            ),
            ("speakers = 4\n", "", 1, "sampler: missing field `speakers`"),
            ("rate = 1.0", "rate = \"fast\"", 7, "run.rate: invalid type"),
            (
                "rate = 1.0",
                "rate = 1.0\n[run.inner]\nalso = \"x\"",
                9,
                "run.inner.also: invalid type",
            ),
            (
                "steps = 2",
                "steps = \"x\"",
                13,
                "critics.1.steps: invalid type",
            ),
            ("[run]", "[runs]", 5, "runs: unknown field `runs`"),
            (
                "rate = 1.0",
                "the rate = 1.0",
                7,
                "found a key with a space, 'the rate'",
            ),
        ] {
            let message = read(from, to).unwrap_err();
            assert!(
                message.starts_with(&format!("f:{line}: ")) && message.contains(found),
                "{message}"
            );
        }
    }

    #[test]
    fn the_line_is_named() {
        assert_eq!(read(b"# none\n").unwrap().bins, 0);
        assert_eq!(read(b"bins = 4").unwrap().bins, 4);
        assert_eq!(read(b"\xef\xbb\xbfbins = 4\r\n").unwrap().bins, 4);
        for (content, place, found) in [
            (&b"\nbinz = 4\n"[..], ":2: ", "unknown field `binz`"),
            (b"bins = 'x'\n", ":1: ", "invalid type"),
            (b"bins = 4\nbins = 5\n", ":2: ", "duplicate key"),
            (b"\n\nbins = \n", ":3: ", "found"),
            (b"bins = 4\n#\xff\n", ":2: ", "other bytes"),
        ] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.contains(place) && error.contains(found), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    /// A folder of files.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn a_file_stands_over_its_bases() {
        let dir = folder(&[
            (
                "all.toml",
                "name = \"all\"\n[run]\nname = \"r\"\nrate = 1.0\ninner = { steps = 1, also = 2 }\n\
                 [sampler]\nkind = \"speakers\"\nspeakers = 4\nmore = { steps = 3 }\n\
                 [[critics]]\nsteps = 1\n[[critics]]\nsteps = 2\n",
            ),
            (
                "sub/wide.toml",
                "base = \"../all.toml\"\nrun.inner.also = 9\nsampler.speakers = 8\n",
            ),
            (
                "own.toml",
                "base = \"sub/wide.toml\"\nrun.inner.steps = 7\nrun.rate = 2.0\ncritics = [{ steps = 5 }]\n",
            ),
            (
                "other.toml",
                "base = \"own.toml\"\nsampler = { kind = \"utterances\", batch = 3 }\n",
            ),
        ]);
        let table = |name: &str| {
            Document::read(dir.path().join(name))
                .unwrap()
                .table()
                .clone()
        };
        let expected = "name = \"all\"\n[run]\nname = \"r\"\nrate = 2.0\ninner = { steps = 7, also = 9 }\n\
            [sampler]\nkind = \"speakers\"\nspeakers = 8\nmore = { steps = 3 }\n[[critics]]\nsteps = 5\n";
        let mut expected: Table = toml::from_str(expected).unwrap();
        assert_eq!(table("own.toml"), expected);
        let sampler = toml::from_str("kind = \"utterances\"\nbatch = 3").unwrap();
        expected.insert("sampler".into(), Value::Table(sampler));
        assert_eq!(table("other.toml"), expected);
        let files: Vec<_> = Document::read(dir.path().join("own.toml"))
            .unwrap()
            .files()
            .map(|file| file.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(files, ["own.toml", "wide.toml", "all.toml"]);
    }

    #[test]
    fn the_file_of_a_wrong_key_is_named() {
        let base =
            "[sampler]\nkind = \"speakers\"\nspeakers = 4\n[run]\nname = \"a\"\nrate = 1.0\n";
        let message = |base: &str, own: &str| {
            let dir = folder(&[("base.toml", base), ("own.toml", own)]);
            let error = read_toml::<Tagged>(dir.path().join("own.toml")).unwrap_err();
            let error = error.to_string();
            assert!(!error.contains('\n'), "{error}");
            error.replace(&format!("{}/", dir.path().display()), "")
        };
        let named = "base = \"base.toml\"\n";
        for (from, to, own, place, found) in [
            (
                "rate = 1.0",
                "rate = \"x\"",
                "",
                "base.toml:6: ",
                "run.rate: invalid type",
            ),
            (
                "rate = 1.0",
                "rate = \"x\"",
                "run.rate = 1\n\nrun.nane = 1\n",
                "own.toml:4: ",
                "run.nane: unknown field",
            ),
            (
                "speakers = 4",
                "speakerz = 4",
                "sampler.speakers = 4",
                "base.toml:3: ",
                "sampler.speakerz: unknown field",
            ),
            (
                "",
                "",
                "\nrun.rate = \"x\"",
                "own.toml:3: ",
                "run.rate: invalid type",
            ),
            (
                "",
                "",
                "sampler.kind = \"speaker\"",
                "own.toml:2: ",
                "unknown variant",
            ),
            (
                "",
                "",
                "sampler.kind = \"utterances\"",
                "own.toml:2: ",
                "sampler: missing field `batch`",
            ),
            ("rate = 1.0", "rate", "", "base.toml:6: ", "expected TOML"),
        ] {
            let error = message(&base.replace(from, to), &format!("{named}{own}"));
            assert!(error.starts_with(place) && error.contains(found), "{error}");
        }
        for (own, told_of) in [
            (
                "\nbase = 1",
                "own.toml:2: expected base = \"FILE\", found base = 1",
            ),
            (
                "base = \"none.toml\"",
                "own.toml:1: expected a base that can be read, found none.toml: ",
            ),
            (
                "base = \"./own.toml\"",
                "own.toml:1: expected a base that is not built on this file, found ./own.toml",
            ),
        ] {
            let error = message("", own);
            assert!(error.starts_with(told_of), "{error}");
        }
        let error = message("seed = 1\nbase = \"own.toml\"", named);
        let circle = "base.toml:2: expected a base that is not built on this file, found own.toml";
        assert!(error.starts_with(circle), "{error}");
    }
}
