//! Single settings that replace values of a file.

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::renamed::{Renamed, present_setting};
use crate::error::{Error, Result};
use crate::io::serde_words::in_words;

/// `options` with one value replaced: `KEY.PATH=VALUE`, the value in TOML's syntax. A table is replaced as a whole. A key may
/// have an earlier name, listed in `renamed`.
///
/// # Errors
/// [`Error::Option`] naming the setting: no such form, no TOML value, an unknown key, or a value of another type.
pub fn with_setting<T: Serialize + DeserializeOwned>(
    options: &T,
    setting: &str,
    renamed: &[Renamed],
) -> Result<T> {
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
    let (keys, value) = present_setting(&keys, value, renamed);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut table = Table::try_from(options)
        .map_err(|error| wrong("options that TOML can hold", &error.to_string()))?;
    set_value(&mut table, &keys, value).map_err(|key| {
        wrong(
            "a key of a table or a place in a list",
            &format!("{key}, which is none"),
        )
    })?;
    table.try_into().map_err(|error: toml::de::Error| {
        wrong(
            "a known key with a value of its type",
            &in_words(error.message()),
        )
    })
}

/// One value, and nothing after it.
fn parse_value(text: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    let value = table.remove("value")?;
    table.is_empty().then_some(value)
}

/// Sets `value` at the end of a path of tables and list indices. The error is the path up to the first key that is neither.
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

/// The value of a table under `key`, created where there is none, or at an index of a list, from 0.
pub(super) fn inside<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
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
    use crate::io::config::made::{Inner, Run};

    #[test]
    fn a_setting_takes_its_place_and_no_other() {
        let mut expected = Run {
            inner: Inner { steps: 1, also: 7 },
            ..Run::default()
        };
        let run = expected.clone();
        let set = |setting: &str| with_setting(&run, setting, &[]).unwrap();
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
            ("inner.steps=\"a\"", "invalid type: text"),
            ("name=a", "a string in quotes, as key=\"value\"), found 'a'"),
            ("rate=1\nname = \"b\"", "expected a TOML value"),
            ("rate=", "expected a TOML value"),
        ] {
            let error = with_setting(&Run::default(), setting, &[]).unwrap_err();
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
}
