//! The networks of probes: features `[batch, dim, frames]` to logits.

use tch::Tensor;
use tch::nn::Path as VarPath;

use super::{Family, Target};
use crate::eval::wide_input::WideInput;
use crate::nn::classifier::Answer;
use crate::nn::layer::{BatchNorm, Conv1d, Linear};
use crate::nn::pooling::statistics;
use crate::nn::{Classifier, ClassifierOptions, Mask};
use crate::train::OptimiserOptions;
use crate::train::optimiser::OptimiserKind;
use crate::train::schedule::{Decay, Schedule};

/// The learning rate and weight decay of each family, the same for every representation: the convex problem allows a high
/// rate, deep networks need decay.
pub(super) fn optimiser(family: Family, total: u64) -> OptimiserOptions {
    let (lr, weight_decay) = match family {
        Family::Linear => (1e-2, 1e-4),
        Family::Mlp => (2e-3, 1e-2),
        Family::Cnn => (2e-3, 1e-2),
    };
    OptimiserOptions {
        kind: OptimiserKind::AdamW,
        lr,
        weight_decay,
        schedule: Schedule {
            warmup_steps: total / 20,
            decay: Decay::Cosine,
            final_ratio: 0.01,
        },
        ..OptimiserOptions::default()
    }
}

/// A probe's network. Inputs are standardised per channel.
pub(super) enum Network {
    Linear {
        norm: BatchNorm,
        layer: Linear,
    },
    Mlp(Mlp),
    FrameLinear {
        norm: BatchNorm,
        layer: Conv1d,
    },
    Cnn {
        wide: Option<WideInput>,
        classifier: Classifier,
    },
}

pub(super) struct Mlp {
    norm: BatchNorm,
    hidden: [(Linear, BatchNorm); 2],
    output: Linear,
}

/// Width of the MLP.
const HIDDEN: i64 = 256;
const DROPOUT: f64 = 0.2;

impl Network {
    pub(super) fn new(
        path: VarPath,
        family: Family,
        dim: i64,
        classes: i64,
        target: Target,
    ) -> Self {
        let cnn = |kernel| {
            let options = ClassifierOptions {
                channels: 96,
                kernel,
                layers: 3,
                dropout: DROPOUT,
                ..ClassifierOptions::default()
            };
            let (wide, dim) = WideInput::new(&path / "wide", dim);
            let path = path.sub("cnn");
            Network::Cnn {
                wide,
                classifier: Classifier::new(path, dim, classes, target.answer(), &options),
            }
        };
        match (family, target.answer()) {
            (Family::Cnn, _) => cnn(5),
            // With kernels of width one, the same layers are an MLP on every frame.
            (Family::Mlp, Answer::Frames) => cnn(1),
            (Family::Linear, Answer::Frames) => Network::FrameLinear {
                norm: BatchNorm::plain(&path / "norm", dim),
                layer: Conv1d::new(&path / "output", dim, classes, 1),
            },
            (Family::Linear, Answer::Sequence) => Network::Linear {
                norm: BatchNorm::plain(&path / "norm", 2 * dim),
                layer: Linear::new(&path / "output", 2 * dim, classes),
            },
            (Family::Mlp, Answer::Sequence) => Network::Mlp(Mlp {
                norm: BatchNorm::plain(&path / "norm", 2 * dim),
                hidden: [(2 * dim, "hidden0"), (HIDDEN, "hidden1")].map(|(inputs, name)| {
                    let path = &path / name;
                    (
                        Linear::new(&path / "layer", inputs, HIDDEN),
                        BatchNorm::new(&path / "norm", HIDDEN),
                    )
                }),
                output: Linear::new(&path / "output", HIDDEN, classes),
            }),
        }
    }

    /// `[batch, dim, frames]` to logits, `[batch, classes]` or `[batch, classes, frames]`.
    pub(super) fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> Tensor {
        match self {
            Network::Cnn { wide, classifier } => match wide {
                None => classifier.forward(x, mask, train),
                Some(wide) => classifier.forward(&wide.forward(x, mask, train), mask, train),
            },
            Network::FrameLinear { norm, layer } => {
                layer.forward(&norm.over_frames(x, mask, train))
            }
            Network::Linear { norm, layer } => {
                layer.forward(&norm.forward(&statistics(x, mask), train))
            }
            Network::Mlp(mlp) => {
                let mut x = mlp.norm.forward(&statistics(x, mask), train);
                for (layer, norm) in &mlp.hidden {
                    x = norm
                        .forward(&layer.forward(&x), train)
                        .relu()
                        .dropout(DROPOUT, train);
                }
                mlp.output.forward(&x)
            }
        }
    }
}
