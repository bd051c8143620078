//! Centroids, the unit of a frame, and their file.

use std::path::Path;

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView2, Axis};

use crate::error::{Error, Result};
use crate::io::kaldi::{TableReader, TableWriter};

/// The most clusters: distances to all of them are in memory for a block of frames.
pub const MOST_CLUSTERS: usize = 1 << 16;
/// The only key of a file.
const KEY: &str = "centroids";
/// Frames whose distances are computed as one product of matrices.
const BLOCK: usize = 64;

/// The centroid that a frame is nearest to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// The index of the centroid; the first of equally near ones.
    pub unit: usize,
    /// Squared Euclidean distance.
    pub distance: f64,
}

/// Centroids, `[clusters, dims]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Codebook {
    centroids: Array2<f64>,
    /// Half of each centroid's squared length.
    halves: Vec<f64>,
}

impl Codebook {
    /// From centroids that are finite, at least one of at least one value.
    pub(super) fn new(centroids: Array2<f64>) -> Self {
        let half = |row: ndarray::ArrayView1<f64>| 0.5 * row.dot(&row);
        let halves = centroids.rows().into_iter().map(half).collect();
        Self { centroids, halves }
    }

    /// Number of units.
    pub fn clusters(&self) -> usize {
        self.centroids.nrows()
    }

    /// Values per frame.
    pub fn dims(&self) -> usize {
        self.centroids.ncols()
    }

    /// The centroids in the precision of the file, `[clusters, dims]`.
    pub fn centroids(&self) -> Array2<f32> {
        self.centroids.mapv(|value| value as f32)
    }

    pub(super) fn centroids_f64(&self) -> &Array2<f64> {
        &self.centroids
    }

    /// The nearest centroid of each of `[frames, dims]`. The result does not depend on the number of threads.
    ///
    /// # Panics
    /// For frames of another number of values; [`super::for_each_codes`] refuses them.
    pub fn nearest(&self, frames: ArrayView2<f32>) -> Vec<Nearest> {
        let blocks = frames.axis_chunks_iter(Axis(0), BLOCK).into_par_iter();
        let found: Vec<Vec<Nearest>> = blocks.map(|block| self.nearest_in(block)).collect();
        found.concat()
    }

    /// Squared distances `[frames, clusters]` of `[frames, dims]`, in f64 since they cancel.
    pub(super) fn distances(&self, frames: ArrayView2<f64>) -> Array2<f64> {
        let mut distances = frames.dot(&self.centroids.t());
        for (mut row, frame) in distances.rows_mut().into_iter().zip(frames.rows()) {
            let length = frame.dot(&frame);
            for (value, half) in row.iter_mut().zip(&self.halves) {
                *value = (length - 2.0 * (*value - half)).max(0.0);
            }
        }
        distances
    }

    /// `|x - c|^2 = |x|^2 - 2 (x c - |c|^2 / 2)`, in f64 since it cancels.
    fn nearest_in(&self, block: ArrayView2<f32>) -> Vec<Nearest> {
        let block = block.mapv(f64::from);
        let products = block.dot(&self.centroids.t());
        let rows = products.rows().into_iter().zip(block.rows());
        rows.map(|(products, frame)| {
            let mut best = (0, f64::NEG_INFINITY);
            for (unit, (product, half)) in products.iter().zip(&self.halves).enumerate() {
                let near = product - half;
                if near > best.1 {
                    best = (unit, near);
                }
            }
            Nearest {
                unit: best.0,
                distance: (frame.dot(&frame) - 2.0 * best.1).max(0.0),
            }
        })
        .collect()
    }

    /// Writes a Kaldi archive of one matrix under the key `centroids`, which Kaldi's tools read too.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, path: &str) -> Result<()> {
        let mut writer = TableWriter::create(&format!("ark:{path}"))?;
        writer.write(KEY, &self.centroids())?;
        writer.finish()
    }

    /// Reads a file of [`Codebook::write`].
    ///
    /// # Errors
    /// Errors of reading the archive; [`Error::Format`] for another key, or for several; [`Error::Key`] for a matrix that is
    /// empty, not finite, or of more than [`MOST_CLUSTERS`] rows.
    pub fn read(path: &str) -> Result<Self> {
        let wrong = |found: String| {
            let expected = format!("one matrix '{KEY}', as units train writes it");
            Err(Error::format(path, expected, found))
        };
        let mut entries = TableReader::<Array2<f32>>::open(&format!("ark:{path}"))?;
        let Some(entry) = entries.next() else {
            return wrong("an empty file".into());
        };
        let (key, centroids) = entry?;
        if key != KEY {
            return wrong(format!("'{key}'"));
        }
        check(Path::new(path), &centroids)?;
        match entries.next() {
            None => Ok(Self::new(centroids.mapv(f64::from))),
            Some(Ok((key, _))) => wrong(format!("'{key}' after it")),
            Some(Err(error)) => wrong(format!("more after it: {error}")),
        }
    }
}

fn check(path: &Path, centroids: &Array2<f32>) -> Result<()> {
    let (clusters, dims) = centroids.dim();
    if dims == 0 || !(1..=MOST_CLUSTERS).contains(&clusters) {
        let expected = format!("1 to {MOST_CLUSTERS} rows of at least one value");
        let found = format!("{clusters} rows of {dims}");
        return Err(Error::key(path, KEY, expected, found));
    }
    match centroids.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(Error::key(path, KEY, "finite values", value.to_string())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_first_of_the_nearest_is_taken() {
        let book = Codebook::new(array![[0.0, 0.0], [4.0, 0.0], [4.0, 0.0]]);
        let found = book.nearest(array![[1.0, 1.0], [2.0, 0.0], [5.0, 0.0]].view());
        let found: Vec<_> = found.iter().map(|n| (n.unit, n.distance)).collect();
        assert_eq!(found, [(0, 2.0), (0, 4.0), (1, 1.0)]);
    }

    #[test]
    fn a_frame_has_one_unit_at_any_position() {
        let value = |(row, dim): (usize, usize)| ((row * 37 + dim * 101) % 97) as f32 / 9.0;
        let frames = Array2::from_shape_fn((3 * BLOCK + 5, 13), value);
        let book = Codebook::new(frames.select(Axis(0), &[3, 50, 90]).mapv(f64::from));
        let whole = book.nearest(frames.view());
        for (row, expected) in frames.axis_chunks_iter(Axis(0), 1).zip(&whole) {
            assert_eq!(book.nearest(row)[0].unit, expected.unit);
        }
        assert_eq!(whole[50].unit, 1);
    }

    #[test]
    fn a_file_comes_back_and_broken_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("u.ark").display().to_string();
        let book = Codebook::new(array![[0.5, -1.0, 3.0], [1.5, 2.0, 0.0]]);
        book.write(&path).unwrap();
        assert_eq!(Codebook::read(&path).unwrap(), book);
        let bytes = std::fs::read(&path).unwrap();
        for end in 0..bytes.len() {
            std::fs::write(&path, &bytes[..end]).unwrap();
            assert!(Codebook::read(&path).is_err(), "{end}");
        }
        let refuse = |text: &str, expected: &str| {
            std::fs::write(&path, text).unwrap();
            let error = Codebook::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        refuse("other [\n 1 2 ]\n", "found 'other'");
        refuse(
            "centroids [\n 1 2 ]\nmore [\n 1 ]\n",
            "found 'more' after it",
        );
        refuse("centroids [\n 1 nan ]\n", "finite values, found NaN");
        refuse(
            "centroids [ ]\n",
            "rows of at least one value, found 0 rows",
        );
    }
}
