"""outside_modules.py FOLDER: exports a vocoder like HiFi-GAN and a front-end on waveforms, with random weights, by torch.onnx.

Writes vocoder.onnx ([1, 40, frames] to [1, 1, 160 * frames]) and features.onnx ([1, samples] to [1, frames, 6], of 400
samples with a shift of 320); beside each NAME.in and NAME.out, f32: an input of another length than that of the export,
and what PyTorch computes from it.
"""

import pathlib
import sys

import torch
from torch import nn
from torch.onnx._internal.torchscript_exporter import onnx_proto_utils

# It adds functions of onnxscript, of which there are none here, and would need the package onnx for that.
onnx_proto_utils._add_onnxscript_fn = lambda model, _: model
folder = pathlib.Path(sys.argv[1])
torch.manual_seed(0)


class Residual(nn.Module):
    def __init__(self, channels, kernel):
        super().__init__()
        sizes = [(dilation, dilation * (kernel - 1) // 2) for dilation in (1, 3, 5)]
        self.wide = nn.ModuleList(nn.Conv1d(channels, channels, kernel, dilation=d, padding=p) for d, p in sizes)
        self.narrow = nn.ModuleList(nn.Conv1d(channels, channels, kernel, padding=kernel // 2) for _ in sizes)

    def forward(self, x):
        for wide, narrow in zip(self.wide, self.narrow):
            x = x + narrow(nn.functional.leaky_relu(wide(nn.functional.leaky_relu(x, 0.1)), 0.1))
        return x


class Generator(nn.Module):
    """The generator of HiFi-GAN (Kong et al., 2020), of `channels` before the first upsampling."""

    def __init__(self, bins, channels, rates=(8, 5, 2, 2)):
        super().__init__()
        self.first = nn.Conv1d(bins, channels, 7, padding=3)
        self.up, self.blocks = nn.ModuleList(), nn.ModuleList()
        for place, rate in enumerate(rates):
            wide, narrow = channels >> place, channels >> (place + 1)
            odd = rate % 2
            self.up.append(nn.ConvTranspose1d(wide, narrow, 2 * rate, rate, padding=(rate + odd) // 2, output_padding=odd))
            self.blocks.append(nn.ModuleList(Residual(narrow, kernel) for kernel in (3, 7, 11)))
        self.last = nn.Conv1d(channels >> len(rates), 1, 7, padding=3)

    def forward(self, x):
        x = self.first(x)
        for up, blocks in zip(self.up, self.blocks):
            x = up(nn.functional.leaky_relu(x, 0.1))
            x = sum(block(x) for block in blocks) / len(blocks)
        return torch.tanh(self.last(nn.functional.leaky_relu(x)))


class Features(nn.Module):
    """A convolution over the waveform and a layer of a transformer."""

    def __init__(self):
        super().__init__()
        self.frames = nn.Conv1d(1, 16, 400, 320)
        self.norm = nn.LayerNorm(16)
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.out = nn.Linear(16, 6)

    def forward(self, x):
        x = self.norm(nn.functional.gelu(self.frames(x.unsqueeze(1)).transpose(1, 2)))
        scores = self.query(x) @ self.key(x).transpose(1, 2) / 4
        return self.out(x + torch.softmax(scores, -1) @ self.value(x))


def export(name, network, example, test, axis):
    network.eval()
    torch.onnx.export(
        network, (example,), folder / f"{name}.onnx", input_names=["x"], output_names=["y"],
        dynamic_axes={"x": {axis: "length"}, "y": {2 if name == "vocoder" else 1: "made"}}, opset_version=17, dynamo=False,
    )
    with torch.no_grad():
        test.numpy().tofile(folder / f"{name}.in")
        network(test).numpy().tofile(folder / f"{name}.out")


if __name__ == "__main__":
    export("vocoder", Generator(40, 64), torch.randn(1, 40, 20), torch.randn(1, 40, 33), 2)
    export("features", Features(), torch.randn(1, 8000) * 0.1, torch.randn(1, 12345) * 0.1, 1)
