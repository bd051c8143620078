//! Pooling over time: from a sequence to one vector.

use tch::Tensor;
use tch::nn::Path;

use super::Mask;
use super::attentive_pooling::attentive_statistics;
use super::layer::Conv1d;

/// Mean, standard deviation and maximum over the real frames: `[batch, channels, frames]` to
/// `[batch, 3 channels]`.
pub fn statistics_and_max(x: &Tensor, mask: &Mask) -> Tensor {
    let (mean, std) = mask.mean_std(x);
    let hidden = match mask.real() {
        None => x.shallow_clone(),
        Some(real) => x.masked_fill(&real.logical_not(), -1e9),
    };
    Tensor::cat(&[mean, std, hidden.amax(2i64, true)], 1).squeeze_dim(2)
}

/// Mean and standard deviation over the real frames (statistics pooling, Snyder et al. 2017):
/// `[batch, channels, frames]` to `[batch, 2 channels]`.
pub fn statistics(x: &Tensor, mask: &Mask) -> Tensor {
    let (mean, std) = mask.mean_std(x);
    Tensor::cat(&[mean, std], 1).squeeze_dim(2)
}

/// Attentive statistics pooling (Okabe et al. 2018, eq. 3 to 6): weights per channel and frame, softmax over
/// time, then weighted mean and standard deviation.
#[derive(Debug)]
pub struct AttentiveStatsPooling {
    hidden: Conv1d,
    scores: Conv1d,
}

impl AttentiveStatsPooling {
    /// For `channels`, with an attention layer of `hidden` units.
    pub fn new(path: Path, channels: i64, hidden: i64) -> Self {
        Self {
            hidden: Conv1d::new(&path / "hidden", channels, hidden, 1),
            scores: Conv1d::new(&path / "scores", hidden, channels, 1),
        }
    }

    /// `[batch, channels, frames]` to `[batch, 2 channels]`.
    pub fn forward(&self, x: &Tensor, mask: &Mask) -> Tensor {
        let scores = (self.scores).activations(&self.hidden.activations(x).tanh());
        attentive_statistics(&scores, x, mask)
    }
}
