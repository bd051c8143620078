//! Masks of padded batches, as [`crate::nn::Mask`] has them, and statistics over frames without padding.

use super::graph::Value;
use super::proto::ElementKind;

/// The frames of a batch that are not padding.
#[derive(Clone)]
pub(super) struct Mask<'g> {
    /// Frames of each sequence, `[batch]`.
    pub(super) lengths: Value<'g>,
    /// Frames of the padded batch, `[1]`.
    frames: Value<'g>,
    /// `[batch, 1, frames]` of ones and zeros.
    ones: Value<'g>,
}

impl<'g> Mask<'g> {
    /// For sequences of `lengths` frames `[batch]`, padded to `frames` `[1]`.
    pub(super) fn new(lengths: Value<'g>, frames: Value<'g>) -> Self {
        let places = lengths.graph().count_to(&frames).reshape(&[1, 1, -1]);
        let real = places.less(&lengths.reshape(&[-1, 1, 1]));
        Self {
            ones: real.cast(ElementKind::Float),
            lengths,
            frames,
        }
    }

    /// For the mean of each sequence, a sequence of one frame.
    pub(super) fn single(&self) -> Self {
        let one = self.lengths.graph().ints(&[1]);
        Self::new(self.lengths.min(&one).max(&one), one)
    }

    /// The mask after a convolution of stride `stride` that rounds up. (A slice of every other frame would do, but not
    /// every runtime has one of an axis of any size.)
    pub(super) fn subsample(&self, stride: i64) -> Self {
        if stride == 1 {
            return self.clone();
        }
        let up = |frames: &Value<'g>| frames.plus((stride - 1) as f64).over(stride as f64);
        Self::new(up(&self.lengths), up(&self.frames))
    }

    /// Ones and zeros `[batch, 1, frames]` of the type of `x`.
    fn ones_like(&self, x: &Value<'g>) -> Value<'g> {
        match x.kind() {
            ElementKind::Float => self.ones.clone(),
            kind => self.ones.cast(kind),
        }
    }

    /// `[batch, 1, frames]` of booleans, true where a frame is not padding.
    pub(super) fn real(&self) -> Value<'g> {
        self.ones.cast(ElementKind::Bool)
    }

    /// Zeroes the padding of `[batch, channels, frames]`.
    pub(super) fn apply(&self, x: &Value<'g>) -> Value<'g> {
        x.mul(&self.ones_like(x))
    }

    /// Zeroes the padding of `[batch, channels, bins, frames]`.
    pub(super) fn apply_to_bins(&self, x: &Value<'g>) -> Value<'g> {
        x.mul(&self.ones.reshape(&[0, 1, 1, -1]))
    }

    /// `[batch, channels, frames]` with `value` in the padding.
    pub(super) fn fill(&self, x: &Value<'g>, value: f64) -> Value<'g> {
        self.real().choose(x, &x.number(value))
    }

    /// Mean of `[batch, channels, frames]` over frames without padding, `[batch, channels, 1]`.
    pub(super) fn mean(&self, x: &Value<'g>) -> Value<'g> {
        let counts = self.lengths.cast(x.kind()).at_least(1.0);
        self.apply(x).sum(&[2]).div(&counts.reshape(&[-1, 1, 1]))
    }

    /// Mean and standard deviation, each `[batch, channels, 1]`.
    pub(super) fn mean_std(&self, x: &Value<'g>) -> [Value<'g>; 2] {
        let mean = self.mean(x);
        let variance = self.mean(&x.sub(&mean).square());
        [mean, variance.plus(1e-5).sqrt()]
    }

    /// Each channel gets mean 0 and variance 1; the padding is zero.
    pub(super) fn instance_norm(&self, x: &Value<'g>) -> Value<'g> {
        let [mean, std] = self.mean_std(x);
        self.apply(&x.sub(&mean).div(&std))
    }
}
