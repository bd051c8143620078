"""Makes tests/golden/modules: ONNX models of a made front-end and a made vocoder, and models that cannot be either.

Made with onnx 1.23.2: python tests/references/user_modules.py tests/golden/modules. `tests/it/user_modules.rs` reads them and
computes the same. Weights are computed inside, which keeps the files small.
"""

import pathlib
import sys

import numpy
from onnx import TensorProto, checker, helper, numpy_helper, save

FOLDER = pathlib.Path(sys.argv[1])


def constant(name, values, kind=numpy.int64):
    return numpy_helper.from_array(numpy.array(values, kind), name)


def write(name, inputs, outputs, nodes, constants, **how):
    def described(values):
        return [helper.make_tensor_value_info(value, kind, shape) for value, kind, shape in values]

    graph = helper.make_graph(nodes, name, described(inputs), described(outputs), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if name != "unknown":
        checker.check_model(model, full_check=True)
    save(model, FOLDER / f"{name}.onnx", **how)


def front_end():
    """[1, samples] to [1, frames, 6]: a convolution of 400 samples with a stride of 320, tanh."""
    return [
        helper.make_node("Range", ["zero", "count", "one"], ["place"]),
        helper.make_node("Mul", ["place", "step"], ["phase"]),
        helper.make_node("Sin", ["phase"], ["sine"]),
        helper.make_node("Mul", ["sine", "size"], ["small"]),
        helper.make_node("Reshape", ["small", "shape"], ["weight"]),
        *behind_weight(),
    ]


def behind_weight():
    return [
        helper.make_node("Unsqueeze", ["x", "axis"], ["channel"]),
        helper.make_node("Conv", ["channel", "weight"], ["conv"], dilations=[1], pads=[0, 0], strides=[320]),
        helper.make_node("Tanh", ["conv"], ["squeezed"]),
        helper.make_node("Transpose", ["squeezed"], ["y"], perm=[0, 2, 1]),
    ]


WAVEFORM = ("x", TensorProto.FLOAT, [1, "samples"])
FEATURES = ("y", TensorProto.FLOAT, [1, "frames", 6])
AXIS = constant("axis", [1])
SINES = [
    constant("zero", 0, numpy.float32), constant("count", 2400, numpy.float32), constant("one", 1, numpy.float32),
    constant("step", 0.37, numpy.float32), constant("size", 0.05, numpy.float32), constant("shape", [6, 1, 400]), AXIS,
]
write("front_end", [WAVEFORM], [FEATURES], front_end(), SINES)

sines = numpy.sin(numpy.arange(2400, dtype=numpy.float32) * numpy.float32(0.37)) * numpy.float32(0.05)
weight = numpy_helper.from_array(sines.reshape(6, 1, 400), "weight")
write(
    "external", [WAVEFORM], [FEATURES], behind_weight(), [weight, AXIS],
    save_as_external_data=True, location="external.onnx.data", size_threshold=1024,
)

# [1, 40, frames] to [1, 1, samples], 160 a frame.
value = helper.make_tensor("value", TensorProto.FLOAT, [1], [1e-3])
write(
    "vocoder", [("x", TensorProto.FLOAT, [1, 40, "frames"])], [("y", TensorProto.FLOAT, [1, 1, "samples"])],
    [
        helper.make_node("ConstantOfShape", ["shape"], ["weight"], value=value),
        helper.make_node("ConvTranspose", ["x", "weight"], ["y"], dilations=[1], pads=[0, 0], strides=[160]),
    ],
    [constant("shape", [40, 1, 160])],
)

write(
    "two_inputs", [WAVEFORM, ("more", TensorProto.FLOAT, [1, "samples"])], [("y", TensorProto.FLOAT, [1, "samples"])],
    [helper.make_node("Add", ["x", "more"], ["y"])], [],
)
write(
    "whole_numbers", [WAVEFORM], [("y", TensorProto.INT32, [1, "samples"])],
    [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT32)], [],
)
write("unknown", [WAVEFORM], [FEATURES], [helper.make_node("Vocode", ["x"], ["y"])], [])
