//! The speaker encoder as a graph.

use super::ecapa;
use super::graph::Value;
use super::layers::{Moves, Weights, batch_norm, conv1d, linear, normalise, quantise, standardise};
use super::mask::Mask;
use super::resnet;
use super::tdnn;
use crate::nn::SpeakerEncoderOptions;
use crate::nn::speaker_encoder::SpeakerBackbone;

/// Normalised features `[batch, bins, frames]` to embeddings `[batch, embedding_dim]` of length 1.
pub(super) fn embedding<'g>(
    options: &SpeakerEncoderOptions,
    weights: &Weights<'g>,
    feats: &Value<'g>,
    mask: &Mask<'g>,
) -> Value<'g> {
    let feats = mask.apply(feats);
    let (x, own) = match options.backbone {
        SpeakerBackbone::Tdnn => (tdnn::forward(weights, &feats, mask), mask.clone()),
        SpeakerBackbone::Ecapa => {
            let x = ecapa::forward(&weights.at("ecapa"), &feats, mask);
            (x, mask.clone())
        }
        SpeakerBackbone::Resnet => resnet::forward(&weights.at("resnet"), &feats, mask),
    };
    let pooled = attentive_statistics(&weights.at("pooling"), &x, &own);
    let pooled = batch_norm(&pooled, &weights.at("norm"), 2);
    let mut embeds = linear(&pooled, &weights.at("embedding"));
    if options.embedding_levels > 0 {
        embeds = quantise(&embeds, options.embedding_levels);
    }
    embeds = normalise(&embeds);
    if options.input_statistics == 0.0 {
        return embeds;
    }
    let [mean, std] = mask.mean_std(&feats);
    let statistics = feats.graph().concat(&[&mean, &std], 1).reshape(&[0, -1]);
    let statistics = standardise(&statistics, &weights.at("statistics"));
    let statistics = normalise(&statistics).times(options.input_statistics);
    normalise(&feats.graph().concat(&[&embeds, &statistics], 1))
}

/// Attentive statistics pooling: `[batch, channels, frames]` to `[batch, 2 channels]`.
fn attentive_statistics<'g>(weights: &Weights<'g>, x: &Value<'g>, mask: &Mask<'g>) -> Value<'g> {
    let hidden = conv1d(x, &weights.at("hidden"), Moves::default()).tanh();
    let scores = conv1d(&hidden, &weights.at("scores"), Moves::default());
    let weight = mask.fill(&scores, -1e9).softmax(2);
    let mean = weight.mul(x).sum(&[2]);
    let variance = weight.mul(&x.sub(&mean).square()).sum(&[2]);
    let deviation = variance.plus(1e-5).sqrt();
    x.graph().concat(&[&mean, &deviation], 1).reshape(&[0, -1])
}
