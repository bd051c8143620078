//! Features listed in an `scp` file: matrices, or vectors as matrices of one row.

use std::path::Path;

use ndarray::{Array1, Array2, Axis};

use crate::error::{Error, Result};
use crate::io::kaldi::ScpTable;

/// Matrices `[frames, bins]`, or vectors `[bins]` as matrices of one row, read when needed.
#[derive(Debug)]
pub struct Feats(Kind);

#[derive(Debug)]
enum Kind {
    Matrices(ScpTable<Array2<f32>>),
    Vectors(ScpTable<Array1<f32>>),
}

impl Feats {
    /// Opens a list; the object of the first of `ids` decides the kind of all.
    ///
    /// # Errors
    /// As [`ScpTable::open`].
    pub fn open(path: &Path, ids: &[String]) -> Result<Self> {
        let matrices = ScpTable::<Array2<f32>>::open(path)?;
        let vectors = ScpTable::<Array1<f32>>::open(path)?;
        Ok(match ids.first().filter(|id| matrices.contains(id)) {
            Some(id) if matrices.read_shape(id).is_err() && vectors.get(id).is_ok() => {
                Self(Kind::Vectors(vectors))
            }
            _ => Self(Kind::Matrices(matrices)),
        })
    }

    /// Whether they are one vector per utterance.
    pub fn holds_vectors(&self) -> bool {
        matches!(self.0, Kind::Vectors(_))
    }

    /// The list.
    pub fn path(&self) -> &Path {
        match &self.0 {
            Kind::Matrices(table) => table.path(),
            Kind::Vectors(table) => table.path(),
        }
    }

    /// `(frames, bins)` of an utterance.
    ///
    /// # Errors
    /// As [`ScpTable::get`].
    pub fn shape(&self, id: &str) -> Result<(usize, usize)> {
        match &self.0 {
            Kind::Matrices(table) => table.read_shape(id),
            Kind::Vectors(table) => table.get(id).map(|vector| (1, vector.len())),
        }
    }

    /// The features of an utterance, `[frames, bins]`.
    ///
    /// # Errors
    /// As [`ScpTable::get`].
    pub fn get(&self, id: &str) -> Result<Array2<f32>> {
        match &self.0 {
            Kind::Matrices(table) => table.get(id),
            Kind::Vectors(table) => table.get(id).map(|vector| vector.insert_axis(Axis(0))),
        }
    }

    /// [`Feats::get`], with finite numbers and `bins` values per frame.
    ///
    /// # Errors
    /// As [`ScpTable::get`]; [`Error::Key`] for NaN or infinity, or another number of bins.
    pub fn checked(&self, id: &str, bins: usize) -> Result<Array2<f32>> {
        let feats = self.get(id)?;
        let wrong = |expected: String, found: String| Error::key(self.path(), id, expected, found);
        if feats.ncols() != bins {
            let expected = format!("{bins} values per frame");
            return Err(wrong(expected, feats.ncols().to_string()));
        }
        match not_finite(&feats) {
            Some(value) => Err(wrong("finite features".into(), value.to_string())),
            None => Ok(feats),
        }
    }
}

/// A number that is NaN or infinite, if there is one.
pub(crate) fn not_finite(values: &Array2<f32>) -> Option<f32> {
    // Without an end before the last number, the compiler makes vectors of it.
    if values.fold(true, |all, value| all & value.is_finite()) {
        return None;
    }
    values.iter().copied().find(|value| !value.is_finite())
}
