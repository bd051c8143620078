//! A JSON schema of configurations, generated from the option structs, their docs and their defaults.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::config::Config;
use super::image::config::ImageConfig;

/// The definitions of speech configurations and of image configurations.
pub const ROOTS: [&str; 2] = ["Config", "ImageConfig"];

/// All option structs by name, as JSON schemas that refer to each other.
pub fn definitions() -> Map<String, Value> {
    let mut generator = SchemaSettings::draft07().into_generator();
    generator.subschema_for::<Config>();
    generator.subschema_for::<ImageConfig>();
    let mut definitions = generator.take_definitions(true);
    definitions.values_mut().for_each(plain);
    definitions
}

/// A JSON schema (draft 7) for editors. No key is required, because the base may have it.
pub fn schema() -> Value {
    let mut definitions = definitions();
    definitions.values_mut().for_each(relax);
    for root in ROOTS {
        definitions[root]["properties"]["base"] = json!({
            "type": "string",
            "description": "File with the values of all keys that this one does not set, relative to this file's folder.",
        });
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A configuration of unbraid train",
        "anyOf": ROOTS.map(|root| json!({ "$ref": format!("#/definitions/{root}") })),
        "definitions": definitions,
    })
}

/// Removes null, which TOML does not have, and links that only Rust's docs can follow.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text
                    .replace('\n', " ")
                    .replace("[`", "`")
                    .replace("`]", "`");
            }
            if let Some(Value::Array(types)) = object.get("type") {
                let own = types.iter().find(|kind| *kind != "null").cloned();
                object.insert("type".into(), own.unwrap_or_default());
            }
            if let Some(Value::Array(list)) = object.get_mut("anyOf") {
                list.retain(|one| one["type"] != "null");
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            object.values_mut().for_each(plain);
        }
        Value::Array(list) => list.iter_mut().for_each(plain),
        _ => {}
    }
}

/// Makes all keys optional. Several tables may then match, so `oneOf` becomes `anyOf`.
fn relax(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.remove("required");
            if let Some(one) = object.remove("oneOf") {
                object.insert("anyOf".into(), one);
            }
            object.values_mut().for_each(relax);
        }
        Value::Array(list) => list.iter_mut().for_each(relax),
        _ => {}
    }
}
