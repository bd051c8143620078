//! A cache of open archives, and objects read at a position in them.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::location::{self, Location};
use super::matrix;
use super::object::{self, KaldiObject};
use super::range::Range;
use crate::error::{Error, Result};
use crate::io::foreign::npy_file;
use crate::io::input::{Input, Positioned};
use crate::io::inputs;

/// The most open archives; a corpus is rarely split into more parts.
const KEPT: usize = 32;

/// Bytes that are read at once of an object, beyond which its numbers are read as one piece. Most vectors of labels end before.
const READ_AHEAD: usize = 1 << 12;

/// The location of an object in an `scp` line.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) location: Location,
    pub(super) range: Option<Box<Range>>,
}

impl Place {
    /// Parses an `scp` line's value; the error is a description of what was found.
    pub(super) fn parse(value: &str) -> Result<Place, &'static str> {
        let (name, range) = location::split_range(value)?;
        let location = match Location::parse(name)? {
            Location::Stdin => return Err("no file"),
            location => location,
        };
        Ok(Place {
            location,
            range: range.map(Box::new),
        })
    }

    /// The line's value again, without the range.
    pub(super) fn path(&self) -> std::path::PathBuf {
        self.location.path()
    }
}

/// Open files, most recently used last.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    kept: Mutex<Vec<(Arc<Path>, Arc<File>)>>,
    allow_pipes: bool,
}

impl OpenFiles {
    pub(super) fn new(allow_pipes: bool) -> Self {
        Self {
            kept: Mutex::default(),
            allow_pipes,
        }
    }

    /// Reads the object of `key` at its location, with its range.
    pub(super) fn read<T: KaldiObject>(&self, key: &str, place: &Place) -> Result<T> {
        let value = self.with_input(key, place, READ_AHEAD, object::read::<T>)?;
        match &place.range {
            None => Ok(value),
            Some(range) => value
                .crop(range)
                .map_err(|mismatch| mismatch.at(&place.path(), key)),
        }
    }

    /// Lets `read` read at the place of `key`, through a buffer of `buffer` bytes.
    pub(super) fn with_input<R>(
        &self,
        key: &str,
        place: &Place,
        buffer: usize,
        read: impl FnOnce(&mut Input) -> Result<R>,
    ) -> Result<R> {
        let Location::File { path, offset } = &place.location else {
            let path = place.path();
            let mut stream = location::open(&place.location, self.allow_pipes)?;
            return read(&mut Input::new(&mut stream, &path, key));
        };
        let positioned = Positioned {
            file: self.get(path)?,
            offset: *offset,
        };
        let mut reader = BufReader::with_capacity(buffer, positioned);
        read(&mut Input::new(&mut reader, path, key))
    }

    /// Checks that the object of `key` is complete in its file, by its header where it is binary. Of text only the beginning
    /// is checked, and the output of a command is not.
    pub(super) fn check(&self, key: &str, place: &Place) -> Result<()> {
        if !matches!(place.location, Location::File { .. }) {
            return Ok(());
        }
        let size = self.with_input(key, place, 64, |input| match input.peek()? {
            Some(0) => binary_size(input),
            Some(npy_file::FIRST_BYTE) => {
                npy_file::read_header(input).map(|header| header.bytes + header.layout.bytes())
            }
            Some(_) => Ok(1),
            None => Err(input.fault("an object", "the end of the file")),
        })?;
        self.refuse_cut(key, place, size)
    }

    /// Refuses an object of so many bytes that its file ends before.
    pub(super) fn refuse_cut(&self, key: &str, place: &Place, bytes: u64) -> Result<()> {
        let Location::File { path, offset } = &place.location else {
            return Ok(());
        };
        let file = self.get(path)?.metadata().map_err(Error::io(path))?;
        let left = file.len().saturating_sub(*offset);
        match file.is_file() && left < bytes {
            true => {
                let expected = format!("{bytes} bytes from byte {offset} on");
                let found = format!("the end of the file after {left}");
                Err(Error::key(path, key, expected, found))
            }
            false => Ok(()),
        }
    }

    /// The file, opened now or kept from before.
    fn get(&self, path: &Arc<Path>) -> Result<Arc<File>> {
        // A panic elsewhere leaves the list whole: it is only pushed to and removed from.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match kept.iter().rposition(|(name, _)| name == path) {
            Some(index) => kept.remove(index),
            None => {
                let file = inputs::open(path).map_err(Error::io(path))?;
                (Arc::clone(path), Arc::new(file))
            }
        };
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        let file = Arc::clone(&entry.1);
        kept.push(entry);
        Ok(file)
    }
}

/// Reads the header of a binary object of any kind, from `\0B` on: the bytes of all of it.
fn binary_size(input: &mut Input) -> Result<u64> {
    object::binary_mark(input)?;
    if input.peek()? == Some(4) {
        let count = input.tagged_i32("the length of an integer vector")?;
        return Ok(7 + 5 * input.count(count, "a length from 0")? as u64);
    }
    let token = input.token("a matrix or a vector")?;
    let width = match token.as_str() {
        "FV" => 4,
        "DV" => 8,
        token => return matrix::read_sizes(token, input).map(|header| header.size()),
    };
    let count = input.tagged_i32("a dimension")?;
    Ok(10 + width * input.count(count, "a dimension from 0")? as u64)
}
