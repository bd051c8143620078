//! Eigenvalues and diagonalisation of symmetric matrices in f64.

use faer::linalg::solvers::Solve;
use faer::{Mat, Par, Side, set_global_parallelism};
use ndarray::{Array1, Array2};

use crate::error::{Error, Result};

/// Eigenvalues, greatest first, and their vectors as columns, `[n]` and `[n, n]`.
///
/// # Errors
/// [`Error::Option`] for numbers that are not finite, or so great that the decomposition does not converge.
pub(super) fn eigen(symmetric: &Array2<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    let refuse =
        |found: String| Error::option("covariance", "finite numbers of moderate size", found);
    if let Some(value) = symmetric.iter().find(|value| !value.is_finite()) {
        return Err(refuse(value.to_string()));
    }
    let found = matrix(symmetric)
        .self_adjoint_eigen(Side::Lower)
        .map_err(|error| refuse(format!("{error:?}")))?;
    let (values, vectors) = (found.S().column_vector(), found.U());
    let last = symmetric.nrows().saturating_sub(1);
    Ok((
        Array1::from_shape_fn(symmetric.nrows(), |at| values[last - at]),
        Array2::from_shape_fn(symmetric.dim(), |(row, at)| vectors[(row, last - at)]),
    ))
}

/// The transform that makes one covariance the identity and another diagonal, Kaldi's `ComputeNormalizingTransform`
/// and what follows it.
#[derive(Debug)]
pub(super) struct Diagonal {
    /// `[n, n]`: `U' C^-1`, with `C` the Cholesky factor of the first covariance.
    pub(super) transform: Array2<f64>,
    /// The second covariance after it, greatest first; not below 0.
    pub(super) values: Array1<f64>,
    /// Logarithm of the absolute value of the transform's determinant.
    pub(super) log_det: f64,
}

/// Diagonalises `within` and `between` at once.
///
/// # Errors
/// [`Error::Option`] when `within` is not positive definite; as [`eigen`].
pub(super) fn diagonalise(within: &Array2<f64>, between: &Array2<f64>) -> Result<Diagonal> {
    let expected = "a positive definite matrix";
    let factor = matrix(within).llt(Side::Lower).map_err(|error| {
        Error::option("covariance within classes", expected, format!("{error:?}"))
    })?;
    let mut inverse = Mat::<f64>::identity(within.nrows(), within.nrows());
    factor.L().solve_lower_triangular_in_place(inverse.as_mut());
    let inverse = Array2::from_shape_fn(within.dim(), |(row, column)| inverse[(row, column)]);
    let log_det = inverse.diag().mapv(f64::ln).sum();
    let (values, vectors) = eigen(&inverse.dot(between).dot(&inverse.t()))?;
    Ok(Diagonal {
        transform: vectors.t().dot(&inverse),
        values: values.mapv(|value| value.max(0.0)),
        log_det,
    })
}

/// Solves `matrix x = right` for a symmetric positive definite matrix, `[n, n]` and `[n]`.
///
/// # Errors
/// [`Error::Option`] for another matrix.
pub(super) fn solve(symmetric: &Array2<f64>, right: &Array1<f64>) -> Result<Array1<f64>> {
    let factor = matrix(symmetric).llt(Side::Lower).map_err(|error| {
        Error::option(
            "curvature",
            "a positive definite matrix",
            format!("{error:?}"),
        )
    })?;
    let solved = factor.solve(Mat::from_fn(right.len(), 1, |row, _| right[row]));
    Ok(Array1::from_shape_fn(right.len(), |row| solved[(row, 0)]))
}

/// A copy for decompositions on one thread: matrices of a few hundred rows gain nothing from more, which are slow on shared
/// cores and change the last digits.
fn matrix(array: &Array2<f64>) -> Mat<f64> {
    set_global_parallelism(Par::Seq);
    Mat::from_fn(array.nrows(), array.ncols(), |row, column| {
        array[(row, column)]
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn eigenvectors_make_the_matrix_again() {
        let matrix = array![[2.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]];
        let (values, vectors) = eigen(&matrix).unwrap();
        assert!(values[0] > values[1] && values[1] > values[2]);
        let again = (&vectors * &values).dot(&vectors.t());
        assert!((again - matrix).iter().all(|gap| gap.abs() < 1e-12));
    }

    #[test]
    fn one_covariance_becomes_the_identity_and_one_diagonal() {
        let within = array![[2.0, 0.3], [0.3, 1.0]];
        let between = array![[1.0, -0.4], [-0.4, 3.0]];
        let found = diagonalise(&within, &between).unwrap();
        let through = |matrix: &Array2<f64>| found.transform.dot(matrix).dot(&found.transform.t());
        let gap = through(&within) - Array2::<f64>::eye(2);
        assert!(gap.iter().all(|gap| gap.abs() < 1e-12));
        let gap = through(&between) - Array2::from_diag(&found.values);
        assert!(gap.iter().all(|gap| gap.abs() < 1e-12));
        let det = |m: &Array2<f64>| (m[[0, 0]] * m[[1, 1]] - m[[0, 1]] * m[[1, 0]]).abs();
        assert!((found.log_det - det(&found.transform).ln()).abs() < 1e-12);
        assert!(diagonalise(&array![[1.0, 2.0], [2.0, 1.0]], &between).is_err());
    }
}
