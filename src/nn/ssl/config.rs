//! `config.json` of transformers, as far as it decides what a forward pass computes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::io::json;

/// The architectures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SslKind {
    /// HuBERT, ContentVec, Spin.
    Hubert,
    /// wav2vec 2.0.
    Wav2Vec2,
    /// WavLM, with a gated relative position bias.
    WavLm,
}

/// Sizes and choices, under transformers' names. Keys that training alone reads are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SslConfig {
    /// The architecture.
    pub model_type: SslKind,
    /// Values of a hidden state.
    pub hidden_size: i64,
    /// Layers of the transformer.
    pub num_hidden_layers: usize,
    /// Heads of attention.
    pub num_attention_heads: i64,
    /// Width of the feed-forward part.
    pub intermediate_size: i64,
    /// Added to variances.
    pub layer_norm_eps: f64,
    /// `group`: the first convolution is normalised per channel over time; `layer`: each over channels.
    pub feat_extract_norm: String,
    /// Channels of each convolution.
    pub conv_dim: Vec<i64>,
    /// Their strides.
    pub conv_stride: Vec<i64>,
    /// Their lengths.
    pub conv_kernel: Vec<i64>,
    /// Whether convolutions have a bias.
    pub conv_bias: bool,
    /// Length of the positional convolution.
    pub num_conv_pos_embeddings: i64,
    /// Its groups.
    pub num_conv_pos_embedding_groups: i64,
    /// Whether normalisation comes before attention (the large models).
    pub do_stable_layer_norm: bool,
    /// Whether features are normalised before their projection.
    pub feat_proj_layer_norm: bool,
    /// Buckets of WavLM's relative positions.
    pub num_buckets: i64,
    /// The distance of the last bucket, in frames.
    pub max_bucket_distance: i64,
    hidden_act: String,
    feat_extract_activation: String,
    conv_pos_batch_norm: bool,
    add_adapter: bool,
    /// Whether waveforms get a mean of 0 and a deviation of 1, by `preprocessor_config.json`.
    #[serde(skip)]
    pub normalises_waveform: bool,
}

impl Default for SslConfig {
    fn default() -> Self {
        Self {
            model_type: SslKind::Hubert,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            layer_norm_eps: 1e-5,
            feat_extract_norm: "group".into(),
            conv_dim: vec![512; 7],
            conv_stride: vec![5, 2, 2, 2, 2, 2, 2],
            conv_kernel: vec![10, 3, 3, 3, 3, 2, 2],
            conv_bias: false,
            num_conv_pos_embeddings: 128,
            num_conv_pos_embedding_groups: 16,
            do_stable_layer_norm: false,
            feat_proj_layer_norm: true,
            num_buckets: 320,
            max_bucket_distance: 800,
            hidden_act: "gelu".into(),
            feat_extract_activation: "gelu".into(),
            conv_pos_batch_norm: false,
            add_adapter: false,
            normalises_waveform: true,
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct Preprocessor {
    do_normalize: bool,
    sampling_rate: u32,
}

impl Default for Preprocessor {
    fn default() -> Self {
        Self {
            do_normalize: true,
            sampling_rate: super::SAMPLE_RATE_HZ,
        }
    }
}

impl SslConfig {
    /// Reads `config.json` and `preprocessor_config.json` of a folder. Without the latter, waveforms are normalised if every
    /// convolution is, as transformers' own models have it.
    ///
    /// # Errors
    /// [`Error::Io`] for a missing `config.json`; [`Error::Key`] for values of another architecture.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let mut config: Self =
            json::read(&path, "the configuration of HuBERT, wav2vec 2.0 or WavLM")?;
        config.check(&path)?;
        let preprocessor = folder.join("preprocessor_config.json");
        config.normalises_waveform = match preprocessor.exists() {
            false => config.normalises_every_convolution(),
            true => {
                let read: Preprocessor =
                    json::read(&preprocessor, "options of a feature extractor")?;
                if read.sampling_rate != super::SAMPLE_RATE_HZ {
                    let (expected, found) = ("16000", read.sampling_rate.to_string());
                    return Err(Error::key(preprocessor, "sampling_rate", expected, found));
                }
                read.do_normalize
            }
        };
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<()> {
        let wrong =
            |key: &str, expected: &str, found: String| Err(Error::key(path, key, expected, found));
        for (key, value) in [
            ("hidden_act", &self.hidden_act),
            ("feat_extract_activation", &self.feat_extract_activation),
        ] {
            if value != "gelu" {
                return wrong(key, "\"gelu\"", format!("\"{value}\""));
            }
        }
        if !["group", "layer"].contains(&self.feat_extract_norm.as_str()) {
            let found = format!("\"{}\"", self.feat_extract_norm);
            return wrong("feat_extract_norm", "\"group\" or \"layer\"", found);
        }
        for (key, set) in [
            ("conv_pos_batch_norm", self.conv_pos_batch_norm),
            ("add_adapter", self.add_adapter),
        ] {
            if set {
                return wrong(key, "false", "true".into());
            }
        }
        let layers = self.conv_dim.len();
        for (key, list) in [
            ("conv_dim", &self.conv_dim),
            ("conv_stride", &self.conv_stride),
            ("conv_kernel", &self.conv_kernel),
        ] {
            if list.len() != layers
                || list.is_empty()
                || list.iter().any(|&value| !(1..=4096).contains(&value))
            {
                let expected = format!("{} numbers from 1 to 4096", layers.max(1));
                return wrong(key, &expected, format!("{list:?}"));
            }
        }
        for (key, value) in [
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers as i64),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("num_conv_pos_embeddings", self.num_conv_pos_embeddings),
            (
                "num_conv_pos_embedding_groups",
                self.num_conv_pos_embedding_groups,
            ),
            ("num_buckets", self.num_buckets),
            ("max_bucket_distance", self.max_bucket_distance),
        ] {
            if !(1..=1 << 16).contains(&value) {
                return wrong(key, "1 to 65536", value.to_string());
            }
        }
        for (key, divisor) in [
            ("num_attention_heads", self.num_attention_heads),
            (
                "num_conv_pos_embedding_groups",
                self.num_conv_pos_embedding_groups,
            ),
        ] {
            if self.hidden_size % divisor != 0 {
                let expected = format!("a divisor of hidden_size, {}", self.hidden_size);
                return wrong(key, &expected, divisor.to_string());
            }
        }
        Ok(())
    }

    /// Whether each convolution of the waveform is normalised, over channels; else the first alone, over time.
    pub(super) fn normalises_every_convolution(&self) -> bool {
        self.feat_extract_norm == "layer"
    }

    /// Samples from one frame to the next.
    pub fn stride(&self) -> usize {
        self.conv_stride.iter().product::<i64>() as usize
    }

    /// Frames of so many samples.
    pub fn frames(&self, samples: usize) -> usize {
        let shapes = self.conv_kernel.iter().zip(&self.conv_stride);
        let mut length = samples as i64;
        for (kernel, stride) in shapes {
            length = if length < *kernel {
                0
            } else {
                (length - kernel) / stride + 1
            };
        }
        length as usize
    }

    /// The fewest samples that give a frame.
    pub fn least_samples(&self) -> usize {
        let shapes = self.conv_kernel.iter().zip(&self.conv_stride).rev();
        shapes.fold(1, |length, (kernel, stride)| (length - 1) * stride + kernel) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_from_the_convolutions() {
        let config = SslConfig::default();
        assert_eq!((config.stride(), config.least_samples()), (320, 400));
        for (samples, frames) in [(399, 0), (400, 1), (719, 1), (720, 2), (16_000, 49)] {
            assert_eq!(config.frames(samples), frames, "{samples}");
        }
    }
}
