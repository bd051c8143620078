"""stream_onnx.py MODEL FOLDER: runs a streaming ONNX model of `unbraid export --stream` by onnxruntime, piece by piece.

Reads every FOLDER/NAME.in (features, f32, one frame after another), twice in one batch, and writes FOLDER/NAME.out.
"""

import itertools
import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime

path, folder = sys.argv[1], pathlib.Path(sys.argv[2])
onnx.checker.check_model(onnx.load(path), full_check=True)
session = onnxruntime.InferenceSession(path)
about = json.loads(session.get_modelmeta().custom_metadata_map["unbraid.json"])


def start(batch):
    """The state before the first piece: zeros, of no frames where their number grows."""
    sizes = {"batch": batch, "past": 0}
    shape = lambda value: [sizes.get(size, size) for size in value.shape]
    return {value.name: numpy.zeros(shape(value), "f4") for value in session.get_inputs() if value.name != "features"}


def run(feats):
    """Codes [batch, codes, dim] of features [batch, frames, bins]."""
    names = [value.name for value in session.get_outputs()]
    state, codes, place = start(len(feats)), [], 0
    for count in itertools.cycle([1, 3, 20, 2]):
        piece = feats[:, place : place + count * about["subsampling"]]
        if not piece.shape[1]:
            return numpy.concatenate(codes, 1)
        outputs = dict(zip(names, session.run(None, {"features": piece, **state})))
        codes.append(outputs["codes"])
        state = {name: outputs[f"next_{name}"] for name in state}
        place += piece.shape[1]


for source in sorted(folder.glob("*.in")):
    feats = numpy.fromfile(source, dtype="<f4").reshape(1, -1, about["bins"])
    codes = run(numpy.concatenate([feats, feats]))
    assert numpy.allclose(codes[0], codes[1], atol=1e-6)
    codes[0].astype("<f4").tofile(source.with_suffix(".out"))
