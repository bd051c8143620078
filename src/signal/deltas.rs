//! Features with their deltas appended: `[frames, dim]` to `[frames, dim * (order + 1)]`, as
//! Kaldi's `add-deltas`.

use ndarray::{Array2, ArrayView2};

use super::stream::{FeatureStream, History, whole};
use crate::error::{Error, Result};

/// The largest values: larger ones are probably mistakes.
const MOST: usize = 1000;

/// Kaldi's options by Kaldi's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeltaOptions {
    /// Order of differences: 1 for deltas, 2 for accelerations too; 0 changes nothing.
    pub order: usize,
    /// Frames on each side in the regression of a delta.
    pub window: usize,
}

impl Default for DeltaOptions {
    fn default() -> Self {
        Self {
            order: 2,
            window: 2,
        }
    }
}

/// Adds deltas; built once, used for every utterance.
///
/// A delta is the slope of the line fitted through `2 * window + 1` frames, `sum_j j x[t+j] / sum_j j^2` (Young et
/// al., The HTK Book, eq. 5.16); a delta of the next order is the same of the deltas, written as one filter over
/// the features, so that beyond the edges the first and last *feature* frame repeat, as in Kaldi
/// (`feature-functions.cc`, `DeltaFeatures`).
///
/// ```
/// use ndarray::array;
/// use unbraid::signal::deltas::{DeltaOptions, Deltas};
///
/// let deltas = Deltas::new(DeltaOptions { order: 1, window: 1 })?;
/// let feats = deltas.compute(array![[1.0, 5.0], [3.0, 5.0], [7.0, 5.0]].view())?;
/// assert_eq!(feats, array![[1.0, 5.0, 1.0, 0.0], [3.0, 5.0, 3.0, 0.0], [7.0, 5.0, 2.0, 0.0]]);
/// # Ok::<(), unbraid::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Deltas {
    /// The filter of each order, of odd length, its middle on the frame.
    filters: Vec<Vec<f32>>,
}

impl Deltas {
    /// Prepares the filters.
    ///
    /// # Errors
    /// [`Error::Option`] `window` when it is 0, and either when it is above 1000.
    pub fn new(options: DeltaOptions) -> Result<Self> {
        let DeltaOptions { order, window } = options;
        if order > MOST {
            return Err(Error::option(
                "order",
                format!("0 to {MOST}"),
                order.to_string(),
            ));
        }
        if window == 0 || window > MOST {
            return Err(Error::option(
                "window",
                format!("1 to {MOST}"),
                window.to_string(),
            ));
        }
        let mut filter = vec![1.0];
        let mut filters = vec![filter.clone()];
        for _ in 0..order {
            filter = slope(&filter, window);
            filters.push(filter.clone());
        }
        let rounded = |filter: Vec<f64>| filter.into_iter().map(|x| x as f32).collect();
        Ok(Self {
            filters: filters.into_iter().map(rounded).collect(),
        })
    }

    /// Frames of context on each side of the highest order.
    pub fn context(&self) -> usize {
        self.filters.last().map_or(0, |filter| filter.len() / 2)
    }

    /// The features `[frames, dim]` and their deltas, order after order.
    ///
    /// # Errors
    /// [`Error::Option`] `deltas` for features without a frame and for values that are not finite.
    pub fn compute(&self, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        whole(self.stream(), feats)
    }

    /// The same for a stream; a frame is returned [`Deltas::context`] frames later.
    pub fn stream(&self) -> DeltaStream<'_> {
        DeltaStream {
            deltas: self,
            history: History::new("deltas"),
            done: 0,
        }
    }
}

/// The filter that gives the slope of what `filter` gives.
fn slope(filter: &[f64], window: usize) -> Vec<f64> {
    let norm: f64 = 2.0 * (1..=window).map(|j| (j * j) as f64).sum::<f64>();
    let mut out = vec![0.0; filter.len() + 2 * window];
    for step in 0..=2 * window {
        let weight = (step as f64 - window as f64) / norm;
        for (at, value) in filter.iter().enumerate() {
            out[step + at] += weight * value;
        }
    }
    out
}

/// Deltas of one utterance, frame by frame.
#[derive(Debug, Clone)]
pub struct DeltaStream<'a> {
    deltas: &'a Deltas,
    history: History,
    /// Frames returned so far.
    done: usize,
}

impl DeltaStream<'_> {
    /// Returns the frames up to `end`.
    fn give(&mut self, end: usize) -> Array2<f32> {
        let dim = self.history.dim();
        let count = end.saturating_sub(self.done);
        let mut out = Array2::zeros((count, dim * self.deltas.filters.len()));
        for (row, frame) in out.rows_mut().into_iter().zip(self.done..) {
            let row = row
                .into_slice()
                .expect("rows of a new array are contiguous");
            self.fill(frame, row);
        }
        self.done += count;
        let context = self.deltas.context();
        self.history
            .forget_before(self.done.saturating_sub(context));
        out
    }

    fn fill(&self, frame: usize, row: &mut [f32]) {
        let last = self.history.frames() - 1;
        let parts = row.chunks_exact_mut(self.history.dim());
        for (filter, part) in self.deltas.filters.iter().zip(parts) {
            for (at, &weight) in filter.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                let near = (frame + at).saturating_sub(filter.len() / 2).min(last);
                for (sum, value) in part.iter_mut().zip(self.history.frame(near)) {
                    *sum += weight * value;
                }
            }
        }
    }
}

impl FeatureStream for DeltaStream<'_> {
    fn push(&mut self, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        self.history.push(feats)?;
        let ready = self.history.frames().saturating_sub(self.deltas.context());
        Ok(self.give(ready))
    }

    fn finish(mut self) -> Result<Array2<f32>> {
        self.history.check_any()?;
        Ok(self.give(self.history.frames()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::testing::{any_cut_gives_the_same, feats};
    use super::*;
    use ndarray::{array, s};

    #[test]
    fn any_cut_gives_the_same_bits() {
        for (order, window) in [(0, 1), (1, 1), (2, 2), (3, 4), (2, 60)] {
            let deltas = Deltas::new(DeltaOptions { order, window }).unwrap();
            any_cut_gives_the_same(|| deltas.stream());
        }
    }

    #[test]
    fn a_line_has_its_slope_and_no_acceleration_away_from_the_edges() {
        let line = Array2::from_shape_fn((30, 1), |(frame, _)| 3.0 * frame as f32 - 7.0);
        let deltas = Deltas::new(DeltaOptions::default()).unwrap();
        let out = deltas.compute(line.view()).unwrap();
        for row in out.slice(s![4..26, ..]).rows() {
            assert!((row[1] - 3.0).abs() < 1e-5 && row[2].abs() < 1e-5, "{row}");
        }
        // At the edge half of the fit sees the repeated frame: (1 * 3 + 2 * 6) / 10.
        assert!((out[[0, 1]] - 1.5).abs() < 1e-6);
    }

    #[test]
    fn contexts_beyond_the_utterance_repeat_its_edges() {
        let wide = Deltas::new(DeltaOptions {
            order: 2,
            window: 9,
        });
        let out = wide.unwrap().compute(array![[4.0f32, 1.0]].view()).unwrap();
        assert_eq!(out.slice(s![.., ..2]), array![[4.0, 1.0]]);
        assert!(out.iter().skip(2).all(|x| x.abs() < 1e-6), "{out}");
        assert_eq!(feats(2, 3).dim(), (2, 3));
    }

    #[test]
    fn options_out_of_range_are_named() {
        for (order, window, message) in [
            (1, 0, "window: expected 1 to 1000, found 0"),
            (1, 1001, "window: expected 1 to 1000, found 1001"),
            (1001, 1, "order: expected 0 to 1000, found 1001"),
        ] {
            let error = Deltas::new(DeltaOptions { order, window }).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
