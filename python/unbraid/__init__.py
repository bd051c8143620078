"""Phonetic codes and speaker embeddings in Python.

`read` gives what `unbraid` wrote, and everything else that it reads, as arrays. `load` gives a trained model that takes
waveforms. Both run the program `unbraid`, which this package brings with it.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

__all__ = ["Model", "load", "program", "read"]

_TYPES = {b"FM ": (np.float32, 2), b"FV ": (np.float32, 1), b"DM ": (np.float64, 2), b"DV ": (np.float64, 1)}


def program():
    """The path of the program: beside this Python, or on PATH."""
    beside = Path(sys.executable).parent / "unbraid"
    found = str(beside) if beside.exists() else shutil.which("unbraid")
    if found is None:
        raise FileNotFoundError("unbraid: expected the program beside this Python or on PATH, found none")
    return found


def read(specifier, vectors=False):
    """Yields (key, array) of every entry of a table, in its order.

    `specifier` is "scp:z.scp", "ark:z.ark", or another that `unbraid feats copy` reads. Arrays are float32 or float64 of shape
    [frames, dims], or [dims] with `vectors`. A table that cannot be read raises RuntimeError with the program's message.
    """
    command = [program(), "feats", "copy", *(["--vector"] if vectors else []), specifier, "ark:-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield from _archive(process.stdout)
        message = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise RuntimeError(message)


def _archive(stream):
    """Entries of a binary archive: a key, a blank, and the object behind its mark."""
    while key := b"".join(iter(lambda: _until_blank(stream), b"")):
        assert stream.read(2) == b"\0B", "a binary archive"
        dtype, axes = _TYPES[stream.read(3)]
        shape = []
        for _ in range(axes):
            stream.read(1)
            shape.append(int.from_bytes(stream.read(4), "little"))
        data = stream.read(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        yield key.decode(), np.frombuffer(data, dtype).reshape(shape)


def _until_blank(stream):
    byte = stream.read(1)
    return b"" if byte == b" " else byte


class Model:
    """An encoder of waveforms, exported by `unbraid export --front-end`; needs PyTorch."""

    def __init__(self, path):
        import torch

        extra = {"unbraid.json": ""}
        self.module = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)
        self.info = json.loads(extra["unbraid.json"])

    def __call__(self, samples):
        """Codes [codes, dim], or the embedding [dim], of samples [samples] from -1 to 1 at `info`'s sample rate."""
        import torch

        samples = np.ascontiguousarray(samples, np.float32)
        with torch.no_grad():
            return self.module(torch.from_numpy(samples)[None])[0].numpy()


def load(model, output="phonetic"):
    """A `Model` of a module that `unbraid export --front-end` wrote, or of an experiment, which is exported first.

    `output` is "phonetic" or "speaker", for an experiment.
    """
    if Path(model).is_file():
        return Model(model)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "encoder.pt"
        command = [program(), "export", "--exp", str(model), "--output", output, "--front-end", str(target)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return Model(target)
