//! Reading of JSON, with errors that name file, line and key.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::lines::read_text;
use super::serde_words::{kind_of_value, value};
use crate::error::{Error, Result};

/// The longest piece of a file that is quoted, in bytes.
const LONGEST_QUOTE: usize = 24;

/// Reads a file; `what` describes the expected content, as "results of unbraid eval probe".
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Line`] for a file that is not UTF-8, and as [`parse`].
pub fn read<T: DeserializeOwned>(path: impl AsRef<Path>, what: &str) -> Result<T> {
    let path = path.as_ref();
    parse(&read_text(path)?, path, 1, what)
}

/// Parses text that begins in line `first` of `path`.
///
/// # Errors
/// [`Error::Line`] for text that is not JSON or is truncated, a key that is missing or unknown, and a value of another type.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path, first: usize, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        let line = first - 1 + error.line().max(1);
        let (expected, found) = in_words(text, what, &error);
        Error::line(path, line, expected, found)
    })
}

/// What was expected and what was found.
fn in_words(text: &str, what: &str, error: &serde_json::Error) -> (String, String) {
    let message = error.to_string();
    let message = match message.rfind(" at line ") {
        Some(end) => &message[..end],
        None => &message,
    };
    let offset = offset_of(text, error.line(), error.column());
    match error.classify() {
        Category::Eof => (what.into(), "a file that breaks off".into()),
        Category::Syntax | Category::Io => {
            let column = error.column();
            let found = format!("'{}' in column {column}: {message}", word_at(text, offset));
            (format!("{what} as JSON"), found)
        }
        Category::Data => {
            let key = key_at(&text[..offset], message.starts_with("missing field"));
            let wrong = message
                .strip_prefix("invalid ")
                .and_then(|rest| rest.split_once(": "));
            match wrong.and_then(|(_, rest)| rest.rsplit_once(", expected ")) {
                Some((found, _)) if key.is_empty() => (what.into(), value(found)),
                Some((found, expected)) => (
                    format!("{} as {key}", kind_of_value(expected)),
                    value(found),
                ),
                None if key.is_empty() => (what.into(), message.into()),
                None => (what.into(), format!("{key}: {message}")),
            }
        }
    }
}

/// The byte in a column of a line, both from 1, at the border of a character.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let offset = (before + column.saturating_sub(1)).min(text.len());
    border(text, offset)
}

/// The last border of a character that is not behind `offset`.
fn border(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// The word around an offset, up to space or punctuation.
fn word_at(text: &str, offset: usize) -> &str {
    let ends = |c: char| c.is_whitespace() || "[]{},:\"".contains(c);
    let start = text[..offset].rfind(ends).map_or(0, |at| at + 1);
    let rest = &text[start..];
    let end = rest.char_indices().skip(1).find(|(_, c)| ends(*c));
    let end = end.map_or(rest.len(), |(at, _)| at).min(LONGEST_QUOTE);
    &rest[..border(rest, end)]
}

/// The keys of the objects that are open at the end of `text`, which is the beginning of valid JSON, with dots between;
/// of the innermost object (`of_object`) or of its value that is read.
fn key_at(text: &str, of_object: bool) -> String {
    let (mut keys, mut last) = (vec![""], "");
    let mut at = 0;
    while let Some(step) = text[at..].find(['"', '{', '[', '}', ']', ':', ',']) {
        at += step + 1;
        match text.as_bytes()[at - 1] {
            b'"' => {
                let length = string_length(&text[at..]);
                last = &text[at..at + length];
                at = (at + length + 1).min(text.len());
            }
            b'{' | b'[' => keys.push(""),
            b':' => {
                if let Some(key) = keys.last_mut() {
                    *key = last;
                }
            }
            b',' => {
                if let Some(key) = keys.last_mut() {
                    *key = "";
                }
            }
            _ => {
                keys.pop();
            }
        }
    }
    if of_object {
        keys.pop();
    }
    keys.retain(|key| !key.is_empty());
    keys.join(".")
}

/// Bytes of a string up to its closing quotation mark.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        mean: Vec<f64>,
    }

    #[test]
    fn errors_have_readable_messages() {
        for (text, expected) in [
            (
                "{\n\"name\": NaN}",
                "f:2: expected a model as JSON, found 'NaN' in column 9: expected value",
            ),
            (
                r#"{"name": "a\"}", "inner": [{"mean": [1, null]}]}"#,
                "f:1: expected a number as inner.mean, found null",
            ),
            (
                r#"{"name": "a", "inner": 3}"#,
                "f:1: expected a list as inner, found whole number 3",
            ),
            (
                r#"{"name": "a"}"#,
                "f:1: expected a model, found missing field `inner`",
            ),
            (
                r#"{"name": "a", "inner": [{"means": []}]}"#,
                "f:1: expected a model, found inner: unknown field `means`, expected `mean`",
            ),
            (
                r#"{"name": "a", "inner": [{"mean": [1e999]}]}"#,
                "f:1: expected a model as JSON, found '1e999' in column 39: number out of range",
            ),
            (
                "{\"name\": \"a\",\n\"inner",
                "f:2: expected a model, found a file that breaks off",
            ),
            ("", "f:1: expected a model, found a file that breaks off"),
            ("3", "f:1: expected a model, found whole number 3"),
            (
                "\u{e4}",
                "f:1: expected a model as JSON, found '\u{e4}' in column 1: expected value",
            ),
        ] {
            let error = parse::<Outer>(text, Path::new("f"), 1, "a model").unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn no_cut_of_a_file_is_a_panic() {
        let text = "{\"n\u{e4}me\": \"a\\\"}\", \"inner\": [{\"mean\": [1, \"\u{e4}\"]}], \"x\\";
        for (end, _) in text.char_indices() {
            let error = parse::<Outer>(&text[..end], Path::new("f"), 7, "a model").unwrap_err();
            assert!(error.to_string().starts_with("f:7: "), "{error}");
        }
    }
}
