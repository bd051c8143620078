//! Cepstral mean and variance normalisation: statistics in Kaldi's layout, added up in f64, and their use.
//! The caller decides which utterances are added: one, those of a speaker, or all.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use super::stream::check_finite;
use crate::error::{Error, Result};

/// Kaldi floors variances here.
const VARIANCE_FLOOR: f64 = 1e-20;

/// Sums over frames: `[2, dim + 1]` as `compute-cmvn-stats` writes it. Row 0 holds the sums and, last, the
/// number of frames; row 1 the sums of squares and, last, 0.
#[derive(Debug, Clone, PartialEq)]
pub struct CmvnStats(Array2<f64>);

impl CmvnStats {
    /// Empty statistics, for features of `dim` columns.
    pub fn new(dim: usize) -> Self {
        Self(Array2::zeros((2, dim + 1)))
    }

    /// Takes a matrix that was read from an archive. The caller adds its file and key to errors.
    ///
    /// # Errors
    /// [`Error::Option`] `cmvn` when it is not `[2, dim + 1]`, holds a value that is not finite, or has a
    /// negative count.
    pub fn from_matrix(matrix: Array2<f64>) -> Result<Self> {
        let (rows, columns) = matrix.dim();
        if rows != 2 || columns < 2 {
            let expected = "a matrix of 2 rows and dim + 1 columns";
            let found = format!("{rows} rows and {columns} columns");
            return Err(Error::option("cmvn", expected, found));
        }
        let sound = matrix.iter().all(|value| value.is_finite()) && matrix[[0, columns - 1]] >= 0.0;
        if !sound {
            let found = "a NaN, an infinity or a negative count";
            return Err(Error::option("cmvn", "finite statistics", found));
        }
        Ok(Self(matrix))
    }

    /// The matrix as Kaldi stores it.
    pub fn matrix(&self) -> &Array2<f64> {
        &self.0
    }

    /// Columns of the features.
    pub fn dim(&self) -> usize {
        self.0.ncols() - 1
    }

    /// Number of added frames.
    pub fn count(&self) -> f64 {
        self.0[[0, self.dim()]]
    }

    /// Adds the frames `[frames, dim]` of one utterance.
    ///
    /// # Errors
    /// [`Error::Option`] `cmvn` when the columns are not as many, or a value is not finite; nothing is
    /// added then.
    pub fn accumulate(&mut self, feats: ArrayView2<'_, f32>) -> Result<()> {
        self.check_dim(feats.ncols())?;
        if let Some(value) = feats.iter().find(|value| !value.is_finite()) {
            return Err(Error::option("cmvn", "finite features", value.to_string()));
        }
        let dim = self.dim();
        for frame in feats.axis_iter(Axis(0)) {
            for (column, &value) in frame.iter().enumerate() {
                self.0[[0, column]] += f64::from(value);
                self.0[[1, column]] += f64::from(value).powi(2);
            }
            self.0[[0, dim]] += 1.0;
        }
        Ok(())
    }

    /// Adds statistics of as many columns.
    ///
    /// # Errors
    /// [`Error::Option`] `cmvn` when the columns are not as many.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.check_dim(other.dim())?;
        self.0 += &other.0;
        Ok(())
    }

    /// Normalises `feats` `[frames, dim]` in place to mean 0 and, optionally, variance 1, as `apply-cmvn`
    /// does it: biased variance, floored at 1e-20.
    ///
    /// # Errors
    /// [`Error::Option`] `cmvn` when the columns are not as many, a value is not finite or the statistics hold no
    /// frame.
    pub fn apply(&self, feats: &mut Array2<f32>, normalise_variance: bool) -> Result<()> {
        let (means, deviations) = self.moments(feats, normalise_variance)?;
        for (column, mut values) in feats.axis_iter_mut(Axis(1)).enumerate() {
            let (mean, deviation) = (means[column], deviations[column]);
            values.mapv_inplace(|value| ((f64::from(value) - mean) / deviation) as f32);
        }
        Ok(())
    }

    /// Undoes [`CmvnStats::apply`] in place.
    ///
    /// # Errors
    /// As [`CmvnStats::apply`].
    pub fn revert(&self, feats: &mut Array2<f32>, normalise_variance: bool) -> Result<()> {
        let (means, deviations) = self.moments(feats, normalise_variance)?;
        for (column, mut values) in feats.axis_iter_mut(Axis(1)).enumerate() {
            let (mean, deviation) = (means[column], deviations[column]);
            values.mapv_inplace(|value| (f64::from(value) * deviation + mean) as f32);
        }
        Ok(())
    }

    /// Means and, optionally, deviations (else 1) of the columns of `feats`, which are checked.
    fn moments(&self, feats: &Array2<f32>, variance: bool) -> Result<(Array1<f64>, Array1<f64>)> {
        self.check_dim(feats.ncols())?;
        check_finite("cmvn", feats.view())?;
        if self.count() < 1.0 {
            let found = self.count().to_string();
            return Err(Error::option(
                "cmvn",
                "statistics of a frame or more",
                found,
            ));
        }
        let means = &self.0.slice(s![0, ..self.dim()]) / self.count();
        let squares = &self.0.slice(s![1, ..self.dim()]) / self.count();
        let deviations = match variance {
            true => (squares - &means * &means).mapv(|x| x.max(VARIANCE_FLOOR).sqrt()),
            false => Array1::ones(self.dim()),
        };
        Ok((means, deviations))
    }

    fn check_dim(&self, found: usize) -> Result<()> {
        if found == self.dim() {
            return Ok(());
        }
        let expected = format!("features of {} columns", self.dim());
        Err(Error::option("cmvn", expected, format!("{found} columns")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_layout_is_kaldis() {
        let mut stats = CmvnStats::new(2);
        stats
            .accumulate(array![[1.0, 2.0], [3.0, 6.0]].view())
            .unwrap();
        let mut other = CmvnStats::new(2);
        other.accumulate(array![[2.0, -1.0]].view()).unwrap();
        stats.merge(&other).unwrap();
        assert_eq!(stats.matrix(), array![[6.0, 7.0, 3.0], [14.0, 41.0, 0.0]]);
        assert_eq!(
            CmvnStats::from_matrix(stats.matrix().clone()).unwrap(),
            stats
        );
    }

    #[test]
    fn applied_to_its_own_frames_it_gives_mean_0_and_variance_1() {
        let feats = array![[1.0f32, 200.0, 5.0], [3.0, 600.0, 5.0], [8.0, -100.0, 5.0]];
        let mut stats = CmvnStats::new(3);
        stats.accumulate(feats.view()).unwrap();
        let mut means_only = feats.clone();
        stats.apply(&mut means_only, false).unwrap();
        assert_eq!(means_only.column(0), array![-3.0, -1.0, 4.0]);
        let mut both = feats.clone();
        stats.apply(&mut both, true).unwrap();
        for column in [0, 1] {
            let mean = both.column(column).sum() / 3.0;
            let variance = both.column(column).mapv(|x| x * x).sum() / 3.0;
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6);
        }
        assert_eq!(both.column(2), array![0.0, 0.0, 0.0]);
        for (mut back, variance) in [(means_only, false), (both, true)] {
            stats.revert(&mut back, variance).unwrap();
            assert!((&back - &feats).iter().all(|x| x.abs() < 1e-4), "{back}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut stats = CmvnStats::new(2);
        for bad in [array![[1.0f32]], array![[1.0, 2.0, 3.0]]] {
            assert!(stats.accumulate(bad.view()).is_err());
        }
        assert!(stats.accumulate(array![[0.0, f32::NAN]].view()).is_err());
        assert_eq!(stats, CmvnStats::new(2));
        assert!(stats.apply(&mut array![[0.0, 0.0]], false).is_err());
        stats.accumulate(array![[1.0, 2.0]].view()).unwrap();
        assert!(stats.apply(&mut array![[0.0, f32::NAN]], false).is_err());
        assert!(stats.merge(&CmvnStats::new(3)).is_err());
        for bad in [
            array![[1.0, 1.0]],
            array![[1.0], [1.0]],
            array![[1.0, -1.0], [1.0, 0.0]],
            array![[f64::NAN, 1.0], [1.0, 0.0]],
        ] {
            assert!(CmvnStats::from_matrix(bad).is_err());
        }
    }
}
