//! Kaldi's text tables: one `key rest of the line` per line, as in `wav.scp`, `utt2spk` and `text`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::io::inputs;

/// U+FEFF in UTF-8, which some editors write at the start of a file. It is not part of the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The bytes of a text, or of its first line, without a byte order mark at their head.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Reads a whole text file, without a byte order mark. One of UTF-16, as Praat and Windows write it, decides for that.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Line`] for a line that is not UTF-8; [`Error::Format`] for broken UTF-16.
pub fn read_text(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let mut bytes = inputs::bytes(path)?;
    let units: Option<fn([u8; 2]) -> u16> = match bytes[..] {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes),
        _ => None,
    };
    if let Some(unit) = units {
        let (pairs, rest) = bytes[2..].as_chunks();
        let units: Vec<u16> = pairs.iter().map(|&pair| unit(pair)).collect();
        let text = String::from_utf16(&units).ok().filter(|_| rest.is_empty());
        return text.ok_or_else(|| {
            Error::format(path, "UTF-16 text after its byte order mark", "other bytes")
        });
    }
    let mark = bytes.len() - without_mark(&bytes).len();
    bytes.drain(..mark);
    String::from_utf8(bytes).map_err(|error| {
        let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
        Error::line(path, line, "UTF-8 text", "other bytes")
    })
}

/// The line, from 1, of the byte at `offset`.
pub fn line_of(bytes: &[u8], offset: usize) -> usize {
    let before = &bytes[..offset.min(bytes.len())];
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

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

/// Reads a whole table, in the file's order; its keys have to be unique.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Line`] for an empty line, a line that is not UTF-8 or a
/// key that occurs twice.
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

/// Reads `key rest` lines whose keys may repeat.
///
/// # Errors
/// As [`read_table`], but for repeated keys.
pub fn read_lines(path: impl AsRef<Path>) -> Result<Vec<Entry>> {
    let path = path.as_ref();
    let bytes = inputs::bytes(path)?;
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

/// Parses one line, without its newline; `path` and `line` are for messages. The first may begin with a byte order
/// mark, and any may end with a carriage return.
///
/// # Errors
/// [`Error::Line`] when it is empty or not UTF-8.
pub fn parse_line(path: &Path, line: usize, raw: &[u8]) -> Result<Entry> {
    let raw = if line == 1 { without_mark(raw) } else { raw };
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

/// The longest line of [`LineBlocks`], in bytes.
const LONGEST_LINE: usize = 1 << 16;

/// A text file in blocks of lines, with one block in memory.
#[derive(Debug)]
pub struct LineBlocks {
    path: PathBuf,
    reader: BufReader<File>,
    lines: usize,
}

/// Neighbouring lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineBlock {
    /// The number of the first of them, from 1.
    pub first: usize,
    /// At least one, without their newlines, carriage returns before them, and a byte order mark at the file's head.
    pub lines: Vec<String>,
}

impl LineBlocks {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = inputs::open(path).map_err(Error::io(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            reader: BufReader::with_capacity(1 << 17, file),
            lines: 0,
        })
    }

    /// The file that is read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next lines, at most `most` of them; none at the end.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Line`] for a line that is not UTF-8 or is longer than 65536 bytes.
    pub fn next_block(&mut self, most: usize) -> Result<Option<LineBlock>> {
        let first = self.lines + 1;
        let mut lines = Vec::new();
        while lines.len() < most {
            match self.next_line()? {
                Some(line) => lines.push(line),
                None => break,
            }
        }
        Ok((!lines.is_empty()).then_some(LineBlock { first, lines }))
    }

    fn next_line(&mut self) -> Result<Option<String>> {
        let mut bytes = Vec::new();
        (&mut self.reader)
            .take(LONGEST_LINE as u64 + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(Error::io(&self.path))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.lines += 1;
        let fault = |expected: String, found: &str| {
            Err(Error::line(&self.path, self.lines, expected, found))
        };
        let line = match bytes.strip_suffix(b"\n") {
            Some(line) => line,
            None if bytes.len() > LONGEST_LINE => {
                return fault(format!("at most {LONGEST_LINE} bytes"), "more");
            }
            None => &bytes,
        };
        let line = if self.lines == 1 {
            without_mark(line)
        } else {
            line
        };
        match std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)) {
            Ok(line) => Ok(Some(line.to_string())),
            Err(_) => fault("UTF-8 text".into(), "other bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_every_line_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |content: &[u8], most| -> Result<Vec<LineBlock>> {
            std::fs::write(file.path(), content).unwrap();
            let mut blocks = LineBlocks::open(file.path())?;
            std::iter::from_fn(|| blocks.next_block(most).transpose()).collect()
        };
        let found = read(b"a\n\nb c\nd", 3).unwrap();
        assert_eq!(
            (found[0].first, &found[0].lines[..]),
            (1, &["a", "", "b c"].map(String::from)[..])
        );
        assert_eq!(
            (found[1].first, &found[1].lines[..]),
            (4, &["d".to_string()][..])
        );
        assert_eq!(read(b"", 3).unwrap(), []);
        let foreign = read(b"\xef\xbb\xbfa\r\n\xef\xbb\xbfb\r\n", 3).unwrap();
        assert_eq!(foreign[0].lines, ["a", "\u{feff}b"]);
        let long = [b'x'; LONGEST_LINE + 1];
        assert!(read(&long[1..], 1).is_ok());
        let error = read(&[b"a\n", &long[..]].concat(), 9)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with(":2: expected at most 65536 bytes, found more"),
            "{error}"
        );
        let error = read(b"\xff\n", 1).unwrap_err().to_string();
        assert!(
            error.ends_with(":1: expected UTF-8 text, found other bytes"),
            "{error}"
        );
    }

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
    fn a_byte_order_mark_is_no_part_of_a_key() {
        let entries = read(b"\xef\xbb\xbfa b\r\nc d\r\n").unwrap();
        let found: Vec<_> = (entries.iter().map(|e| (&e.key[..], &e.value[..]))).collect();
        assert_eq!(found, [("a", "b"), ("c", "d")]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"\xef\xbb\xbf[a]\n").unwrap();
        assert_eq!(read_text(file.path()).unwrap(), "[a]\n");
        for utf16 in [b"\xff\xfe[\0\xe4\0]\0", b"\xfe\xff\0[\0\xe4\0]"] {
            std::fs::write(file.path(), utf16).unwrap();
            assert_eq!(read_text(file.path()).unwrap(), "[\u{e4}]");
            std::fs::write(file.path(), &utf16[..7]).unwrap();
            assert!(read_text(file.path()).is_err());
        }
        std::fs::write(file.path(), b"\xef\xbb\xbf[a]\n\xff").unwrap();
        let error = read_text(file.path()).unwrap_err().to_string();
        assert!(
            error.ends_with(":2: expected UTF-8 text, found other bytes"),
            "{error}"
        );
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
