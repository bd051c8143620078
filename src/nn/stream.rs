//! A phonetic encoder over features that arrive in pieces. Each layer keeps the input that its next outputs still need,
//! so that pieces give the codes of the whole, but for rounding in products of other sizes.

use tch::{Kind, Tensor};

use super::conformer::ConformerState;
use super::conv_state::ConvState;
use super::mask::Mask;
use super::phonetic_encoder::{Layers, PhoneticEncoder, adds};
use super::recurrent::RecurrentState;
use crate::error::{Error, Result};

/// Codes of features that arrive in pieces, of a causal [`PhoneticEncoder`]; created by [`PhoneticEncoder::stream`].
#[derive(Debug)]
pub struct PhoneticStream<'a> {
    encoder: &'a PhoneticEncoder,
    convs: Vec<ConvState>,
    backbone: BodyState,
}

#[derive(Debug)]
enum BodyState {
    Conv,
    Recurrent(RecurrentState),
    Conformer(Vec<ConformerState>),
}

impl PhoneticEncoder {
    /// A stream of codes, for features that arrive in pieces.
    ///
    /// # Errors
    /// [`Error::Option`] for an encoder that is not causal.
    pub fn stream(&self) -> Result<PhoneticStream<'_>> {
        match self.causal() {
            true => Ok(PhoneticStream::new(self)),
            false => Err(Error::option(
                "phonetic_encoder.causal",
                "true for a stream: codes may not depend on later frames",
                "false",
            )),
        }
    }
}

impl<'a> PhoneticStream<'a> {
    fn new(encoder: &'a PhoneticEncoder) -> Self {
        let backbone = match &encoder.layers {
            Layers::Conv => BodyState::Conv,
            Layers::Recurrent(_) => BodyState::Recurrent(RecurrentState::default()),
            Layers::Conformer(blocks) => {
                BodyState::Conformer(blocks.iter().map(|_| ConformerState::default()).collect())
            }
        };
        Self {
            encoder,
            convs: encoder.convs.iter().map(|_| ConvState::default()).collect(),
            backbone,
        }
    }

    /// Takes the next normalised features `[1, bins, frames]` and returns the codes that are complete, `[1, code_dim,
    /// codes]`, possibly none. At the end of a stream no codes are missing.
    pub fn push(&mut self, feats: &Tensor) -> Tensor {
        let mut x = feats.shallow_clone();
        let layers = self.encoder.convs.iter().zip(&mut self.convs);
        for (index, ((conv, stride), state)) in layers.enumerate() {
            if x.size()[2] == 0 {
                return self.none(&x);
            }
            let y = state.push(conv, &x).relu();
            x = if adds(index, *stride) { y + x } else { y };
        }
        if x.size()[2] == 0 {
            return self.none(&x);
        }
        x = match (&self.encoder.layers, &mut self.backbone) {
            (Layers::Recurrent(recurrent), BodyState::Recurrent(state)) => {
                recurrent.step(&x, state)
            }
            (Layers::Conformer(blocks), BodyState::Conformer(states)) => {
                (blocks.iter().zip(states)).fold(x, |x, (block, state)| block.step(&x, state))
            }
            _ => x,
        };
        let mask = Mask::new(&[x.size()[2]], x.device());
        (self.encoder.bottleneck).codes(&self.encoder.code.forward(&x), &mask)
    }

    /// Frames per code.
    pub fn subsampling(&self) -> i64 {
        self.encoder.subsampling()
    }

    /// Whether its memory grows with the stream, as with attention, which reads everything from the beginning.
    pub fn grows(&self) -> bool {
        matches!(&self.backbone, BodyState::Conformer(states) if !states.is_empty())
    }

    fn none(&self, x: &Tensor) -> Tensor {
        let dim = self.encoder.code_dim();
        x.new_zeros([x.size()[0], dim, 0], (Kind::Float, x.device()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::phonetic_encoder::Backbone;
    use crate::nn::{BottleneckOptions, Mask, PhoneticEncoderOptions};
    use tch::nn::VarStore;
    use tch::{Device, no_grad};

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);
    const BACKBONES: [Backbone; 3] = [
        Backbone::Conv { layers: 2 },
        Backbone::Recurrent { layers: 2 },
        Backbone::Conformer {
            layers: 2,
            heads: 4,
        },
    ];

    fn causal(backbone: Backbone, subsampling: i64, kernel: i64) -> PhoneticEncoderOptions {
        PhoneticEncoderOptions {
            channels: 16,
            kernel,
            subsampling,
            backbone,
            instance_norm: false,
            causal: true,
            ..Default::default()
        }
    }

    /// The largest difference between codes of pieces of the given `sizes` and codes of the whole, relative to the
    /// largest code if that is above 1: single precision rounds relatively, and weights are random in each run.
    fn gap(options: &PhoneticEncoderOptions, frames: i64, sizes: &[i64]) -> f64 {
        options.check().unwrap();
        let store = VarStore::new(Device::Cpu);
        let encoder = PhoneticEncoder::new(store.root(), 7, options);
        let x = Tensor::randn([1, 7, frames], CPU);
        no_grad(|| {
            let whole = encoder.codes(&x, &Mask::new(&[frames], Device::Cpu)).0;
            let mut stream = encoder.stream().unwrap();
            let (mut at, mut parts) = (0, Vec::new());
            for size in sizes.iter().cycle() {
                let size = (*size).min(frames - at);
                parts.push(stream.push(&x.narrow(2, at, size)));
                at += size;
                let due = (at + options.subsampling - 1) / options.subsampling;
                let given: i64 = parts.iter().map(|part| part.size()[2]).sum();
                assert_eq!(given, due, "as soon as possible");
                if at == frames {
                    break;
                }
            }
            let streamed = Tensor::cat(&parts, 2);
            assert_eq!(streamed.size(), whole.size());
            let largest = whole.abs().max().double_value(&[]);
            (streamed - whole).abs().max().double_value(&[]) / largest.max(1.0)
        })
    }

    #[test]
    fn pieces_give_the_codes_of_the_whole() {
        for backbone in BACKBONES {
            for (subsampling, kernel) in [(1, 5), (2, 3), (4, 5), (8, 1)] {
                for sizes in [&[1][..], &[3, 0, 8], &[40]] {
                    let found = gap(&causal(backbone, subsampling, kernel), 77, sizes);
                    assert!(found < 1e-5, "{backbone:?} {subsampling} {kernel}: {found}");
                }
            }
        }
    }

    #[test]
    fn bottlenecks_stream() {
        let vector = BottleneckOptions::Vq {
            codes: 8,
            commitment: 0.25,
            restart_below: 0.05,
        };
        let variational = BottleneckOptions::Vae {
            weight: 1.0,
            free_bits: 0.0,
            prior_channels: 0,
        };
        for bottleneck in [vector, variational] {
            let options = PhoneticEncoderOptions {
                bottleneck,
                ..causal(BACKBONES[0], 4, 5)
            };
            assert!(gap(&options, 50, &[3]) < 1e-5, "{bottleneck:?}");
        }
    }

    #[test]
    fn a_network_that_reads_later_frames_has_no_stream() {
        let store = VarStore::new(Device::Cpu);
        let encoder = PhoneticEncoder::new(store.root(), 7, &Default::default());
        let error = encoder.stream().unwrap_err().to_string();
        assert!(
            error.starts_with("phonetic_encoder.causal: expected true"),
            "{error}"
        );
    }

    #[test]
    fn a_stream_needs_little_memory() {
        let store = VarStore::new(Device::Cpu);
        let encoder = PhoneticEncoder::new(store.root(), 7, &causal(BACKBONES[1], 4, 5));
        let mut stream = encoder.stream().unwrap();
        for frames in [100, 3, 50] {
            let _ = stream.push(&Tensor::zeros([1, 7, frames], CPU));
            for state in &stream.convs {
                let kept = state.kept.as_ref().unwrap().size()[2];
                assert!(kept <= 6, "{kept}");
            }
        }
        assert!(!stream.grows());
    }
}
