//! The Fréchet distance between two sets of images, as Gaussians of their features (Heusel et al. 2017, "GANs trained by
//! a two time-scale update rule converge to a local Nash equilibrium", equation 6). With features of another network
//! than Inception it is not FID, and is not called so.

use ndarray::{Array1, Array2, Axis};
use tch::{Kind, Tensor};

use super::tensor;
use crate::error::{Error, Result};
use crate::eval::check_vectors;

/// Mean and covariance of features.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// `[dims]`.
    pub mean: Array1<f64>,
    /// `[dims, dims]`, the unbiased estimate (over images less one), as in the authors' code.
    pub covariance: Array2<f64>,
}

impl Moments {
    /// The moments of `[images, dims]`. A comparison needs far more images than dimensions: the
    /// distance of few images is too great.
    ///
    /// # Errors
    /// [`Error::Option`] `features` for fewer than 2 images, no dimension, or a number that is not finite.
    pub fn of(features: &Array2<f64>) -> Result<Self> {
        check_vectors("features", features, 2)?;
        let (images, dims) = features.dim();
        let mean = features.sum_axis(Axis(0)) / images as f64;
        let centred = tensor(&(features - &mean))?;
        let covariance = centred.f_tr()?.f_matmul(&centred)? / (images - 1) as f64;
        let covariance = Vec::<f64>::try_from(covariance.f_flatten(0, 1)?)?;
        Ok(Self {
            mean,
            covariance: Array2::from_shape_vec((dims, dims), covariance)
                .map_err(|error| Error::Torch(error.to_string()))?,
        })
    }
}

/// |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2), from 0 upwards.
///
/// The authors take the square root of C1 C2, which is not symmetric and may come out complex; the trace of ours is the
/// same, from two decompositions of symmetric matrices. Eigenvalues that rounding pushes below 0 count as 0.
///
/// # Errors
/// [`Error::Option`] `second` for another number of dimensions; [`Error::Torch`] where the decomposition fails.
pub fn frechet_distance(first: &Moments, second: &Moments) -> Result<f64> {
    let dims = (first.mean.len(), second.mean.len());
    if dims.0 != dims.1 {
        let expected = format!("{} dimensions, as in first", dims.0);
        return Err(Error::option("second", expected, dims.1.to_string()));
    }
    let apart = (&first.mean - &second.mean).mapv(|gap| gap * gap).sum();
    let traces = first.covariance.diag().sum() + second.covariance.diag().sum();
    let root = square_root(&tensor(&first.covariance)?)?;
    let between = root
        .f_matmul(&tensor(&second.covariance)?)?
        .f_matmul(&root)?;
    let eigenvalues = symmetric(&between)?.f_linalg_eigvalsh("L")?;
    let shared = eigenvalues
        .f_clamp_min(0.0)?
        .f_sqrt()?
        .f_sum(Kind::Double)?;
    Ok((apart + traces - 2.0 * f64::try_from(shared)?).max(0.0))
}

/// The symmetric square root of a symmetric matrix without negative eigenvalues, `[dims, dims]`.
fn square_root(matrix: &Tensor) -> Result<Tensor> {
    let (values, vectors) = symmetric(matrix)?.f_linalg_eigh("L")?;
    let roots = values.f_clamp_min(0.0)?.f_sqrt()?;
    Ok((&vectors * roots).f_matmul(&vectors.f_tr()?)?)
}

/// Removes the asymmetry of rounding.
fn symmetric(matrix: &Tensor) -> Result<Tensor> {
    Ok((matrix + matrix.f_tr()?) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden;
    use super::*;

    /// Columns of deviations 1, 2 and 3 around `shift`, without correlations.
    fn grid(shift: f64, scale: f64) -> Array2<f64> {
        Array2::from_shape_fn((8, 3), |(image, dim)| {
            let sign = if image >> dim & 1 == 1 { 1.0 } else { -1.0 };
            shift + scale * sign * (dim + 1) as f64
        })
    }

    fn distance(first: &Array2<f64>, second: &Array2<f64>) -> f64 {
        frechet_distance(&Moments::of(first).unwrap(), &Moments::of(second).unwrap()).unwrap()
    }

    #[test]
    fn closed_forms_hold() {
        let set = grid(0.0, 1.0);
        assert!(distance(&set, &set) < 1e-12);
        // Equal covariances: the squared gap of the means, in each of three dimensions.
        assert!((distance(&set, &grid(0.5, 1.0)) - 3.0 * 0.25).abs() < 1e-9);
        // Equal means and axes: squared gaps of deviations, which are 8/7 of the squared values.
        let expected = (1.0 + 4.0 + 9.0) * 8.0 / 7.0;
        assert!((distance(&set, &grid(0.0, 2.0)) - expected).abs() < 1e-9);
    }

    #[test]
    fn it_is_that_of_scipy() {
        for case in golden().frechet {
            let found = distance(&case.first(), &case.second());
            // Roots of eigenvalues that should be 0 are good to half the digits, ours and scipy's.
            let allowed = 1e-6 * case.distance.max(1.0);
            assert!(
                (found - case.distance).abs() < allowed,
                "{}: {found}",
                case.name
            );
            let turned = distance(&case.second(), &case.first());
            assert!((turned - found).abs() < allowed, "{turned} {found}");
        }
    }

    #[test]
    fn inputs_that_cannot_be_compared_are_refused() {
        let one = Array2::zeros((1, 3));
        let error = Moments::of(&one).unwrap_err().to_string();
        assert!(
            error.starts_with("features: expected at least 2"),
            "{error}"
        );
        let mut broken = grid(0.0, 1.0);
        broken[[2, 1]] = f64::NAN;
        let error = Moments::of(&broken).unwrap_err().to_string();
        assert_eq!(error, "features: expected finite numbers, found NaN");
        let (three, two) = (grid(0.0, 1.0), Array2::zeros((4, 2)));
        let moments = (Moments::of(&three).unwrap(), Moments::of(&two).unwrap());
        let error = frechet_distance(&moments.0, &moments.1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "second: expected 3 dimensions, as in first, found 2"
        );
    }
}
