//! Tables of other programs, read: keys in memory, one utterance's array at a time, in any order and from any thread.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::array::{Array, Shape};
use super::source::Source;
use super::{Form, npy_tables, safetensors};
use crate::error::{Error, Result};

/// A table of another program.
#[derive(Debug)]
pub struct ForeignReader {
    path: PathBuf,
    keys: Vec<String>,
    files: Vec<PathBuf>,
    source: Box<dyn Source>,
}

impl ForeignReader {
    /// Reads the index of a table.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for another format, one that is pickled, and a table without entries; [`Error::Key`]
    /// for a key that occurs twice, or that has white space.
    pub fn open(form: Form, path: &Path) -> Result<Self> {
        if let Some(error) = super::pickled(path, false) {
            return Err(error);
        }
        let found = match form {
            Form::Npy => npy_tables::open(path)?,
            Form::Safetensors => safetensors::open(path)?,
            #[cfg(feature = "parquet")]
            Form::Parquet => super::parquet_reader::open(path)?,
            #[cfg(not(feature = "parquet"))]
            Form::Parquet => return Err(super::without_parquet(path)),
        };
        check_keys(path, &found.keys)?;
        Ok(Self {
            path: path.to_path_buf(),
            keys: found.keys,
            files: found.files,
            source: found.source,
        })
    }

    /// The path in its specifier.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys: of files in byte order, of a list or a table in its own.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The files that the arrays lie in.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The array of `keys()[index]`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Key`] for what is not one utterance's floats or integers, or is truncated.
    pub fn read(&self, index: usize) -> Result<Array> {
        self.source.read(index)
    }

    /// The same, quickest where every array is read once and in order.
    ///
    /// # Errors
    /// As [`ForeignReader::read`].
    pub fn read_next(&self, index: usize) -> Result<Array> {
        self.source.read_next(index)
    }

    /// The shape of an array, without its numbers where the format allows; that the file is long enough is checked.
    ///
    /// # Errors
    /// As [`ForeignReader::read`].
    pub fn shape(&self, index: usize) -> Result<Shape> {
        self.source.shape(index)
    }
}

fn check_keys(path: &Path, keys: &[String]) -> Result<()> {
    if keys.is_empty() {
        return Err(Error::format(path, "arrays", "none"));
    }
    let mut seen = HashSet::with_capacity(keys.len());
    for key in keys {
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c == '\0') {
            let found = format!("'{}'", key.escape_debug());
            return Err(Error::format(path, "keys without white space", found));
        }
        if !seen.insert(key.as_str()) {
            return Err(Error::key(path, key, "each key once", "it again"));
        }
    }
    Ok(())
}
