//! The encoders of FHVAE as a graph.

use super::graph::Value;
use super::layers::{Weights, linear};
use super::mask::Mask;
use super::recurrent;
use crate::method::fhvae::{FhvaeOptions, WITHIN};

/// Normalised features `[batch, bins, frames]` to codes `[batch, code_dim, codes]` and their mask. Each code is that of
/// the segment around its own frames.
pub(super) fn codes<'g>(
    options: &FhvaeOptions,
    weights: &Weights<'g>,
    feats: &Value<'g>,
    mask: &Mask<'g>,
) -> (Value<'g>, Mask<'g>) {
    let (length, hop) = (options.segment_frames, options.hop_frames);
    let x = windows(&mask.apply(feats), (length - hop) / 2, length, hop);
    let z2 = posterior(&weights.at("speaker_encoder"), &x, length);
    let every = z2.unsqueeze(2).add(&x.slice(1, 0, 1).times(0.0));
    let x = x.graph().concat(&[&x, &every], 1);
    let z1 = posterior(&weights.at("phonetic_encoder"), &x, length);
    let mask = mask.subsample(hop);
    let codes = by_window(&z1, feats, options.code_dim);
    (mask.apply(&codes), mask)
}

/// Normalised features `[batch, bins, frames]` to embeddings `[batch, embedding_dim]`: the estimate of an utterance's
/// mean.
pub(super) fn embedding<'g>(
    options: &FhvaeOptions,
    weights: &Weights<'g>,
    feats: &Value<'g>,
    mask: &Mask<'g>,
) -> Value<'g> {
    let length = options.segment_frames;
    let x = windows(&mask.apply(feats), 0, length, length);
    let z2 = posterior(&weights.at("speaker_encoder"), &x, length);
    let own = mask.subsample(length);
    let mean = own.mean(&by_window(&z2, feats, options.embedding_dim));
    let count = own.lengths.cast(mean.kind()).reshape(&[-1, 1]);
    let share = count.div(&count.plus(WITHIN));
    mean.reshape(&[0, -1]).mul(&share)
}

/// Windows of `length` frames, one every `hop`, the first of which begins `before` frames before `feats` `[batch, bins,
/// frames]`: `[batch * windows, bins, length]`.
fn windows<'g>(feats: &Value<'g>, before: i64, length: i64, hop: i64) -> Value<'g> {
    let graph = feats.graph();
    let filled = feats.pad(2, before, length - 1 - before);
    let count = feats.size(2).plus((hop - 1) as f64).over(hop as f64);
    let starts = graph.count_to(&count).times(hop as f64).reshape(&[-1, 1]);
    let within: Vec<i64> = (0..length).collect();
    let index = starts.add(&graph.named("frames of a segment", &[1, length], &within));
    let every = filled.gather(&index, 2).transpose(&[0, 2, 1, 3]);
    let shape = [graph.ints(&[-1]), feats.size(1), graph.ints(&[length])];
    every.reshape_to(&graph.concat(&[&shape[0], &shape[1], &shape[2]], 0))
}

/// Segments `[segments, inputs, frames]` to means `[segments, outputs]`.
fn posterior<'g>(weights: &Weights<'g>, x: &Value<'g>, frames: i64) -> Value<'g> {
    let states = recurrent::forward(&weights.at("gru"), (1, true), x, None);
    let last = states.slice(2, frames - 1, frames);
    linear(&last.reshape(&[0, -1]), &weights.at("mean"))
}

/// Vectors of the [`windows`] of `feats`, `[batch * windows, dim]`, as `[batch, dim, windows]`.
fn by_window<'g>(vectors: &Value<'g>, feats: &Value<'g>, dim: i64) -> Value<'g> {
    let graph = feats.graph();
    let shape = graph.concat(&[&feats.size(0), &graph.ints(&[-1, dim])], 0);
    vectors.reshape_to(&shape).transpose(&[0, 2, 1])
}
