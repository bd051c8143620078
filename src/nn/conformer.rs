//! Conformer blocks: attention for what is far, convolution for what is near.

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::layer::{Conv1d, LayerNorm, Linear};
use super::mask::Mask;

/// One block (Gulati et al. 2020, eq. 1): half a feed-forward layer, attention, convolution, the other half, a norm.
/// Two departures: there is no positional encoding, since the strided convolutions before and the depth-wise one
/// within tell the order; and the convolution is followed by layer instead of batch normalisation, so that an
/// utterance gives the same numbers in any batch.
#[derive(Debug)]
pub struct ConformerBlock {
    first: FeedForward,
    attention: SelfAttention,
    convolution: Convolution,
    second: FeedForward,
    norm: LayerNorm,
}

impl ConformerBlock {
    /// Over `channels` (a multiple of `heads`), with depth-wise kernels of odd width `kernel`.
    pub fn new(path: Path, channels: i64, heads: i64, kernel: i64, causal: bool) -> Self {
        Self {
            first: FeedForward::new(&path / "first", channels),
            attention: SelfAttention::new(&path / "attention", channels, heads, causal),
            convolution: Convolution::new(&path / "convolution", channels, kernel, causal),
            second: FeedForward::new(&path / "second", channels),
            norm: LayerNorm::new(&path / "norm", channels),
        }
    }

    /// `[batch, channels, frames]`, same shape out.
    pub fn forward(&self, x: &Tensor, mask: &Mask) -> Tensor {
        let x = x.transpose(1, 2);
        let x = &x + self.first.forward(&x) * 0.5;
        let x = &x + self.attention.forward(&x, mask);
        let x = &x + self.convolution.forward(&x, mask);
        let x = &x + self.second.forward(&x) * 0.5;
        mask.apply(self.norm.forward(&x).transpose(1, 2))
    }
}

#[derive(Debug)]
struct FeedForward {
    norm: LayerNorm,
    hidden: Linear,
    output: Linear,
}

impl FeedForward {
    fn new(path: Path, channels: i64) -> Self {
        Self {
            norm: LayerNorm::new(&path / "norm", channels),
            hidden: Linear::new(&path / "hidden", channels, 4 * channels),
            output: Linear::new(&path / "output", 4 * channels, channels),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let hidden = self.hidden.forward(&self.norm.forward(x));
        self.output.forward(&hidden.silu())
    }
}

#[derive(Debug)]
struct SelfAttention {
    norm: LayerNorm,
    input: Linear,
    output: Linear,
    heads: i64,
    causal: bool,
}

impl SelfAttention {
    fn new(path: Path, channels: i64, heads: i64, causal: bool) -> Self {
        Self {
            norm: LayerNorm::new(&path / "norm", channels),
            input: Linear::new(&path / "input", channels, 3 * channels),
            output: Linear::new(&path / "output", channels, channels),
            heads,
            causal,
        }
    }

    fn forward(&self, x: &Tensor, mask: &Mask) -> Tensor {
        let (batch, frames, channels) = x.size3().unwrap_or_default();
        let parts = self.input.forward(&self.norm.forward(x)).chunk(3, 2);
        let heads = |part: &Tensor| {
            let shape = [batch, frames, self.heads, channels / self.heads];
            part.reshape(shape).transpose(1, 2)
        };
        let seen = Tensor::scaled_dot_product_attention(
            &heads(&parts[0]),
            &heads(&parts[1]),
            &heads(&parts[2]),
            self.seen(mask, frames, x),
            0.0,
            false,
            None,
            false,
        );
        let joined = seen.transpose(1, 2).reshape([batch, frames, channels]);
        self.output.forward(&joined)
    }

    /// Who may look at whom, `[batch or 1, 1, frames or 1, frames]`.
    fn seen(&self, mask: &Mask, frames: i64, x: &Tensor) -> Option<Tensor> {
        let real = mask.real().map(|real| real.unsqueeze(1));
        let back = self.causal.then(|| {
            let every = Tensor::ones([frames, frames], (Kind::Bool, x.device()));
            every.tril(0).reshape([1, 1, frames, frames])
        });
        match (real, back) {
            // A frame of padding sees itself at least: a row that sees nothing would be NaN.
            (Some(real), Some(back)) => {
                let itself = Tensor::eye(frames, (Kind::Bool, x.device()));
                Some(real.logical_and(&back).logical_or(&itself))
            }
            (real, back) => real.or(back),
        }
    }
}

#[derive(Debug)]
struct Convolution {
    norm: LayerNorm,
    input: Linear,
    depthwise: Conv1d,
    inner: LayerNorm,
    output: Linear,
}

impl Convolution {
    fn new(path: Path, channels: i64, kernel: i64, causal: bool) -> Self {
        Self {
            norm: LayerNorm::new(&path / "norm", channels),
            input: Linear::new(&path / "input", channels, 2 * channels),
            depthwise: Conv1d::depthwise(&path / "depthwise", channels, kernel).causal(causal),
            inner: LayerNorm::new(&path / "inner", channels),
            output: Linear::new(&path / "output", channels, channels),
        }
    }

    fn forward(&self, x: &Tensor, mask: &Mask) -> Tensor {
        let gated = self.input.forward(&self.norm.forward(x)).glu(-1);
        let near = self
            .depthwise
            .forward(&mask.apply(gated.transpose(1, 2)))
            .transpose(1, 2);
        self.output.forward(&self.inner.forward(&near).silu())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn block(causal: bool) -> (VarStore, ConformerBlock) {
        let store = VarStore::new(Device::Cpu);
        let block = ConformerBlock::new(store.root(), 8, 2, 5, causal);
        (store, block)
    }

    #[test]
    fn a_batch_gives_what_one_alone_gives() {
        for causal in [false, true] {
            let (_store, block) = block(causal);
            let x = Tensor::randn([1, 8, 7], CPU);
            let alone = block.forward(&x, &Mask::new(&[7], Device::Cpu));
            let batch = Tensor::cat(
                &[x.constant_pad_nd([0, 4]), Tensor::randn([1, 8, 11], CPU)],
                0,
            );
            let many = block.forward(&batch, &Mask::new(&[7, 11], Device::Cpu));
            let gap = (alone - many.narrow(0, 0, 1).narrow(2, 0, 7)).abs().max();
            assert!(gap.double_value(&[]) < 1e-5, "{causal}");
        }
    }

    #[test]
    fn a_causal_block_does_not_see_what_comes() {
        let (_store, block) = block(true);
        let mask = Mask::new(&[9], Device::Cpu);
        let x = Tensor::randn([1, 8, 9], CPU);
        let changed = Tensor::cat(&[x.narrow(2, 0, 5), Tensor::randn([1, 8, 4], CPU)], 2);
        let gap = block.forward(&x, &mask) - block.forward(&changed, &mask);
        assert!(gap.narrow(2, 0, 5).abs().max().double_value(&[]) < 1e-6);
        assert!(gap.abs().max().double_value(&[]) > 1e-3);
    }
}
