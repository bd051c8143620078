//! Networks of images `[batch, channels, height, width]`: convolutions that make them smaller, transposed ones that make
//! them from vectors, and maps of vectors.

pub mod conv_net;
pub mod mlp;
pub mod recogniser;
pub mod up_net;

pub use conv_net::{ConvLayer, ConvNet};
pub use mlp::{ConditionedMlp, Mlp};
pub use recogniser::{Extractor, Head, RecogniserOptions};
pub use up_net::UpNet;

use tch::Tensor;

/// What follows a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0) + slope min(x, 0)`.
    Leaky(f64),
    /// `ln(1 + e^x)`.
    Softplus,
}

impl Activation {
    /// Any shape.
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Self::Relu => x.relu(),
            // libtorch's own leaky ReLU has its slope fixed in tch.
            Self::Leaky(slope) => x.prelu(&Tensor::from_slice(&[slope as f32]).to(x.device())),
            Self::Softplus => x.softplus(),
        }
    }
}

/// Classes `[batch]` as vectors `[batch, classes]` of zeros and a one.
pub fn one_hot(classes: &Tensor, count: i64) -> Tensor {
    classes.one_hot(count).to_kind(tch::Kind::Float)
}
