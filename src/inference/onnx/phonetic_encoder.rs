//! The phonetic encoder as a graph.

use super::conformer;
use super::graph::Value;
use super::layers::{Moves, Weights, conv1d, quantise};
use super::mask::Mask;
use super::recurrent;
use crate::nn::BottleneckOptions;
use crate::nn::PhoneticEncoderOptions;
use crate::nn::phonetic_encoder::{Backbone, adds, strides};

/// Normalised features `[batch, bins, frames]` to codes `[batch, code_dim, codes]` and their mask.
pub(super) fn codes<'g>(
    options: &PhoneticEncoderOptions,
    weights: &Weights<'g>,
    feats: &Value<'g>,
    mask: &Mask<'g>,
) -> (Value<'g>, Mask<'g>) {
    let (mut x, mut mask) = (mask.apply(feats), mask.clone());
    for (index, stride) in strides(options).into_iter().enumerate() {
        let moves = Moves {
            stride,
            causal: options.causal,
            ..Default::default()
        };
        let y = conv1d(&x, &weights.at(&format!("conv{index}")), moves);
        mask = mask.subsample(stride);
        let y = match options.instance_norm {
            true => mask.instance_norm(&y),
            false => mask.apply(&y),
        }
        .relu();
        x = if adds(index, stride) { y.add(&x) } else { y };
    }
    x = match options.backbone {
        Backbone::Conv { .. } => x,
        Backbone::Recurrent { layers } => recurrent::forward(
            &weights.at("gru"),
            (layers, options.causal),
            &x,
            Some(&mask),
        ),
        Backbone::Conformer { layers, .. } => (0..layers).fold(x, |x, index| {
            conformer::block(options, &weights.at(&format!("block{index}")), &x, &mask)
        }),
    };
    if options.pool {
        x = mask.mean(&x);
        mask = mask.single();
    }
    x = conv1d(&x, &weights.at("code"), Moves::default());
    if options.code_norm {
        x = mask.instance_norm(&x);
    }
    x = bottleneck(options, &weights.at("bottleneck"), &x, &mask);
    (mask.apply(&x), mask)
}

/// `[batch, inputs, codes]` to codes `[batch, code_dim, codes]`.
fn bottleneck<'g>(
    options: &PhoneticEncoderOptions,
    weights: &Weights<'g>,
    x: &Value<'g>,
    mask: &Mask<'g>,
) -> Value<'g> {
    match options.bottleneck {
        BottleneckOptions::None => x.clone(),
        BottleneckOptions::Fsq {
            levels,
            balanced: false,
        } => quantise(x, levels),
        BottleneckOptions::Fsq { levels, .. } => quantise_by_rank(x, mask, levels),
        BottleneckOptions::Vae { .. } => x.slice(1, 0, options.code_dim),
        BottleneckOptions::Vq { .. } => nearest(&weights.at("codebook"), x),
    }
}

/// As [`crate::nn::bottleneck::quantise_by_rank`].
fn quantise_by_rank<'g>(x: &Value<'g>, mask: &Mask<'g>, levels: i64) -> Value<'g> {
    let rank = mask.fill(&x.tanh(), 2.0).argsort(2).argsort(2);
    let counts = mask.lengths.at_least(1.0).reshape(&[-1, 1, 1]);
    // Of whole numbers, so that it rounds down; padding has the highest ranks.
    let level = rank.times(levels as f64).div(&counts);
    let half = (levels - 1) as f64 / 2.0;
    level.cast(x.kind()).over(half).plus(-1.0)
}

/// The nearest vectors of a codebook.
fn nearest<'g>(weights: &Weights<'g>, x: &Value<'g>) -> Value<'g> {
    let vectors = weights.tensor("vectors");
    let squares = vectors
        .square()
        .sum_dim_intlist(&[1i64][..], false, tch::Kind::Float);
    let products = x
        .transpose(&[0, 2, 1])
        .matmul(&weights.made("transposed", &vectors.tr()));
    let distances = weights.made("squares", &squares).sub(&products.times(2.0));
    weights
        .constant("vectors")
        .gather(&distances.argmin(2), 0)
        .transpose(&[0, 2, 1])
}
