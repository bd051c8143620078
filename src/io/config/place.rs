//! The position in a file of a key that cannot be read.

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::renamed::{Renamed, names_of};
use super::setting::inside;

/// The path of the key because of which `table` cannot be read as a `T`, with the error `message`: the deepest one without
/// which the error disappears or changes. Serde gives no position inside tables that it reads by the value of a key.
pub(super) fn culprit<T: DeserializeOwned>(table: &Table, message: &str) -> Vec<String> {
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

/// How many keys of a path stand in `table`, and the byte at which the last of these does.
pub(super) fn place_of(table: &DeTable, path: &[String], renamed: &[Renamed]) -> (usize, usize) {
    let (mut offset, mut parent) = (0, "");
    let mut value: Option<&DeValue> = None;
    for (depth, key) in path.iter().enumerate() {
        let found = match value {
            None => of_table(table, names_of(parent, key, renamed)),
            Some(DeValue::Table(table)) => of_table(table, names_of(parent, key, renamed)),
            Some(DeValue::Array(list)) => (key.parse().ok())
                .and_then(|at: usize| list.get(at))
                .map(|inner| (inner.span().start, inner.get_ref())),
            Some(_) => None,
        };
        match found {
            Some((start, inner)) => (offset, value) = (start, Some(inner)),
            None => return (depth, offset),
        }
        if key.parse::<usize>().is_err() {
            parent = key;
        }
    }
    (path.len(), offset)
}

/// The byte of a key, which may have any of `names`, and its value.
fn of_table<'a, 'i>(
    table: &'a DeTable<'i>,
    mut names: impl Iterator<Item = impl AsRef<str>>,
) -> Option<(usize, &'a DeValue<'i>)> {
    let (key, inner) = names.find_map(|name| table.get_key_value(name.as_ref()))?;
    Some((key.span().start, inner.get_ref()))
}
