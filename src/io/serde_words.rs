//! What serde says of values of another type, without Rust's names of types.

/// A message with the types that it names in words: `invalid type: string "a", expected u64` has text and a whole number.
/// Other messages stay as they are.
pub(super) fn in_words(message: &str) -> String {
    let parts = message
        .split_once(": ")
        .filter(|(kind, _)| ["invalid type", "invalid value"].contains(kind))
        .and_then(|(kind, rest)| Some((kind, rest.rsplit_once(", expected ")?)));
    match parts {
        Some((kind, (found, expected))) => {
            format!(
                "{kind}: {}, expected {}",
                value(found),
                kind_of_value(expected)
            )
        }
        None => message.to_string(),
    }
}

/// What is expected.
pub(super) fn kind_of_value(expected: &str) -> String {
    let count = |rest: &str| format!("a list of {rest}");
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a string" | "string" | "path string" => "text".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "a map" => "a table".into(),
        _ if expected.starts_with("struct ") => "a table".into(),
        _ if expected.contains("enum ") => "text or a table".into(),
        other => (other.strip_prefix("an array of length ").map(count))
            .or_else(|| other.strip_prefix("a tuple of size ").map(count))
            .unwrap_or_else(|| other.into()),
    }
}

/// What was found.
pub(super) fn value(found: &str) -> String {
    let (kind, shown) = found.split_once(['`', '"']).unwrap_or((found, ""));
    let shown = shown.trim_end_matches('`');
    match kind.trim_end() {
        "integer" => format!("whole number {shown}"),
        "floating point" => format!("number {shown}"),
        "boolean" => shown.into(),
        "string" => format!("text \"{shown}"),
        "sequence" => "a list".into(),
        "map" => "a table".into(),
        _ => found.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    #[allow(dead_code)]
    struct Options {
        steps: u64,
        shift: i32,
        rate: f64,
        on: bool,
        name: String,
        path: PathBuf,
        list: Vec<f64>,
        pair: (f64, f64),
        inner: Option<Box<Options>>,
    }

    #[test]
    fn types_have_names_of_readers() {
        for (json, expected) in [
            (
                r#"{"steps": "a\"b"}"#,
                "invalid type: text \"a\\\"b\", expected a whole number from 0",
            ),
            (
                r#"{"steps": 1.5}"#,
                "invalid type: number 1.5, expected a whole number from 0",
            ),
            (
                r#"{"steps": -1}"#,
                "invalid value: whole number -1, expected a whole number from 0",
            ),
            (
                r#"{"shift": true}"#,
                "invalid type: true, expected a whole number",
            ),
            (
                r#"{"rate": [1]}"#,
                "invalid type: a list, expected a number",
            ),
            (
                r#"{"on": 1}"#,
                "invalid type: whole number 1, expected true or false",
            ),
            (
                r#"{"name": 3}"#,
                "invalid type: whole number 3, expected text",
            ),
            (r#"{"path": {}}"#, "invalid type: a table, expected text"),
            (
                r#"{"list": 2}"#,
                "invalid type: whole number 2, expected a list",
            ),
            (
                r#"{"pair": 2}"#,
                "invalid type: whole number 2, expected a list of 2",
            ),
            (
                r#"{"inner": "x"}"#,
                "invalid type: text \"x\", expected a table",
            ),
        ] {
            let error = serde_json::from_str::<Options>(json)
                .unwrap_err()
                .to_string();
            let found = in_words(error.split(" at line ").next().unwrap());
            assert_eq!(found, expected, "{error}");
        }
        for other in ["missing field `a`", "unknown field: a, expected b"] {
            assert_eq!(in_words(other), other);
        }
    }
}
