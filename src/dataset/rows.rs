//! A data file with all its errors: each invalid line is reported, the valid ones are kept.

use std::path::Path;

use crate::error::{Error, Result};
use crate::io::inputs;
use crate::io::lines::{self, Entry};

/// The valid lines of a file, and the errors of the others and of its format.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<Error>,
}

impl Rows {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read.
    pub(super) fn read(path: &Path) -> Result<Rows> {
        let bytes = inputs::bytes(path)?;
        let mut rows = Rows::default();
        if bytes.is_empty() {
            return Ok(rows);
        }
        let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        if lines::without_mark(body).len() < body.len() {
            let (expected, found) = ("text from the first byte", "a byte order mark");
            rows.problems.push(Error::line(path, 1, expected, found));
        }
        let (mut last, mut returned) = (0, false);
        for (line, raw) in (1..).zip(body.split(|&byte| byte == b'\n')) {
            last = line;
            if raw.ends_with(b"\r") && !std::mem::replace(&mut returned, true) {
                let (expected, found) = ("lines that end with LF alone", "CR LF");
                rows.problems.push(Error::line(path, line, expected, found));
            }
            match lines::parse_line(path, line, raw) {
                Ok(entry) => rows.entries.push(entry),
                Err(problem) => rows.problems.push(problem),
            }
        }
        if body.len() == bytes.len() {
            let expected = "a newline at the end";
            rows.problems
                .push(Error::line(path, last, expected, "the end of the file"));
        }
        Ok(rows)
    }
}
