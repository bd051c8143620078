//! The bytes of one object: a reader with the file and key of the object, for error messages. It never reserves much more
//! memory than the file has bytes.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};

/// The most bytes that are reserved because of a header; beyond it memory grows with the bytes read.
const TRUSTED_BYTES: usize = 1 << 20;

/// The most bytes of a number in text.
const LONGEST_WORD: usize = 64;

/// A stream standing somewhere inside the entry `key` of `path`.
pub struct Input<'a> {
    reader: &'a mut dyn BufRead,
    path: &'a Path,
    key: &'a str,
}

impl<'a> Input<'a> {
    pub(crate) fn new(reader: &'a mut dyn BufRead, path: &'a Path, key: &'a str) -> Self {
        Self { reader, path, key }
    }

    /// The file that the entry is in.
    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// An error at this entry.
    pub(crate) fn fault(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::key(self.path, self.key, expected, found)
    }

    /// The next byte, left where it is; none at the end.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>> {
        let buffer = self.reader.fill_buf().map_err(Error::io(self.path))?;
        Ok(buffer.first().copied())
    }

    /// Skips the peeked byte.
    pub(crate) fn skip(&mut self) {
        self.reader.consume(1);
    }

    /// The next byte.
    pub(crate) fn byte(&mut self, expected: &str) -> Result<u8> {
        let byte = self.peek()?;
        self.skip_if(byte);
        byte.ok_or_else(|| self.fault(expected, "the end of the file"))
    }

    fn skip_if(&mut self, byte: Option<u8>) {
        if byte.is_some() {
            self.skip();
        }
    }

    /// Exactly `count` bytes; `expected` describes them.
    pub(crate) fn bytes(&mut self, count: u64, expected: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count.min(TRUSTED_BYTES as u64) as usize);
        (&mut *self.reader)
            .take(count)
            .read_to_end(&mut bytes)
            .map_err(Error::io(self.path))?;
        if (bytes.len() as u64) < count {
            return Err(self.fault(
                format!("{count} bytes of {expected}"),
                format!("the end of the file after {}", bytes.len()),
            ));
        }
        Ok(bytes)
    }

    /// Exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self, expected: &str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes(N as u64, expected)?);
        Ok(array)
    }

    /// Kaldi's `WriteBasicType<int32>`: the size 4, then a little-endian `i32`.
    pub(crate) fn tagged_i32(&mut self, expected: &str) -> Result<i32> {
        let tag = self.byte(expected)?;
        if tag != 4 {
            return Err(self.fault(format!("the byte 4 before {expected}"), tag.to_string()));
        }
        Ok(i32::from_le_bytes(self.array(expected)?))
    }

    /// A length or dimension, which may not be negative.
    pub(crate) fn count(&self, value: i32, expected: &str) -> Result<usize> {
        usize::try_from(value).map_err(|_| self.fault(expected, value.to_string()))
    }

    /// A binary object's type, as `FM`: the letters before a space.
    pub(crate) fn token(&mut self, expected: &str) -> Result<String> {
        let mut token = String::new();
        loop {
            match self.byte(expected)? {
                b' ' if !token.is_empty() => return Ok(token),
                byte if byte.is_ascii_alphanumeric() && token.len() < 8 => {
                    token.push(char::from(byte));
                }
                4 if token.is_empty() => return Err(self.fault(expected, "integers")),
                byte => {
                    let found = format!("{token:?} and the byte {byte}");
                    return Err(self.fault(expected, found));
                }
            }
        }
    }

    /// The rest of a text line, without its end; at most `u32::MAX` bytes are looked at.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        (&mut *self.reader)
            .take(u64::from(u32::MAX))
            .read_until(b'\n', &mut bytes)
            .map_err(Error::io(self.path))?;
        String::from_utf8(bytes).map_err(|_| self.fault("text", "bytes that are not UTF-8"))
    }

    /// The text up to white space or a bracket, at most 64 bytes: no number is longer.
    pub(crate) fn word<'w>(&mut self, word: &'w mut Vec<u8>) -> Result<&'w str> {
        word.clear();
        loop {
            let buffer = self.reader.fill_buf().map_err(Error::io(self.path))?;
            let end = buffer.iter().position(|&byte| ends_word(byte));
            let taken = end.unwrap_or(buffer.len());
            word.extend_from_slice(&buffer[..taken.min(LONGEST_WORD + 1)]);
            self.reader.consume(taken);
            if word.len() > LONGEST_WORD {
                let expected = format!("a number of at most {LONGEST_WORD} bytes");
                return Err(self.fault(expected, "a longer word"));
            }
            if end.is_some() || taken == 0 {
                break;
            }
        }
        std::str::from_utf8(word).map_err(|_| self.fault("a number", "bytes that are not UTF-8"))
    }
}

fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'[' | b']' | b';')
}

/// Reads a shared file from a place of its own, so that threads do not move each other.
#[derive(Debug)]
pub(crate) struct Positioned {
    /// The file.
    pub(crate) file: Arc<File>,
    /// The next byte.
    pub(crate) offset: u64,
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
