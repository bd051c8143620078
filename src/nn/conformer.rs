//! Conformer blocks: self-attention and convolution.

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::conv_state::ConvState;
use super::layer::{Conv1d, LayerNorm, Linear};
use super::mask::Mask;

/// One block (Gulati et al. 2020, eq. 1): half a feed-forward layer, attention, convolution, the other half,
/// normalisation. Two departures. There is no positional encoding, because the strided convolutions before and the
/// depth-wise one inside encode the order. Layer normalisation follows the convolution in place of batch normalisation,
/// so that an utterance gives the same numbers in any batch.
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
        let attend = |x: &Tensor| self.attention.forward(x, mask);
        let convolve = |x: &Tensor| self.convolution.forward(x, mask);
        mask.apply(self.run(x, attend, convolve))
    }

    /// The next frames of a stream, `[batch, channels, frames]`, same shape out. Only for causal blocks.
    pub fn step(&self, x: &Tensor, state: &mut ConformerState) -> Tensor {
        let ConformerState { past, near } = state;
        let attend = |x: &Tensor| self.attention.step(x, past);
        let convolve = |x: &Tensor| self.convolution.step(x, near);
        self.run(x, attend, convolve)
    }

    /// The block, given its attention and its convolution, each `[batch, frames, channels]`.
    fn run(
        &self,
        x: &Tensor,
        attend: impl FnOnce(&Tensor) -> Tensor,
        convolve: impl FnOnce(&Tensor) -> Tensor,
    ) -> Tensor {
        let x = x.transpose(1, 2);
        let x = &x + self.first.forward(&x) * 0.5;
        let x = &x + attend(&x);
        let x = &x + convolve(&x);
        let x = &x + self.second.forward(&x) * 0.5;
        self.norm.forward(&x).transpose(1, 2)
    }
}

/// State of [`ConformerBlock::step`] in a stream. Attention reads everything from the beginning, so this grows with the
/// stream.
#[derive(Debug, Default)]
pub struct ConformerState {
    /// Keys and values `[batch, heads, frames, dim]` of all frames so far.
    past: Option<(Tensor, Tensor)>,
    near: ConvState,
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
        let hidden = self.hidden.activations(&self.norm.forward(x));
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
        let [query, key, value] = self.parts(x);
        // Without padding only the order limits attention, at any length.
        let allowed = self.allowed(mask, x);
        let ordered = self.causal && allowed.is_none();
        let found = attend(&query, (&key, &value), allowed, ordered);
        self.join(&found)
    }

    fn step(&self, x: &Tensor, past: &mut Option<(Tensor, Tensor)>) -> Tensor {
        let [query, key, value] = self.parts(x);
        let (keys, values) = match past.take() {
            None => (key, value),
            Some((keys, values)) => (
                Tensor::cat(&[keys, key], 2),
                Tensor::cat(&[values, value], 2),
            ),
        };
        let (new, all) = (query.size()[2], keys.size()[2]);
        let every = Tensor::ones([new, all], (Kind::Bool, x.device()));
        let found = attend(&query, (&keys, &values), Some(every.tril(all - new)), false);
        *past = Some((keys, values));
        self.join(&found)
    }

    /// Queries, keys and values of `[batch, frames, channels]`, each `[batch, heads, frames, dim]`.
    fn parts(&self, x: &Tensor) -> [Tensor; 3] {
        let every = self.input.activations(&self.norm.forward(x));
        let by_head = every.unflatten(2, [3, self.heads, -1]);
        [0, 1, 2].map(|part| by_head.select(2, part).transpose(1, 2))
    }

    fn join(&self, found: &Tensor) -> Tensor {
        self.output.forward(&found.transpose(1, 2).flatten(2, 3))
    }

    /// Which frames may attend to which, where there is padding, `[batch, 1, frames or 1, frames]`.
    fn allowed(&self, mask: &Mask, x: &Tensor) -> Option<Tensor> {
        let real = mask.real()?.unsqueeze(1);
        if !self.causal {
            return Some(real);
        }
        let frames = mask.frames();
        let every = Tensor::ones([frames, frames], (Kind::Bool, x.device()));
        // A frame of padding attends at least to itself: a row without any frame would be NaN.
        let itself = Tensor::eye(frames, (Kind::Bool, x.device()));
        Some(real.logical_and(&every.tril(0)).logical_or(&itself))
    }
}

/// Attention of `[batch, heads, frames, dim]`; with `ordered` no frame reads later ones.
fn attend(
    query: &Tensor,
    (keys, values): (&Tensor, &Tensor),
    allowed: Option<Tensor>,
    ordered: bool,
) -> Tensor {
    Tensor::scaled_dot_product_attention(query, keys, values, allowed, 0.0, ordered, None, false)
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
        self.run(x, |gated| self.depthwise.forward(&mask.apply(gated)))
    }

    fn step(&self, x: &Tensor, near: &mut ConvState) -> Tensor {
        self.run(x, |gated| near.push(&self.depthwise, &gated))
    }

    /// The layers around the depth-wise one, which goes from `[batch, channels, frames]` to the same.
    fn run(&self, x: &Tensor, depthwise: impl FnOnce(Tensor) -> Tensor) -> Tensor {
        let gated = self.input.activations(&self.norm.forward(x)).glu(-1);
        let near = depthwise(gated.transpose(1, 2)).transpose(1, 2);
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
    fn a_batch_equals_single_utterances() {
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
    fn a_causal_block_does_not_read_later_frames() {
        let (_store, block) = block(true);
        let mask = Mask::new(&[9], Device::Cpu);
        let x = Tensor::randn([1, 8, 9], CPU);
        let changed = Tensor::cat(&[x.narrow(2, 0, 5), Tensor::randn([1, 8, 4], CPU)], 2);
        let gap = block.forward(&x, &mask) - block.forward(&changed, &mask);
        assert!(gap.narrow(2, 0, 5).abs().max().double_value(&[]) < 1e-6);
        assert!(gap.abs().max().double_value(&[]) > 1e-3);
    }
}
