"""Tables of arrays, in every format that the program reads."""

import subprocess

import numpy as np

from .program import program

_TYPES = {b"FM ": (np.float32, 2), b"FV ": (np.float32, 1), b"DM ": (np.float64, 2), b"DV ": (np.float64, 1)}


def read(specifier, vectors=False):
    """Yields (key, array) of every entry of a table, in its order.

    `specifier` is "scp:z.scp", "ark:z.ark", or another that `unbraid feats copy` reads. Arrays are float32 or float64
    of shape [frames, dims], or [dims] with `vectors`. A table that cannot be read raises RuntimeError with the
    program's message.
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
