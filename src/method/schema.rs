//! What a configuration may hold, as a JSON schema: made from the option structs, their docs and their defaults.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::config::Config;
use super::image::config::ImageConfig;

/// The definitions of a configuration of speech and of one of images.
pub const ROOTS: [&str; 2] = ["Config", "ImageConfig"];

/// Every option struct by its name, as JSON schemas that refer to each other.
pub fn definitions() -> Map<String, Value> {
    let mut generator = SchemaSettings::draft07().into_generator();
    generator.subschema_for::<Config>();
    generator.subschema_for::<ImageConfig>();
    let mut definitions = generator.take_definitions(true);
    definitions.values_mut().for_each(plain);
    definitions
}

/// A JSON schema of draft 7 for editors. Nothing is required, since a base may hold it.
pub fn schema() -> Value {
    let mut definitions = definitions();
    definitions.values_mut().for_each(relax);
    for root in ROOTS {
        definitions[root]["properties"]["base"] = json!({
            "type": "string",
            "description": "The file whose values stand where this one has none, relative to this one's folder.",
        });
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A configuration of unbraid train",
        "anyOf": ROOTS.map(|root| json!({ "$ref": format!("#/definitions/{root}") })),
        "definitions": definitions,
    })
}

/// Takes out what TOML does not have (null), and links that only Rust's docs can follow.
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

/// Asks for no key, and so for no single one of several tables.
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
