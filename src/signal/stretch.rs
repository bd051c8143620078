//! Stretching of `[frames, dim]` to a fixed number of frames, by linear interpolation in time.

use ndarray::{Array2, ArrayView2, s};

use super::stream::check;
use crate::error::{Error, Result};

/// The most frames: more are probably a mistake.
const MOST: usize = 100_000;

/// Stretches utterances to one number of frames; the first and the last frame are kept. For single words, whose duration
/// depends on the speaker.
///
/// ```
/// use ndarray::array;
/// use unbraid::signal::stretch::Stretcher;
///
/// let feats = array![[0.0], [2.0]];
/// assert_eq!(Stretcher::new(3)?.compute(feats.view())?, array![[0.0], [1.0], [2.0]]);
/// # Ok::<(), unbraid::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretcher {
    frames: usize,
}

impl Stretcher {
    /// A stretcher to `frames` frames.
    ///
    /// # Errors
    /// [`Error::Option`] `frames` when it is 0 or above 100000.
    pub fn new(frames: usize) -> Result<Self> {
        match frames {
            1..=MOST => Ok(Self { frames }),
            _ => {
                let expected = format!("a number from 1 to {MOST}");
                Err(Error::option("frames", expected, frames.to_string()))
            }
        }
    }

    /// The stretched features.
    ///
    /// # Errors
    /// [`Error::Option`] `stretch` for features without a frame or a column, and for values that are not finite.
    pub fn compute(&self, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        if feats.nrows() == 0 {
            let expected = "features of a frame or more";
            return Err(Error::option("stretch", expected, "none"));
        }
        check("stretch", 0, feats)?;
        Ok(stretch(feats, self.frames))
    }
}

/// `[frames, dim]`, at least one frame, to `[target, dim]`.
pub fn stretch(feats: ArrayView2<'_, f32>, target: usize) -> Array2<f32> {
    let (frames, dim) = feats.dim();
    let mut out = Array2::zeros((target, dim));
    for (index, mut row) in out.rows_mut().into_iter().enumerate() {
        let at = stretched_position(index, frames, target);
        let (low, share) = (at.floor() as usize, (at - at.floor()) as f32);
        let high = (low + 1).min(frames - 1);
        row.assign(&feats.slice(s![low, ..]));
        row *= 1.0 - share;
        row.scaled_add(share, &feats.slice(s![high, ..]));
    }
    out
}

/// Where frame `index` of `target` lies among `frames` of the source.
pub fn stretched_position(index: usize, frames: usize, target: usize) -> f64 {
    let last = frames.saturating_sub(1) as f64;
    last * index as f64 / target.saturating_sub(1).max(1) as f64
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn stretching_keeps_the_ends() {
        let feats = array![[0f32], [1.0], [2.0], [3.0]];
        let to = |target| stretch(feats.view(), target).column(0).to_vec();
        assert_eq!(to(7), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(to(2), [0.0, 3.0]);
        assert_eq!(to(4), [0.0, 1.0, 2.0, 3.0]);
        let one = array![[5f32]];
        assert_eq!(stretch(one.view(), 3).column(0).to_vec(), [5.0; 3]);
    }

    #[test]
    fn senseless_numbers_and_features_are_refused() {
        assert!(Stretcher::new(0).is_err());
        let error = Stretcher::new(MOST + 1).unwrap_err().to_string();
        assert_eq!(
            error,
            "frames: expected a number from 1 to 100000, found 100001"
        );
        let stretcher = Stretcher::new(3).unwrap();
        let refuse = |feats: Array2<f32>| stretcher.compute(feats.view()).unwrap_err().to_string();
        assert!(refuse(Array2::zeros((0, 2))).contains("a frame or more"));
        assert!(refuse(Array2::zeros((2, 0))).contains("a column or more"));
        assert!(refuse(array![[1.0, f32::NAN]]).contains("finite features"));
    }
}
