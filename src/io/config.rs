//! Options in TOML files, and single ones set instead.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::io::lines::{line_of, read_text};

/// Reads options from a file whose keys all have to be known ones.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Line`] for what is not TOML, an unknown key or a value of
/// another type.
pub fn read_toml<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    Document::read(path)?.options(&[])
}

/// A TOML file some of whose keys say how the others are to be read.
#[derive(Debug)]
pub struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Line`] for what is not TOML.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let text = read_text(&path)?;
        match DeTable::parse(&text) {
            Ok(_) => Ok(Self { path, text }),
            Err(error) => Err(no_toml(&path, &text, &error)),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The string that `key` stands for, if the file has it.
    ///
    /// # Errors
    /// [`Error::Key`] when it is not a string.
    pub fn tag(&self, key: &str) -> Result<Option<String>> {
        match self.spanned()?.get(key).map(|value| value.get_ref()) {
            None => Ok(None),
            Some(DeValue::String(name)) => Ok(Some(name.to_string())),
            Some(other) => {
                let found = format!("a value of type {}", other.type_str());
                Err(Error::key(&self.path, key, "a string", found))
            }
        }
    }

    /// The options `base`, those of the file instead of its own; the keys `left_out` belong to somebody else.
    ///
    /// # Errors
    /// [`Error::Line`] for an unknown key or a value of another type.
    pub fn over<T: Serialize + DeserializeOwned>(&self, base: &T, left_out: &[&str]) -> Result<T> {
        // Read by itself, so that what is wrong is told with its line.
        self.options::<T>(left_out)?;
        let mut merged = Table::try_from(base).map_err(|error| {
            let expected = "options that TOML can hold";
            Error::format(&self.path, expected, error.to_string())
        })?;
        merged.extend(self.table(left_out)?);
        let table = merged.clone();
        merged
            .try_into()
            .map_err(|error| self.wrong::<T>(&table, &error))
    }

    /// The options of the file, but for the keys `left_out`.
    fn options<T: DeserializeOwned>(&self, left_out: &[&str]) -> Result<T> {
        let table = self.table(left_out)?;
        T::deserialize(table.clone()).map_err(|error| self.wrong::<T>(&table, &error))
    }

    fn table(&self, left_out: &[&str]) -> Result<Table> {
        let mut table: Table =
            toml::from_str(&self.text).map_err(|error| no_toml(&self.path, &self.text, &error))?;
        table.retain(|key, _| !left_out.contains(&key));
        Ok(table)
    }

    fn spanned(&self) -> Result<DeTable<'_>> {
        let table = DeTable::parse(&self.text);
        let table = table.map_err(|error| no_toml(&self.path, &self.text, &error))?;
        Ok(table.into_inner())
    }

    /// An error of the key that `table` cannot be read for, at its line.
    fn wrong<T: DeserializeOwned>(&self, table: &Table, error: &toml::de::Error) -> Error {
        let keys = culprit::<T>(table, error.message());
        let place = self.spanned().map_or(0, |table| place_of(&table, &keys));
        let message = error.message().trim().replace('\n', "; ");
        let found = match keys.is_empty() {
            true => message,
            false => format!("{}: {message}", keys.join(".")),
        };
        let line = line_of(self.text.as_bytes(), place);
        Error::line(
            &self.path,
            line,
            "known keys with values of their types",
            found,
        )
    }
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

/// The path of the key that `table` cannot be read as a `T` for, which `message` says: the deepest one without which
/// nothing, or something else, is wrong. Serde tells no place inside tables that it reads by the value of one of their keys.
fn culprit<T: DeserializeOwned>(table: &Table, message: &str) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    loop {
        let mut doubtful = None;
        let mut found = None;
        for key in keys_at(table, &path) {
            path.push(key);
            let (less, taken) = without(table, &path);
            let key = path.pop().unwrap_or_default();
            match T::deserialize(less).err() {
                Some(error) if error.message() == message => {}
                Some(error) if error.message().contains(&format!("missing field `{key}`")) => {
                    // It may be missed for its own sake: what the message quotes goes before, and a field is missing in
                    // a table alone.
                    let value = taken.unwrap_or(Value::Boolean(false));
                    let fits = match message.contains("missing field") {
                        true => value.is_table() || value.is_array(),
                        false => doubtful.is_none() || message.contains(&plain(&value)),
                    };
                    if fits {
                        doubtful = Some(key);
                    }
                }
                _ => {
                    found = Some(key);
                    break;
                }
            }
        }
        match found.or(doubtful) {
            Some(key) => path.push(key),
            None => return path,
        }
    }
}

/// A value as messages quote it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// What can be gone into at the end of a path: keys of a table, or the places of tables in a list.
fn keys_at(table: &Table, path: &[String]) -> Vec<String> {
    let mut value = &Value::Table(table.clone());
    for key in path {
        let inner = match value {
            Value::Table(table) => table.get(key),
            Value::Array(list) => key.parse::<usize>().ok().and_then(|at| list.get(at)),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => return Vec::new(),
        }
    }
    match value {
        Value::Table(table) => table.keys().cloned().collect(),
        Value::Array(list) if list.iter().any(Value::is_table) => {
            (0..list.len()).map(|at| at.to_string()).collect()
        }
        _ => Vec::new(),
    }
}

/// A copy of `table` without what stands at the end of a path, and what that was.
fn without(table: &Table, path: &[String]) -> (Table, Option<Value>) {
    let mut copy = Value::Table(table.clone());
    let mut place = Some(&mut copy);
    let (last, before) = path.split_last().expect("a path of one key at least");
    for key in before {
        place = place.and_then(|value| inside(value, key));
    }
    let taken = match place {
        Some(Value::Table(table)) => table.remove(last),
        Some(Value::Array(list)) => {
            let at = last.parse::<usize>().ok().filter(|at| *at < list.len());
            at.map(|at| list.remove(at))
        }
        _ => None,
    };
    match copy {
        Value::Table(table) => (table, taken),
        _ => (Table::new(), taken),
    }
}

/// The byte at which the last key of a path stands that the file has.
fn place_of(table: &DeTable, path: &[String]) -> usize {
    let mut offset = 0;
    let mut value: Option<&DeValue> = None;
    for key in path {
        let (span, inner) = match value {
            None => match table.get_key_value(key.as_str()) {
                Some((key, inner)) => (key.span(), inner.get_ref()),
                None => return offset,
            },
            Some(DeValue::Table(table)) => match table.get_key_value(key.as_str()) {
                Some((key, inner)) => (key.span(), inner.get_ref()),
                None => return offset,
            },
            Some(DeValue::Array(list)) => match key.parse().ok().and_then(|at: usize| list.get(at))
            {
                Some(inner) => (inner.span(), inner.get_ref()),
                None => return offset,
            },
            Some(_) => return offset,
        };
        (offset, value) = (span.start, Some(inner));
    }
    offset
}

/// `options` with one value instead of its own: `KEY.PATH=VALUE`, the value in TOML's syntax. A table that is set is
/// replaced whole.
///
/// # Errors
/// [`Error::Option`] naming the setting: no such form, no TOML value, an unknown key, or a value of another type.
pub fn with_setting<T: Serialize + DeserializeOwned>(options: &T, setting: &str) -> Result<T> {
    let wrong = |expected: &str, found: &str| {
        let found = found.trim().replace('\n', "; ");
        Error::option(format!("--set {setting}"), expected, found)
    };
    let form = "KEY.PATH=VALUE";
    let (path, text) = setting
        .split_once('=')
        .ok_or_else(|| wrong(form, "no '='"))?;
    let keys: Vec<&str> = path.split('.').map(str::trim).collect();
    match keys
        .iter()
        .find(|key| key.is_empty() || key.contains(char::is_whitespace))
    {
        Some(&"") => return Err(wrong(form, "an empty key")),
        Some(key) => return Err(wrong(form, &format!("a key with a space, '{key}'"))),
        None => {}
    }
    let value = parse_value(text).ok_or_else(|| {
        let expected = "a TOML value behind '=' (a string in quotes, as key=\"value\")";
        wrong(expected, &format!("'{text}'"))
    })?;
    let mut table = Table::try_from(options)
        .map_err(|error| wrong("options that TOML can hold", &error.to_string()))?;
    set_value(&mut table, &keys, value).map_err(|key| {
        wrong(
            "a key of a table or a place in a list",
            &format!("{key}, which is none"),
        )
    })?;
    table.try_into().map_err(|error: toml::de::Error| {
        wrong("a known key with a value of its type", error.message())
    })
}

/// One value, and nothing behind it.
fn parse_value(text: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    let value = table.remove("value")?;
    table.is_empty().then_some(value)
}

/// Puts `value` at the end of a path of tables and places in lists; the path up to the first key that is neither, if there is
/// one.
fn set_value(table: &mut Table, keys: &[&str], value: Value) -> Result<(), String> {
    let Some((last, before)) = keys.split_last() else {
        return Ok(());
    };
    let Some((first, inner)) = before.split_first() else {
        table.insert(last.to_string(), value);
        return Ok(());
    };
    let mut place = table
        .entry(*first)
        .or_insert_with(|| Value::Table(Table::new()));
    for (depth, key) in inner.iter().chain([last]).enumerate() {
        place = inside(place, key).ok_or_else(|| keys[..depth + 2].join("."))?;
    }
    *place = value;
    Ok(())
}

/// What stands in a table under `key`, made where there is nothing, or at a place of a list, counted from 0.
fn inside<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match value {
        Value::Table(table) => {
            let empty = || Value::Table(Table::new());
            Some(table.entry(key).or_insert_with(empty))
        }
        Value::Array(list) => list.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        bins: usize,
    }

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Run {
        name: String,
        rate: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        folder: Option<String>,
        inner: Inner,
    }

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        steps: u64,
        also: u64,
    }

    #[test]
    fn a_setting_takes_its_place_and_no_other() {
        let mut expected = Run {
            inner: Inner { steps: 1, also: 7 },
            ..Run::default()
        };
        let run = expected.clone();
        let set = |setting: &str| with_setting(&run, setting).unwrap();
        expected.inner.steps = 5;
        assert_eq!(set("inner.steps=5"), expected);
        expected.inner = Inner { steps: 5, also: 0 };
        assert_eq!(set("inner={steps = 5}"), expected);
        assert_eq!(set("rate=1").rate, 1.0);
        assert_eq!(set("folder=\"a=b\"").folder.as_deref(), Some("a=b"));
    }

    #[test]
    fn a_setting_that_makes_no_sense_is_refused() {
        for (setting, found) in [
            ("inner.steps", "expected KEY.PATH=VALUE, found no '='"),
            ("inner..steps=1", "found an empty key"),
            ("inner.no steps=1", "found a key with a space, 'no steps'"),
            ("inner.stepz=1", "unknown field `stepz`"),
            ("iner.steps=1", "unknown field `iner`"),
            (
                "name.x=1",
                "expected a key of a table or a place in a list, found name.x, which is none",
            ),
            ("inner.steps=-1", "found"),
            ("inner.steps=\"a\"", "invalid type: string"),
            ("name=a", "a string in quotes, as key=\"value\"), found 'a'"),
            ("rate=1\nname = \"b\"", "expected a TOML value"),
            ("rate=", "expected a TOML value"),
        ] {
            let error = with_setting(&Run::default(), setting).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("--set "), "{error}");
            assert!(error.contains(found), "{error}");
        }
    }

    #[test]
    fn places_of_lists_are_counted_from_zero() {
        let mut table: Table = toml::from_str("[[critics]]\na = 1\n[[critics]]\na = 2\n").unwrap();
        let mut set = |path: &str, value: i64| {
            let keys: Vec<&str> = path.split('.').collect();
            set_value(&mut table, &keys, Value::Integer(value)).map(|()| table.to_string())
        };
        assert!(set("critics.1.a", 5).unwrap().contains("a = 5"));
        assert!(set("critics.0.b.c", 7).unwrap().contains("c = 7"));
        assert_eq!(set("critics.2.a", 1), Err("critics.2".into()));
        assert_eq!(set("critics.a", 1), Err("critics.a".into()));
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
                let told = error.to_string();
                told.replace(&file.path().display().to_string(), "f")
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
            let told = read(from, to).unwrap_err();
            assert!(
                told.starts_with(&format!("f:{line}: ")) && told.contains(found),
                "{told}"
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
}
