//! Each frame joined with its neighbours: `[frames, dim]` to `[frames, dim * (left + 1 + right)]`, as Kaldi's
//! `splice-feats`.

use ndarray::{Array2, ArrayView2};

use super::stream::{FeatureStream, History, whole};
use crate::error::{Error, Result};

/// The most context: more is probably a mistake.
const MOST: usize = 10_000;

/// Joins each frame with the frames before and after it; beyond the edges the first and last one repeat.
///
/// ```
/// use ndarray::array;
/// use unbraid::signal::splice::Splicer;
///
/// let feats = Splicer::new(1, 1)?.compute(array![[1.0], [2.0], [3.0]].view())?;
/// assert_eq!(feats, array![[1.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 3.0]]);
/// # Ok::<(), unbraid::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splicer {
    left: usize,
    right: usize,
}

impl Splicer {
    /// A splicer with `left` frames before and `right` frames after each; Kaldi's default is 4 and 4.
    ///
    /// # Errors
    /// [`Error::Option`] when one is above 10000.
    pub fn new(left: usize, right: usize) -> Result<Self> {
        for (name, context) in [("left_context", left), ("right_context", right)] {
            if context > MOST {
                return Err(Error::option(
                    name,
                    format!("0 to {MOST}"),
                    context.to_string(),
                ));
            }
        }
        Ok(Self { left, right })
    }

    /// The spliced features.
    ///
    /// # Errors
    /// [`Error::Option`] `splice` for features without a frame and for values that are not finite.
    pub fn compute(&self, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        whole(self.stream(), feats)
    }

    /// The same for a stream; a frame is returned `right` frames later.
    pub fn stream(&self) -> SpliceStream {
        SpliceStream {
            splicer: *self,
            history: History::new("splice"),
            done: 0,
        }
    }
}

/// Splicing of one utterance, frame by frame.
#[derive(Debug, Clone)]
pub struct SpliceStream {
    splicer: Splicer,
    history: History,
    /// Frames returned so far.
    done: usize,
}

impl SpliceStream {
    /// Returns the frames up to `end`.
    fn give(&mut self, end: usize) -> Array2<f32> {
        let Splicer { left, right } = self.splicer;
        let (dim, count) = (self.history.dim(), end.saturating_sub(self.done));
        let mut values = Vec::with_capacity(count * dim * (left + 1 + right));
        for frame in self.done..self.done + count {
            for at in 0..=left + right {
                let last = self.history.frames() - 1;
                let near = (frame + at).saturating_sub(left).min(last);
                values.extend_from_slice(self.history.frame(near));
            }
        }
        self.done += count;
        self.history.forget_before(self.done.saturating_sub(left));
        Array2::from_shape_vec((count, dim * (left + 1 + right)), values)
            .expect("as many values as rows and columns ask for")
    }
}

impl FeatureStream for SpliceStream {
    fn push(&mut self, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        self.history.push(feats)?;
        let ready = self.history.frames().saturating_sub(self.splicer.right);
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
    use ndarray::s;

    #[test]
    fn any_cut_gives_the_same_bits() {
        for (left, right) in [(0, 0), (4, 4), (0, 3), (7, 0), (200, 150)] {
            let splicer = Splicer::new(left, right).unwrap();
            any_cut_gives_the_same(|| splicer.stream());
        }
    }

    #[test]
    fn neighbours_stand_in_their_order_and_edges_repeat() {
        let feats = feats(6, 2);
        let out = Splicer::new(8, 1).unwrap().compute(feats.view()).unwrap();
        assert_eq!(out.dim(), (6, 20));
        for (frame, row) in out.rows().into_iter().enumerate() {
            for at in 0..10 {
                let near = (frame + at).saturating_sub(8).min(5);
                assert_eq!(row.slice(s![2 * at..2 * at + 2]), feats.row(near));
            }
        }
    }

    #[test]
    fn absurd_contexts_are_named() {
        let error = Splicer::new(4, 10_001).unwrap_err().to_string();
        assert_eq!(error, "right_context: expected 0 to 10000, found 10001");
    }
}
