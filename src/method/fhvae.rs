//! The factorised hierarchical variational autoencoder (FHVAE, Hsu, Zhang and Glass 2017). One latent variable holds what is
//! constant over an utterance, another one what changes from segment to segment; each has a prior of its own.
//!
//! With x a segment of utterance i, z2 its latent near the utterance's mean m_i, z1 the other latent:
//!
//! ```text
//! maximised:  E log p(x | z1, z2) - KL(q(z1 | x, z2) || N(0, 1)) - KL(q(z2 | x) || N(m_i, 1/4)) + log p(m_i) / n
//!             + alpha log p(i | z2),   p(i | z2) ~ exp(-|z2 - m_i|^2 / (2/4)) over the utterances of the training set
//! ```
//!
//! Departures: gated recurrent units instead of LSTMs; codes of overlapping segments, so that there is one every
//! `hop_frames`; the speaker representation is the paper's estimate of m for an utterance that was not trained on.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::nn::{Init, Path};
use tch::{Device, Kind, Tensor, no_grad};

use super::trained::DisentangledModel;
use crate::dataset::batch::SpeechBatch;
use crate::error::{Error, Result};
use crate::nn::gaussian::Gaussian;
use crate::nn::layer::{Linear, bf16_autocast};
use crate::nn::recurrent::Recurrent;
use crate::nn::{Mask, check_size};
use crate::objective::classification::cross_entropy;
use crate::train::{Clock, Method, OptimiserOptions, Scalars, Trainable, update};

/// Networks, and weights of the losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FhvaeOptions {
    /// Length of a segment in frames.
    pub segment_frames: i64,
    /// Frames between codes in extraction; a divisor of `segment_frames`.
    pub hop_frames: i64,
    /// Units of the recurrent layers.
    pub channels: i64,
    /// Dimensions of z1, the phonetic representation.
    pub code_dim: i64,
    /// Dimensions of z2, the speaker representation.
    pub embedding_dim: i64,
    /// Weight alpha of the discriminative loss, which identifies the utterance from z2.
    pub discriminative_weight: f64,
    /// Optimiser of all networks.
    #[serde(deserialize_with = "own_optimiser")]
    pub optimiser: OptimiserOptions,
}

fn own_optimiser<'de, D: Deserializer<'de>>(written: D) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(FhvaeOptions::default().optimiser, written)
}

impl Default for FhvaeOptions {
    fn default() -> Self {
        Self {
            segment_frames: 20,
            hop_frames: 4,
            channels: 128,
            code_dim: 32,
            embedding_dim: 32,
            discriminative_weight: 10.0,
            optimiser: OptimiserOptions {
                beta1: 0.95,
                ..OptimiserOptions::default()
            },
        }
    }
}

impl FhvaeOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        for (key, value) in [
            ("segment_frames", self.segment_frames),
            ("hop_frames", self.hop_frames),
            ("channels", self.channels),
            ("code_dim", self.code_dim),
            ("embedding_dim", self.embedding_dim),
        ] {
            check_size(key, value, 1)?;
        }
        if self.segment_frames % self.hop_frames != 0 {
            let expected = format!("a divisor of segment_frames = {}", self.segment_frames);
            let found = self.hop_frames.to_string();
            return Err(Error::option("hop_frames", expected, found));
        }
        if !self.discriminative_weight.is_finite() || self.discriminative_weight < 0.0 {
            let found = self.discriminative_weight.to_string();
            return Err(Error::option("discriminative_weight", "0 or more", found));
        }
        self.optimiser.check("optimiser")
    }
}

/// Variance of z2 around its utterance's mean (the paper's sigma_z2 squared); that of the means is 1.
pub(crate) const WITHIN: f64 = 0.25;

/// A diagonal Gaussian from a sequence: the last state of a causal recurrent layer, then two linear maps.
#[derive(Debug)]
struct Posterior {
    recurrent: Recurrent,
    mean: Linear,
    log_variance: Linear,
}

impl Posterior {
    fn new(path: Path, inputs: i64, channels: i64, outputs: i64) -> Self {
        Self {
            recurrent: Recurrent::new(&path / "gru", inputs, channels, 1, true),
            mean: Linear::new(&path / "mean", channels, outputs),
            log_variance: Linear::new(&path / "log_variance", channels, outputs),
        }
    }

    /// Segments `[segments, inputs, frames]` to a Gaussian `[segments, outputs]`.
    fn forward(&self, x: &Tensor) -> Gaussian {
        let frames = x.size()[2];
        let whole = Mask::of_frames(&vec![frames; x.size()[0] as usize], frames, x.device());
        let last = self.recurrent.forward(x, &whole).select(2, frames - 1);
        Gaussian::new(self.mean.forward(&last), &self.log_variance.forward(&last))
    }
}

/// Segments from latents: a recurrent layer reads the latent vector at each frame.
#[derive(Debug)]
struct Generator {
    recurrent: Recurrent,
    mean: Linear,
    log_variance: Linear,
}

impl Generator {
    fn new(path: Path, inputs: i64, channels: i64, bins: i64) -> Self {
        Self {
            recurrent: Recurrent::new(&path / "gru", inputs, channels, 1, true),
            mean: Linear::new(&path / "mean", channels, bins),
            log_variance: Linear::new(&path / "log_variance", channels, bins),
        }
    }

    /// Latents `[segments, inputs]` to mean and logarithm of the variance, each `[segments, bins, frames]`.
    fn forward(&self, latents: &Tensor, frames: i64) -> (Tensor, Tensor) {
        let every = latents.unsqueeze(2).expand([-1, -1, frames], false);
        let whole = Mask::of_frames(
            &vec![frames; latents.size()[0] as usize],
            frames,
            latents.device(),
        );
        let hidden = self.recurrent.forward(&every, &whole).transpose(1, 2);
        let log_variance = self.log_variance.forward(&hidden).clamp(-10.0, 10.0);
        (
            self.mean.forward(&hidden).transpose(1, 2),
            log_variance.transpose(1, 2),
        )
    }
}

/// The method.
#[derive(Debug)]
pub struct Fhvae {
    options: FhvaeOptions,
    trainables: Vec<Trainable>,
    z1: Posterior,
    z2: Posterior,
    generator: Generator,
    /// The means m of the training utterances, `[utterances, embedding_dim]`.
    means: Tensor,
    device: Device,
    bf16: bool,
}

impl Fhvae {
    /// New networks for features of `bins` and a training set of `utterances`.
    pub fn new(
        options: &FhvaeOptions,
        (bins, utterances): (i64, i64),
        device: Device,
        bf16: bool,
    ) -> Self {
        let (channels, code_dim, dim) = (options.channels, options.code_dim, options.embedding_dim);
        let optimiser = &options.optimiser;
        let (phonetic, z1) = Trainable::new("phonetic_encoder", device, optimiser, |path| {
            Posterior::new(path, bins + dim, channels, code_dim)
        });
        let (speaker, z2) = Trainable::new("speaker_encoder", device, optimiser, |path| {
            Posterior::new(path, bins, channels, dim)
        });
        let (decoder, generator) = Trainable::new("decoder", device, optimiser, |path| {
            Generator::new(path, code_dim + dim, channels, bins)
        });
        let (table, means) = Trainable::new("utterance_means", device, optimiser, |path: Path| {
            path.var("means", &[utterances, dim], Init::Const(0.0))
        });
        Self {
            options: options.clone(),
            trainables: vec![phonetic, speaker, decoder, table],
            z1,
            z2,
            generator,
            means,
            device,
            bf16,
        }
    }

    /// Consecutive segments `[segments, bins, segment_frames]`, and the index of each one's utterance in the batch. The
    /// last segment of an utterance is padded with zeros, the mean of the features.
    fn segments(&self, batch: &SpeechBatch) -> (Tensor, Tensor) {
        let length = self.options.segment_frames;
        let (size, bins, frames) = batch.feats.size3().unwrap_or_default();
        let count = (frames + length - 1) / length;
        let filled = batch.feats.constant_pad_nd([0, count * length - frames]);
        let every = filled
            .reshape([size, bins, count, length])
            .transpose(1, 2)
            .reshape([size * count, bins, length]);
        let mut real = Vec::new();
        let mut from = Vec::new();
        for (place, &frames) in (0..).zip(&batch.lengths) {
            for segment in 0..(frames + length - 1) / length {
                real.push(place * count + segment);
                from.push(place);
            }
        }
        let index = |numbers: &[i64]| Tensor::from_slice(numbers).to(self.device);
        (every.index_select(0, &index(&real)), index(&from))
    }

    /// The loss terms of segments `x` whose utterances have the means `means` `[segments, embedding_dim]`; without `train`,
    /// latents are their means. Returns the loss and z2.
    fn bound(
        &self,
        x: &Tensor,
        means: &Tensor,
        train: bool,
        scalars: &mut Scalars,
    ) -> (Tensor, Tensor) {
        let frames = x.size()[2];
        let q2 = self.z2.forward(x);
        let z2 = q2.draw(train);
        let q1 = self.z1.forward(&with_latent(x, &z2));
        let z1 = q1.draw(train);
        let (mean, log_variance) = self.generator.forward(&Tensor::cat(&[&z1, &z2], 1), frames);

        // All terms are per frame and bin, so that they do not depend on the size of a segment.
        let per = 1.0 / (frames * x.size()[1]) as f64;
        let gap = (x - mean).square() / log_variance.exp() + log_variance;
        let reconstruction = gap.mean(Kind::Float) * 0.5;
        let log_within = means.full_like(WITHIN.ln());
        let prior2 = Gaussian::new(means.shallow_clone(), &log_within);
        let by_segment = |terms: Tensor| terms.sum(Kind::Float) / x.size()[0] as f64;
        let kl1 = by_segment(q1.divergence()) * per;
        let kl2 = by_segment(q2.divergence_from(&prior2)) * per;
        let prior = means
            .square()
            .sum_dim_intlist(&[1i64][..], false, Kind::Float);
        let prior = prior.mean(Kind::Float) * (0.5 * per);
        scalars.add("decoder/reconstruction", &reconstruction);
        scalars.add("phonetic_encoder/divergence", &kl1);
        scalars.add("speaker_encoder/divergence", &kl2);
        (reconstruction + kl1 + kl2 + prior, q2.mean)
    }

    /// The estimate of an utterance's mean from the z2 of its segments (the paper's section 3.3), `[batch, dim]`, of
    /// features `[batch, bins, frames]` that are zero in the padding.
    fn estimate(&self, feats: &Tensor, mask: &Mask) -> Tensor {
        let length = self.options.segment_frames;
        let (x, own) = (windows(feats, 0, length, length), mask.subsample(length));
        let z2 = by_window(&self.z2.forward(&x).mean, feats);
        let count = own.counts_of(&z2);
        (own.mean(&z2) * &count / (count + WITHIN)).squeeze_dim(2)
    }
}

/// Windows of `length` every `hop` frames: `[batch, bins, frames]` to `[batch * windows, bins, length]`. The first one
/// begins `before` frames before the first frame, the last one before the end. Beyond the ends are zeros, the mean of the
/// features. No number of frames is fixed here, so that a traced module takes any.
fn windows(feats: &Tensor, before: i64, length: i64, hop: i64) -> Tensor {
    let filled = feats.constant_pad_nd([before, length - 1 - before]);
    let every = filled.unfold(2, length, hop);
    every.transpose(1, 2).flatten(0, 1)
}

/// Vectors of the [`windows`] of `feats`, `[batch * windows, dim]`, as `[batch, dim, windows]`.
fn by_window(vectors: &Tensor, feats: &Tensor) -> Tensor {
    let (batch, dim) = (feats.size()[0], vectors.size()[1]);
    vectors.reshape([batch, -1, dim]).transpose(1, 2)
}

/// `[segments, bins, frames]` with a vector `[segments, dim]` appended to each frame.
fn with_latent(x: &Tensor, latent: &Tensor) -> Tensor {
    let every = latent.unsqueeze(2).expand([-1, -1, x.size()[2]], false);
    Tensor::cat(&[x, &every], 1)
}

impl Method for Fhvae {
    type Batch = SpeechBatch;

    fn trainables(&mut self) -> Vec<&mut Trainable> {
        self.trainables.iter_mut().collect()
    }

    fn step(&mut self, batch: &SpeechBatch, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        bf16_autocast(self.bf16, || {
            let batch = batch.to(self.device);
            let (x, from) = self.segments(&batch);
            let utterances = Tensor::from_slice(&batch.utterances)
                .to(self.device)
                .index_select(0, &from);
            let means = self.means.index_select(0, &utterances);
            let (bound, z2) = self.bound(&x, &means, true, scalars);
            let gaps = (z2.unsqueeze(1) - self.means.unsqueeze(0)).square();
            let logits = gaps.sum_dim_intlist(&[2i64][..], false, Kind::Float) / (-2.0 * WITHIN);
            let discriminative = cross_entropy(&logits, &utterances, 0.0);
            scalars.add("speaker_encoder/utterance_cross_entropy", &discriminative);
            let per = 1.0 / (x.size()[1] * x.size()[2]) as f64;
            let loss = bound + discriminative * (self.options.discriminative_weight * per);
            scalars.add("loss", &loss);
            let mut trainables: Vec<&mut Trainable> = self.trainables.iter_mut().collect();
            update(&mut trainables, &loss, clock.total)?;
            Ok(())
        })
    }

    fn validate(&self, batch: &SpeechBatch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let batch = batch.to(self.device);
            let (x, from) = self.segments(&batch);
            let mask = Mask::new(&batch.lengths, self.device);
            let means = self.estimate(&batch.feats, &mask).index_select(0, &from);
            let (bound, _) = self.bound(&x, &means, false, &mut scalars);
            scalars.add("loss", &bound);
            Ok(scalars)
        })
    }
}

impl DisentangledModel for Fhvae {
    /// Each code is that of the segment around its own frames.
    fn codes(&self, feats: &Tensor, mask: &Mask) -> Result<(Tensor, Mask)> {
        let (length, hop) = (self.options.segment_frames, self.options.hop_frames);
        let (feats, codes) = (mask.apply(feats.shallow_clone()), mask.subsample(hop));
        let x = windows(&feats, (length - hop) / 2, length, hop);
        let z2 = self.z2.forward(&x).mean;
        let z1 = self.z1.forward(&with_latent(&x, &z2)).mean;
        Ok((codes.apply(by_window(&z1, &feats)), codes))
    }

    fn embeds(&self, feats: &Tensor, mask: &Mask) -> Result<Tensor> {
        Ok(self.estimate(&mask.apply(feats.shallow_clone()), mask))
    }

    fn subsampling(&self) -> i64 {
        self.options.hop_frames
    }

    /// Each code gives its own frames, from the middle of its segment.
    fn decode(
        &self,
        codes: &Tensor,
        embeds: &Tensor,
        _: Option<&Tensor>,
        mask: &Mask,
    ) -> Result<Tensor> {
        let (length, hop) = (self.options.segment_frames, self.options.hop_frames);
        let (size, dim, count) = codes.size3().unwrap_or_default();
        let z1 = codes.transpose(1, 2).reshape([size * count, dim]);
        let z2 = embeds.repeat_interleave_self_int(count, 0, None);
        let latents = Tensor::cat(&[z1, z2], 1);
        let (segments, _) = no_grad(|| self.generator.forward(&latents, length));
        let own = segments.narrow(2, (length - hop) / 2, hop);
        let bins = own.size()[1];
        let feats = own
            .reshape([size, count, bins, hop])
            .permute([0, 2, 1, 3])
            .reshape([size, bins, count * hop]);
        Ok(mask.apply(feats.narrow(2, 0, mask.frames())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lengths: &[i64]) -> SpeechBatch {
        let longest = lengths.iter().copied().max().unwrap();
        let size = lengths.len() as i64;
        let feats = Tensor::randn([size, 5, longest], (Kind::Float, Device::Cpu));
        SpeechBatch {
            feats: Mask::new(lengths, Device::Cpu).apply(feats),
            pitch: None,
            lengths: lengths.to_vec(),
            utterances: (0..size).collect(),
            speakers: Tensor::arange(size, (Kind::Int64, Device::Cpu)),
            labels: None,
            second: None,
        }
    }

    fn method() -> Fhvae {
        let options = FhvaeOptions {
            channels: 16,
            code_dim: 4,
            embedding_dim: 6,
            ..Default::default()
        };
        options.check().unwrap();
        Fhvae::new(&options, (5, 3), Device::Cpu, false)
    }

    #[test]
    fn representations_have_their_shapes_and_ignore_padding() {
        let method = method();
        let batch = batch(&[33, 50, 7]);
        let mask = Mask::new(&batch.lengths, Device::Cpu);
        let (codes, code_mask) = method.codes(&batch.feats, &mask).unwrap();
        assert_eq!(codes.size(), [3, 4, 13]);
        assert_eq!(code_mask.lengths(), [9, 13, 2]);
        let embeds = method.embeds(&batch.feats, &mask).unwrap();
        let decoded = method.decode(&codes, &embeds, None, &mask).unwrap();
        assert_eq!(decoded.size(), [3, 5, 50]);
        let alone = batch.feats.narrow(0, 2, 1).narrow(2, 0, 7);
        let one = Mask::new(&[7], Device::Cpu);
        let gap = |a: Tensor, b: Tensor| (a - b).abs().max().double_value(&[]);
        let own = codes.narrow(0, 2, 1).narrow(2, 0, 2);
        assert!(gap(method.codes(&alone, &one).unwrap().0, own) < 1e-5);
        let own = method.embeds(&alone, &one).unwrap();
        assert!(gap(own, embeds.narrow(0, 2, 1)) < 1e-5);
    }

    #[test]
    fn segments_are_those_of_real_frames() {
        let batch = batch(&[33, 50, 20]);
        let (x, from) = method().segments(&batch);
        assert_eq!(x.size(), [6, 5, 20]);
        assert_eq!(Vec::<i64>::try_from(from).unwrap(), [0, 0, 1, 1, 1, 2]);
        assert_eq!(x.get(5), batch.feats.get(2).narrow(1, 0, 20));
    }

    #[test]
    fn training_lowers_the_bound() {
        tch::manual_seed(0);
        let mut method = method();
        let batch = batch(&[40, 40, 40]);
        let before = method.validate(&batch).unwrap().read()["loss"];
        for step in 0..15 {
            let clock = Clock {
                step,
                total: 15,
                batch: 0,
            };
            let mut scalars = Scalars::default();
            method.step(&batch, &clock, &mut scalars).unwrap();
        }
        let after = method.validate(&batch).unwrap().read()["loss"];
        assert!(after < before, "{before} {after}");
    }
}
