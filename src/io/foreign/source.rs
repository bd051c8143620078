//! What the reader of a form hands on.

use std::fmt::Debug;
use std::path::PathBuf;

use super::array::{Array, Shape};
use crate::error::Result;

/// Where the arrays of a table lie, by number.
pub(super) trait Source: Debug + Send + Sync {
    /// Reads an array.
    fn read(&self, index: usize) -> Result<Array>;

    /// Its shape, as its header says; that the file is long enough is checked.
    fn shape(&self, index: usize) -> Result<Shape>;

    /// [`Source::read`] for arrays that are read once, from the first on.
    fn read_next(&self, index: usize) -> Result<Array> {
        self.read(index)
    }
}

/// What a form's reader finds in a place.
pub(super) struct Found {
    pub(super) keys: Vec<String>,
    /// The files that hold all arrays.
    pub(super) files: Vec<PathBuf>,
    pub(super) source: Box<dyn Source>,
}
