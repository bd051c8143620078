//! The speaker encoder: mel features to one vector a voice.

use serde::{Deserialize, Serialize};
use tch::nn::Path;
use tch::{Kind, Tensor};

use super::bottleneck::quantise;
use super::check_size;
use super::ecapa::Ecapa;
use super::layer::{BatchNorm, Linear};
use super::mask::Mask;
use super::pooling::AttentiveStatsPooling;
use super::resnet::ResNet;
use super::tdnn::Tdnn;
use crate::error::{Error, Result};

/// The layers that read frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trunk {
    /// The x-vector's (Snyder et al. 2018).
    #[default]
    Tdnn,
    /// ECAPA-TDNN (Desplanques et al. 2020); `channels` is a multiple of 8.
    Ecapa,
    /// ResNet-34 over time and frequency (He et al. 2016, as for voices in Chung et al. 2020); `channels` is the
    /// width of its first stage.
    Resnet,
}

/// Size of a [`SpeakerEncoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpeakerEncoderOptions {
    /// The layers that read frames.
    pub trunk: Trunk,
    /// Their width.
    pub channels: i64,
    /// Values of the embedding, which has length 1.
    pub embedding_dim: i64,
    /// Levels per value before the length is set to 1; 0 leaves them continuous. The speaker constraint pulls
    /// the embeddings of a voice together but never quite onto each other, and a probe reads words from what is
    /// left; rounding drops it.
    pub embedding_levels: i64,
}

impl Default for SpeakerEncoderOptions {
    fn default() -> Self {
        Self {
            trunk: Trunk::Tdnn,
            channels: 96,
            embedding_dim: 64,
            embedding_levels: 0,
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
        if self.trunk == Trunk::Ecapa && self.channels % 8 != 0 {
            return refuse("channels", "a multiple of 8 for ecapa", self.channels);
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
}

/// A trunk over frames, attentive statistics pooling, and a linear map to an embedding of length 1.
#[derive(Debug)]
pub struct SpeakerEncoder {
    trunk: Layers,
    pooling: AttentiveStatsPooling,
    norm: BatchNorm,
    embedding: Linear,
    levels: i64,
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
        let (trunk, width) = match options.trunk {
            Trunk::Tdnn => (
                Layers::Tdnn(Tdnn::new(&path, input_dim, channels)),
                channels,
            ),
            Trunk::Ecapa => {
                let trunk = Ecapa::new(&path / "ecapa", input_dim, channels);
                let width = trunk.outputs();
                (Layers::Ecapa(trunk), width)
            }
            Trunk::Resnet => {
                let trunk = ResNet::new(&path / "resnet", input_dim, channels);
                let width = trunk.outputs();
                (Layers::Resnet(trunk), width)
            }
        };
        Self {
            trunk,
            pooling: AttentiveStatsPooling::new(&path / "pooling", width, (channels / 2).max(1)),
            norm: BatchNorm::new(&path / "norm", 2 * width),
            levels: options.embedding_levels,
            embedding: Linear::new(&path / "embedding", 2 * width, options.embedding_dim),
        }
    }

    /// Features `[batch, bins, frames]` to embeddings `[batch, embedding_dim]` of length 1.
    pub fn forward(&self, feats: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let feats = mask.apply(feats.shallow_clone());
        let pooled = match &self.trunk {
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
        let mut embeds = self.embedding.forward(&self.norm.forward(&pooled, train));
        if self.levels > 0 {
            embeds = quantise(&embeds, self.levels);
        }
        normalise(&embeds)
    }
}

/// Rows of length 1.
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
        for trunk in [Trunk::Tdnn, Trunk::Ecapa, Trunk::Resnet] {
            embeds_alike(trunk);
        }
    }

    fn embeds_alike(trunk: Trunk) {
        let store = VarStore::new(Device::Cpu);
        let options = SpeakerEncoderOptions {
            trunk,
            channels: 16,
            ..Default::default()
        };
        options.check().unwrap();
        let encoder = SpeakerEncoder::new(store.root(), 40, &options);
        let x = Tensor::randn([1, 40, 30], (Kind::Float, Device::Cpu));
        let alone = encoder.forward(&x, &Mask::new(&[30], Device::Cpu), false);
        let noise = Tensor::randn([1, 40, 45], (Kind::Float, Device::Cpu));
        let batch = Tensor::cat(&[x.constant_pad_nd([0, 15]), noise], 0);
        let many = encoder.forward(&batch, &Mask::new(&[30, 45], Device::Cpu), false);
        assert_eq!(many.size(), [2, 64]);
        let gap = (alone - many.narrow(0, 0, 1)).abs().max().double_value(&[]);
        assert!(gap < 1e-5, "{trunk:?} {gap}");
        let lengths = (&many * &many).sum_dim_intlist(&[1i64][..], false, Kind::Float);
        assert!((lengths - 1.0).abs().max().double_value(&[]) < 1e-5);
    }
}
