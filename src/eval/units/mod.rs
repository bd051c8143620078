//! Units: the cluster of each frame of frozen codes, for comparison with phones or as pseudo-labels.
//!
//! Input: tables of matrices `[frames, dims]`. Output: centroids (a [`Codebook`]), one unit per frame, and scores of units
//! against aligned phones ([`JointCounts`]).

mod balance;
mod codebook;
pub mod discovery;
mod items;
mod kmeans;
mod lloyd;
mod sample;
mod score;
mod stored;

use std::path::Path;

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::io::kaldi::TableReader;

pub use balance::{balanced_kmeans, spread};
pub use codebook::{Codebook, MOST_CLUSTERS, Nearest};
pub use kmeans::{Kmeans, KmeansOptions, kmeans};
pub use sample::Sample;
pub use score::{JointCounts, UnitScores, middle_labels};
pub use stored::{read_units, write_line};

/// Calls `visit` for the codes of each utterance of a table, `[frames, dims]`, in order. Without `dims` the first decides.
///
/// # Errors
/// Errors of reading the table; [`Error::Key`] for an utterance without frames, with another number of values per frame, or
/// with NaN or infinity; [`Error::Format`] for a table without utterances; errors of `visit`.
pub fn for_each_codes(
    specifier: &str,
    mut dims: Option<usize>,
    mut visit: impl FnMut(&str, Array2<f32>) -> Result<()>,
) -> Result<()> {
    let place = Path::new(specifier);
    let mut empty = true;
    for entry in TableReader::<Array2<f32>>::open(specifier)? {
        let (id, frames) = entry?;
        check(place, &id, &frames, *dims.get_or_insert(frames.ncols()))?;
        visit(&id, frames)?;
        empty = false;
    }
    match empty {
        true => Err(Error::format(place, "at least one utterance", "none")),
        false => Ok(()),
    }
}

fn check(place: &Path, id: &str, frames: &Array2<f32>, dims: usize) -> Result<()> {
    let wrong = |expected: String, found: String| Err(Error::key(place, id, expected, found));
    if frames.is_empty() {
        let expected = "at least one frame of at least one value";
        return wrong(expected.into(), "none".into());
    }
    if frames.ncols() != dims {
        let expected = format!("{dims} values per frame");
        return wrong(expected, frames.ncols().to_string());
    }
    match frames.iter().find(|value| !value.is_finite()) {
        Some(value) => wrong("finite values".into(), value.to_string()),
        None => Ok(()),
    }
}
