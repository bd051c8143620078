//! Kaldi's text tables: one `key rest of the line` a line, as in `wav.scp`, `utt2spk` and `text`.

use std::collections::HashSet;
use std::path::Path;

use crate::error::{Error, Result};

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// First column.
    pub key: String,
    /// The rest of the line, without the space around it; empty when there is none.
    pub value: String,
    /// Line number, from 1, for messages.
    pub line: usize,
}

/// Reads a table whole, in the file's order; its keys have to be unique.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Line`] for an empty line, a line that is not UTF-8 or a
/// key that stands twice.
pub fn read_table(path: impl AsRef<Path>) -> Result<Vec<Entry>> {
    let path = path.as_ref();
    let entries = read_lines(path)?;
    let mut seen = HashSet::with_capacity(entries.len());
    for entry in &entries {
        if !seen.insert(entry.key.as_str()) {
            return Err(Error::line(
                path,
                entry.line,
                "each key once",
                format!("'{}' again", entry.key),
            ));
        }
    }
    Ok(entries)
}

/// Reads `key rest` lines whose keys may repeat (trials, scores).
///
/// # Errors
/// As [`read_table`], but for repeated keys.
pub fn read_lines(path: impl AsRef<Path>) -> Result<Vec<Entry>> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    parse(path, &bytes)
}

/// [`read_lines`] of bytes that were read already; `path` is for messages.
///
/// # Errors
/// [`Error::Line`] as [`read_lines`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        return Ok(entries);
    }
    for (index, raw) in body.split(|&b| b == b'\n').enumerate() {
        entries.push(parse_line(path, index + 1, raw)?);
    }
    Ok(entries)
}

/// Parses one line, without its newline; `path` and `line` are for messages.
///
/// # Errors
/// [`Error::Line`] when it is empty or not UTF-8.
pub fn parse_line(path: &Path, line: usize, raw: &[u8]) -> Result<Entry> {
    let text = std::str::from_utf8(raw)
        .map_err(|_| Error::line(path, line, "UTF-8 text", "other bytes"))?
        .trim();
    if text.is_empty() {
        return Err(Error::line(path, line, "a key", "an empty line"));
    }
    let (key, value) = text
        .split_once(|c: char| c.is_ascii_whitespace())
        .unwrap_or((text, ""));
    Ok(Entry {
        key: key.to_string(),
        value: value.trim_start().to_string(),
        line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Vec<Entry>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        read_table(file.path())
    }

    #[test]
    fn splits_key_and_rest() {
        let entries = read(b"a  b c \nd\n").unwrap();
        assert_eq!(
            (entries[0].key.as_str(), entries[0].value.as_str()),
            ("a", "b c")
        );
        assert_eq!((entries[1].key.as_str(), entries[1].line), ("d", 2));
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        for (content, line) in [
            (
                &b"a 1\na 2\n"[..],
                ":2: expected each key once, found 'a' again",
            ),
            (b"a 1\n\nb 2\n", ":2: expected a key, found an empty line"),
            (b"\xff\xfe\n", ":1: expected UTF-8 text, found other bytes"),
        ] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.ends_with(line), "{error}");
        }
    }
}
