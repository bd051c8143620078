//! The phonetic encoder: from features to a sequence of codes at a lower rate, or to one code per utterance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::Path;
use tch::{Kind, Tensor, no_grad};

use super::bottleneck::{Bottleneck, BottleneckOptions};
use super::conformer::ConformerBlock;
use super::layer::Conv1d;
use super::mask::Mask;
use super::norm_act::{Norm, NormAct};
use super::recurrent::Recurrent;
use super::{check_size, check_small};
use crate::error::{Error, Result, check_within};

/// The phonetic encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PhoneticEncoderOptions {
    /// Width of the hidden layers.
    pub channels: i64,
    /// Kernel width of convolutions in frames, odd.
    pub kernel: i64,
    /// Frames per code: 1, 2, 4 or 8. With a frame shift of 10 ms that is a code per 10, 20, 40 or 80 ms.
    pub subsampling: i64,
    /// Layers after subsampling.
    pub backbone: Backbone,
    /// Train only so many of the last conformer blocks and what follows them; all that comes before stays as it begins.
    /// For `--init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_layers: Option<i64>,
    /// Dimensions of a code.
    pub code_dim: i64,
    /// Instance normalisation (without scale and shift) after each convolution. It removes what is constant over an
    /// utterance, including much of the speaker (Chou et al. 2019).
    pub instance_norm: bool,
    /// Instance normalisation of the codes themselves.
    pub code_norm: bool,
    /// Bottleneck that limits the information in a code.
    pub bottleneck: BottleneckOptions,
    /// One code per utterance: the mean over time. For single words (Chung et al. 2016); needs a recurrent decoder.
    pub pool: bool,
    /// Codes do not depend on later frames, as `unbraid stream` needs. Cannot be combined with instance normalisation,
    /// which uses the whole utterance.
    pub causal: bool,
}

/// Layers after subsampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Backbone {
    /// Residual convolutions.
    Conv {
        /// Number of layers.
        layers: i64,
    },
    /// Gated recurrent units, bidirectional unless `causal`.
    Recurrent {
        /// Number of layers.
        layers: i64,
    },
    /// Conformer blocks (Gulati et al. 2020).
    Conformer {
        /// Number of blocks.
        layers: i64,
        /// Attention heads, a divisor of `channels`.
        heads: i64,
    },
}

impl Default for PhoneticEncoderOptions {
    fn default() -> Self {
        Self {
            channels: 96,
            kernel: 5,
            subsampling: 4,
            backbone: Backbone::Conv { layers: 2 },
            trained_layers: None,
            code_dim: 32,
            instance_norm: true,
            code_norm: false,
            bottleneck: BottleneckOptions::None,
            pool: false,
            causal: false,
        }
    }
}

impl PhoneticEncoderOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, expected: &str, found: String| {
            Err(Error::option(
                format!("phonetic_encoder.{name}"),
                expected,
                found,
            ))
        };
        if ![1, 2, 4, 8].contains(&self.subsampling) {
            return refuse("subsampling", "1, 2, 4 or 8", self.subsampling.to_string());
        }
        let size = |name: &str, value| check_size(format!("phonetic_encoder.{name}"), value, 1);
        check_small("phonetic_encoder.kernel", self.kernel, 1)?;
        size("channels", self.channels)?;
        size("code_dim", self.code_dim)?;
        if self.kernel % 2 == 0 {
            return refuse("kernel", "an odd width", self.kernel.to_string());
        }
        let balanced = matches!(
            self.bottleneck,
            BottleneckOptions::Fsq { balanced: true, .. }
        );
        if self.causal && (self.instance_norm || self.code_norm || self.pool || balanced) {
            let expected = "false where instance_norm, code_norm, pool or bottleneck.balanced read the whole utterance";
            return refuse("causal", expected, "true".into());
        }
        self.check_backbone()?;
        self.bottleneck.check("phonetic_encoder.bottleneck")
    }

    /// Refuses weight decay where some layers are not trained: it would shrink their weights.
    ///
    /// # Errors
    /// [`Error::Option`] naming `trained_layers`.
    pub fn check_decay(&self, weight_decay: f64) -> Result<()> {
        match self.trained_layers {
            Some(layers) if weight_decay > 0.0 => {
                let expected =
                    "no value with the optimiser's weight_decay, which reaches all layers";
                let found = layers.to_string();
                Err(Error::option(
                    "phonetic_encoder.trained_layers",
                    expected,
                    found,
                ))
            }
            _ => Ok(()),
        }
    }

    fn check_backbone(&self) -> Result<()> {
        let (layers, parts) = match self.backbone {
            Backbone::Conv { layers } => (layers, 1),
            Backbone::Recurrent { layers } => (layers, if self.causal { 1 } else { 2 }),
            Backbone::Conformer { layers, heads } => (layers, heads),
        };
        check_small("phonetic_encoder.backbone.layers", layers, 0)?;
        match (self.backbone, self.trained_layers) {
            (Backbone::Conformer { .. }, Some(trained)) => {
                check_within("phonetic_encoder.trained_layers", trained, 0..=layers)?;
            }
            (_, Some(trained)) => {
                let (expected, found) = ("no value without conformer blocks", trained.to_string());
                return Err(Error::option(
                    "phonetic_encoder.trained_layers",
                    expected,
                    found,
                ));
            }
            (_, None) => {}
        }
        check_size("phonetic_encoder.backbone.heads", parts, 1)?;
        if self.channels % parts != 0 {
            let expected = format!("a multiple of {parts}, for phonetic_encoder.backbone");
            let found = self.channels.to_string();
            return Err(Error::option("phonetic_encoder.channels", expected, found));
        }
        Ok(())
    }
}

/// Strided convolutions over time reduce the frame rate, each followed by a rectifier and, by option, instance
/// normalisation. Then come the backbone, a layer of kernel width 1 down to the code's dimensions, and the bottleneck.
#[derive(Debug)]
pub struct PhoneticEncoder {
    pub(super) convs: Vec<(Conv1d, i64)>,
    pub(super) layers: Layers,
    pub(super) code: Conv1d,
    pub(super) bottleneck: Bottleneck,
    options: PhoneticEncoderOptions,
}

/// The backbone's layers.
#[derive(Debug)]
pub(super) enum Layers {
    Conv,
    Recurrent(Recurrent),
    Conformer(Vec<ConformerBlock>),
}

/// The output of a [`PhoneticEncoder`] for a batch.
#[derive(Debug)]
pub struct Encoded {
    /// `[batch, code_dim, ceil(frames / subsampling)]`, or `[batch, code_dim, 1]` for pooled ones; zero in the padding.
    pub codes: Tensor,
    /// Codes without padding.
    pub mask: Mask,
    /// The bottleneck's weighted loss, a scalar.
    pub penalty: Option<Tensor>,
    /// Perplexity of the codebook.
    pub perplexity: Option<Tensor>,
}

impl PhoneticEncoder {
    /// For features of `input_dim` bins.
    pub fn new(path: Path, input_dim: i64, options: &PhoneticEncoderOptions) -> Self {
        let convs = strides(options)
            .into_iter()
            .enumerate()
            .map(|(index, stride)| {
                let inputs = if index == 0 {
                    input_dim
                } else {
                    options.channels
                };
                let path = &path / format!("conv{index}");
                let conv = Conv1d::new(path, inputs, options.channels, options.kernel)
                    .stride(stride)
                    .causal(options.causal);
                (conv, stride)
            })
            .collect();
        let read = options.bottleneck.inputs(options.code_dim);
        Self {
            convs,
            layers: Layers::new(&path, options),
            code: Conv1d::new(&path / "code", options.channels, read, 1),
            bottleneck: Bottleneck::new(&path / "bottleneck", options.code_dim, options.bottleneck),
            options: options.clone(),
        }
    }

    /// Features `[batch, bins, frames]` to codes. `train` switches the bottleneck's training behaviour.
    pub fn forward(&self, feats: &Tensor, mask: &Mask, train: bool) -> Encoded {
        let (codes, mask) = self.read(feats, mask);
        let squeezed = self.bottleneck.forward(&codes, &mask, train);
        Encoded {
            codes: mask.apply(squeezed.codes),
            mask,
            penalty: squeezed.penalty,
            perplexity: squeezed.perplexity,
        }
    }

    /// Features `[batch, bins, frames]` to the codes of [`PhoneticEncoder::forward`] without training, and their mask.
    pub fn codes(&self, feats: &Tensor, mask: &Mask) -> (Tensor, Mask) {
        let (codes, mask) = self.read(feats, mask);
        (mask.apply(self.bottleneck.codes(&codes, &mask)), mask)
    }

    /// Whether codes do not depend on later frames.
    pub fn causal(&self) -> bool {
        self.options.causal
    }

    /// Frames per code.
    pub fn subsampling(&self) -> i64 {
        self.options.subsampling
    }

    /// Values per code.
    pub fn code_dim(&self) -> i64 {
        self.options.code_dim
    }

    /// Input channels of the bottleneck.
    fn read(&self, feats: &Tensor, mask: &Mask) -> (Tensor, Mask) {
        let (mut x, mut mask) = self.convolve(feats, mask);
        x = self.layers.forward(x, &mask, self.options.trained_layers);
        if self.options.pool {
            x = mask.mean_std(&x).0;
            mask = Mask::new(&vec![1; mask.lengths().len()], x.device());
        }
        let mut codes = self.code.forward(&x);
        if self.options.code_norm {
            let norm_act = NormAct {
                norm: Norm::Instance,
                ..NormAct::default()
            };
            codes = norm_act.forward(&codes, &mask);
        }
        (codes, mask)
    }

    /// Called once per training step, before anything of the step is computed: see [`Bottleneck::before_step`].
    pub fn before_step(&self) {
        self.bottleneck.before_step();
    }

    fn convolve(&self, feats: &Tensor, mask: &Mask) -> (Tensor, Mask) {
        let mut mask = mask.subsample(1);
        let mut x = mask.apply(feats.shallow_clone());
        for (index, (conv, stride)) in self.convs.iter().enumerate() {
            let y = conv.activations(&x);
            mask = mask.subsample(*stride);
            let norm_act = NormAct {
                norm: Norm::instance(self.options.instance_norm),
                rectify: true,
                residual: adds(index, *stride).then_some(&x),
                ..NormAct::default()
            };
            x = norm_act.forward(&y, &mask);
        }
        (x, mask)
    }
}

/// The strides of the convolutions.
pub(crate) fn strides(options: &PhoneticEncoderOptions) -> Vec<i64> {
    let mut strides = vec![1];
    strides.extend(std::iter::repeat_n(2, options.subsampling.ilog2() as usize));
    if let Backbone::Conv { layers } = options.backbone {
        strides.extend(std::iter::repeat_n(1, layers as usize));
    }
    strides
}

/// Whether a convolution has a residual connection, as the layers at the code's rate do.
pub(crate) fn adds(index: usize, stride: i64) -> bool {
    stride == 1 && index > 0
}

impl Layers {
    fn new(path: &Path, options: &PhoneticEncoderOptions) -> Self {
        let (channels, causal) = (options.channels, options.causal);
        match options.backbone {
            Backbone::Conv { .. } => Self::Conv,
            Backbone::Recurrent { layers } => Self::Recurrent(Recurrent::new(
                path / "gru",
                channels,
                channels,
                layers,
                causal,
            )),
            Backbone::Conformer { layers, heads } => {
                let blocks = (0..layers).map(|index| {
                    let path = path / format!("block{index}");
                    ConformerBlock::new(path, channels, heads, options.kernel, causal)
                });
                Self::Conformer(blocks.collect())
            }
        }
    }

    /// Only the last `trained` blocks get a gradient, if that is given.
    fn forward(&self, x: Tensor, mask: &Mask, trained: Option<i64>) -> Tensor {
        match self {
            Self::Conv => x,
            Self::Recurrent(recurrent) => recurrent.forward(&x.to_kind(Kind::Float), mask),
            Self::Conformer(blocks) => {
                let fixed = trained.map_or(0, |trained| blocks.len() - trained as usize);
                let (before, after) = blocks.split_at(fixed);
                let run = |x: Tensor, blocks: &[ConformerBlock]| {
                    blocks.iter().fold(x, |x, block| block.forward(&x, mask))
                };
                let x = x.to_kind(Kind::Float);
                let x = match trained {
                    None => x,
                    Some(_) => no_grad(|| run(x, before)).detach(),
                };
                run(x, after)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn::VarStore};

    const BACKBONES: [Backbone; 3] = [
        Backbone::Conv { layers: 2 },
        Backbone::Recurrent { layers: 1 },
        Backbone::Conformer {
            layers: 1,
            heads: 4,
        },
    ];
    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn encoder(options: &PhoneticEncoderOptions) -> (VarStore, PhoneticEncoder) {
        options.check().unwrap();
        let store = VarStore::new(Device::Cpu);
        let encoder = PhoneticEncoder::new(store.root(), 40, options);
        (store, encoder)
    }

    #[test]
    fn shapes_follow_the_options() {
        for backbone in BACKBONES {
            for subsampling in [1, 2, 4, 8] {
                let options = PhoneticEncoderOptions {
                    subsampling,
                    backbone,
                    ..Default::default()
                };
                let (_store, encoder) = encoder(&options);
                let x = Tensor::randn([2, 40, 33], CPU);
                let found = encoder.forward(&x, &Mask::new(&[33, 20], Device::Cpu), true);
                let frames = (33 + subsampling - 1) / subsampling;
                assert_eq!(found.codes.size(), [2, 32, frames]);
                assert_eq!(found.mask.frames(), frames);
            }
        }
    }

    #[test]
    fn a_batch_equals_single_utterances() {
        for (backbone, pool) in BACKBONES.into_iter().flat_map(|b| [(b, false), (b, true)]) {
            let options = PhoneticEncoderOptions {
                backbone,
                pool,
                ..Default::default()
            };
            let (_store, encoder) = encoder(&options);
            let x = Tensor::randn([1, 40, 21], CPU);
            let alone = encoder.forward(&x, &Mask::new(&[21], Device::Cpu), false);
            let noise = Tensor::randn([1, 40, 50], CPU);
            let batch = Tensor::cat(&[x.constant_pad_nd([0, 29]), noise], 0);
            let many = encoder.forward(&batch, &Mask::new(&[21, 50], Device::Cpu), false);
            let lengths: &[i64] = if pool { &[1, 1] } else { &[6, 13] };
            assert_eq!(many.mask.lengths(), lengths);
            let own = many.codes.narrow(0, 0, 1).narrow(2, 0, lengths[0]);
            let gap = (alone.codes - own).abs().max();
            assert!(gap.double_value(&[]) < 1e-4, "{backbone:?} {pool}");
        }
    }

    #[test]
    fn a_causal_encoder_does_not_read_later_frames() {
        for backbone in BACKBONES {
            let options = PhoneticEncoderOptions {
                backbone,
                causal: true,
                instance_norm: false,
                ..Default::default()
            };
            let (_store, encoder) = encoder(&options);
            let mask = Mask::new(&[40], Device::Cpu);
            let x = Tensor::randn([1, 40, 40], CPU);
            let changed = Tensor::cat(&[x.narrow(2, 0, 21), Tensor::randn([1, 40, 19], CPU)], 2);
            let codes = |x: &Tensor| encoder.forward(x, &mask, false).codes;
            let gap = codes(&x) - codes(&changed);
            // Code 5 starts at frame 20.
            assert!(
                gap.narrow(2, 0, 6).abs().max().double_value(&[]) < 1e-5,
                "{backbone:?}"
            );
            assert!(gap.abs().max().double_value(&[]) > 1e-3, "{backbone:?}");
        }
    }

    #[test]
    fn options_that_exclude_each_other_are_named() {
        let causal = PhoneticEncoderOptions {
            causal: true,
            ..Default::default()
        };
        let balanced = PhoneticEncoderOptions {
            causal: true,
            instance_norm: false,
            bottleneck: BottleneckOptions::Fsq {
                levels: 3,
                balanced: true,
            },
            ..Default::default()
        };
        let heads = PhoneticEncoderOptions {
            backbone: Backbone::Conformer {
                layers: 1,
                heads: 5,
            },
            ..Default::default()
        };
        for (options, key) in [
            (causal, "causal"),
            (balanced, "causal"),
            (heads, "channels"),
        ] {
            let found = options.check().unwrap_err().to_string();
            assert!(
                found.contains(&format!("phonetic_encoder.{key}")),
                "{found}"
            );
        }
    }
}
