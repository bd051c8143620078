//! Basic layers: convolution, linear map, normalisation; and mixed precision.

use std::cell::Cell;

use tch::nn::{Init, Path, init};
use tch::{Device, Kind, Tensor, no_grad};

use super::mask::Mask;
use super::tracing::is_tracing;

thread_local! {
    static REDUCED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `run` with convolutions and linear maps in bfloat16 if `enabled`; everything else stays in f32, except what is small
/// between two of them: on the CPU what the operator between convolutions computes, and in a conformer activations and
/// attention. (libtorch's own autocast takes no type through tch, and would use float16.)
pub fn bf16_autocast<T>(enabled: bool, run: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            REDUCED.set(self.0);
        }
    }
    let _restore = Restore(REDUCED.replace(enabled));
    run()
}

/// Casts to the current precision.
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

/// The same `[batch, channels, frames]` with the channels of a frame next to each other in memory, which is fastest for
/// convolutions on a CPU; results computed from it keep the order.
pub(crate) fn channels_last(x: &Tensor) -> Tensor {
    x.transpose(1, 2).contiguous().transpose(1, 2)
}

/// Convolution over time with an odd kernel, padded so that `frames` becomes `ceil(frames / stride)`.
#[derive(Debug)]
pub struct Conv1d {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    dilation: i64,
    groups: i64,
    spectral: bool,
    causal: bool,
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
            groups: 1,
            spectral: false,
            causal: false,
        }
    }

    /// One kernel per channel.
    pub fn depthwise(path: Path, channels: i64, kernel: i64) -> Self {
        Self {
            groups: channels,
            ..Self::new(path, 1, channels, kernel)
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

    /// Divides the weight by its largest singular value if `spectral` ([`spectral_norm`]).
    pub fn spectral(self, spectral: bool) -> Self {
        Self { spectral, ..self }
    }

    /// If `causal`, outputs do not depend on later frames.
    pub fn causal(self, causal: bool) -> Self {
        Self { causal, ..self }
    }

    /// `[batch, inputs, frames]` to `[batch, outputs, ceil(frames / stride)]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        uncast(self.activations(x))
    }

    /// [`Conv1d::forward`] in the current precision, for another layer.
    pub(super) fn activations(&self, x: &Tensor) -> Tensor {
        let reach = self.reach();
        if self.causal {
            self.convolve(&x.constant_pad_nd([reach, 0]), 0)
        } else {
            self.convolve(x, reach / 2)
        }
    }

    /// `[batch, inputs, frames]` that begin with the context of the first output, as in a stream, to `[batch, outputs,
    /// ..]`, without padding.
    pub(super) fn inside(&self, x: &Tensor) -> Tensor {
        uncast(self.convolve(x, 0))
    }

    /// Number of other frames that an output depends on.
    pub(super) fn reach(&self) -> i64 {
        self.dilation * (self.weight.size()[2] - 1)
    }

    /// Frames from one output to the next.
    pub(super) fn hop(&self) -> i64 {
        self.stride
    }

    /// Output values per frame.
    pub(super) fn outputs(&self) -> i64 {
        self.weight.size()[0]
    }

    fn convolve(&self, x: &Tensor, padding: i64) -> Tensor {
        let (x, weight) = (cast(x), cast(&normed(&self.weight, self.spectral)));
        let (bias, stride, dilation) = (Some(&cast(&self.bias)), self.stride, self.dilation);
        if x.device() != Device::Cpu || self.groups > 1 || is_tracing() {
            return x.conv1d(&weight, bias, stride, padding, dilation, self.groups);
        }
        // oneDNN knows this order for images.
        (channels_last(&x).unsqueeze(2))
            .conv2d(
                &weight.unsqueeze(2),
                bias,
                [1, stride],
                [0, padding],
                [1, dilation],
                1,
            )
            .squeeze_dim(2)
    }
}

/// Convolution over two dimensions with a square kernel. By default, an odd kernel is padded as in [`Conv1d`].
#[derive(Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Conv2d {
    /// Plain convolution of `kernel` by `kernel`, stride 1.
    pub fn new(path: Path, inputs: i64, outputs: i64, kernel: i64) -> Self {
        let shape = [outputs, inputs, kernel, kernel];
        Self {
            weight: path.var("weight", &shape, init::DEFAULT_KAIMING_UNIFORM),
            bias: path.zeros("bias", &[outputs]),
            stride: 1,
            padding: (kernel - 1) / 2,
        }
    }

    /// Sets the stride, of both dimensions.
    pub fn stride(self, stride: i64) -> Self {
        Self { stride, ..self }
    }

    /// Sets the zero padding on each side.
    pub fn padding(self, padding: i64) -> Self {
        Self { padding, ..self }
    }

    /// `[batch, inputs, height, width]` to `[batch, outputs, ceil(height / stride), ceil(width / stride)]` with an odd
    /// kernel and the default padding.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        uncast(cast(x).conv2d(
            &cast(&self.weight),
            Some(&cast(&self.bias)),
            self.stride,
            self.padding,
            1,
            1,
        ))
    }
}

/// Transposed convolution that doubles height and width: kernel 4, stride 2, one row and column cut off on each side.
#[derive(Debug)]
pub struct Doubling {
    weight: Tensor,
    bias: Tensor,
}

impl Doubling {
    /// From `inputs` to `outputs` channels.
    pub fn new(path: Path, inputs: i64, outputs: i64) -> Self {
        let shape = [inputs, outputs, 4, 4];
        Self {
            weight: path.var("weight", &shape, init::DEFAULT_KAIMING_UNIFORM),
            bias: path.zeros("bias", &[outputs]),
        }
    }

    /// `[batch, inputs, height, width]` to `[batch, outputs, 2 height, 2 width]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        uncast(cast(x).conv_transpose2d(
            &cast(&self.weight),
            Some(&cast(&self.bias)),
            2,
            1,
            0,
            1,
            1,
        ))
    }
}

/// Layer normalisation over channels (Ba et al. 2016) with a learned scale and shift.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    /// Over `channels`.
    pub fn new(path: Path, channels: i64) -> Self {
        Self {
            weight: path.ones("weight", &[channels]),
            bias: path.zeros("bias", &[channels]),
        }
    }

    /// `[.., channels]`, same shape out.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let channels = self.weight.size();
        x.layer_norm(
            &channels[..],
            Some(&self.weight),
            Some(&self.bias),
            1e-5,
            false,
        )
    }
}

/// Affine map of the last dimension.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
    spectral: bool,
}

impl Linear {
    /// A map from `inputs` to `outputs` values.
    pub fn new(path: Path, inputs: i64, outputs: i64) -> Self {
        Self {
            weight: path.var("weight", &[outputs, inputs], init::DEFAULT_KAIMING_UNIFORM),
            bias: path.zeros("bias", &[outputs]),
            spectral: false,
        }
    }

    /// A map that is zero at first, for conditions that start without effect.
    pub fn zeros(path: Path, inputs: i64, outputs: i64) -> Self {
        Self {
            weight: path.var("weight", &[outputs, inputs], Init::Const(0.0)),
            bias: path.zeros("bias", &[outputs]),
            spectral: false,
        }
    }

    /// Divides the weight by its largest singular value if `spectral` ([`spectral_norm`]).
    pub fn spectral(self, spectral: bool) -> Self {
        Self { spectral, ..self }
    }

    /// `[.., inputs]` to `[.., outputs]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        uncast(self.activations(x))
    }

    /// [`Linear::forward`] in the current precision, for another layer.
    pub(super) fn activations(&self, x: &Tensor) -> Tensor {
        let weight = normed(&self.weight, self.spectral);
        cast(x).linear(&cast(&weight), Some(&cast(&self.bias)))
    }
}

fn normed(weight: &Tensor, spectral: bool) -> Tensor {
    if spectral {
        spectral_norm(weight)
    } else {
        weight.shallow_clone()
    }
}

/// `weight` divided by its largest singular value as a matrix `[outputs, rest]` (Miyato et al. 2018, eq. 8). The
/// singular vectors are found each time by power iteration from a fixed start, where the paper keeps them between
/// steps, so that a forward pass leaves no state.
pub fn spectral_norm(weight: &Tensor) -> Tensor {
    const ITERATIONS: usize = 8;
    let matrix = weight.flatten(1, -1);
    let (left, right) = no_grad(|| {
        let unit = |x: Tensor| &x / x.norm().clamp_min(1e-12);
        let mut left = unit(Tensor::ones(
            [matrix.size()[0]],
            (Kind::Float, weight.device()),
        ));
        let mut right = unit(matrix.tr().mv(&left));
        for _ in 0..ITERATIONS {
            left = unit(matrix.mv(&right));
            right = unit(matrix.tr().mv(&left));
        }
        (left, right)
    });
    weight / left.dot(&matrix.mv(&right)).clamp_min(1e-12)
}

/// Batch normalisation per channel, affine by option.
#[derive(Debug)]
pub struct BatchNorm {
    weight: Option<Tensor>,
    bias: Option<Tensor>,
    mean: Tensor,
    variance: Tensor,
}

/// Weight of a new batch in the running statistics.
const MOMENTUM: f64 = 0.1;
const EPSILON: f64 = 1e-5;

impl BatchNorm {
    /// With learned scale (initially 1) and shift (initially 0).
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

    /// Scale and shift, each `[channels]`.
    pub(super) fn affine(&self) -> Option<[Tensor; 2]> {
        let (weight, bias) = (self.weight.as_ref()?, self.bias.as_ref()?);
        Some([weight.shallow_clone(), bias.shallow_clone()])
    }

    /// Running mean and variance, each `[channels]`.
    pub(super) fn running(&self) -> [Tensor; 2] {
        [self.mean.shallow_clone(), self.variance.shallow_clone()]
    }

    /// `[batch, channels, frames]` or `[batch, channels, bins, frames]`, same shape out: [`BatchNorm::forward`] with
    /// the statistics of frames without padding. The padding of the output is zero.
    pub fn over_frames(&self, x: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let Some(ones) = mask.ones() else {
            return self.forward(x, train);
        };
        let (shape, ones) = match x.dim() {
            4 => (vec![1, -1, 1, 1], ones.unsqueeze(1)),
            _ => (vec![1, -1, 1], ones.shallow_clone()),
        };
        let size = x.size();
        let count =
            mask.lengths().iter().sum::<i64>() * size[2..size.len() - 1].iter().product::<i64>();
        if !train || count <= 1 {
            return self.forward(x, false) * ones;
        }
        let all = [&[0i64][..], &[2, 3][..size.len() - 2]].concat();
        let mean_of = |x: &Tensor| x.sum_dim_intlist(&all[..], false, Kind::Float) / count as f64;
        let real = x * &ones;
        let mean = mean_of(&real);
        let centred = real.addcmul(&mean.neg().reshape(&shape), &ones);
        let variance = mean_of(&centred.square());
        no_grad(|| {
            let unbiased = &variance * (count as f64 / (count - 1) as f64);
            let _ = self.mean.shallow_clone().lerp_(&mean, MOMENTUM);
            let _ = self.variance.shallow_clone().lerp_(&unbiased, MOMENTUM);
        });
        let slope = (variance + EPSILON).rsqrt();
        match (&self.weight, &self.bias) {
            (Some(weight), Some(bias)) => {
                (centred * (slope * weight).reshape(&shape)).addcmul(&bias.reshape(&shape), &ones)
            }
            _ => centred * slope.reshape(&shape),
        }
    }

    /// `[batch, channels]` or `[batch, channels, frames]`, same shape out. `train` uses the batch's statistics and
    /// updates the running ones. A batch of one value per channel has no variance; it is normalised by the running
    /// statistics instead.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let values = x.numel() as i64 / x.size()[1];
        x.batch_norm(
            self.weight.as_ref(),
            self.bias.as_ref(),
            Some(&self.mean),
            Some(&self.variance),
            train && values > 1,
            MOMENTUM,
            EPSILON,
            false,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::nn::VarStore;

    #[test]
    fn strides_round_up() {
        let store = VarStore::new(Device::Cpu);
        let conv = Conv1d::new(store.root(), 3, 7, 5).stride(2);
        let x = Tensor::randn([2, 3, 11], (Kind::Float, Device::Cpu));
        assert_eq!(conv.forward(&x).size(), [2, 7, 6]);
        assert_eq!(conv.causal(true).forward(&x).size(), [2, 7, 6]);
    }

    #[test]
    fn a_spectral_norm_of_one() {
        tch::manual_seed(0);
        let weight = Tensor::randn([6, 3, 5], (Kind::Float, Device::Cpu)) * 4.0;
        let normed = spectral_norm(&weight).flatten(1, -1);
        let (_, singular, _) = normed.svd(true, true);
        let largest = singular.max().double_value(&[]);
        assert!((largest - 1.0).abs() < 0.02, "{largest}");
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
    fn a_single_value_has_no_variance_and_does_not_panic() {
        let store = VarStore::new(Device::Cpu);
        let norm = BatchNorm::new(store.root(), 2);
        let x = Tensor::from_slice(&[3f32, -1.0]).reshape([1, 2]);
        assert!(norm.forward(&x, true).isfinite().all().int64_value(&[]) == 1);
    }

    /// Frames without padding give the same outputs and running statistics in a padded batch as alone.
    #[test]
    fn padding_does_not_reach_batch_norm() {
        tch::manual_seed(0);
        for bins in [None, Some(4)] {
            let size =
                |batch: i64, frames: i64| [&[batch, 3][..], bins.as_slice(), &[frames]].concat();
            let random = |batch, frames| {
                Tensor::randn(size(batch, frames), (Kind::Float, Device::Cpu)) * 2.0 + 5.0
            };
            let (two, one) = (random(2, 9), random(1, 5));
            let time = two.dim() as i64 - 1;
            let padded = Tensor::cat(&[&two, &Tensor::cat(&[&one, &random(1, 4)], time)], 0);
            let mask = Mask::new(&[9, 9, 5], Device::Cpu);
            // The same frames in one sequence.
            let row = Tensor::cat(&[two.narrow(0, 0, 1), two.narrow(0, 1, 1), one], time);
            let stores = [VarStore::new(Device::Cpu), VarStore::new(Device::Cpu)];
            let [norm, alone] = stores
                .each_ref()
                .map(|store| BatchNorm::new(store.root(), 3));
            for train in [true, false] {
                let found = norm.over_frames(&padded, &mask, train);
                let expected = alone.forward(&row, train);
                let parts = [(0, 0, 9), (1, 9, 9), (2, 18, 5)];
                for (place, from, frames) in parts {
                    let gap = found.narrow(0, place, 1).narrow(time, 0, frames)
                        - expected.narrow(time, from, frames);
                    assert!(gap.abs().max().double_value(&[]) < 1e-5, "{place}");
                }
                let padding = found.narrow(0, 2, 1).narrow(time, 5, 4);
                assert_eq!(padding.abs().max().double_value(&[]), 0.0);
            }
            for (own, other) in [(&norm.mean, &alone.mean), (&norm.variance, &alone.variance)] {
                assert!((own - other).abs().max().double_value(&[]) < 1e-5);
            }
        }
    }
}
