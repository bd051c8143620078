//! The layers that carry the arithmetic: convolution, linear map, batch normalisation; and mixed precision.

use std::cell::Cell;

use tch::nn::{Init, Path, init};
use tch::{Kind, Tensor};

thread_local! {
    static REDUCED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` with convolutions and linear maps in bfloat16 where `enabled`; everything else stays in f32.
/// (libtorch's own autocast cannot be told its type through tch, and would take float16.)
pub fn bf16_autocast<T>(enabled: bool, body: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            REDUCED.set(self.0);
        }
    }
    let _restore = Restore(REDUCED.replace(enabled));
    body()
}

/// Casts to the precision in force.
fn cast(x: &Tensor) -> Tensor {
    if REDUCED.get() {
        x.to_kind(Kind::BFloat16)
    } else {
        x.shallow_clone()
    }
}

fn uncast(x: Tensor) -> Tensor {
    if REDUCED.get() {
        x.to_kind(Kind::Float)
    } else {
        x
    }
}

/// Convolution over time with an odd kernel, padded so that `frames` becomes `ceil(frames / stride)`.
#[derive(Debug)]
pub struct Conv1d {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    dilation: i64,
}

impl Conv1d {
    /// Plain convolution of kernel width `kernel`, stride 1.
    pub fn new(path: Path, inputs: i64, outputs: i64, kernel: i64) -> Self {
        Self {
            weight: path.var(
                "weight",
                &[outputs, inputs, kernel],
                init::DEFAULT_KAIMING_UNIFORM,
            ),
            bias: path.zeros("bias", &[outputs]),
            stride: 1,
            dilation: 1,
        }
    }

    /// Sets the stride.
    pub fn stride(self, stride: i64) -> Self {
        Self { stride, ..self }
    }

    /// Sets the dilation.
    pub fn dilation(self, dilation: i64) -> Self {
        Self { dilation, ..self }
    }

    /// `[batch, inputs, frames]` to `[batch, outputs, ceil(frames / stride)]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let kernel = self.weight.size()[2];
        let padding = self.dilation * (kernel - 1) / 2;
        uncast(cast(x).conv1d(
            &cast(&self.weight),
            Some(&cast(&self.bias)),
            self.stride,
            padding,
            self.dilation,
            1,
        ))
    }
}

/// Affine map of the last dimension.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A map from `inputs` to `outputs` values.
    pub fn new(path: Path, inputs: i64, outputs: i64) -> Self {
        Self {
            weight: path.var("weight", &[outputs, inputs], init::DEFAULT_KAIMING_UNIFORM),
            bias: path.zeros("bias", &[outputs]),
        }
    }

    /// A map that begins as zero, for conditions that should start without effect.
    pub fn zeros(path: Path, inputs: i64, outputs: i64) -> Self {
        Self {
            weight: path.var("weight", &[outputs, inputs], Init::Const(0.0)),
            bias: path.zeros("bias", &[outputs]),
        }
    }

    /// `[.., inputs]` to `[.., outputs]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        uncast(cast(x).linear(&cast(&self.weight), Some(&cast(&self.bias))))
    }
}

/// Batch normalisation per channel, affine by option.
#[derive(Debug)]
pub struct BatchNorm {
    weight: Option<Tensor>,
    bias: Option<Tensor>,
    mean: Tensor,
    variance: Tensor,
}

impl BatchNorm {
    /// With a learned scale (from one) and shift (from zero).
    pub fn new(path: Path, channels: i64) -> Self {
        Self {
            weight: Some(path.ones("weight", &[channels])),
            bias: Some(path.zeros("bias", &[channels])),
            ..Self::plain(path, channels)
        }
    }

    /// Without scale and shift: standardises its input.
    pub fn plain(path: Path, channels: i64) -> Self {
        Self {
            weight: None,
            bias: None,
            mean: path.zeros_no_train("running_mean", &[channels]),
            variance: path.ones_no_train("running_var", &[channels]),
        }
    }

    /// `[batch, channels]` or `[batch, channels, frames]`, same shape out. `train` takes the batch's own
    /// statistics and updates the running ones. A batch of one value per channel has no variance: it is
    /// normalised by the running statistics instead.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let values = x.numel() as i64 / x.size()[1];
        x.batch_norm(
            self.weight.as_ref(),
            self.bias.as_ref(),
            Some(&self.mean),
            Some(&self.variance),
            train && values > 1,
            0.1,
            1e-5,
            false,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    #[test]
    fn strides_round_up() {
        let store = VarStore::new(Device::Cpu);
        let conv = Conv1d::new(store.root(), 3, 7, 5).stride(2);
        let x = Tensor::randn([2, 3, 11], (Kind::Float, Device::Cpu));
        assert_eq!(conv.forward(&x).size(), [2, 7, 6]);
    }

    #[test]
    fn bf16_is_close_and_ends_with_its_scope() {
        let store = VarStore::new(Device::Cpu);
        let linear = Linear::new(store.root(), 16, 4);
        let x = Tensor::randn([5, 16], (Kind::Float, Device::Cpu));
        let full = linear.forward(&x);
        let reduced = bf16_autocast(true, || linear.forward(&x));
        assert_eq!(reduced.kind(), Kind::Float);
        let gap = (&full - &reduced).abs().max().double_value(&[]);
        assert!(gap > 0.0 && gap < 0.05, "{gap}");
        assert_eq!(linear.forward(&x), full);
    }

    #[test]
    fn a_single_value_has_no_variance_and_is_no_panic() {
        let store = VarStore::new(Device::Cpu);
        let norm = BatchNorm::new(store.root(), 2);
        let x = Tensor::from_slice(&[3f32, -1.0]).reshape([1, 2]);
        assert!(norm.forward(&x, true).isfinite().all().int64_value(&[]) == 1);
    }
}
