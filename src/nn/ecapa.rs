//! ECAPA-TDNN's layers over time (Desplanques et al. 2020, figure 2): squeeze-excitation Res2 blocks, whose outputs all
//! reach the last layer. The original's global context in the pooling is left out: attention reads only frames.

use tch::Tensor;
use tch::nn::Path;

use super::layer::{BatchNorm, Conv1d, Linear};
use super::mask::Mask;
use super::norm_act::{Norm, NormAct};

/// Parts into which a Res2 block splits its channels.
pub(crate) const SCALE: i64 = 8;
/// Dilations of the blocks.
pub(crate) const DILATIONS: [i64; 3] = [2, 3, 4];

/// A convolution, three blocks at dilation 2, 3 and 4, and a convolution over the outputs of all three.
#[derive(Debug)]
pub struct Ecapa {
    first: Layer,
    blocks: Vec<Block>,
    last: Conv1d,
    outputs: i64,
}

impl Ecapa {
    /// From `inputs` through `channels`, a multiple of 8.
    pub fn new(path: Path, inputs: i64, channels: i64) -> Self {
        let blocks = DILATIONS
            .map(|dilation| Block::new(&path / format!("block{dilation}"), channels, dilation));
        let outputs = 3 * channels;
        Self {
            first: Layer::new(&path / "first", inputs, channels, 5, 1),
            blocks: blocks.into(),
            last: Conv1d::new(&path / "last", outputs, outputs, 1),
            outputs,
        }
    }

    /// Output values per frame.
    pub fn outputs(&self) -> i64 {
        self.outputs
    }

    /// `[batch, inputs, frames]` to `[batch, outputs, frames]`.
    pub fn forward(&self, x: Tensor, mask: &Mask, train: bool) -> Tensor {
        let mut x = self.first.forward(&x, mask, train);
        let mut every = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            // Each block reads the sum of all earlier outputs.
            let y = block.forward(&x, mask, train);
            x = &x + &y;
            every.push(y);
        }
        mask.apply(self.last.activations(&Tensor::cat(&every, 1)).relu())
    }
}

/// Convolution, rectifier, batch normalisation.
#[derive(Debug)]
struct Layer {
    conv: Conv1d,
    norm: BatchNorm,
}

impl Layer {
    fn new(path: Path, inputs: i64, outputs: i64, kernel: i64, dilation: i64) -> Self {
        Self {
            conv: Conv1d::new(&path / "conv", inputs, outputs, kernel).dilation(dilation),
            norm: BatchNorm::new(&path / "norm", outputs),
        }
    }

    fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let norm_act = NormAct {
            norm: Norm::Batch(&self.norm, train),
            rectify_first: true,
            ..NormAct::default()
        };
        norm_act.forward(&self.conv.activations(x), mask)
    }
}

#[derive(Debug)]
struct Block {
    input: Layer,
    parts: Vec<Layer>,
    output: Layer,
    squeeze: Linear,
    excite: Linear,
}

impl Block {
    fn new(path: Path, channels: i64, dilation: i64) -> Self {
        let width = channels / SCALE;
        let parts = (1..SCALE)
            .map(|part| Layer::new(&path / format!("part{part}"), width, width, 3, dilation))
            .collect();
        let narrow = (channels / 4).max(1);
        Self {
            input: Layer::new(&path / "input", channels, channels, 1, 1),
            parts,
            output: Layer::new(&path / "output", channels, channels, 1, 1),
            squeeze: Linear::new(&path / "squeeze", channels, narrow),
            excite: Linear::new(&path / "excite", narrow, channels),
        }
    }

    fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let y = self.input.forward(x, mask, train);
        // Each part has its channels next to each other in memory: as [parts, batch, frames, width].
        let chunks = y.transpose(1, 2).unflatten(2, [SCALE, -1]);
        let chunks = chunks.permute([2, 0, 1, 3]).contiguous().unbind(0);
        let mut every = vec![chunks[0].shallow_clone()];
        for (index, part) in self.parts.iter().enumerate() {
            // From the second part on, each part also reads the output of the one before it.
            let own = &chunks[index + 1];
            let read = match index {
                0 => own.shallow_clone(),
                _ => own + &every[index],
            };
            let y = part.forward(&read.transpose(1, 2), mask, train);
            every.push(y.transpose(1, 2));
        }
        let joined = Tensor::stack(&every, 0).permute([1, 2, 0, 3]).flatten(2, 3);
        let y = self.output.forward(&joined.transpose(1, 2), mask, train);
        let mean = mask.mean(&y).squeeze_dim(2);
        let gate = (self.excite.forward(&self.squeeze.forward(&mean).relu())).sigmoid();
        y * gate.unsqueeze(2).to_kind(x.kind()) + x
    }
}
