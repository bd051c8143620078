//! Conformer blocks as a graph.

use super::graph::Value;
use super::layers::{Moves, Weights, conv1d, layer_norm, linear, silu};
use super::mask::Mask;
use crate::nn::PhoneticEncoderOptions;
use crate::nn::phonetic_encoder::Backbone;

/// `[batch, channels, frames]`, same shape out.
pub(super) fn block<'g>(
    options: &PhoneticEncoderOptions,
    weights: &Weights<'g>,
    x: &Value<'g>,
    mask: &Mask<'g>,
) -> Value<'g> {
    let x = x.transpose(&[0, 2, 1]);
    let x = x.add(&feed_forward(&weights.at("first"), &x).times(0.5));
    let x = x.add(&attention(options, &weights.at("attention"), &x, mask));
    let x = x.add(&convolution(options, &weights.at("convolution"), &x, mask));
    let x = x.add(&feed_forward(&weights.at("second"), &x).times(0.5));
    let x = layer_norm(&x, &weights.at("norm"));
    mask.apply(&x.transpose(&[0, 2, 1]))
}

fn feed_forward<'g>(weights: &Weights<'g>, x: &Value<'g>) -> Value<'g> {
    let x = layer_norm(x, &weights.at("norm"));
    linear(
        &silu(&linear(&x, &weights.at("hidden"))),
        &weights.at("output"),
    )
}

fn attention<'g>(
    options: &PhoneticEncoderOptions,
    weights: &Weights<'g>,
    x: &Value<'g>,
    mask: &Mask<'g>,
) -> Value<'g> {
    let Backbone::Conformer { heads, .. } = options.backbone else {
        unreachable!("only conformers have blocks");
    };
    let dim = options.channels / heads;
    let every = linear(&layer_norm(x, &weights.at("norm")), &weights.at("input"));
    let every = every
        .reshape(&[0, 0, 3 * heads, dim])
        .transpose(&[0, 2, 1, 3]);
    // Each [batch, heads, frames, dim].
    let parts = every.parts(1, 3, 3 * heads);
    let all = |part: &Value<'g>| match x.graph().state(&[None, Some(heads), None, Some(dim)]) {
        None => part.clone(),
        Some(past) => {
            let joined = part.behind(&past);
            x.graph().next_state(&past, &joined);
            joined
        }
    };
    let (keys, values) = (all(&parts[1]), all(&parts[2]));
    let scores = parts[0]
        .matmul(&keys.transpose(&[0, 1, 3, 2]))
        .times((dim as f64).sqrt().recip());
    let allowed = match options.causal {
        true => ordered(&parts[0], &keys),
        false => mask.real().reshape(&[0, 1, 1, -1]),
    };
    let weight = allowed.choose(&scores, &scores.number(-1e9));
    let found = weight.softmax(3).matmul(&values);
    let joined = found.transpose(&[0, 2, 1, 3]).reshape(&[0, 0, -1]);
    linear(&joined, &weights.at("output"))
}

/// Which of all frames so far the last ones may attend to: those up to their own, `[1, 1, frames, all frames]`. In a
/// causal model, padding is later than all that counts.
fn ordered<'g>(queries: &Value<'g>, keys: &Value<'g>) -> Value<'g> {
    let (new, all) = (queries.size(2), keys.size(2));
    let places = queries.graph().count_to(&all);
    let own = queries.graph().count_to(&new).add(&all.sub(&new));
    let later = own.plus(1.0).reshape(&[1, 1, -1, 1]);
    places.reshape(&[1, 1, 1, -1]).less(&later)
}

fn convolution<'g>(
    options: &PhoneticEncoderOptions,
    weights: &Weights<'g>,
    x: &Value<'g>,
    mask: &Mask<'g>,
) -> Value<'g> {
    let channels = options.channels;
    let x = linear(&layer_norm(x, &weights.at("norm")), &weights.at("input"));
    let halves = x.parts(2, 2, 2 * channels);
    let gated = halves[0].mul(&halves[1].sigmoid()).transpose(&[0, 2, 1]);
    let moves = Moves {
        causal: options.causal,
        groups: channels,
        ..Default::default()
    };
    let near = conv1d(&mask.apply(&gated), &weights.at("depthwise"), moves);
    let inner = layer_norm(&near.transpose(&[0, 2, 1]), &weights.at("inner"));
    linear(&silu(&inner), &weights.at("output"))
}
