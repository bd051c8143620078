//! ResNet-34 over time and frequency (He et al. 2016, table 1, basic blocks; the first layer without stride and
//! pooling, as is usual for speakers).

use tch::Tensor;
use tch::nn::Path;

use super::layer::{BatchNorm, Conv2d};
use super::mask::Mask;

/// Blocks of the four stages; each stage but the first halves time and frequency and doubles the width.
pub(crate) const STAGES: [usize; 4] = [3, 4, 6, 3];

/// Residual stages; the output stacks channels and remaining bins.
#[derive(Debug)]
pub struct ResNet {
    first: (Conv2d, BatchNorm),
    blocks: Vec<Block>,
    outputs: i64,
}

impl ResNet {
    /// For features of `bins`, with `channels` in the first stage.
    pub fn new(path: Path, bins: i64, channels: i64) -> Self {
        let mut blocks = Vec::new();
        let (mut width, mut height) = (channels, bins);
        for (stage, &count) in STAGES.iter().enumerate() {
            for index in 0..count {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let path = &path / format!("stage{stage}") / format!("block{index}");
                let outputs = channels << stage;
                blocks.push(Block::new(path, width, outputs, stride));
                width = outputs;
                height = (height + stride - 1) / stride;
            }
        }
        Self {
            first: (
                Conv2d::new(&path / "conv", 1, channels, 3),
                BatchNorm::new(&path / "norm", channels),
            ),
            blocks,
            outputs: width * height,
        }
    }

    /// Output values per frame.
    pub fn outputs(&self) -> i64 {
        self.outputs
    }

    /// `[batch, bins, frames]` to `[batch, outputs, ceil(frames / 8)]` and its mask.
    pub fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> (Tensor, Mask) {
        let (conv, norm) = &self.first;
        let mut mask = mask.subsample(1);
        let x = conv.forward(&x.unsqueeze(1));
        let mut x = norm.over_frames(&x, &mask, train).relu();
        for block in &self.blocks {
            mask = mask.subsample(block.stride);
            x = block.forward(&x, &mask, train);
        }
        (x.flatten(1, 2), mask)
    }
}

#[derive(Debug)]
struct Block {
    first: (Conv2d, BatchNorm),
    second: (Conv2d, BatchNorm),
    shortcut: Option<(Conv2d, BatchNorm)>,
    stride: i64,
}

impl Block {
    fn new(path: Path, inputs: i64, outputs: i64, stride: i64) -> Self {
        let layer = |name: &str, inputs: i64, kernel: i64, stride: i64| {
            let path = &path / name;
            (
                Conv2d::new(&path / "conv", inputs, outputs, kernel).stride(stride),
                BatchNorm::new(&path / "norm", outputs),
            )
        };
        let same = stride == 1 && inputs == outputs;
        Self {
            first: layer("first", inputs, 3, stride),
            second: layer("second", outputs, 3, 1),
            shortcut: (!same).then(|| layer("shortcut", inputs, 1, stride)),
            stride,
        }
    }

    /// `mask` is that of the output.
    fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let run = |(conv, norm): &(Conv2d, BatchNorm), x: &Tensor| {
            norm.over_frames(&conv.forward(x), mask, train)
        };
        let y = run(&self.second, &run(&self.first, x).relu());
        let way = match &self.shortcut {
            Some(shortcut) => run(shortcut, x),
            None => x.shallow_clone(),
        };
        (y + way).relu()
    }
}
