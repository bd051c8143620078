//! A causal convolution over frames that arrive in pieces.

use tch::{Kind, Tensor};

use super::layer::Conv1d;

/// State of a causal convolution in a stream.
#[derive(Debug, Default)]
pub struct ConvState {
    /// The frames that later outputs need, `[batch, inputs, frames]`; none before the first frames.
    pub(super) kept: Option<Tensor>,
    /// Number of following frames that no output reads.
    skip: i64,
}

impl ConvState {
    /// Takes the next frames `[batch, inputs, frames]` and returns the outputs that are ready, `[batch, outputs, ..]`,
    /// possibly none.
    pub fn push(&mut self, conv: &Conv1d, x: &Tensor) -> Tensor {
        let (reach, hop) = (conv.reach(), conv.hop());
        let x = match self.kept.take() {
            None => x.constant_pad_nd([reach, 0]),
            Some(kept) => Tensor::cat(&[&kept, x], 2),
        };
        let at_hand = x.size()[2];
        let skipped = self.skip.min(at_hand);
        self.skip -= skipped;
        let (x, at_hand) = (x.slice(2, skipped, None, 1), at_hand - skipped);
        let ready = ((at_hand - reach + hop - 1) / hop).max(0);
        let used = ready * hop;
        self.skip += (used - at_hand).max(0);
        // A copy: a view would keep all frames in memory.
        self.kept = Some(x.slice(2, used.min(at_hand), None, 1).copy());
        match ready {
            0 => x.new_zeros([x.size()[0], conv.outputs(), 0], (Kind::Float, x.device())),
            _ => conv.inside(&x.narrow(2, 0, used - hop + reach + 1)),
        }
    }
}
