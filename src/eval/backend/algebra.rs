//! Eigenvalues and diagonalisation of symmetric matrices in f64, by libtorch's LAPACK.

use ndarray::{Array1, Array2, Axis};
use tch::{Kind, Tensor};

use crate::error::Result;

/// Limits libtorch to one thread in this process, for commands that use it for little else. Matrices of a few hundred rows
/// gain nothing from more threads, which are slow on shared cores and change the last digits.
pub fn use_one_thread() {
    tch::set_num_threads(1);
}

/// Eigenvalues, greatest first, and their vectors as columns, `[n]` and `[n, n]`.
///
/// # Errors
/// [`crate::Error::Torch`] when LAPACK does not converge, as for numbers that are not finite.
pub(super) fn eigen(symmetric: &Array2<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    let (values, vectors) = to_tensor(symmetric).f_linalg_eigh("L")?;
    let values = Array1::from(Vec::<f64>::try_from(&values)?);
    let mut vectors = to_array(&vectors)?;
    vectors.invert_axis(Axis(1));
    let mut descending = values;
    descending.invert_axis(Axis(0));
    Ok((descending, vectors))
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
/// [`crate::Error::Torch`] when `within` is not positive definite.
pub(super) fn diagonalise(within: &Array2<f64>, between: &Array2<f64>) -> Result<Diagonal> {
    let dims = within.nrows() as i64;
    let factor = to_tensor(within).f_linalg_cholesky(false)?;
    let identity = Tensor::f_eye(dims, (Kind::Double, tch::Device::Cpu))?;
    let inverse = to_array(&factor.f_linalg_solve_triangular(&identity, false, true, false)?)?;
    let log_det = inverse.diag().mapv(f64::ln).sum();
    let (values, vectors) = eigen(&inverse.dot(between).dot(&inverse.t()))?;
    Ok(Diagonal {
        transform: vectors.t().dot(&inverse),
        values: values.mapv(|value| value.max(0.0)),
        log_det,
    })
}

fn to_tensor(array: &Array2<f64>) -> Tensor {
    let (rows, columns) = array.dim();
    let values: Vec<f64> = array.iter().copied().collect();
    Tensor::from_slice(&values).reshape([rows as i64, columns as i64])
}

fn to_array(tensor: &Tensor) -> Result<Array2<f64>> {
    let (rows, columns) = tensor.size2()?;
    let values = Vec::<f64>::try_from(&tensor.f_contiguous()?.f_reshape([-1])?)?;
    Ok(
        Array2::from_shape_vec((rows as usize, columns as usize), values)
            .expect("a tensor has as many values as its sizes imply"),
    )
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
