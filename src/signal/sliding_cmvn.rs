//! Mean and variance normalisation over a sliding window: `[frames, dim]` to the same shape, as Kaldi's
//! `apply-cmvn-sliding`.

use ndarray::{Array2, ArrayView2};

use super::stream::{FeatureStream, History, whole};
use crate::error::{Error, Result};

/// Kaldi floors variances here.
const VARIANCE_FLOOR: f64 = 1e-10;

/// Kaldi's options by Kaldi's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingCmvnOptions {
    /// Length of the window in frames.
    pub cmn_window: usize,
    /// Frames that the window has at least at the start of an utterance, looking ahead for them; without
    /// `center` only.
    pub min_cmn_window: usize,
    /// Whether the window lies around the frame; else it is the frame and the `cmn_window` before it.
    pub center: bool,
    /// Whether variances are normalised to 1 too.
    pub norm_vars: bool,
}

impl Default for SlidingCmvnOptions {
    fn default() -> Self {
        Self {
            cmn_window: 600,
            min_cmn_window: 100,
            center: false,
            norm_vars: false,
        }
    }
}

/// Normalises over a sliding window; built once, used for every utterance.
///
/// At the edges the window is moved inwards, so that it keeps its length where the utterance has so many frames
/// (Kaldi, `feature-functions.cc`, `SlidingWindowCmn`). Sums are f64. With `norm_vars` the biased variance is
/// floored at 1e-10, and the frame of a window of one frame becomes 0.
///
/// ```
/// use ndarray::array;
/// use unbraid::signal::sliding_cmvn::{SlidingCmvn, SlidingCmvnOptions};
///
/// let options = SlidingCmvnOptions { cmn_window: 3, center: true, ..SlidingCmvnOptions::default() };
/// let feats = SlidingCmvn::new(options)?.compute(array![[1.0], [2.0], [6.0], [4.0]].view())?;
/// assert_eq!(feats, array![[-2.0], [-1.0], [2.0], [0.0]]);
/// # Ok::<(), unbraid::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingCmvn {
    options: SlidingCmvnOptions,
}

impl SlidingCmvn {
    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Option`] `cmn_window` when it is 0; `min_cmn_window`, without `center`, when it is 0 or above
    /// `cmn_window`.
    pub fn new(options: SlidingCmvnOptions) -> Result<Self> {
        let SlidingCmvnOptions {
            cmn_window,
            min_cmn_window,
            center,
            ..
        } = options;
        if cmn_window == 0 {
            return Err(Error::option("cmn_window", "a frame or more", "0"));
        }
        if !center && (min_cmn_window == 0 || min_cmn_window > cmn_window) {
            let expected = format!("1 to {cmn_window}, the length of the window");
            return Err(Error::option(
                "min_cmn_window",
                expected,
                min_cmn_window.to_string(),
            ));
        }
        Ok(Self { options })
    }

    /// The normalised features.
    ///
    /// # Errors
    /// [`Error::Option`] `sliding cmvn` for features without a frame and for values that are not finite.
    pub fn compute(&self, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        whole(self.stream(), feats)
    }

    /// The same for a stream. With `center` a frame is delayed by half a window, without it only the
    /// first `min_cmn_window` do.
    pub fn stream(&self) -> SlidingCmvnStream {
        SlidingCmvnStream {
            options: self.options,
            history: History::new("sliding cmvn"),
            sums: Sums::default(),
            done: 0,
        }
    }
}

/// Normalisation of one utterance, frame by frame.
#[derive(Debug, Clone)]
pub struct SlidingCmvnStream {
    options: SlidingCmvnOptions,
    history: History,
    sums: Sums,
    /// Frames returned so far.
    done: usize,
}

impl SlidingCmvnStream {
    /// The window of a frame in an utterance without end.
    fn window(&self, frame: usize) -> (usize, usize) {
        let SlidingCmvnOptions { cmn_window, .. } = self.options;
        if self.options.center {
            let start = frame.saturating_sub(cmn_window / 2);
            return (start, start + cmn_window);
        }
        let end = (frame + 1).max(self.options.min_cmn_window);
        (frame.saturating_sub(cmn_window), end)
    }

    /// Gives the frames up to the first whose window has not come yet; at the end, all.
    fn give(&mut self, ended: bool) -> Array2<f32> {
        let (frames, dim) = (self.history.frames(), self.history.dim());
        let mut values = Vec::new();
        while self.done < frames {
            let (mut start, mut end) = self.window(self.done);
            if end > frames && !ended {
                break;
            }
            if end > frames {
                start = start.saturating_sub(end - frames);
                end = frames;
            }
            self.sums.move_to(start, end, &self.history);
            let frame = self.history.frame(self.done);
            self.sums
                .normalise(frame, self.options.norm_vars, &mut values);
            self.done += 1;
        }
        // The next window never begins before this one's beginning, and its frame is not behind `done`.
        self.history.forget_before(self.sums.start.min(self.done));
        Array2::from_shape_vec((values.len() / dim.max(1), dim), values)
            .expect("as many values as rows and columns ask for")
    }
}

impl FeatureStream for SlidingCmvnStream {
    fn push(&mut self, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        self.history.push(feats)?;
        Ok(self.give(false))
    }

    fn finish(mut self) -> Result<Array2<f32>> {
        self.history.check_any()?;
        Ok(self.give(true))
    }
}

/// Sums over the frames `start..end`, kept up as both move on.
#[derive(Debug, Clone, Default)]
struct Sums {
    start: usize,
    end: usize,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    fn move_to(&mut self, start: usize, end: usize, history: &History) {
        self.sum.resize(history.dim(), 0.0);
        self.squares.resize(history.dim(), 0.0);
        while self.end < end {
            self.add(history.frame(self.end), 1.0);
            self.end += 1;
        }
        while self.start < start {
            self.add(history.frame(self.start), -1.0);
            self.start += 1;
        }
    }

    fn add(&mut self, frame: &[f32], sign: f64) {
        let sums = self.sum.iter_mut().zip(&mut self.squares);
        for ((sum, square), &value) in sums.zip(frame) {
            let value = f64::from(value);
            *sum += sign * value;
            *square += sign * value * value;
        }
    }

    fn normalise(&self, frame: &[f32], norm_vars: bool, out: &mut Vec<f32>) {
        let count = (self.end - self.start) as f64;
        let sums = self.sum.iter().zip(&self.squares);
        out.extend(frame.iter().zip(sums).map(|(&value, (sum, square))| {
            let mean = sum / count;
            let centred = f64::from(value) - mean;
            match norm_vars {
                false => centred as f32,
                true if count == 1.0 => 0.0,
                true => {
                    let variance = (square / count - mean * mean).max(VARIANCE_FLOOR);
                    (centred / variance.sqrt()) as f32
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::testing::{any_cut_gives_the_same, feats};
    use super::*;
    use ndarray::{Axis, s};

    fn made(cmn_window: usize, min_cmn_window: usize, center: bool) -> SlidingCmvn {
        SlidingCmvn::new(SlidingCmvnOptions {
            cmn_window,
            min_cmn_window,
            center,
            norm_vars: true,
        })
        .unwrap()
    }

    #[test]
    fn any_cut_gives_the_same_bits() {
        for (window, least) in [(1, 1), (2, 1), (7, 3), (40, 40), (600, 100)] {
            any_cut_gives_the_same(|| made(window, least, false).stream());
            any_cut_gives_the_same(|| made(window, least, true).stream());
        }
    }

    #[test]
    fn a_window_beyond_the_utterance_is_the_whole_of_it() {
        let feats = feats(50, 3);
        for center in [false, true] {
            let out = made(600, 100, center).compute(feats.view()).unwrap();
            let mean = feats.mean_axis(Axis(0)).unwrap();
            let deviation = feats.std_axis(Axis(0), 0.0);
            let expected = (&feats - &mean) / &deviation;
            let apart = (&out - &expected).mapv(f32::abs);
            assert!(apart.iter().all(|x| *x < 1e-5), "{apart}");
        }
    }

    #[test]
    fn the_window_is_kaldis() {
        let feats = feats(40, 1);
        let options = SlidingCmvnOptions {
            cmn_window: 10,
            min_cmn_window: 4,
            center: false,
            norm_vars: false,
        };
        let out = SlidingCmvn::new(options).unwrap();
        let out = out.compute(feats.view()).unwrap();
        for (frame, start, end) in [(0, 0, 4), (2, 0, 4), (9, 0, 10), (10, 0, 11), (25, 15, 26)] {
            let mean = feats.slice(s![start..end, 0]).mean().unwrap();
            assert!((out[[frame, 0]] - (feats[[frame, 0]] - mean)).abs() < 1e-5);
        }
    }

    #[test]
    fn windows_out_of_range_are_named() {
        for (cmn_window, min_cmn_window, center, message) in [
            (0, 1, true, "cmn_window: expected a frame or more, found 0"),
            (9, 0, false, "min_cmn_window: expected 1 to 9"),
            (
                9,
                10,
                false,
                "min_cmn_window: expected 1 to 9, the length of the window, found 10",
            ),
        ] {
            let options = SlidingCmvnOptions {
                cmn_window,
                min_cmn_window,
                center,
                norm_vars: false,
            };
            let error = SlidingCmvn::new(options).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
