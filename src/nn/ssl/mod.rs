//! Self-supervised encoders of waveforms: HuBERT (Hsu et al. 2021), wav2vec 2.0 (Baevski et al. 2020) and WavLM (Chen et al.
//! 2022), with weights as Hugging Face's transformers saves them. ContentVec and Spin have the architecture of HuBERT.

mod attention;
mod config;
mod front_end;
mod layers;
mod weights;

pub use config::{SslConfig, SslKind};
pub(in crate::nn) use front_end::SslFrontEnd;
pub use layers::{SslLayers, SslLayersOptions};

use std::path::{Path, PathBuf};

use ndarray::Array2;
use tch::{Device, Tensor, no_grad};

use self::layers::{Layer, Shared};
use self::weights::{Affine, Source, Weights};
use crate::error::{Error, Result};
use crate::io::inputs;

/// The rate of all these models' audio, in Hz.
pub const SAMPLE_RATE_HZ: u32 = 16_000;
/// Recordings of more seconds are encoded in windows of so many, since attention takes memory by the square.
const WINDOW_S: usize = 60;
/// Seconds at either end of a window whose frames are another window's, unless the recording ends there.
const CONTEXT_S: usize = 5;

/// A convolution of the waveform, with its normalisation.
struct ConvLayer {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: i64,
    norm: Option<Affine>,
}

/// An encoder with its weights.
pub struct SslEncoder {
    config: SslConfig,
    checksum: String,
    device: Device,
    convolutions: Vec<ConvLayer>,
    projection_norm: Option<Affine>,
    projection: Affine,
    position: Tensor,
    position_bias: Tensor,
    shared: Shared,
    norm: Affine,
    layers: Vec<Layer>,
}

impl SslEncoder {
    /// Loads `config.json`, `model.safetensors` and, if it is there, `preprocessor_config.json` of a folder.
    ///
    /// # Errors
    /// A missing or broken file; a configuration of another architecture; the first tensor that is missing, surplus or of
    /// another shape.
    pub fn load(folder: &Path, device: Device) -> Result<Self> {
        let config = SslConfig::read(folder)?;
        let (path, bytes) = weights_file(folder)?;
        let mut weights = Weights::of(&path, &bytes, device)?;
        let mut encoder = no_grad(|| Self::build(config, &mut weights, device))?;
        weights.finish()?;
        encoder.checksum = checksum(folder, &bytes)?;
        Ok(encoder)
    }

    fn build(config: SslConfig, weights: &mut Weights, device: Device) -> Result<Self> {
        let hidden = config.hidden_size;
        let mut convolutions = Vec::new();
        let mut channels = 1;
        for (index, &out) in config.conv_dim.iter().enumerate() {
            let name = format!("feature_extractor.conv_layers.{index}");
            let kernel = config.conv_kernel[index];
            let normalised = index == 0 || config.normalises_every_convolution();
            convolutions.push(ConvLayer {
                weight: weights.take(&format!("{name}.conv.weight"), &[out, channels, kernel])?,
                bias: match config.conv_bias {
                    true => Some(weights.take(&format!("{name}.conv.bias"), &[out])?),
                    false => None,
                },
                stride: config.conv_stride[index],
                norm: match normalised {
                    true => Some(weights.norm(&format!("{name}.layer_norm"), out)?),
                    false => None,
                },
            });
            channels = out;
        }
        let layers =
            (0..config.num_hidden_layers).map(|index| Layer::take(weights, index, &config));
        let layers = layers.collect::<Result<_>>()?;
        Ok(Self {
            projection_norm: match config.feat_proj_layer_norm {
                true => Some(weights.norm("feature_projection.layer_norm", channels)?),
                false => None,
            },
            projection: weights.linear("feature_projection.projection", channels, hidden)?,
            position: weights.position(&config)?,
            position_bias: weights.take("encoder.pos_conv_embed.conv.bias", &[hidden])?,
            shared: Shared::take(weights, &config)?,
            norm: weights.norm("encoder.layer_norm", hidden)?,
            convolutions,
            layers,
            device,
            config,
            checksum: String::new(),
        })
    }

    /// Its configuration.
    pub fn config(&self) -> &SslConfig {
        &self.config
    }

    /// CRC-32C of the files that decide what it computes, in hexadecimal digits.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// The weights of one layer alone, for [`SslEncoder::encode`].
    ///
    /// # Errors
    /// [`Error::Option`] for a layer that is not there.
    pub fn only(&self, layer: usize) -> Result<Vec<f32>> {
        let mut weights = vec![0.0; self.layers.len() + 1];
        let Some(weight) = weights.get_mut(layer) else {
            let expected = format!("0 to {}", self.layers.len());
            return Err(Error::option("layer", expected, layer.to_string()));
        };
        *weight = 1.0;
        Ok(weights)
    }

    /// Refuses weights that are not one for each layer, finite, and one of them other than 0.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub fn check(&self, weights: &[f32]) -> Result<()> {
        let finite = weights.iter().all(|weight| weight.is_finite());
        if weights.len() != self.layers.len() + 1 || !finite || weights.iter().all(|&w| w == 0.0) {
            let expected = format!(
                "{} numbers, of layers 0 to {}, one of them not 0",
                self.layers.len() + 1,
                self.layers.len()
            );
            return Err(Error::option(
                "layer_weights",
                expected,
                format!("{weights:?}"),
            ));
        }
        Ok(())
    }

    /// The weighted sum of hidden states, `[frames, hidden]`: the first weight is that of the transformer's input, and the last
    /// one that of its output. Frames come every 20 ms. Recordings of more than a minute are encoded in windows of a minute,
    /// in which each frame has five seconds of context at least.
    ///
    /// # Errors
    /// [`Error::Option`] for fewer samples than a frame; as [`SslEncoder::check`].
    pub fn encode(&self, samples: &[f32], weights: &[f32]) -> Result<Array2<f32>> {
        self.check(weights)?;
        let least = self.config.least_samples();
        if samples.len() < least {
            let expected = format!("audio of one frame, {least} samples or more");
            let found = format!("{} samples", samples.len());
            return Err(Error::option("audio", expected, found));
        }
        let samples = match self.config.normalises_waveform {
            true => normalised(samples),
            false => samples.to_vec(),
        };
        let (rows, hidden) = (
            self.config.frames(samples.len()),
            self.config.hidden_size as usize,
        );
        let mut states = Vec::with_capacity(rows * hidden);
        for window in windows(samples.len(), self.config.stride()) {
            let piece = &samples[window.samples.clone()];
            let found = no_grad(|| self.hidden_states(piece, weights));
            let found: Vec<f32> = Vec::try_from(found.to_device(Device::Cpu).view([-1]))?;
            let all = found.len() / hidden;
            let kept = window.first..window.kept.map_or(all, |kept| window.first + kept);
            states.extend_from_slice(&found[kept.start * hidden..kept.end * hidden]);
        }
        let found = states.len() / hidden;
        Array2::from_shape_vec((found, hidden), states)
            .map_err(|error| Error::Torch(error.to_string()))
    }

    /// The weighted sum of hidden states of a waveform, `[frames, hidden]`.
    fn hidden_states(&self, samples: &[f32], weights: &[f32]) -> Tensor {
        let waveform = Tensor::from_slice(samples)
            .to_device(self.device)
            .view([1, 1, -1]);
        let mut x = self.features(waveform).transpose(1, 2);
        if let Some(norm) = &self.projection_norm {
            x = norm.layer_norm(&x, self.config.layer_norm_eps);
        }
        x = self.projection.linear(&x);
        let position = self.positions(&x);
        x += position;
        let (eps, before) = (self.config.layer_norm_eps, self.config.do_stable_layer_norm);
        if !before {
            x = self.norm.layer_norm(&x, eps);
        }
        let attended = self.shared.attended(x.size()[1], None);
        let mut sum = &x * f64::from(weights[0]);
        let last = weights
            .iter()
            .rposition(|&weight| weight != 0.0)
            .unwrap_or(0);
        for (place, layer) in (1..=last).zip(&self.layers) {
            x = layer.forward(&x, &attended, &self.shared);
            if before && place == self.layers.len() {
                x = self.norm.layer_norm(&x, eps);
            }
            sum += &x * f64::from(weights[place]);
        }
        sum.squeeze_dim(0)
    }

    /// The convolutions of the waveform, `[1, channels, frames]`.
    fn features(&self, mut x: Tensor) -> Tensor {
        let by_group = !self.config.normalises_every_convolution();
        for layer in &self.convolutions {
            x = x.conv1d(
                &layer.weight,
                layer.bias.as_ref(),
                [layer.stride],
                [0],
                [1],
                1,
            );
            if let Some(norm) = &layer.norm {
                x = match by_group {
                    true => norm.instance_norm(&x, 1e-5),
                    false => norm.layer_norm(&x.transpose(1, 2), 1e-5).transpose(1, 2),
                };
            }
            x = x.gelu("none");
        }
        x
    }

    /// The embedding of positions by a grouped convolution.
    fn positions(&self, x: &Tensor) -> Tensor {
        let (kernel, groups) = (
            self.config.num_conv_pos_embeddings,
            self.config.num_conv_pos_embedding_groups,
        );
        let frames = x.size()[1];
        let found = x.transpose(1, 2).conv1d(
            &self.position,
            Some(&self.position_bias),
            [1],
            [kernel / 2],
            [1],
            groups,
        );
        found.narrow(2, 0, frames).gelu("none").transpose(1, 2)
    }
}

/// The weights' file of a folder, and its bytes.
fn weights_file(folder: &Path) -> Result<(PathBuf, Vec<u8>)> {
    let path = folder.join("model.safetensors");
    if !path.exists() && folder.join("pytorch_model.bin").exists() {
        let expected = "this file (AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER) of transformers writes it)";
        return Err(Error::format(
            path,
            expected,
            "pytorch_model.bin, which is pickled",
        ));
    }
    let bytes = inputs::bytes(&path)?;
    Ok((path, bytes))
}

/// CRC-32C of `config.json`, `preprocessor_config.json` and the weights of a folder.
fn checksum(folder: &Path, weights: &[u8]) -> Result<String> {
    let mut checksum = crc32c::crc32c(weights);
    for name in ["config.json", "preprocessor_config.json"] {
        let path = folder.join(name);
        if path.exists() {
            checksum = crc32c::crc32c_append(checksum, &inputs::bytes(path)?);
        }
    }
    Ok(format!("{checksum:08x}"))
}

/// A waveform with a mean of 0 and a deviation of 1.
fn normalised(samples: &[f32]) -> Vec<f32> {
    let count = samples.len() as f64;
    let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let squares = samples.iter().map(|&x| (f64::from(x) - mean).powi(2));
    let std = (squares.sum::<f64>() / count + 1e-7).sqrt();
    samples
        .iter()
        .map(|&x| ((f64::from(x) - mean) / std) as f32)
        .collect()
}

/// A part of a recording that is encoded at once.
#[derive(Debug, PartialEq)]
struct Window {
    samples: std::ops::Range<usize>,
    /// The first frame of it that counts.
    first: usize,
    /// How many frames count; all of the last window.
    kept: Option<usize>,
}

/// Windows over so many samples; a frame begins every `stride` samples.
fn windows(samples: usize, stride: usize) -> Vec<Window> {
    let rate = SAMPLE_RATE_HZ as usize;
    let whole = |seconds: usize| seconds * rate / stride;
    let (window, context) = (whole(WINDOW_S), whole(CONTEXT_S));
    let hop = window - 2 * context;
    if samples <= window * stride {
        return vec![Window {
            samples: 0..samples,
            first: 0,
            kept: None,
        }];
    }
    let mut windows = Vec::new();
    let mut start = 0;
    loop {
        let end = (start + window) * stride;
        let first = if start == 0 { 0 } else { context };
        // A rest that is no longer than the context belongs to this window.
        if end + context * stride >= samples {
            windows.push(Window {
                samples: start * stride..samples,
                first,
                kept: None,
            });
            return windows;
        }
        windows.push(Window {
            samples: start * stride..end,
            first,
            kept: Some(window - context - first),
        });
        start += hop;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_frame_once() {
        let stride = 320;
        for samples in [400, 960_000, 960_001, 1_100_000, 3_000_017, 10_000_000] {
            let mut next = 0;
            let windows = windows(samples, stride);
            for (place, window) in windows.iter().enumerate() {
                let start = window.samples.start / stride;
                assert_eq!(window.samples.start % stride, 0);
                assert_eq!(start + window.first, next, "{samples}");
                assert!(window.samples.len() <= 65 * 16_000);
                match window.kept {
                    Some(kept) => next += kept,
                    None => assert_eq!(place + 1, windows.len()),
                }
            }
            assert_eq!(windows.last().unwrap().samples.end, samples);
        }
    }

    #[test]
    fn a_normalised_waveform_has_unit_power() {
        let samples: Vec<f32> = (0..1000).map(|i| 0.3 + (i as f32 * 0.1).sin()).collect();
        let found = normalised(&samples);
        let mean: f32 = found.iter().sum::<f32>() / 1000.0;
        let power: f32 = found.iter().map(|x| x * x).sum::<f32>() / 1000.0;
        assert!(mean.abs() < 1e-5 && (power - 1.0).abs() < 1e-4);
    }
}
