//! Networks of images `[batch, channels, height, width]`: convolutions that reduce them, transposed convolutions that
//! generate them from vectors, and fully connected networks.

pub mod classifier;
pub mod conv_net;
pub mod mlp;
pub mod up_net;

pub use classifier::{Extractor, Head, ImageClassifierOptions};
pub use conv_net::{ConvLayer, ConvNet};
pub use mlp::{ConditionedMlp, Mlp};
pub use up_net::UpNet;

use tch::Tensor;

/// Activation of a layer.
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
            // In tch the slope of libtorch's own leaky ReLU is fixed.
            Self::Leaky(slope) => x.prelu(&Tensor::from_slice(&[slope as f32]).to(x.device())),
            Self::Softplus => x.softplus(),
        }
    }
}

/// The same `[batch, channels, height, width]` with the channels of a pixel next to each other in memory, which is
/// fastest for convolutions on a CPU; results computed from it keep the order. With a single channel nothing changes.
pub fn channels_last(x: &Tensor) -> Tensor {
    match x.size()[1] {
        1 => x.shallow_clone(),
        _ => x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
    }
}

/// Classes `[batch]` as one-hot vectors `[batch, classes]`.
pub fn one_hot(classes: &Tensor, count: i64) -> Tensor {
    classes.one_hot(count).to_kind(tch::Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn channels_last_changes_only_the_memory_order() {
        let x = Tensor::randn([2, 3, 4, 5], (Kind::Float, Device::Cpu));
        let y = channels_last(&x);
        assert_eq!(x, y);
        assert_eq!(y.stride(), [60, 1, 15, 3]);
        let leaky = Activation::Leaky(0.2).apply(&y);
        assert_eq!(leaky, y.maximum(&(&y * 0.2)));
    }
}
