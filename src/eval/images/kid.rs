//! The kernel inception distance (Binkowski et al. 2018, "Demystifying MMD GANs", section 4): the unbiased squared
//! maximum mean discrepancy of features under a cubic kernel. Unlike the Fréchet distance it is right on average for
//! few images, too; it may come out below 0.

use ndarray::{Array2, Axis};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{check_dims, tensor};
use crate::error::{Error, Result};
use crate::eval::check_vectors;

/// Options of the random subsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KidOptions {
    /// Number of subsets.
    pub subsets: usize,
    /// Images of each set per subset, without repetition.
    pub size: usize,
    /// Seed of the subsets.
    pub seed: u64,
}

impl Default for KidOptions {
    /// The authors' values.
    fn default() -> Self {
        Self {
            subsets: 100,
            size: 1000,
            seed: 0,
        }
    }
}

/// Over subsets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Kid {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (the sum of squares divided by the number of subsets).
    pub deviation: f64,
}

/// The distance between the features `[images, dims]` of real and generated images.
///
/// # Errors
/// [`Error::Option`] for no subset, a size below 2 or above the images of a set, features that are not finite or of
/// different lengths.
pub fn kid(real: &Array2<f64>, made: &Array2<f64>, options: KidOptions) -> Result<Kid> {
    check_vectors("real", real, 2)?;
    check_vectors("made", made, 2)?;
    check_dims(["real", "made"], [real, made])?;
    let most = real.nrows().min(made.nrows());
    if !(2..=most).contains(&options.size) {
        let expected = format!("2 to {most}, the images of the smaller set");
        return Err(Error::option("size", expected, options.size.to_string()));
    }
    if options.subsets == 0 {
        return Err(Error::option("subsets", "at least 1", "0"));
    }
    let mut generator = ChaCha8Rng::seed_from_u64(options.seed);
    let mut draw = |set: &Array2<f64>| {
        let drawn = index::sample(&mut generator, set.nrows(), options.size);
        tensor(&set.select(Axis(0), &drawn.into_vec()))
    };
    let distances = (0..options.subsets)
        .map(|_| squared_mmd(&draw(real)?, &draw(made)?))
        .collect::<Result<Vec<f64>>>()?;
    let count = distances.len() as f64;
    let mean = distances.iter().sum::<f64>() / count;
    let variance = distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / count;
    Ok(Kid {
        mean,
        deviation: variance.sqrt(),
    })
}

/// The unbiased estimate for as many `x` as `y`: kernels of an item with itself are left out.
fn squared_mmd(x: &Tensor, y: &Tensor) -> Result<f64> {
    let items = x.size()[0] as f64;
    let within = |x: &Tensor| -> Result<f64> {
        let kernel = kernel(x, x)?;
        let others = kernel.f_sum(Kind::Double)? - kernel.f_trace()?;
        Ok(f64::try_from(others)? / (items * (items - 1.0)))
    };
    let across = f64::try_from(kernel(x, y)?.f_mean(Kind::Double)?)?;
    Ok(within(x)? + within(y)? - 2.0 * across)
}

/// (x.y / dims + 1)^3, `[items, items]`.
fn kernel(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let products = x.f_matmul(&y.f_tr()?)? / x.size()[1] as f64 + 1.0;
    Ok(products.f_pow_tensor_scalar(3)?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden;
    use super::*;

    #[test]
    fn one_subset_of_all_gives_numpys_result() {
        for case in golden().kid {
            let options = KidOptions {
                subsets: 3,
                size: case.first().nrows(),
                seed: 1,
            };
            let found = kid(&case.first(), &case.second(), options).unwrap();
            assert!((found.mean - case.distance).abs() < 1e-9, "{found:?}");
            assert!(found.deviation < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn subsets_differ_by_seed_and_agree_on_average() {
        let draw = |seed: usize| {
            Array2::from_shape_fn((400, 2), |(i, dim)| {
                let hash = (i * 7919 + dim * 104_729 + seed * 31_337) % 10_007;
                hash as f64 / 10_007.0 - 0.5
            })
        };
        let options = |seed| KidOptions {
            subsets: 20,
            size: 100,
            seed,
        };
        let (a, b) = (draw(0), draw(1));
        let same = kid(&a, &b, options(0)).unwrap();
        assert_eq!(kid(&a, &b, options(0)).unwrap(), same);
        assert_ne!(kid(&a, &b, options(1)).unwrap(), same);
        assert!(same.mean.abs() < 0.01, "{same:?}");
        let far = kid(&a, &(&b + 1.0), options(0)).unwrap();
        assert!(far.mean > 0.5 && far.mean > 5.0 * far.deviation, "{far:?}");
    }

    #[test]
    fn invalid_input_is_refused() {
        let set = Array2::zeros((5, 2));
        let options = |subsets, size| KidOptions {
            subsets,
            size,
            seed: 0,
        };
        for (made, options, expected) in [
            (
                &set,
                options(1, 6),
                "size: expected 2 to 5, the images of the smaller set, found 6",
            ),
            (
                &set,
                options(1, 1),
                "size: expected 2 to 5, the images of the smaller set, found 1",
            ),
            (&set, options(0, 5), "subsets: expected at least 1, found 0"),
            (
                &Array2::zeros((5, 3)),
                options(1, 5),
                "made: expected 2 dimensions, as in real, found 3",
            ),
        ] {
            assert_eq!(kid(&set, made, options).unwrap_err().to_string(), expected);
        }
    }
}
