//! Every key of a configuration in Markdown: its type, range, default and doc comment.

use serde_json::{Map, Value};

use super::range::Place;
use super::schema::{ROOTS, definitions};

/// The text before the tables.
const HEAD: &str = "\
# Configuration reference

This page lists every key of a configuration file of `unbraid train`. `unbraid config reference` prints it.
`unbraid config show --conf FILE` prints all values that a file resolves to.

A configuration can extend another one: `base = \"FILE\"`, relative to the folder of the file itself. Keys that the file
does not set have the value of the base. Tables are merged key by key. A list replaces the list of the base, and so does
a table with another `kind` or `name`. `--set KEY.PATH=VALUE` on the command line comes last.

A default in braces is a table. It shows only the keys that differ from the defaults in the table's own section.
";

/// The page.
pub fn reference() -> String {
    let definitions = definitions();
    let roots = ROOTS.map(str::to_string).into_iter().zip(Place::roots());
    let mut page = Page {
        definitions: &definitions,
        sections: roots.collect(),
        text: HEAD.to_string(),
    };
    let mut at = 0;
    while let Some((name, place)) = page.sections.get(at).cloned() {
        page.section(&name, &place);
        at += 1;
    }
    page.text
}

/// The page while it is written.
struct Page<'a> {
    definitions: &'a Map<String, Value>,
    /// Definitions with a section on this page, in order, each with its first place in a configuration.
    sections: Vec<(String, Place)>,
    text: String,
}

impl Page<'_> {
    fn line(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }

    fn section(&mut self, name: &str, place: &Place) {
        let schema = &self.definitions[name];
        self.line(&format!("\n## {}\n", title(name)));
        self.line(description(schema));
        if schema.get("properties").is_some() {
            self.table(schema, place);
        }
        if values(schema)
            .iter()
            .any(|value| value.get("properties").is_none())
        {
            self.line("");
        }
        for value in values(schema) {
            let text = description(&value);
            let colon = if text.is_empty() { "" } else { ": " };
            match value.get("properties") {
                None => self.line(&format!("- `{}`{colon}{text}", toml(&value["const"]))),
                Some(_) => {
                    let (key, kind) = tag(&value).unwrap_or_default();
                    self.line(&format!("\n### `{key} = {}`\n\n{text}", toml(&kind)));
                    self.table(&value, &place.of_kind(&value));
                }
            }
        }
    }

    /// The keys of a table without its tag.
    fn table(&mut self, schema: &Value, place: &Place) {
        let Some(properties) = schema["properties"].as_object() else {
            return;
        };
        let keys = || {
            properties
                .iter()
                .filter(|(_, key)| key.get("const").is_none())
        };
        if keys().next().is_none() {
            return;
        }
        self.line("\n| key | type | range | default | meaning |\n|---|---|---|---|---|");
        for (key, schema_of) in keys() {
            let needed = schema["required"].as_array();
            let needed = needed.is_some_and(|names| names.iter().any(|name| name == key));
            let default = match (schema_of.get("default"), needed) {
                (Some(value), _) => format!("`{}`", self.differing(value, schema_of)),
                (None, true) => "required".to_string(),
                (None, false) => "none".to_string(),
            };
            let inner = place.inside(key, schema_of["type"] == "array");
            let kind = self.kind(schema_of, &inner);
            let range = match kind.trim_start_matches("list of ").trim_end_matches('s') {
                "integer" => inner.range(true),
                "number" => inner.range(false),
                _ => None,
            };
            let range = range.unwrap_or_default();
            let text = description(schema_of).replace('|', "\\|");
            self.line(&format!(
                "| `{key}` | {kind} | {range} | {default} | {text} |"
            ));
        }
    }

    /// The type of a value, with a link to its section, which is added to the page if it is new.
    fn kind(&mut self, schema: &Value, place: &Place) -> String {
        if let Some(name) = referred(schema) {
            if !self.sections.iter().any(|(known, _)| known == name) {
                self.sections.push((name.to_string(), place.clone()));
            }
            let title = title(name);
            return format!("[{title}](#{})", title.to_lowercase().replace(' ', "-"));
        }
        match (&schema["type"], &schema["items"]) {
            (_, Value::Object(items)) => match items.get("type") {
                Some(Value::String(kind)) => format!("list of {kind}s"),
                _ => format!("list of {}", self.kind(&schema["items"], place)),
            },
            (_, Value::Array(items)) => format!("{} numbers", items.len()),
            (Value::String(kind), _) => kind.clone(),
            _ => "value".to_string(),
        }
    }

    /// A default; of a table, the keys that differ from its own defaults.
    fn differing(&self, value: &Value, schema: &Value) -> String {
        let Value::Object(table) = value else {
            return toml(value);
        };
        let own = referred(schema).map(|name| &self.definitions[name]);
        let own = own.and_then(|own| variant(own, table));
        let mut listed = Vec::new();
        for (key, value) in table {
            let of_key = own.as_ref().map(|own| &own["properties"][key]);
            match of_key {
                Some(schema) if schema.get("default") == Some(value) => {}
                Some(schema) => listed.push(format!("{key} = {}", self.differing(value, schema))),
                None => listed.push(format!("{key} = {}", toml(value))),
            }
        }
        braced(&listed)
    }
}

/// The variant of an enumeration that a table belongs to.
fn variant(schema: &Value, table: &Map<String, Value>) -> Option<Value> {
    if schema.get("properties").is_some() {
        return Some(schema.clone());
    }
    let is_of = |one: &Value| tag(one).is_some_and(|(key, kind)| table.get(&key) == Some(&kind));
    values(schema).into_iter().find(is_of)
}

/// The values of an enumeration: constants, or tables with a constant key.
fn values(schema: &Value) -> Vec<Value> {
    let constant = |value: &Value| serde_json::json!({ "const": value });
    let of = |schema: &Value| match schema["enum"].as_array() {
        Some(names) => names.iter().map(constant).collect(),
        None => vec![schema.clone()],
    };
    match (schema["oneOf"].as_array(), schema.get("enum")) {
        (Some(list), _) => list.iter().flat_map(of).collect(),
        (None, Some(_)) => of(schema),
        (None, None) => Vec::new(),
    }
}

/// The constant key of a table, and its value.
fn tag(schema: &Value) -> Option<(String, Value)> {
    let properties = schema["properties"].as_object()?;
    let (key, value) = properties
        .iter()
        .find(|(_, key)| key.get("const").is_some())?;
    Some((key.clone(), value["const"].clone()))
}

/// The name of the definition that a schema refers to.
fn referred(schema: &Value) -> Option<&str> {
    let inner = ["allOf", "anyOf"].iter().find_map(|key| schema[key].get(0));
    let name = inner.unwrap_or(schema)["$ref"].as_str()?;
    name.strip_prefix("#/definitions/")
}

fn description(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// A struct's name in words: `PhoneticEncoderOptions`, Phonetic encoder.
fn title(name: &str) -> String {
    let name = match name {
        "Config" => "SpeechConfiguration",
        "ImageConfig" => "ImageConfiguration",
        name => name.strip_suffix("Options").unwrap_or(name),
    };
    let mut title = String::new();
    for (at, letter) in name.chars().enumerate() {
        match letter.is_uppercase() && at > 0 {
            true => title.extend([' ', letter.to_ascii_lowercase()]),
            false => title.push(letter),
        }
    }
    title
}

/// A value in one line of TOML.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let keys: Vec<String> = (table.iter())
                .map(|(key, value)| format!("{key} = {}", toml(value)))
                .collect();
            braced(&keys)
        }
        Value::Array(list) => format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn braced(keys: &[String]) -> String {
    match keys {
        [] => "{}".to_string(),
        keys => format!("{{ {} }}", keys.join(", ")),
    }
}
