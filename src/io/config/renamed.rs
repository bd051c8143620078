//! Earlier names of keys and values: they are read, but not written.

use toml::{Table, Value};

/// A renamed key of the tables called `parent`.
#[derive(Debug)]
pub struct Renamed {
    /// The name of its table: `""` at the top, `"*optimiser"` for every name that ends so. Tables of a list have the
    /// list's name.
    pub parent: &'static str,
    /// Its old name.
    pub old: &'static str,
    /// Its present name.
    pub new: &'static str,
    /// Its renamed values, `(old, new)`.
    pub values: &'static [(&'static str, &'static str)],
    /// For a table: it is renamed only if it has one of these keys. Empty for any.
    pub holding: &'static [&'static str],
}

impl Renamed {
    fn is_in(&self, parent: &str) -> bool {
        match self.parent.strip_prefix('*') {
            Some(end) => parent.ends_with(end),
            None => parent == self.parent,
        }
    }

    fn holds(&self, mut keys: impl Iterator<Item = impl AsRef<str>>) -> bool {
        self.holding.is_empty() || keys.any(|key| self.holding.contains(&key.as_ref()))
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => {
                let new = self.values.iter().find(|(old, _)| *old == text);
                Value::String(new.map_or(text, |(_, new)| new.to_string()))
            }
            value => value,
        }
    }
}

/// The table `name` and all inside it, with present names.
pub(super) fn present_table(name: &str, table: Table, rules: &[Renamed]) -> Table {
    let mut renamed = Table::new();
    let names: Vec<String> = table.keys().cloned().collect();
    for (key, value) in table {
        let keys = value.as_table().into_iter().flat_map(Table::keys);
        let (new, value) = match rule(name, &key, keys, rules) {
            Some(rule) => (rule.new.to_string(), rule.value(value)),
            None => (key.clone(), value),
        };
        // Where a table has both names, the old one stays, and is refused as an unknown key.
        let new = if names.contains(&new) { key } else { new };
        let value = present_value(&new, value, rules);
        renamed.insert(new, value);
    }
    renamed
}

fn present_value(name: &str, value: Value, rules: &[Renamed]) -> Value {
    match value {
        Value::Table(table) => Value::Table(present_table(name, table, rules)),
        Value::Array(list) => {
            let each = list.into_iter();
            Value::Array(
                each.map(|value| present_value(name, value, rules))
                    .collect(),
            )
        }
        value => value,
    }
}

/// The present path and value of a single setting.
pub(super) fn present_setting(
    path: &[&str],
    value: Value,
    rules: &[Renamed],
) -> (Vec<String>, Value) {
    let (mut parent, mut renamed, mut value) = (String::new(), Vec::new(), value);
    for (at, key) in path.iter().enumerate() {
        let rule = match path.get(at + 1) {
            Some(next) => rule(&parent, key, [next].into_iter(), rules),
            None => rule(
                &parent,
                key,
                value.as_table().into_iter().flat_map(Table::keys),
                rules,
            ),
        };
        let new = rule.map_or(*key, |rule| rule.new).to_string();
        if let Some(rule) = rule.filter(|_| at + 1 == path.len()) {
            value = rule.value(value);
        }
        if new.parse::<usize>().is_err() {
            parent.clone_from(&new);
        }
        renamed.push(new);
    }
    (renamed, present_value(&parent, value, rules))
}

/// All names of the key `new` of the table `parent` in a file.
pub(super) fn names_of<'a>(
    parent: &'a str,
    new: &'a str,
    rules: &'a [Renamed],
) -> impl Iterator<Item = &'a str> {
    let old = (rules.iter()).filter(move |rule| rule.is_in(parent) && rule.new == new);
    [new].into_iter().chain(old.map(|rule| rule.old))
}

fn rule<'a>(
    parent: &str,
    key: &str,
    keys: impl Iterator<Item = impl AsRef<str>>,
    rules: &'a [Renamed],
) -> Option<&'a Renamed> {
    let rule = rules
        .iter()
        .find(|rule| rule.is_in(parent) && rule.old == key)?;
    rule.holds(keys).then_some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[Renamed] = &[
        Renamed {
            parent: "",
            old: "view",
            new: "normalisation",
            values: &[],
            holding: &["loudness"],
        },
        Renamed {
            parent: "normalisation",
            old: "loudness",
            new: "subtract_utterance_mean",
            values: &[],
            holding: &[],
        },
        Renamed {
            parent: "critics",
            old: "play",
            new: "update",
            values: &[("in_turns", "alternating")],
            holding: &[],
        },
        Renamed {
            parent: "*optimiser",
            old: "average",
            new: "ema_decay",
            values: &[],
            holding: &[],
        },
    ];

    fn present(text: &str) -> String {
        present_table("", toml::from_str(text).unwrap(), RULES).to_string()
    }

    #[test]
    fn keys_and_values_of_their_tables_are_renamed() {
        let old = "[view]\nloudness = true\n[[critics]]\nplay = \"in_turns\"\noptimiser = { average = 0.9 }\n";
        let new = "[normalisation]\nsubtract_utterance_mean = true\n[[critics]]\nupdate = \"alternating\"\n\
                   optimiser = { ema_decay = 0.9 }\n";
        assert_eq!(present(old), present(new));
        assert!(present(new).contains("ema_decay"), "{}", present(new));
        for other in [
            "[view]\nsize = 3\n",
            "play = \"in_turns\"\n",
            "[train]\naverage = 1\n",
        ] {
            assert_eq!(present(other), other);
        }
        let both = present("[a_optimiser]\nema_decay = 1\naverage = 2\n");
        assert!(
            both.contains("average = 2") && both.contains("ema_decay = 1"),
            "{both}"
        );
    }

    #[test]
    fn settings_are_renamed_as_tables_are() {
        let present = |path: &str, value: &str| {
            let path: Vec<&str> = path.split('.').collect();
            let (path, value) = present_setting(&path, Value::String(value.into()), RULES);
            (path.join("."), value.to_string())
        };
        assert_eq!(
            present("critics.0.play", "in_turns"),
            ("critics.0.update".into(), "\"alternating\"".into())
        );
        assert_eq!(
            present("critics.0.optimiser.average", "x").0,
            "critics.0.optimiser.ema_decay"
        );
        assert_eq!(
            present("view.loudness", "x").0,
            "normalisation.subtract_utterance_mean"
        );
        assert_eq!(present("view.size", "x").0, "view.size");
    }
}
