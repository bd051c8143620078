//! How two configurations differ.

use std::collections::BTreeSet;

use toml::Value;

/// The first key, in order, whose values differ: key path, saved value, new value.
pub(crate) fn first_difference(
    name: &str,
    saved: Option<&Value>,
    new: Option<&Value>,
) -> Option<(String, String, String)> {
    match (saved, new) {
        (Some(Value::Table(a)), Some(Value::Table(b))) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let dot = if name.is_empty() { "" } else { "." };
                first_difference(&format!("{name}{dot}{key}"), a.get(key), b.get(key))
            })
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => (0..a.len().max(b.len()))
            .find_map(|i| first_difference(&format!("{name}.{i}"), a.get(i), b.get(i))),
        (a, b) if a == b => None,
        (a, b) => {
            let show = |value: Option<&Value>| value.map_or("nothing".into(), ToString::to_string);
            Some((name.to_string(), show(a), show(b)))
        }
    }
}
