//! Unsupervised adaptation of PLDA to a domain, as Kaldi's `ivector-adapt-plda`
//! (`PldaUnsupervisedAdaptor`).

use ndarray::{Array1, Array2, Axis};

use super::plda::Plda;
use crate::error::{Error, Result};
use crate::eval::algebra::{diagonalise, eigen};

/// How far the model is adapted. The defaults are Kaldi's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptOptions {
    /// How much of the square of the step from the old mean to the new counts as variance.
    pub mean_diff_scale: f64,
    /// Share of the excess variance that is added within speakers.
    pub within_covar_scale: f64,
    /// Share of the excess variance that is added between speakers.
    pub between_covar_scale: f64,
}

impl Default for AdaptOptions {
    fn default() -> Self {
        Self {
            mean_diff_scale: 1.0,
            within_covar_scale: 0.3,
            between_covar_scale: 0.7,
        }
    }
}

impl AdaptOptions {
    fn check(&self) -> Result<()> {
        for (name, value) in [
            ("mean-diff-scale", self.mean_diff_scale),
            ("within-covar-scale", self.within_covar_scale),
            ("between-covar-scale", self.between_covar_scale),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::option(name, "a number from 0", value.to_string()));
            }
        }
        Ok(())
    }
}

impl Plda {
    /// Takes the mean of `vectors` `[utterances, dims]`, and where their total variance exceeds the model's, direction by
    /// direction, widens the model within and between speakers.
    pub(super) fn adapt(&mut self, vectors: &Array2<f64>, options: AdaptOptions) -> Result<()> {
        options.check()?;
        let count = vectors.nrows() as f64;
        let mean: Array1<f64> = vectors.sum_axis(Axis(0)) / count;
        let step = (&mean - &self.mean).insert_axis(Axis(0));
        let centred = vectors - &mean;
        let variance =
            centred.t().dot(&centred) / count + step.t().dot(&step) * options.mean_diff_scale;
        // Into the space in which the model's total covariance is the identity.
        let scales = self.psi.mapv(|psi| (1.0 + psi).powf(-0.5));
        let to_unit = &self.transform * &scales.insert_axis(Axis(1));
        let (values, directions) = eigen(&to_unit.dot(&variance).dot(&to_unit.t()))?;
        let excess = Array2::from_diag(&values.mapv(|value| (value - 1.0).max(0.0)));
        let excess = directions.dot(&excess).dot(&directions.t());
        let within = Array2::from_diag(&self.psi.mapv(|psi| 1.0 / (1.0 + psi)));
        let between = Array2::from_diag(&self.psi.mapv(|psi| psi / (1.0 + psi)));
        let found = diagonalise(
            &(within + &excess * options.within_covar_scale),
            &(between + &excess * options.between_covar_scale),
        )?;
        self.mean = mean;
        self.transform = found.transform.dot(&to_unit);
        self.psi = found.values;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn model(psi: Array1<f64>) -> Plda {
        let dims = psi.len();
        Plda {
            mean: Array1::zeros(dims),
            transform: Array2::eye(dims),
            psi,
            length_norm: false,
        }
    }

    /// Vectors of mean 0 and this covariance's root.
    fn vectors(root: &Array2<f64>) -> Array2<f64> {
        let scale = (root.nrows() as f64).sqrt();
        let half = root.t().to_owned() * scale;
        ndarray::concatenate![Axis(0), half, -&half]
    }

    /// By hand: a variance of 3 is expected and 7 found, 4 in excess, that is 4/3 of the expected variance.
    #[test]
    fn one_direction_by_hand() {
        let mut plda = model(array![2.0]);
        plda.adapt(&vectors(&array![[7f64.sqrt()]]), AdaptOptions::default())
            .unwrap();
        let (within, between) = (1.0 + 0.3 * 4.0, 2.0 + 0.7 * 4.0);
        assert!((plda.psi[0] - between / within).abs() < 1e-12, "{plda:?}");
        assert!((plda.transform[[0, 0]].powi(2) - 1.0 / within).abs() < 1e-12);
    }

    #[test]
    fn less_variance_than_expected_changes_nothing_but_the_mean() {
        let mut plda = model(array![2.0, 0.5]);
        let shifted = vectors(&array![[0.5, 0.1], [0.0, 0.3]]) + &array![3.0, -1.0];
        let options = AdaptOptions {
            mean_diff_scale: 0.0,
            ..AdaptOptions::default()
        };
        plda.adapt(&shifted, options).unwrap();
        assert!(
            (&plda.mean - &array![3.0, -1.0])
                .iter()
                .all(|gap| gap.abs() < 1e-12)
        );
        assert!(
            (&plda.psi - &array![2.0, 0.5])
                .iter()
                .all(|gap| gap.abs() < 1e-12)
        );
    }

    /// Where every direction varies more than expected, the model's total covariance becomes the one found.
    #[test]
    fn the_total_becomes_that_of_the_vectors() {
        let mut plda = model(array![2.0, 0.5]);
        let root = array![[4.0, 0.0], [1.0, 3.0]];
        plda.adapt(&(vectors(&root) + 1.0), AdaptOptions::default())
            .unwrap();
        let step = Array2::from_elem((2, 2), 1.0);
        let total = plda
            .transform
            .dot(&(root.dot(&root.t()) + step))
            .dot(&plda.transform.t());
        let expected = Array2::from_diag(&(&plda.psi + 1.0));
        assert!((total - expected).iter().all(|gap| gap.abs() < 1e-10));
    }

    #[test]
    fn negative_shares_are_refused() {
        let options = AdaptOptions {
            within_covar_scale: -0.1,
            ..AdaptOptions::default()
        };
        let error = model(array![1.0])
            .adapt(&array![[1.0]], options)
            .unwrap_err();
        assert!(
            error.to_string().starts_with("within-covar-scale: "),
            "{error}"
        );
    }
}
