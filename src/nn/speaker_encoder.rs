//! The speaker encoder: from features to one embedding per utterance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::Path;
use tch::{Kind, Tensor};

use super::bottleneck::quantise;
use super::check_size;
use super::ecapa::Ecapa;
use super::gaussian::Gaussian;
use super::layer::{BatchNorm, Linear};
use super::mask::Mask;
use super::pooling::AttentiveStatsPooling;
use super::resnet::ResNet;
use super::tdnn::Tdnn;
use crate::error::{Error, Result};

/// Layers of the speaker encoder before pooling over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpeakerBackbone {
    /// Time-delay network of x-vectors (Snyder et al. 2018).
    #[default]
    Tdnn,
    /// ECAPA-TDNN (Desplanques et al. 2020); `channels` is a multiple of 8.
    Ecapa,
    /// ResNet-34 over time and frequency (He et al. 2016; for speakers, Chung et al. 2020); `channels` is the width of
    /// its first stage.
    Resnet,
}

/// The speaker encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpeakerEncoderOptions {
    /// Layers before pooling over time.
    pub backbone: SpeakerBackbone,
    /// Width of the backbone's layers.
    pub channels: i64,
    /// Dimensions of the embedding, whose length is normalised to 1.
    pub embedding_dim: i64,
    /// Quantisation levels per value, applied before length normalisation; 0 leaves embeddings continuous. Few levels,
    /// such as 3, remove content that remains in small differences between the embeddings of one speaker.
    pub embedding_levels: i64,
    /// Length in frames of the window that it reads in training, at a random place of the utterance; 0 reads whole
    /// utterances. Two or three seconds suffice to identify a speaker, and random windows reduce overfitting.
    pub crop_frames: i64,
    /// Length of a vector of input statistics that is appended to the embedding; 0 appends none. The statistics are
    /// mean and standard deviation of each bin over the utterance, standardised over the training set. They help with
    /// speakers unlike the training speakers, but also depend on the recording session. The embedding has length 1
    /// before, and is normalised to length 1 again.
    pub input_statistics: f64,
    /// Weight of the divergence from N(0, I), in nats, of embeddings that are Gaussian before their length is normalised
    /// (disentangled sequential autoencoders); 0: embeddings are not drawn. Extraction writes the mean.
    pub divergence: f64,
}

impl Default for SpeakerEncoderOptions {
    fn default() -> Self {
        Self {
            backbone: SpeakerBackbone::Tdnn,
            channels: 96,
            embedding_dim: 64,
            embedding_levels: 0,
            crop_frames: 0,
            input_statistics: 0.0,
            divergence: 0.0,
        }
    }
}

impl SpeakerEncoderOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, expected: &str, found: i64| {
            let key = format!("speaker_encoder.{name}");
            Err(Error::option(key, expected, found.to_string()))
        };
        let size =
            |name: &str, value, least| check_size(format!("speaker_encoder.{name}"), value, least);
        size("channels", self.channels, 1)?;
        size("embedding_dim", self.embedding_dim, 1)?;
        size("embedding_levels", self.embedding_levels, 0)?;
        size("crop_frames", self.crop_frames, 0)?;
        if self.backbone == SpeakerBackbone::Ecapa && self.channels % 8 != 0 {
            return refuse("channels", "a multiple of 8 for ecapa", self.channels);
        }
        for (name, value) in [
            ("input_statistics", self.input_statistics),
            ("divergence", self.divergence),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                let key = format!("speaker_encoder.{name}");
                return Err(Error::option(key, "0 or more", value.to_string()));
            }
        }
        if self.embedding_levels == 1 {
            return refuse(
                "embedding_levels",
                "0, or at least 2",
                self.embedding_levels,
            );
        }
        Ok(())
    }

    /// Dimensions of the output, for features of `input_dim` bins.
    pub fn outputs(&self, input_dim: i64) -> i64 {
        match self.input_statistics > 0.0 {
            true => self.embedding_dim + 2 * input_dim,
            false => self.embedding_dim,
        }
    }
}

/// A backbone over frames, attentive statistics pooling, and a linear map to an embedding of length 1.
#[derive(Debug)]
pub struct SpeakerEncoder {
    backbone: Layers,
    pooling: AttentiveStatsPooling,
    norm: BatchNorm,
    embedding: Linear,
    posterior: Option<Posterior>,
    levels: i64,
    crop_frames: i64,
    statistics: Option<InputStatistics>,
}

/// What makes embeddings Gaussian.
#[derive(Debug)]
struct Posterior {
    log_variance: Linear,
    weight: f64,
}

/// Embeddings of a batch, and what they cost.
#[derive(Debug)]
pub struct Embedded {
    /// `[batch, embedding_dim]`, of length 1.
    pub embeds: Tensor,
    /// The weighted divergence, mean over the batch, of Gaussian embeddings.
    pub penalty: Option<Tensor>,
}

#[derive(Debug)]
enum Layers {
    Tdnn(Tdnn),
    Ecapa(Ecapa),
    Resnet(ResNet),
}

impl SpeakerEncoder {
    /// For features of `input_dim` bins.
    pub fn new(path: Path, input_dim: i64, options: &SpeakerEncoderOptions) -> Self {
        let channels = options.channels;
        let (backbone, width) = match options.backbone {
            SpeakerBackbone::Tdnn => (
                Layers::Tdnn(Tdnn::new(&path, input_dim, channels)),
                channels,
            ),
            SpeakerBackbone::Ecapa => {
                let backbone = Ecapa::new(&path / "ecapa", input_dim, channels);
                let width = backbone.outputs();
                (Layers::Ecapa(backbone), width)
            }
            SpeakerBackbone::Resnet => {
                let backbone = ResNet::new(&path / "resnet", input_dim, channels);
                let width = backbone.outputs();
                (Layers::Resnet(backbone), width)
            }
        };
        let statistics = (options.input_statistics > 0.0).then(|| InputStatistics {
            norm: BatchNorm::plain(&path / "statistics", 2 * input_dim),
            length: options.input_statistics,
        });
        Self {
            backbone,
            pooling: AttentiveStatsPooling::new(&path / "pooling", width, (channels / 2).max(1)),
            norm: BatchNorm::new(&path / "norm", 2 * width),
            statistics,
            levels: options.embedding_levels,
            crop_frames: options.crop_frames,
            embedding: Linear::new(&path / "embedding", 2 * width, options.embedding_dim),
            posterior: (options.divergence > 0.0).then(|| Posterior {
                log_variance: Linear::zeros(
                    &path / "log_variance",
                    2 * width,
                    options.embedding_dim,
                ),
                weight: options.divergence,
            }),
        }
    }

    /// Features `[batch, bins, frames]` to embeddings `[batch, embedding_dim]` of length 1.
    pub fn forward(&self, feats: &Tensor, mask: &Mask, train: bool) -> Tensor {
        self.step(feats, mask, train).embeds
    }

    /// As [`SpeakerEncoder::forward`], with the loss.
    pub fn step(&self, feats: &Tensor, mask: &Mask, train: bool) -> Embedded {
        if train && self.crop_frames > 0 {
            let (window, mask) = mask.window(feats, self.crop_frames);
            return self.embed(window, &mask, train);
        }
        self.embed(feats.shallow_clone(), mask, train)
    }

    fn embed(&self, feats: Tensor, mask: &Mask, train: bool) -> Embedded {
        let feats = mask.apply(feats);
        let statistics = (self.statistics.as_ref()).map(|s| s.read(&feats, mask, train));
        let pooled = match &self.backbone {
            Layers::Tdnn(tdnn) => self
                .pooling
                .forward(&tdnn.forward(feats, mask, train), mask),
            Layers::Ecapa(ecapa) => self
                .pooling
                .forward(&ecapa.forward(feats, mask, train), mask),
            Layers::Resnet(resnet) => {
                let (x, mask) = resnet.forward(&feats, mask, train);
                self.pooling.forward(&x, &mask)
            }
        };
        let pooled = self.norm.forward(&pooled, train);
        let mut embeds = self.embedding.forward(&pooled);
        let mut penalty = None;
        if let Some(posterior) = &self.posterior {
            let gaussian = Gaussian::new(embeds, &posterior.log_variance.forward(&pooled));
            let divergence = gaussian.divergence().sum(Kind::Float) / pooled.size()[0] as f64;
            penalty = Some(divergence * posterior.weight);
            embeds = gaussian.draw(train);
        }
        if self.levels > 0 {
            embeds = quantise(&embeds, self.levels);
        }
        embeds = normalise(&embeds);
        if let Some(statistics) = statistics {
            embeds = normalise(&Tensor::cat(&[embeds, statistics], 1));
        }
        Embedded { embeds, penalty }
    }
}

/// Mean and deviation of an utterance's features, standardised.
#[derive(Debug)]
struct InputStatistics {
    norm: BatchNorm,
    length: f64,
}

impl InputStatistics {
    /// Features `[batch, bins, frames]` to `[batch, 2 * bins]`.
    fn read(&self, feats: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let (mean, deviation) = mask.mean_std(feats);
        let statistics = Tensor::cat(&[mean, deviation], 1).squeeze_dim(2);
        normalise(&self.norm.forward(&statistics, train)) * self.length
    }
}

/// Normalises rows to length 1.
pub fn normalise(x: &Tensor) -> Tensor {
    let norm = (x * x)
        .sum_dim_intlist(&[-1i64][..], true, Kind::Float)
        .clamp_min(1e-12)
        .sqrt();
    x / norm
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    #[test]
    fn embeddings_have_length_one_and_ignore_padding() {
        for backbone in [
            SpeakerBackbone::Tdnn,
            SpeakerBackbone::Ecapa,
            SpeakerBackbone::Resnet,
        ] {
            embeds_alike(backbone, 0.0);
        }
        embeds_alike(SpeakerBackbone::Tdnn, 0.5);
    }

    fn embeds_alike(backbone: SpeakerBackbone, input_statistics: f64) {
        let store = VarStore::new(Device::Cpu);
        let options = SpeakerEncoderOptions {
            backbone,
            channels: 16,
            input_statistics,
            ..Default::default()
        };
        options.check().unwrap();
        let encoder = SpeakerEncoder::new(store.root(), 40, &options);
        let x = Tensor::randn([1, 40, 30], (Kind::Float, Device::Cpu));
        let alone = encoder.forward(&x, &Mask::new(&[30], Device::Cpu), false);
        let noise = Tensor::randn([1, 40, 45], (Kind::Float, Device::Cpu));
        let batch = Tensor::cat(&[x.constant_pad_nd([0, 15]), noise], 0);
        let many = encoder.forward(&batch, &Mask::new(&[30, 45], Device::Cpu), false);
        assert_eq!(many.size(), [2, options.outputs(40)]);
        let gap = (alone - many.narrow(0, 0, 1)).abs().max().double_value(&[]);
        assert!(gap < 1e-5, "{backbone:?} {gap}");
        let lengths = (&many * &many).sum_dim_intlist(&[1i64][..], false, Kind::Float);
        assert!((lengths - 1.0).abs().max().double_value(&[]) < 1e-5);
    }

    #[test]
    fn invalid_values_are_named() {
        let options = SpeakerEncoderOptions::default;
        let refused = |options: SpeakerEncoderOptions| options.check().unwrap_err().to_string();
        for wrong in [-0.5, f64::NAN, f64::INFINITY] {
            let error = refused(SpeakerEncoderOptions {
                input_statistics: wrong,
                ..options()
            });
            let message =
                format!("speaker_encoder.input_statistics: expected 0 or more, found {wrong}");
            assert_eq!(error, message);
        }
        let error = refused(SpeakerEncoderOptions {
            crop_frames: -1,
            ..options()
        });
        assert!(
            error.starts_with("speaker_encoder.crop_frames: "),
            "{error}"
        );
    }

    #[test]
    fn gaussian_embeddings_are_drawn_in_training_alone() {
        tch::manual_seed(0);
        let store = VarStore::new(Device::Cpu);
        let options = SpeakerEncoderOptions {
            channels: 8,
            divergence: 0.5,
            ..Default::default()
        };
        let encoder = SpeakerEncoder::new(store.root(), 40, &options);
        let feats = Tensor::randn([3, 40, 30], (Kind::Float, Device::Cpu));
        let mask = Mask::new(&[30; 3], Device::Cpu);
        let [first, second] = [(); 2].map(|()| encoder.step(&feats, &mask, true));
        assert_ne!(first.embeds, second.embeds);
        assert!(first.penalty.unwrap().double_value(&[]) > 0.0);
        let [first, second] = [(); 2].map(|()| encoder.forward(&feats, &mask, false));
        assert_eq!(first, second);
        let without = SpeakerEncoderOptions::default();
        let encoder = SpeakerEncoder::new(VarStore::new(Device::Cpu).root(), 40, &without);
        assert!(encoder.step(&feats, &mask, true).penalty.is_none());
    }

    #[test]
    fn statistics_have_the_given_length() {
        let store = VarStore::new(Device::Cpu);
        let options = SpeakerEncoderOptions {
            channels: 8,
            input_statistics: 0.5,
            ..Default::default()
        };
        let encoder = SpeakerEncoder::new(store.root(), 40, &options);
        let feats = Tensor::randn([3, 40, 30], (Kind::Float, Device::Cpu));
        let embeds = encoder.forward(&feats, &Mask::new(&[30; 3], Device::Cpu), false);
        let length = |from, values| embeds.narrow(1, from, values).norm().double_value(&[]);
        let (learned, statistics) = (length(0, 64), length(64, 80));
        assert!((statistics / learned - 0.5).abs() < 1e-5);
    }
}
