//! Every n-th frame, or each frame n times: `[frames, dim]` to as many columns, as Kaldi's `subsample-feats`.

use ndarray::{Array2, ArrayView2};

use super::stream::{FeatureStream, check, whole};
use crate::error::{Error, Result};

/// The most repetitions: more are probably a mistake.
const MOST: i64 = 10_000;

/// Takes frames `offset, offset + n, ...`; with a negative `n` each frame is repeated `-n` times.
///
/// ```
/// use ndarray::array;
/// use unbraid::signal::subsample::Subsampler;
///
/// let feats = array![[0.0], [1.0], [2.0], [3.0], [4.0]];
/// assert_eq!(Subsampler::new(2, 1)?.compute(feats.view())?, array![[1.0], [3.0]]);
/// # Ok::<(), unbraid::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subsampler {
    n: i64,
    offset: usize,
}

impl Subsampler {
    /// A subsampler.
    ///
    /// # Errors
    /// [`Error::Option`] `n` when it is 0 or below -10000; `offset` when it is not 0 with a negative `n`.
    pub fn new(n: i64, offset: usize) -> Result<Self> {
        if n == 0 || n < -MOST {
            let expected = format!("a number from 1, or from -1 to -{MOST} to repeat frames");
            return Err(Error::option("n", expected, n.to_string()));
        }
        if n < 0 && offset != 0 {
            let expected = "0 where frames are repeated (n below 0)";
            return Err(Error::option("offset", expected, offset.to_string()));
        }
        Ok(Self { n, offset })
    }

    /// The number of output frames for `frames` input frames.
    pub fn frames(&self, frames: usize) -> usize {
        match usize::try_from(self.n) {
            Ok(n) => frames.saturating_sub(self.offset).div_ceil(n),
            Err(_) => frames * self.n.unsigned_abs() as usize,
        }
    }

    /// The selected or repeated frames.
    ///
    /// # Errors
    /// [`Error::Option`] `subsample` for features without a frame, for values that are not finite, and when no
    /// frame is left since `offset` is after the last one.
    pub fn compute(&self, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        whole(self.stream(), feats)
    }

    /// The same for a stream, without delay.
    pub fn stream(&self) -> SubsampleStream {
        SubsampleStream {
            subsampler: *self,
            dim: 0,
            came: 0,
        }
    }
}

/// Subsampling of one utterance, frame by frame.
#[derive(Debug, Clone)]
pub struct SubsampleStream {
    subsampler: Subsampler,
    /// Columns; 0 before the first frames.
    dim: usize,
    /// Number of received frames.
    came: usize,
}

impl FeatureStream for SubsampleStream {
    fn push(&mut self, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        check("subsample", self.dim, feats)?;
        if feats.nrows() == 0 {
            return Ok(Array2::zeros((0, self.dim)));
        }
        self.dim = feats.ncols();
        let first = self.subsampler.frames(self.came);
        self.came += feats.nrows();
        let rows = self.subsampler.frames(self.came) - first;
        let before = self.came - feats.nrows();
        Ok(Array2::from_shape_fn((rows, self.dim), |(row, column)| {
            let source = match usize::try_from(self.subsampler.n) {
                Ok(n) => self.subsampler.offset + (first + row) * n,
                Err(_) => (first + row) / self.subsampler.n.unsigned_abs() as usize,
            };
            feats[[source - before, column]]
        }))
    }

    fn finish(self) -> Result<Array2<f32>> {
        if self.came == 0 {
            return Err(Error::option(
                "subsample",
                "features of a frame or more",
                "none",
            ));
        }
        if self.subsampler.frames(self.came) == 0 {
            let expected = format!("more than {} frames", self.subsampler.offset);
            return Err(Error::option("offset", expected, self.came.to_string()));
        }
        Ok(Array2::zeros((0, self.dim)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::testing::{any_cut_gives_the_same, feats};
    use super::*;

    #[test]
    fn any_cut_gives_the_same_bits() {
        for (n, offset) in [(1, 0), (3, 0), (200, 0), (-1, 0), (-4, 0)] {
            let subsampler = Subsampler::new(n, offset).unwrap();
            any_cut_gives_the_same(|| subsampler.stream());
        }
    }

    #[test]
    fn the_right_frames_are_left() {
        let feats = feats(11, 2);
        for (n, offset, rows) in [
            (3, 0, vec![0, 3, 6, 9]),
            (3, 2, vec![2, 5, 8]),
            (20, 4, vec![4]),
            (1, 9, vec![9, 10]),
        ] {
            let subsampler = Subsampler::new(n, offset).unwrap();
            let out = subsampler.compute(feats.view()).unwrap();
            assert_eq!(out.nrows(), subsampler.frames(11));
            assert_eq!(out, feats.select(ndarray::Axis(0), &rows), "{n} {offset}");
        }
        let repeated = Subsampler::new(-2, 0).unwrap().compute(feats.view());
        let rows: Vec<usize> = (0..22).map(|row| row / 2).collect();
        assert_eq!(repeated.unwrap(), feats.select(ndarray::Axis(0), &rows));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (n, offset, message) in [
            (
                0,
                0,
                "n: expected a number from 1, or from -1 to -10000 to repeat frames, found 0",
            ),
            (i64::MIN, 0, "n: expected a number from 1"),
            (
                -2,
                1,
                "offset: expected 0 where frames are repeated (n below 0), found 1",
            ),
        ] {
            let error = Subsampler::new(n, offset).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let late = Subsampler::new(2, 5).unwrap();
        let error = late.compute(feats(5, 1).view()).unwrap_err().to_string();
        assert_eq!(error, "offset: expected more than 5 frames, found 5");
    }
}
