//! Units: frames of frozen codes become numbers of clusters, to be compared with phones or learnt from.
//!
//! In go tables of matrices `[frames, dims]`; out come centroids (a [`Codebook`]), a unit a frame, and scores of units
//! against aligned phones ([`JointCounts`]).

mod balance;
mod codebook;
mod kmeans;
mod sample;
mod score;

use std::path::Path;

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::io::kaldi::TableReader;

pub use balance::{balanced_kmeans, spread};
pub use codebook::{Codebook, MOST_CLUSTERS, Nearest};
pub use kmeans::{Kmeans, KmeansOptions, kmeans};
pub use sample::Sample;
pub use score::{JointCounts, UnitScores, middle_labels};

/// Goes through the codes of a table, `[frames, dims]` each, in its order. Without `dims` the first has as many as all.
///
/// # Errors
/// What the table says; [`Error::Key`] for an utterance without frames, of another number of values a frame, or with
/// NaN or infinity; [`Error::Format`] for a table without utterances; what `visit` says.
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
        let expected = format!("{dims} values a frame");
        return wrong(expected, frames.ncols().to_string());
    }
    match frames.iter().find(|value| !value.is_finite()) {
        Some(value) => wrong("finite values".into(), value.to_string()),
        None => Ok(()),
    }
}
