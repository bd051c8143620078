//! ResNet-34 as a graph.

use super::graph::Value;
use super::layers::{Weights, batch_norm, conv2d};
use super::mask::Mask;
use crate::nn::resnet::STAGES;

/// `[batch, bins, frames]` to `[batch, outputs, ceil(frames / 8)]` and its mask.
pub(super) fn forward<'g>(
    weights: &Weights<'g>,
    x: &Value<'g>,
    mask: &Mask<'g>,
) -> (Value<'g>, Mask<'g>) {
    let mut mask = mask.clone();
    let mut x = layer(weights, &x.unsqueeze(1), 1, &mask).relu();
    for (stage, &count) in STAGES.iter().enumerate() {
        for index in 0..count {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            mask = mask.subsample(stride);
            let weights = weights
                .at(&format!("stage{stage}"))
                .at(&format!("block{index}"));
            // Where the width changes, a convolution takes the place of the identity.
            let shortcut = stage > 0 && index == 0;
            x = block(&weights, &x, (stride, shortcut), &mask);
        }
    }
    let rows = x.size(1).mul(&x.size(2));
    let stacked = x.graph().concat(&[&x.size(0), &rows, &x.size(3)], 0);
    (x.reshape_to(&stacked), mask)
}

fn block<'g>(
    weights: &Weights<'g>,
    x: &Value<'g>,
    (stride, shortcut): (i64, bool),
    mask: &Mask<'g>,
) -> Value<'g> {
    let y = layer(&weights.at("first"), x, stride, mask).relu();
    let y = layer(&weights.at("second"), &y, 1, mask);
    let way = match shortcut {
        true => layer(&weights.at("shortcut"), x, stride, mask),
        false => x.clone(),
    };
    y.add(&way).relu()
}

/// Convolution and batch normalisation.
fn layer<'g>(weights: &Weights<'g>, x: &Value<'g>, stride: i64, mask: &Mask<'g>) -> Value<'g> {
    let y = conv2d(x, &weights.at("conv"), stride);
    mask.apply_to_bins(&batch_norm(&y, &weights.at("norm"), 4))
}
