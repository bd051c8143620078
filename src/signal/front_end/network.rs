//! The options of front-ends that are networks. Here they are read, written and compared; `nn` computes them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::signal::FeatureType;

/// Options of a front-end that is a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum NetworkOptions {
    /// Hidden states of HuBERT, ContentVec or Spin.
    Hubert(SslOptions),
    /// Hidden states of wav2vec 2.0.
    Wav2Vec2(SslOptions),
    /// Hidden states of WavLM.
    WavLm(SslOptions),
    /// Outputs of a TorchScript module or an ONNX model.
    Module(ModuleOptions),
}

/// Hidden states of a self-supervised encoder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SslOptions {
    /// Folder with `config.json` and `model.safetensors`, as Hugging Face's transformers saves them.
    pub model: PathBuf,
    /// The layer, from 0, the transformer's input; by default the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// In place of one layer, the weights of all in a sum, from layer 0 on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer_weights: Vec<f32>,
    /// CRC-32C of the model's files; none takes any. An experiment records it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// A TorchScript module or an ONNX model from waveforms `[1, samples]`, f32 with full scale 1, to features `[1, frames, dim]`,
/// f32. A module is a program: run only modules that you trust.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleOptions {
    /// The file, as `torch.jit.save` or `torch.onnx.export` writes it.
    pub file: PathBuf,
    /// Sample rate of the audio in Hz.
    pub sample_rate_hz: u32,
    /// Samples from one frame to the next.
    pub frame_shift: usize,
    /// The fewest samples that give a frame. Of `n` samples the module gives `floor((n - frame_length) / frame_shift) + 1`
    /// frames; 0 is that of a module which pads both ends.
    pub frame_length: usize,
    /// Values per frame.
    pub dim: usize,
    /// What the values are.
    #[serde(default = "hidden_states")]
    pub feature_type: FeatureType,
    /// As [`SslOptions::checksum`], of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

fn hidden_states() -> FeatureType {
    FeatureType::HiddenStates
}

impl NetworkOptions {
    /// The names of all kinds.
    pub const NAMES: [&str; 4] = ["hubert", "wav2vec2", "wavlm", "module"];

    /// The kind, by its name in files.
    pub fn name(&self) -> &'static str {
        let place = match self {
            Self::Hubert(_) => 0,
            Self::Wav2Vec2(_) => 1,
            Self::WavLm(_) => 2,
            Self::Module(_) => 3,
        };
        Self::NAMES[place]
    }

    /// What the columns of the features are.
    pub fn feature_type(&self) -> FeatureType {
        match self {
            Self::Hubert(_) | Self::Wav2Vec2(_) | Self::WavLm(_) => FeatureType::HiddenStates,
            Self::Module(options) => options.feature_type,
        }
    }

    /// Those of a self-supervised encoder, if they are.
    pub fn ssl(&self) -> Option<&SslOptions> {
        match self {
            Self::Hubert(options) | Self::Wav2Vec2(options) | Self::WavLm(options) => Some(options),
            Self::Module(_) => None,
        }
    }
}
