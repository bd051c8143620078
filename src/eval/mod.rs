//! Evaluation of representations: probes, ABX, factors, units, recognition, trials and their backends, maps.

pub mod abx;
mod algebra;
pub mod asr;
pub mod assignment;
#[cfg(feature = "torch")]
pub mod attack;
#[cfg(feature = "torch")]
pub mod audit;
pub mod backend;
pub mod edits;
pub mod factors;
pub mod grouping;
#[cfg(feature = "torch")]
pub mod images;
pub mod interval;
pub mod map;
pub mod probe;
pub mod score;
pub mod speaker_clusters;
pub mod speaker_regression;
pub mod trials;
pub mod units;
#[cfg(feature = "torch")]
mod wide_input;

use ndarray::Array2;

use crate::error::{Error, Result};

/// Refuses less than `least` items, vectors without dimensions and numbers that are not finite.
fn check_vectors<T: Copy + Into<f64>>(name: &str, vectors: &Array2<T>, least: usize) -> Result<()> {
    let (items, dims) = vectors.dim();
    if items < least || dims == 0 {
        let expected = format!("at least {least} vectors of at least one number");
        return Err(Error::option(name, expected, format!("{items} of {dims}")));
    }
    match vectors
        .iter()
        .map(|&value| value.into())
        .find(|value: &f64| !value.is_finite())
    {
        Some(value) => Err(Error::option(name, "finite numbers", value.to_string())),
        None => Ok(()),
    }
}
