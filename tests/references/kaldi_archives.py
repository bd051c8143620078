"""Kaldi archives by other hands: kaldi_native_io (Kaldi's own code) and kaldiio (Python).

kaldi_archives.py make DIR                        archives of every kind, by kaldi_native_io
kaldi_archives.py native KIND RSPEC WSPEC         copies with kaldi_native_io
kaldi_archives.py kaldiio KIND RSPEC WSPEC        copies with kaldiio
KIND: matrix, vector, int_vector, or auto, cm, cm2, cm3: matrices, written compressed (native only).
"""

import sys

import kaldi_native_io as native
import kaldiio
import numpy as np

METHODS = {
    "auto": native.CompressionMethod.kAutomaticMethod,
    "cm": native.CompressionMethod.kSpeechFeature,
    "cm2": native.CompressionMethod.kTwoByteAuto,
    "cm3": native.CompressionMethod.kOneByteAuto,
}
READERS = {
    "matrix": native.SequentialFloatMatrixReader,
    "vector": native.SequentialFloatVectorReader,
    "int_vector": native.SequentialInt32VectorReader,
}
WRITERS = {
    "matrix": native.FloatMatrixWriter,
    "vector": native.FloatVectorWriter,
    "int_vector": native.Int32VectorWriter,
}


def matrices():
    """Shapes and values at which forms differ: few rows, equal numbers, many magnitudes."""
    rng = np.random.default_rng(7)
    for rows, cols in [(1, 1), (2, 3), (3, 2), (4, 4), (5, 1), (8, 5), (9, 5), (200, 40)]:
        yield f"normal-{rows}x{cols}", rng.normal(size=(rows, cols)) * 3 - 5
    yield "constant", np.full((12, 3), -2.5)
    yield "zero", np.zeros((12, 3))
    column = rng.normal(size=(30, 4))
    column[:, 1] = 0.25
    column[:, 2] = np.arange(30) // 10
    yield "columns", column
    yield "magnitudes", rng.normal(size=(20, 6)) * 10.0 ** rng.integers(-12, 12, size=(20, 6))
    yield "tiny", rng.normal(size=(10, 3)) * 1e-38


def write(writer, spec, items, dtype=None):
    with writer(spec) as table:
        for key, value in items:
            table.write(key, value if dtype is None else np.asarray(value, dtype))


def make(folder):
    rng = np.random.default_rng(8)
    vectors = [(f"v{n}", rng.normal(size=n) * 1e3) for n in (0, 1, 5, 512)]
    ints = [(f"i{n}", rng.integers(-(2**31), 2**31, size=n).tolist()) for n in (0, 1, 77)]
    for suffix, flags in (("", ""), (".txt", ",t")):
        at = lambda name: f"ark{flags}:{folder}/{name}{suffix}.ark"
        write(native.FloatMatrixWriter, at("float"), matrices(), np.float32)
        write(native.DoubleMatrixWriter, at("double"), matrices(), np.float64)
        write(native.FloatVectorWriter, at("vector"), vectors, np.float32)
        write(native.DoubleVectorWriter, at("double_vector"), vectors, np.float64)
        write(native.Int32VectorWriter, at("int_vector"), ints)
    for kind in METHODS:
        copy_native(kind, f"ark:{folder}/float.ark", f"ark:{folder}/{kind}.ark")


def copy_native(kind, rspec, wspec):
    if kind in METHODS:
        with native.CompressedMatrixWriter(wspec) as out, READERS["matrix"](rspec) as table:
            for key, value in table:
                out.write(key, np.array(value), METHODS[kind])
        return
    with WRITERS[kind](wspec) as out, READERS[kind](rspec) as table:
        for key, value in table:
            out.write(key, value if kind == "int_vector" else np.array(value))


def copy_kaldiio(kind, rspec, wspec):
    dtype = np.int32 if kind == "int_vector" else np.float32
    with kaldiio.WriteHelper(wspec) as out, kaldiio.ReadHelper(rspec) as table:
        for key, value in table:
            out(key, np.asarray(value, dtype))


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"make": make, "native": copy_native, "kaldiio": copy_kaldiio}[command](*arguments)
