//! The range of a numeric key, taken from the error message for a value that is too large.

use serde_json::Value as Json;
use toml::{Table, Value};

use super::config::Config;
use super::image::config::{ImageConfig, ImageInventory};
use crate::error::{Error, Result};

/// A key path in a configuration that contains the tables on the path.
#[derive(Debug, Clone)]
pub(super) struct Place {
    config: Value,
    /// Keys from the top; for lists, `0`.
    path: Vec<String>,
}

impl Place {
    /// The root of a speech configuration and of an image configuration.
    pub(super) fn roots() -> [Self; 2] {
        let of = |text: &str| Self {
            config: Value::Table(toml::from_str(text).unwrap_or_default()),
            path: Vec::new(),
        };
        [
            of("method.name = 'disentangle'\ndata = { train = 'x', labels = 'utterance_class' }"),
            of(
                "method.name = 'classifier'\ndata.train = { kind = 'sprites', count = 1, seed = 0 }",
            ),
        ]
    }

    /// The value of `key` in this table, or the first item of its list.
    pub(super) fn inside(&self, key: &str, is_list: bool) -> Self {
        let mut place = self.clone();
        place.path.push(key.to_string());
        if is_list {
            place.path.push("0".to_string());
        }
        place
    }

    /// The same path with a table of the kind that `schema` describes.
    pub(super) fn of_kind(&self, schema: &Json) -> Self {
        let mut table = Table::new();
        let needed = schema["required"].as_array().into_iter().flatten();
        for key in needed.filter_map(Json::as_str) {
            let of_key = &schema["properties"][key];
            let value = match (of_key["const"].as_str(), of_key["type"].as_str()) {
                (Some(kind), _) => Value::from(kind),
                (None, Some("integer")) => Value::from(2),
                (None, Some("number")) => Value::from(0.5),
                (None, _) => Value::from("x"),
            };
            table.insert(key.to_string(), value);
        }
        let mut place = self.clone();
        // Data options that a method requires.
        let data = match table.get("name").and_then(Value::as_str) {
            Some("recogniser") => Some(("labels", Value::from("phone_sequence"))),
            Some("triplegan") => Some(("labelled_batch", Value::from(2))),
            _ => None,
        };
        if let Some((key, value)) = data {
            put(&mut place.config, &["data".into(), key.into()], value);
        }
        put(&mut place.config, &place.path, Value::Table(table));
        place
    }

    /// The range of the number here, where its check has one.
    pub(super) fn range(&self, is_whole: bool) -> Option<String> {
        let large = match is_whole {
            // The first is too large for some types; those never reach the check.
            true => vec![Value::Integer(i64::MAX), Value::Integer(i32::MAX.into())],
            false => vec![Value::Float(f64::INFINITY)],
        };
        large.into_iter().find_map(|value| self.expected(value))
    }

    /// What the error for `value` expects here.
    fn expected(&self, value: Value) -> Option<String> {
        let mut config = self.config.clone();
        put(&mut config, &self.path, value);
        let name = |key: &str| key.trim_end_matches(".0").to_string();
        match check(config) {
            Err(Error::Option {
                option, expected, ..
            }) if name(&option) == name(&self.path.join(".")) => Some(expected),
            _ => None,
        }
    }
}

/// Sets the value at a path, and creates missing tables and lists on the way.
fn put(at: &mut Value, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        *at = value;
        return;
    };
    let empty = || Value::Table(Table::new());
    let inner = match key.as_str() {
        "0" => {
            if !matches!(at, Value::Array(list) if !list.is_empty()) {
                *at = Value::Array(vec![empty()]);
            }
            at.as_array_mut().and_then(|list| list.first_mut())
        }
        key => {
            if !at.is_table() {
                *at = empty();
            }
            at.as_table_mut()
                .map(|table| table.entry(key).or_insert_with(empty))
        }
    };
    if let Some(inner) = inner {
        put(inner, rest, value);
    }
}

/// All checks that need no data.
fn check(config: Value) -> Result<()> {
    let nothing = |_| Error::option("", "", "");
    if config["data"]["train"].is_table() {
        let config: ImageConfig = config.try_into().map_err(nothing)?;
        config.check()?;
        return config.check_method(&ImageInventory {
            shape: [1, 28, 28],
            classes: 10,
        });
    }
    let config: Config = config.try_into().map_err(nothing)?;
    config.check()
}
