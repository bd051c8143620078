//! ECAPA-TDNN as a graph.

use super::graph::Value;
use super::layers::{Moves, Weights, conv1d, linear};
use super::mask::Mask;
use super::tdnn::layer;
use crate::nn::ecapa::{DILATIONS, SCALE};

/// `[batch, inputs, frames]` to `[batch, outputs, frames]`.
pub(super) fn forward<'g>(weights: &Weights<'g>, x: &Value<'g>, mask: &Mask<'g>) -> Value<'g> {
    let mut x = layer(&weights.at("first"), x, 1, mask);
    let mut every = Vec::new();
    for dilation in DILATIONS {
        let y = block(&weights.at(&format!("block{dilation}")), &x, dilation, mask);
        x = x.add(&y);
        every.push(y);
    }
    let every: Vec<&Value<'g>> = every.iter().collect();
    let joined = x.graph().concat(&every, 1);
    mask.apply(&conv1d(&joined, &weights.at("last"), Moves::default()).relu())
}

fn block<'g>(weights: &Weights<'g>, x: &Value<'g>, dilation: i64, mask: &Mask<'g>) -> Value<'g> {
    let channels = weights.at("excite").tensor("bias").size()[0];
    let input = layer(&weights.at("input"), x, 1, mask);
    let chunks = input.parts(1, SCALE, channels);
    let mut every = vec![chunks[0].clone()];
    for part in 1..chunks.len() {
        // From the second part on, each part also reads the output of the one before it.
        let read = match part {
            1 => chunks[1].clone(),
            _ => chunks[part].add(&every[part - 1]),
        };
        every.push(layer(
            &weights.at(&format!("part{part}")),
            &read,
            dilation,
            mask,
        ));
    }
    let every: Vec<&Value<'g>> = every.iter().collect();
    let joined = x.graph().concat(&every, 1);
    let y = layer(&weights.at("output"), &joined, 1, mask);
    let mean = mask.mean(&y).reshape(&[0, -1]);
    let gate = linear(
        &linear(&mean, &weights.at("squeeze")).relu(),
        &weights.at("excite"),
    );
    y.mul(&gate.sigmoid().reshape(&[0, -1, 1])).add(x)
}
