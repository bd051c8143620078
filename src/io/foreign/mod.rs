//! Tables of float matrices and vectors in formats of Python's tools: NumPy's `.npy`, safetensors, Parquet.

mod npy;
#[cfg(feature = "parquet")]
mod parquet;
mod safetensors;

use std::collections::HashSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `NAME.npy`, the concatenated rows of all entries, and `NAME.tsv`, with the first row of each entry.
    Npy,
    /// One tensor per entry.
    Safetensors,
    /// One row per entry: its name, numbers of rows and columns, and its values row by row.
    Parquet,
}

impl Form {
    /// The format that a write specifier names.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "npy" => Some(Self::Npy),
            "safetensors" => Some(Self::Safetensors),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// An entry: a matrix `[rows, columns]` row by row, or a vector, which is one row.
#[derive(Debug, Clone, Copy)]
pub struct Floats<'a> {
    /// Rows; none for a vector.
    pub rows: Option<usize>,
    /// Columns.
    pub columns: usize,
    /// All values.
    pub values: &'a [f32],
}

impl Floats<'_> {
    fn height(&self) -> usize {
        self.rows.unwrap_or(1)
    }

    fn bytes(&self) -> Vec<u8> {
        self.values.iter().flat_map(|x| x.to_le_bytes()).collect()
    }
}

/// A writer of one format. Files appear under their names when it is finished.
trait Writer: Debug + Send {
    fn write(&mut self, key: &str, entry: Floats) -> Result<()>;
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A table that is written, with only names and positions in memory.
#[derive(Debug)]
pub struct ForeignTable {
    path: PathBuf,
    keys: HashSet<String>,
    writer: Box<dyn Writer>,
}

impl ForeignTable {
    /// Begins a table.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written there.
    pub fn create(form: Form, path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            keys: HashSet::new(),
            writer: match form {
                Form::Npy => Box::new(npy::NpyWriter::create(path)?),
                Form::Safetensors => Box::new(safetensors::SafetensorsWriter::create(path)?),
                #[cfg(feature = "parquet")]
                Form::Parquet => Box::new(parquet::ParquetWriter::create(path)?),
                #[cfg(not(feature = "parquet"))]
                Form::Parquet => {
                    let expected =
                        "npy or safetensors: this program was built without the feature parquet";
                    return Err(Error::format(path, expected, "parquet"));
                }
            },
        })
    }

    /// The path in its specifier.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`Error::Key`] for a key that occurs twice, and for an entry that the format cannot represent; [`Error::Io`].
    pub fn write(&mut self, key: &str, entry: Floats) -> Result<()> {
        if !self.keys.insert(key.to_string()) {
            return Err(Error::key(&self.path, key, "each key once", "it again"));
        }
        self.writer.write(key, entry)
    }

    /// Completes the files and gives them their names.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a table without entries.
    pub fn finish(self) -> Result<()> {
        if self.keys.is_empty() {
            return Err(Error::format(&self.path, "entries to write", "none"));
        }
        self.writer.finish()
    }
}
