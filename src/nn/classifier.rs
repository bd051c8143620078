//! Classifiers of sequences: one network for speaker adversaries, label heads and convolutional probes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::Path;
use tch::{Kind, Tensor, nn::Path as VarPath};

use super::layer::{BatchNorm, Conv1d, Linear};
use super::norm_act::{Norm, NormAct};
use super::pooling::statistics_and_max;
use super::{Mask, check_size, check_small};
use crate::error::{Error, Result};

/// A convolutional network over a sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierOptions {
    /// Width of the hidden layers.
    pub channels: i64,
    /// Kernel width of convolutions in frames, odd.
    pub kernel: i64,
    /// Number of convolutions. With 0 the output layer reads its input directly; a classifier of utterances then sees
    /// only the statistics of the input over time.
    pub layers: i64,
    /// Probability of dropping a hidden value in training.
    pub dropout: f64,
    /// Batch normalisation of the input and of each hidden layer.
    pub batch_norm: bool,
    /// Spectral normalisation: divide weights by their largest singular value, which bounds the gradient of the
    /// network. For discriminators.
    pub spectral_norm: bool,
}

impl Default for ClassifierOptions {
    fn default() -> Self {
        Self {
            channels: 128,
            kernel: 5,
            layers: 3,
            dropout: 0.0,
            batch_norm: true,
            spectral_norm: false,
        }
    }
}

impl ClassifierOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        check_small(format!("{name}.kernel"), self.kernel, 1)?;
        if self.kernel % 2 == 0 {
            return Err(Error::option(
                format!("{name}.kernel"),
                "an odd width",
                self.kernel.to_string(),
            ));
        }
        check_size(format!("{name}.channels"), self.channels, 1)?;
        check_small(format!("{name}.layers"), self.layers, 0)?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::option(
                format!("{name}.dropout"),
                "0 <= p < 1",
                self.dropout.to_string(),
            ));
        }
        Ok(())
    }
}

/// Whether a [`Classifier`] has an output per sequence or per frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// One output per sequence: logits `[batch, classes]`.
    Sequence,
    /// One output per frame: logits `[batch, classes, frames]`.
    Frames,
}

/// Input standardised per channel by batch statistics, and convolutions over time with batch normalisation. Then mean,
/// deviation and maximum over time and a hidden layer, or an output layer per frame. The network can use order and
/// timing, not only averages.
#[derive(Debug)]
pub struct Classifier {
    input_norm: Option<BatchNorm>,
    convs: Vec<(Conv1d, Option<BatchNorm>)>,
    head: Head,
    dropout: f64,
}

#[derive(Debug)]
enum Head {
    Sequence {
        hidden: Linear,
        norm: Option<BatchNorm>,
        output: Linear,
    },
    Frames(Conv1d),
}

impl Classifier {
    /// From `input_dim` channels to `classes`.
    pub fn new(
        path: Path,
        input_dim: i64,
        classes: i64,
        answer: Answer,
        options: &ClassifierOptions,
    ) -> Self {
        let channels = options.channels;
        let convs = (0..options.layers)
            .map(|index| {
                let path = &path / format!("conv{index}");
                let inputs = if index == 0 { input_dim } else { channels };
                let conv = Conv1d::new(&path / "conv", inputs, channels, options.kernel)
                    .spectral(options.spectral_norm);
                let norm = options.batch_norm;
                (conv, norm.then(|| BatchNorm::new(&path / "norm", channels)))
            })
            .collect();
        let read = if options.layers > 0 {
            channels
        } else {
            input_dim
        };
        Self {
            input_norm: (options.batch_norm).then(|| BatchNorm::plain(&path / "input", input_dim)),
            convs,
            head: Head::new(&path, read, classes, answer, options),
            dropout: options.dropout,
        }
    }

    /// `[batch, input_dim, frames]` to logits, with the shape of [`Answer`].
    pub fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let input = NormAct {
            norm: Norm::batch(self.input_norm.as_ref(), train),
            ..NormAct::default()
        };
        let mut x = input.forward(x, mask);
        for (index, (conv, norm)) in self.convs.iter().enumerate() {
            let norm_act = NormAct {
                norm: Norm::batch(norm.as_ref(), train),
                rectify: true,
                residual: (index > 0).then_some(&x),
                dropout: if train { self.dropout } else { 0.0 },
                ..NormAct::default()
            };
            x = norm_act.forward(&conv.activations(&x), mask);
        }
        match &self.head {
            Head::Frames(output) => output.forward(&x),
            Head::Sequence {
                hidden,
                norm,
                output,
            } => {
                let mut pooled = hidden.forward(&statistics_and_max(&x.to_kind(Kind::Float), mask));
                if let Some(norm) = norm {
                    pooled = norm.forward(&pooled, train);
                }
                output.forward(&pooled.relu().dropout(self.dropout, train))
            }
        }
    }
}

impl Head {
    fn new(
        path: &VarPath,
        inputs: i64,
        classes: i64,
        answer: Answer,
        options: &ClassifierOptions,
    ) -> Self {
        let (channels, spectral) = (options.channels, options.spectral_norm);
        match answer {
            Answer::Frames => {
                Head::Frames(Conv1d::new(path / "output", inputs, classes, 1).spectral(spectral))
            }
            Answer::Sequence => Head::Sequence {
                hidden: Linear::new(path / "hidden", 3 * inputs, channels).spectral(spectral),
                norm: (options.batch_norm).then(|| BatchNorm::new(path / "norm", channels)),
                output: Linear::new(path / "output", channels, classes).spectral(spectral),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    #[test]
    fn outputs_have_their_shapes() {
        let x = Tensor::randn([4, 16, 9], (Kind::Float, Device::Cpu));
        let mask = Mask::new(&[9, 5, 1, 7], Device::Cpu);
        for (answer, shape) in [
            (Answer::Sequence, vec![4, 6]),
            (Answer::Frames, vec![4, 6, 9]),
        ] {
            let store = VarStore::new(Device::Cpu);
            let classifier = Classifier::new(store.root(), 16, 6, answer, &Default::default());
            assert_eq!(classifier.forward(&x, &mask, true).size(), shape);
        }
    }

    #[test]
    fn without_layers_it_uses_only_averages() {
        let store = VarStore::new(Device::Cpu);
        let options = ClassifierOptions {
            layers: 0,
            batch_norm: false,
            ..Default::default()
        };
        let classifier = Classifier::new(store.root(), 16, 6, Answer::Sequence, &options);
        let x = Tensor::randn([2, 16, 12], (Kind::Float, Device::Cpu));
        let mask = Mask::new(&[12, 12], Device::Cpu);
        let gap =
            classifier.forward(&x, &mask, true) - classifier.forward(&x.flip([2]), &mask, true);
        assert!(gap.abs().max().double_value(&[]) < 1e-4);
    }

    #[test]
    fn it_uses_the_order_of_frames() {
        let store = VarStore::new(Device::Cpu);
        let classifier =
            Classifier::new(store.root(), 16, 6, Answer::Sequence, &Default::default());
        let x = Tensor::randn([2, 16, 12], (Kind::Float, Device::Cpu));
        let mask = Mask::new(&[12, 12], Device::Cpu);
        let forward = classifier.forward(&x, &mask, false);
        let backward = classifier.forward(&x.flip([2]), &mask, false);
        assert!((forward - backward).abs().max().double_value(&[]) > 1e-4);
    }
}
