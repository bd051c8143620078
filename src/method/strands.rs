//! What every trained method gives: features to two strands, and back.

use std::fmt::Debug;

use tch::Tensor;

use crate::nn::Mask;

/// A trained model, as extraction and swaps use it. Nothing depends on what else is in a batch.
pub trait Strands: Debug {
    /// The phonetic strand of features `[batch, bins, frames]`: codes `[batch, code_dim, codes]` and their mask.
    fn codes(&self, feats: &Tensor, mask: &Mask) -> (Tensor, Mask);

    /// The speaker strand of features: `[batch, embedding_dim]`.
    fn embeds(&self, feats: &Tensor, mask: &Mask) -> Tensor;

    /// Both strands back to features `[batch, bins, frames]`; `mask` is that of the features.
    fn decode(&self, codes: &Tensor, embeds: &Tensor, mask: &Mask) -> Tensor;
}
