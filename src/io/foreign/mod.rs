//! Tables of float matrices and vectors in formats of Python's tools: NumPy's `.npy`, safetensors, Parquet. Written by a
//! [`ForeignTable`]; read, with integers too, by a [`ForeignReader`].

mod array;
mod npy;
pub(super) mod npy_file;
mod npy_rows;
mod npy_tables;
mod npz;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_reader;
mod reader;
mod safetensors;
mod source;

use std::collections::HashSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

pub use array::{Array, Shape, Values};
pub use reader::ForeignReader;

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `NAME.npy`, the concatenated rows of all entries, and `NAME.tsv`, with the first row of each entry. Read also: a folder
    /// or a list of files, and `.npz` archives.
    Npy,
    /// One tensor per entry.
    Safetensors,
    /// One row per entry: its name, numbers of rows and columns, and its values row by row.
    Parquet,
}

impl Form {
    /// Its name in specifiers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Safetensors => "safetensors",
            Self::Parquet => "parquet",
        }
    }

    /// The format that a specifier names.
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
                Form::Parquet => return Err(without_parquet(path)),
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

#[cfg(not(feature = "parquet"))]
fn without_parquet(path: &Path) -> Error {
    let expected = "npy or safetensors: this program was built without the feature parquet";
    Error::format(path, expected, "parquet")
}

/// The refusal of a file that cannot be read without running what is pickled in it, or whose format has no reader here, with
/// the line of Python that converts it; none for other files. In a folder or a list a file holds one utterance.
pub(super) fn pickled(path: &Path, one_utterance: bool) -> Option<Error> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    let (from, folder) = (path.display(), path.parent().unwrap_or(Path::new("")));
    let npz = path.with_extension("npz");
    let (found, line) = match (extension.as_str(), one_utterance) {
        ("pt" | "pth", true) => {
            let files = folder.join(format!("*.{extension}"));
            let line = format!(
                "import glob, numpy, torch; [numpy.save(f.rsplit(\".\", 1)[0], torch.load(f, \"cpu\").numpy()) for f in \
                 glob.glob(\"{}\")]",
                files.display()
            );
            ("a pickled file", line)
        }
        ("pt" | "pth", false) => {
            let line = format!(
                "import numpy, torch; numpy.savez(\"{}\", **{{k: v.numpy() for k, v in torch.load(\"{from}\", \
                 \"cpu\").items()}})",
                npz.display()
            );
            ("a pickled file", line)
        }
        ("pkl" | "pickle", _) => {
            let line = format!(
                "import numpy, pickle; numpy.savez(\"{}\", **pickle.load(open(\"{from}\", \"rb\")))",
                npz.display()
            );
            ("a pickled file", line)
        }
        ("h5" | "hdf5", _) => {
            let line = format!(
                "import h5py, numpy; numpy.savez(\"{}\", **{{k: v[()] for k, v in h5py.File(\"{from}\").items()}})",
                npz.display()
            );
            ("an HDF5 file", line)
        }
        _ => return None,
    };
    let expected =
        format!("npy, npz, safetensors or parquet; convert it with: python3 -c '{line}'");
    Some(Error::format(path, expected, found))
}
