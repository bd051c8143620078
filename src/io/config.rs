//! Options in TOML files, and single ones set instead.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use crate::error::{Error, Result};

/// Reads options from a file whose keys all have to be known ones.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Line`] for what is not TOML, an unknown key or a value of
/// another type.
pub fn read_toml<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let text = read_text(path)?;
    toml::from_str(&text).map_err(|error| wrong_toml(path, text.as_bytes(), &error))
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    String::from_utf8(bytes).map_err(|error| {
        let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
        Error::line(path, line, "UTF-8 text", "other bytes")
    })
}

fn wrong_toml(path: &Path, text: &[u8], error: &toml::de::Error) -> Error {
    let line = line_of(text, error.span().map_or(0, |span| span.start));
    let found = error.message().trim().replace('\n', "; ");
    Error::line(path, line, "known keys with values of their types", found)
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
        let document = Self { path, text };
        DeTable::parse(&document.text).map_err(|error| document.wrong(&error))?;
        Ok(document)
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
        let table = DeTable::parse(&self.text).map_err(|error| self.wrong(&error))?;
        match table.get_ref().get(key).map(|value| value.get_ref()) {
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
        let mut table = DeTable::parse(&self.text).map_err(|error| self.wrong(&error))?;
        for key in left_out {
            table.get_mut().remove(*key);
        }
        // Read by itself, so that what is wrong is told with its line.
        T::deserialize(toml::de::Deserializer::from(table)).map_err(|error| self.wrong(&error))?;
        let whole: Table = toml::from_str(&self.text).map_err(|error| self.wrong(&error))?;
        let mut merged = Table::try_from(base).map_err(|error| {
            let expected = "options that TOML can hold";
            Error::format(&self.path, expected, error.to_string())
        })?;
        merged.extend((whole.into_iter()).filter(|(key, _)| !left_out.contains(&key.as_str())));
        merged.try_into().map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &toml::de::Error) -> Error {
        wrong_toml(&self.path, self.text.as_bytes(), error)
    }
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
    if keys.iter().any(|key| key.is_empty()) {
        return Err(wrong(form, "an empty key"));
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

/// The line, from 1, of the byte at `offset`.
fn line_of(bytes: &[u8], offset: usize) -> usize {
    let before = &bytes[..offset.min(bytes.len())];
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
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

    #[test]
    fn the_line_is_named() {
        assert_eq!(read(b"# none\n").unwrap().bins, 0);
        assert_eq!(read(b"bins = 4").unwrap().bins, 4);
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
