"""run_onnx.py MODEL FOLDER: runs an ONNX model of `unbraid export` by onnxruntime.

Reads every FOLDER/NAME.in (f32, one row after another), alone and in one batch with all others, and writes
FOLDER/NAME.alone and FOLDER/NAME.batch; what the model says of itself goes to FOLDER/unbraid.json.
"""

import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime

path, folder = sys.argv[1], pathlib.Path(sys.argv[2])
onnx.checker.check_model(onnx.load(path), full_check=True)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options)
text = session.get_modelmeta().custom_metadata_map["unbraid.json"]
(folder / "unbraid.json").write_text(text)
about = json.loads(text)
row = (about["bins"],) if about["input"] == "features" else ()
name = "waveforms" if about["input"] == "waveform" else "features"


def run(inputs):
    """The outputs without padding of inputs [length, ..], as one batch."""
    lengths = numpy.array([len(x) for x in inputs], numpy.int64)
    # What stands in the padding is of no account.
    batch = numpy.full((len(inputs), lengths.max() + 7, *row), 0.5, numpy.float32)
    for place, x in zip(batch, inputs):
        place[: len(x)] = x
    outputs = session.run(None, {name: batch, "lengths": lengths})
    if about["representation"] == "speaker":
        return list(outputs[0])
    assert all(not codes[count:].any() for codes, count in zip(*outputs))
    return [codes[:count] for codes, count in zip(*outputs)]


sources = sorted(folder.glob("*.in"))
inputs = [numpy.fromfile(source, dtype="<f4").reshape(-1, *row) for source in sources]
for source, x, together in zip(sources, inputs, run(inputs)):
    alone = run([x])[0]
    assert alone.shape[-1] == about["dim"], alone.shape
    alone.astype("<f4").tofile(source.with_suffix(".alone"))
    together.astype("<f4").tofile(source.with_suffix(".batch"))
