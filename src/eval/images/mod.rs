//! Evaluation of methods on images: distances between the features of real and generated images, agreement of clusters with
//! classes, accuracy of nearest neighbours and linear classifiers on codes. The measures take and return plain numbers;
//! `evaluate` and `gallery` apply them to each method.

pub mod assignment;
pub mod codes;
pub mod evaluate;
pub mod forward;
pub mod frechet;
pub mod gallery;
pub mod kid;
pub mod linear;
pub mod neighbours;
pub mod samples;

use ndarray::Array2;
use tch::Tensor;
use tch::kind::Element;

use super::check_vectors;
use crate::error::{Error, Result};

/// Vectors `[items, dims]`, and the class of every item, from 0.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// `[items, dims]`.
    pub vectors: &'a Array2<f32>,
    /// One per item.
    pub labels: &'a [usize],
}

impl Labelled<'_> {
    /// Checks that there is a label per vector, and at least one vector, all finite; `name` is named in errors.
    fn check(&self, name: &str) -> Result<()> {
        if self.vectors.nrows() != self.labels.len() {
            let expected = format!("{} labels, one per vector", self.vectors.nrows());
            return Err(Error::option(name, expected, self.labels.len().to_string()));
        }
        check_vectors(name, self.vectors, 1)
    }
}

/// Refuses two sets of vectors of different lengths.
fn check_dims<T>(names: [&str; 2], sets: [&Array2<T>; 2]) -> Result<()> {
    let [first, second] = sets.map(Array2::ncols);
    if first == second {
        return Ok(());
    }
    let expected = format!("{first} dimensions, as in {}", names[0]);
    Err(Error::option(names[1], expected, second.to_string()))
}

/// A copy for libtorch, `[items, dims]`.
pub(super) fn tensor<T: Element + Clone>(values: &Array2<T>) -> Result<Tensor> {
    Ok(Tensor::try_from(values.as_standard_layout())?)
}

#[cfg(test)]
pub(super) mod tests {
    //! Results of scipy and scikit-learn, from `tests/references/image_scores.py`.

    use ndarray::Array2;
    use serde::Deserialize;

    #[derive(Deserialize)]
    pub(in crate::eval) struct Golden {
        pub(super) frechet: Vec<Pair>,
        pub(super) kid: Vec<Pair>,
        pub(super) assignment: Vec<Assignment>,
        pub(super) linear: Vec<Linear>,
        pub(in crate::eval) affinities: Vec<Affinities>,
    }

    /// Two sets and the distance between them.
    #[derive(Deserialize)]
    pub(in crate::eval) struct Pair {
        pub(super) name: String,
        first: Vec<Vec<f64>>,
        second: Vec<Vec<f64>>,
        pub(super) distance: f64,
    }

    #[derive(Deserialize)]
    pub(in crate::eval) struct Assignment {
        counts: Vec<Vec<usize>>,
        pub(super) accuracy: f64,
    }

    #[derive(Deserialize)]
    pub(in crate::eval) struct Linear {
        vectors: Vec<Vec<f64>>,
        pub(super) labels: Vec<usize>,
        pub(super) decay: f64,
        pub(super) loss: f64,
    }

    #[derive(Deserialize)]
    pub(in crate::eval) struct Affinities {
        vectors: Vec<Vec<f64>>,
        pub(in crate::eval) perplexity: f64,
        pub(in crate::eval) affinities: Vec<Vec<f64>>,
    }

    impl Pair {
        pub(super) fn first(&self) -> Array2<f64> {
            matrix(&self.first)
        }
        pub(super) fn second(&self) -> Array2<f64> {
            matrix(&self.second)
        }
    }

    impl Assignment {
        pub(super) fn counts(&self) -> Array2<usize> {
            matrix(&self.counts)
        }
    }

    impl Linear {
        pub(super) fn vectors(&self) -> Array2<f64> {
            matrix(&self.vectors)
        }
    }

    impl Affinities {
        pub(in crate::eval) fn vectors(&self) -> Array2<f64> {
            matrix(&self.vectors)
        }
    }

    pub(in crate::eval) fn golden() -> Golden {
        serde_json::from_str(include_str!("../../../tests/golden/image_scores.json")).unwrap()
    }

    fn matrix<T: Clone>(rows: &[Vec<T>]) -> Array2<T> {
        let shape = (rows.len(), rows[0].len());
        Array2::from_shape_vec(shape, rows.concat()).unwrap()
    }
}
