//! The phonetic encoder: mel features to a narrow sequence of codes.

use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::Mask;
use super::layer::Conv1d;
use crate::error::{Error, Result};

/// Size and constraints of a [`PhoneticEncoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhoneticEncoderOptions {
    /// Width of the hidden layers.
    pub channels: i64,
    /// Odd kernel width in frames.
    pub kernel: i64,
    /// Hidden layers at the code's rate, after those that lower it.
    pub layers: i64,
    /// Frames per code: 1, 2 or 4 (10, 20 or 40 ms at a 10 ms shift).
    pub subsampling: i64,
    /// Values per code.
    pub code_dim: i64,
    /// Instance normalisation (without scale and shift) after every hidden layer: drops what is constant
    /// over an utterance, much of the speaker among it (Chou et al. 2019).
    pub instance_norm: bool,
    /// Instance normalisation of the codes themselves.
    pub code_norm: bool,
    /// Levels per code value; 0 leaves codes continuous. Finite scalar quantisation (Mentzer et al. 2023)
    /// bounds a code to `code_dim * log2(levels)` bits; gradients pass straight through the rounding.
    pub code_levels: i64,
}

impl Default for PhoneticEncoderOptions {
    fn default() -> Self {
        Self {
            channels: 96,
            kernel: 5,
            layers: 2,
            subsampling: 4,
            code_dim: 32,
            instance_norm: true,
            code_norm: false,
            code_levels: 0,
        }
    }
}

impl PhoneticEncoderOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        let key = |name: &str| format!("phonetic_encoder.{name}");
        if ![1, 2, 4].contains(&self.subsampling) {
            return Err(Error::option(
                key("subsampling"),
                "1, 2 or 4",
                self.subsampling.to_string(),
            ));
        }
        if self.kernel < 1 || self.kernel % 2 == 0 {
            return Err(Error::option(
                key("kernel"),
                "an odd width",
                self.kernel.to_string(),
            ));
        }
        for (name, value) in [("channels", self.channels), ("code_dim", self.code_dim)] {
            if value < 1 {
                return Err(Error::option(key(name), "at least 1", value.to_string()));
            }
        }
        for (name, value) in [("layers", self.layers), ("code_levels", self.code_levels)] {
            if value < 0 {
                return Err(Error::option(key(name), "0 or more", value.to_string()));
            }
        }
        if self.code_levels == 1 {
            return Err(Error::option(key("code_levels"), "0, or at least 2", "1"));
        }
        Ok(())
    }
}

/// Convolutions over time, each followed by a rectifier and, by option, instance normalisation; strides bring
/// the frame rate down, and a last layer of width one narrows to the code.
#[derive(Debug)]
pub struct PhoneticEncoder {
    convs: Vec<(Conv1d, i64)>,
    code: Conv1d,
    options: PhoneticEncoderOptions,
}

impl PhoneticEncoder {
    /// For features of `input_dim` bins.
    pub fn new(path: Path, input_dim: i64, options: &PhoneticEncoderOptions) -> Self {
        let mut strides = vec![1];
        strides.extend(std::iter::repeat_n(2, options.subsampling.ilog2() as usize));
        strides.extend(std::iter::repeat_n(1, options.layers as usize));
        let convs = strides
            .iter()
            .enumerate()
            .map(|(index, &stride)| {
                let inputs = if index == 0 {
                    input_dim
                } else {
                    options.channels
                };
                let path = &path / format!("conv{index}");
                (
                    Conv1d::new(path, inputs, options.channels, options.kernel).stride(stride),
                    stride,
                )
            })
            .collect();
        Self {
            convs,
            code: Conv1d::new(&path / "code", options.channels, options.code_dim, 1),
            options: options.clone(),
        }
    }

    /// Features `[batch, bins, frames]` to codes `[batch, code_dim, ceil(frames / subsampling)]` and their mask.
    pub fn forward(&self, feats: &Tensor, mask: &Mask) -> (Tensor, Mask) {
        let mut mask = mask.subsample(1);
        let mut x = mask.apply(feats.shallow_clone());
        for (index, (conv, stride)) in self.convs.iter().enumerate() {
            let mut y = conv.forward(&x);
            mask = mask.subsample(*stride);
            if self.options.instance_norm {
                y = mask.instance_norm(&y);
            }
            y = y.relu();
            // Layers at the code's rate add to what they were given.
            let residual = *stride == 1 && index > 0;
            x = mask.apply(if residual { y + x } else { y });
        }
        let mut codes = self.code.forward(&x);
        if self.options.code_norm {
            codes = mask.instance_norm(&codes);
        }
        if self.options.code_levels > 0 {
            codes = quantise(&codes, self.options.code_levels);
        }
        (mask.apply(codes), mask)
    }
}

/// Finite scalar quantisation: rounds `tanh(x)` to `levels` even steps over [-1, 1]; the gradient is that of
/// `tanh`.
pub(super) fn quantise(x: &Tensor, levels: i64) -> Tensor {
    let bounded = x.tanh();
    let half = (levels - 1) as f64 / 2.0;
    let rounded = ((&bounded + 1.0) * half).round() / half - 1.0;
    &bounded + (rounded - &bounded).detach()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn::VarStore};

    fn encoder(options: &PhoneticEncoderOptions) -> (VarStore, PhoneticEncoder) {
        let store = VarStore::new(Device::Cpu);
        let encoder = PhoneticEncoder::new(store.root(), 40, options);
        (store, encoder)
    }

    #[test]
    fn shapes_follow_the_options() {
        for subsampling in [1, 2, 4] {
            let options = PhoneticEncoderOptions {
                subsampling,
                ..Default::default()
            };
            let (_store, encoder) = encoder(&options);
            let x = Tensor::randn([2, 40, 33], (Kind::Float, Device::Cpu));
            let (codes, mask) = encoder.forward(&x, &Mask::new(&[33, 20], Device::Cpu));
            let frames = (33 + subsampling - 1) / subsampling;
            assert_eq!(codes.size(), [2, 32, frames]);
            assert_eq!(mask.frames(), frames);
        }
    }

    #[test]
    fn a_batch_gives_what_one_alone_gives() {
        let (_store, encoder) = encoder(&PhoneticEncoderOptions::default());
        let x = Tensor::randn([1, 40, 21], (Kind::Float, Device::Cpu));
        let (alone, _) = encoder.forward(&x, &Mask::new(&[21], Device::Cpu));
        let noise = Tensor::randn([1, 40, 50], (Kind::Float, Device::Cpu));
        let batch = Tensor::cat(&[x.constant_pad_nd([0, 29]), noise], 0);
        let (many, mask) = encoder.forward(&batch, &Mask::new(&[21, 50], Device::Cpu));
        assert_eq!(mask.lengths(), [6, 13]);
        let gap = (alone - many.narrow(0, 0, 1).narrow(2, 0, 6)).abs().max();
        assert!(gap.double_value(&[]) < 1e-4);
    }

    #[test]
    fn quantised_codes_lie_on_their_levels_and_keep_a_gradient() {
        let x = Tensor::randn([4, 50], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let codes = quantise(&x, 3);
        let off = (&codes - codes.round()).abs().max().double_value(&[]);
        assert!(off < 1e-6);
        codes.sum(Kind::Float).backward();
        assert!(x.grad().abs().min().double_value(&[]) > 0.0);
    }
}
