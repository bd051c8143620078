//! The decoder: codes and a speaker embedding, and pitch where it reads it, back to mel features.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::layer::{Conv1d, Linear};
use super::mask::Mask;
use super::norm_act::{Norm, NormAct};
use super::recurrent::Unroll;
use super::{check_size, check_small};
use crate::error::{Error, Result};

/// The decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DecoderOptions {
    /// Convolutions over a sequence of codes.
    Conv(ConvDecoderOptions),
    /// Recurrent layers that decode one code per utterance (Chung et al. 2016), for `phonetic_encoder.pool`.
    Recurrent(RecurrentDecoderOptions),
}

/// A convolutional decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConvDecoderOptions {
    /// Width of the hidden layers.
    pub channels: i64,
    /// Kernel width of convolutions in frames, odd.
    pub kernel: i64,
    /// Hidden layers at the frame rate, after upsampling.
    pub layers: i64,
    /// Adaptive instance normalisation (Chou et al. 2019): the speaker embedding alone sets mean and scale of each
    /// channel. False leaves out the normalisation and keeps scale and shift.
    pub instance_norm: bool,
}

/// A recurrent decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecurrentDecoderOptions {
    /// Units per layer, half in each direction; even.
    pub channels: i64,
    /// Number of layers.
    pub layers: i64,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self::Conv(ConvDecoderOptions::default())
    }
}

impl Default for ConvDecoderOptions {
    fn default() -> Self {
        Self {
            channels: 96,
            kernel: 5,
            layers: 2,
            instance_norm: true,
        }
    }
}

impl Default for RecurrentDecoderOptions {
    fn default() -> Self {
        Self {
            channels: 128,
            layers: 1,
        }
    }
}

impl DecoderOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        let refuse = |key: &str, expected: &str, found: i64| {
            let key = format!("decoder.{key}");
            Err(Error::option(key, expected, found.to_string()))
        };
        match self {
            Self::Conv(o) => {
                check_size("decoder.channels", o.channels, 1)?;
                check_small("decoder.kernel", o.kernel, 1)?;
                check_small("decoder.layers", o.layers, 0)?;
                if o.kernel % 2 == 0 {
                    return refuse("kernel", "an odd width", o.kernel);
                }
            }
            Self::Recurrent(o) => {
                check_size("decoder.channels", o.channels, 1)?;
                check_small("decoder.layers", o.layers, 1)?;
                if o.channels % 2 != 0 {
                    return refuse("channels", "an even number", o.channels);
                }
            }
        }
        Ok(())
    }
}

/// From codes and a speaker embedding to features.
#[derive(Debug)]
pub enum Decoder {
    /// For sequences of codes.
    Conv(ConvDecoder),
    /// For one code per utterance.
    Recurrent(Unroll),
}

impl Decoder {
    /// A decoder with the sizes of `shape`.
    pub fn new(path: Path, shape: DecoderShape, options: &DecoderOptions) -> Self {
        match options {
            DecoderOptions::Conv(options) => Self::Conv(ConvDecoder::new(path, shape, options)),
            DecoderOptions::Recurrent(o) => {
                let inputs = (shape.code_dim + shape.embedding_dim, shape.pitch_dim());
                let (channels, bins) = (o.channels, shape.output_dim);
                Self::Recurrent(Unroll::new(path, inputs, channels, o.layers, bins))
            }
        }
    }

    /// Codes `[batch, code_dim, codes]` and embeddings `[batch, embedding_dim]` to features
    /// `[batch, bins, frames]`; `mask` is that of the features. A decoder that reads pitch is given it, `[batch, 2, frames]`
    /// ([`F0Contour::standardised`](crate::signal::pitch::F0Contour::standardised)).
    pub fn forward(
        &self,
        codes: &Tensor,
        embeds: &Tensor,
        pitch: Option<&Tensor>,
        mask: &Mask,
    ) -> Tensor {
        match self {
            Self::Conv(decoder) => decoder.forward(codes, embeds, pitch, mask),
            Self::Recurrent(unroll) => {
                let code = codes.select(2, 0);
                unroll.forward(&Tensor::cat(&[&code, embeds], 1), pitch, mask)
            }
        }
    }
}

/// Convolutions whose channels are scaled and shifted by the speaker embedding (FiLM, Perez et al. 2018), with
/// frames doubled until the features' rate is reached. The first layer at that rate reads pitch too.
#[derive(Debug)]
pub struct ConvDecoder {
    convs: Vec<(Conv1d, Linear, bool)>,
    output: Conv1d,
    instance_norm: bool,
}

impl ConvDecoder {
    /// From codes of `code_dim` (and pitch) at `1 / subsampling` of the frame rate to `output_dim` bins.
    fn new(path: Path, shape: DecoderShape, options: &ConvDecoderOptions) -> Self {
        let at_frame_rate = shape.subsampling.ilog2() as usize;
        let mut doublings = vec![false];
        doublings.extend(std::iter::repeat_n(true, at_frame_rate));
        doublings.extend(std::iter::repeat_n(false, options.layers as usize));
        let convs = doublings
            .iter()
            .enumerate()
            .map(|(index, &double)| {
                let path = &path / format!("conv{index}");
                let inputs = if index == 0 {
                    shape.code_dim
                } else {
                    options.channels
                };
                let pitch = if index == at_frame_rate {
                    shape.pitch_dim()
                } else {
                    0
                };
                let film = Linear::zeros(&path / "film", shape.embedding_dim, 2 * options.channels);
                let inputs = inputs + pitch;
                let conv = Conv1d::new(&path / "conv", inputs, options.channels, options.kernel);
                (conv, film, double)
            })
            .collect();
        Self {
            convs,
            instance_norm: options.instance_norm,
            output: Conv1d::new(
                &path / "output",
                options.channels,
                shape.output_dim,
                options.kernel,
            ),
        }
    }

    fn forward(
        &self,
        codes: &Tensor,
        embeds: &Tensor,
        pitch: Option<&Tensor>,
        mask: &Mask,
    ) -> Tensor {
        let mut x = codes.shallow_clone();
        let doublings = self.convs.iter().filter(|(_, _, double)| *double).count();
        let mut own = mask.subsample(1 << doublings);
        for (index, (conv, film, double)) in self.convs.iter().enumerate() {
            if *double {
                let by_frame = x.transpose(1, 2).repeat_interleave_self_int(2, 1, None);
                x = by_frame.transpose(1, 2);
                own = own.double();
            }
            let y = match pitch {
                // Codes round up, so there may be frames to spare at the end.
                Some(pitch) if index == doublings => {
                    let spare = own.frames() - mask.frames();
                    conv.activations(&Tensor::cat(&[&x, &pitch.constant_pad_nd([0, spare])], 1))
                }
                _ => conv.activations(&x),
            };
            let norm_act = NormAct {
                norm: Norm::instance(self.instance_norm),
                film: <[Tensor; 2]>::try_from(film.forward(embeds).chunk(2, 1)).ok(),
                rectify: true,
                residual: (!double && index > 0).then_some(&x),
                ..NormAct::default()
            };
            x = norm_act.forward(&y, &own);
        }
        // A narrowing to all frames would have a gradient to copy.
        if own.frames() > mask.frames() {
            x = x.narrow(2, 0, mask.frames());
        }
        let x = mask.apply(x);
        mask.apply(self.output.forward(&x))
    }
}

/// Input and output sizes of a [`Decoder`].
#[derive(Debug, Clone, Copy)]
pub struct DecoderShape {
    /// Values per code.
    pub code_dim: i64,
    /// Feature frames per code.
    pub subsampling: i64,
    /// Values of the speaker embedding.
    pub embedding_dim: i64,
    /// Bins of the features.
    pub output_dim: i64,
    /// Whether it reads pitch.
    pub pitch: bool,
}

impl DecoderShape {
    /// Values per frame of the pitch: log F0 and voicing, or none.
    fn pitch_dim(self) -> i64 {
        if self.pitch { 2 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn::VarStore};

    #[test]
    fn padding_does_not_reach_real_frames() {
        for pitch in [false, true] {
            tch::manual_seed(0);
            let store = VarStore::new(Device::Cpu);
            let shape = DecoderShape {
                code_dim: 8,
                subsampling: 4,
                embedding_dim: 6,
                output_dim: 5,
                pitch,
            };
            let decoder = Decoder::new(store.root(), shape, &Default::default());
            tch::no_grad(|| {
                for (_, tensor) in store.variables() {
                    let _ = tensor.shallow_clone().uniform_(-0.3, 0.3);
                }
            });
            let cpu = (Kind::Float, Device::Cpu);
            // Statistics over two or three codes would enlarge rounding without bound.
            let (codes, embeds) = (Tensor::randn([2, 8, 16], cpu), Tensor::randn([2, 6], cpu));
            let mask = Mask::new(&[39, 62], Device::Cpu);
            let codes = mask.subsample(4).apply(codes);
            let contour = mask.apply(Tensor::randn([2, 2, 62], cpu));
            let many = decoder.forward(&codes, &embeds, pitch.then_some(&contour), &mask);
            let (codes, embeds) = (codes.narrow(0, 0, 1), embeds.narrow(0, 0, 1));
            let alone = Mask::new(&[39], Device::Cpu);
            let contour = contour.narrow(0, 0, 1).narrow(2, 0, 39);
            let codes = codes.narrow(2, 0, 10);
            let one = decoder.forward(&codes, &embeds, pitch.then_some(&contour), &alone);
            let size = one.abs().max().double_value(&[]);
            let gap = (one - many.narrow(0, 0, 1).narrow(2, 0, 39)).abs().max();
            let gap = gap.double_value(&[]) / size;
            assert!(gap < 1e-5, "{gap} of {size}");
        }
    }

    /// Any subsampling and number of layers; and what is decoded follows the pitch, frame by frame.
    #[test]
    fn the_number_of_frames_is_that_of_the_features() {
        let conv = |layers| {
            let options = ConvDecoderOptions {
                layers,
                instance_norm: false,
                ..Default::default()
            };
            (DecoderOptions::Conv(options), true)
        };
        let recurrent = DecoderOptions::Recurrent(RecurrentDecoderOptions::default());
        for (options, local) in [conv(2), conv(0), (recurrent, false)] {
            for (subsampling, pitch) in [1, 2, 4].into_iter().flat_map(|s| [(s, false), (s, true)])
            {
                let store = VarStore::new(Device::Cpu);
                let shape = DecoderShape {
                    code_dim: 8,
                    subsampling,
                    embedding_dim: 6,
                    output_dim: 40,
                    pitch,
                };
                let decoder = Decoder::new(store.root(), shape, &options);
                for frames in [1, 7, 32] {
                    let cpu = (Kind::Float, Device::Cpu);
                    let codes =
                        Tensor::randn([3, 8, (frames + subsampling - 1) / subsampling], cpu);
                    let mask = Mask::new(&[frames; 3], Device::Cpu);
                    let embeds = Tensor::randn([3, 6], cpu);
                    let contour = Tensor::randn([3, 2, frames], cpu);
                    let decode = |contour: &Tensor| {
                        decoder.forward(&codes, &embeds, pitch.then_some(contour), &mask)
                    };
                    let feats = decode(&contour);
                    assert_eq!(feats.size(), [3, 40, frames]);
                    let other = contour.copy();
                    let _ = other.narrow(2, 0, 1).zero_();
                    let moved = (decode(&other) - feats).abs().amax([0i64, 1], false);
                    assert_eq!(moved.double_value(&[0]) > 0.0, pitch);
                    let still = !pitch || local && frames == 32;
                    assert!(!still || moved.double_value(&[frames - 1]) == 0.0);
                }
            }
        }
    }
}
