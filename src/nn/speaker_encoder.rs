//! The speaker encoder: mel features to one vector a voice.

use serde::{Deserialize, Serialize};
use tch::nn::Path;
use tch::{Kind, Tensor};

use super::Mask;
use super::layer::{BatchNorm, Conv1d, Linear};
use super::phonetic_encoder::quantise;
use super::pooling::AttentiveStatsPooling;
use crate::error::{Error, Result};

/// Size of a [`SpeakerEncoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpeakerEncoderOptions {
    /// Width of the TDNN layers.
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
        for (name, value) in [
            ("channels", self.channels),
            ("embedding_dim", self.embedding_dim),
        ] {
            if value < 1 {
                let key = format!("speaker_encoder.{name}");
                return Err(Error::option(key, "at least 1", value.to_string()));
            }
        }
        if self.embedding_levels < 0 || self.embedding_levels == 1 {
            let found = self.embedding_levels.to_string();
            return Err(Error::option(
                "speaker_encoder.embedding_levels",
                "0, or at least 2",
                found,
            ));
        }
        Ok(())
    }
}

/// A TDNN with the contexts of the x-vector (Snyder et al. 2018: width 5, then 3 at dilation 2 and 3, then 1),
/// attentive statistics pooling, and a linear map to an embedding of length 1.
#[derive(Debug)]
pub struct SpeakerEncoder {
    layers: Vec<(Conv1d, BatchNorm)>,
    pooling: AttentiveStatsPooling,
    norm: BatchNorm,
    embedding: Linear,
    levels: i64,
}

impl SpeakerEncoder {
    /// For features of `input_dim` bins.
    pub fn new(path: Path, input_dim: i64, options: &SpeakerEncoderOptions) -> Self {
        let channels = options.channels;
        let layers = [(5, 1), (3, 2), (3, 3), (1, 1)]
            .into_iter()
            .enumerate()
            .map(|(index, (kernel, dilation))| {
                let path = &path / format!("tdnn{index}");
                let inputs = if index == 0 { input_dim } else { channels };
                let conv = Conv1d::new(&path / "conv", inputs, channels, kernel).dilation(dilation);
                (conv, BatchNorm::new(&path / "norm", channels))
            })
            .collect();
        Self {
            layers,
            pooling: AttentiveStatsPooling::new(&path / "pooling", channels, (channels / 2).max(1)),
            norm: BatchNorm::new(&path / "norm", 2 * channels),
            levels: options.embedding_levels,
            embedding: Linear::new(&path / "embedding", 2 * channels, options.embedding_dim),
        }
    }

    /// Features `[batch, bins, frames]` to embeddings `[batch, embedding_dim]` of length 1.
    pub fn forward(&self, feats: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let mut x = mask.apply(feats.shallow_clone());
        for (conv, norm) in &self.layers {
            x = mask.apply(norm.forward(&conv.forward(&x).relu(), train));
        }
        let pooled = self.norm.forward(&self.pooling.forward(&x, mask), train);
        let mut embeds = self.embedding.forward(&pooled);
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
        let store = VarStore::new(Device::Cpu);
        let encoder = SpeakerEncoder::new(store.root(), 40, &Default::default());
        let x = Tensor::randn([1, 40, 30], (Kind::Float, Device::Cpu));
        let alone = encoder.forward(&x, &Mask::new(&[30], Device::Cpu), false);
        let noise = Tensor::randn([1, 40, 45], (Kind::Float, Device::Cpu));
        let batch = Tensor::cat(&[x.constant_pad_nd([0, 15]), noise], 0);
        let many = encoder.forward(&batch, &Mask::new(&[30, 45], Device::Cpu), false);
        assert_eq!(many.size(), [2, 64]);
        assert!((alone - many.narrow(0, 0, 1)).abs().max().double_value(&[]) < 1e-5);
        let lengths = (&many * &many).sum_dim_intlist(&[1i64][..], false, Kind::Float);
        assert!((lengths - 1.0).abs().max().double_value(&[]) < 1e-5);
    }
}
