//! The layers of x-vectors as a graph.

use super::graph::Value;
use super::layers::{Moves, Weights, batch_norm, conv1d};
use super::mask::Mask;
use crate::nn::tdnn::LAYERS;

/// `[batch, inputs, frames]` to `[batch, channels, frames]`.
pub(super) fn forward<'g>(weights: &Weights<'g>, x: &Value<'g>, mask: &Mask<'g>) -> Value<'g> {
    let layers = LAYERS.iter().enumerate();
    layers.fold(x.clone(), |x, (index, &(_, dilation))| {
        layer(&weights.at(&format!("tdnn{index}")), &x, dilation, mask)
    })
}

/// Convolution, rectifier, batch normalisation.
pub(super) fn layer<'g>(
    weights: &Weights<'g>,
    x: &Value<'g>,
    dilation: i64,
    mask: &Mask<'g>,
) -> Value<'g> {
    let moves = Moves {
        dilation,
        ..Default::default()
    };
    let y = conv1d(x, &weights.at("conv"), moves).relu();
    mask.apply(&batch_norm(&y, &weights.at("norm"), 3))
}
