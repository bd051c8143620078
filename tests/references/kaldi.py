"""Kaldi's own compiled feature code, out of the libvosk.so of the package vosk, called by its C++ names.

Matrices are numpy arrays of f32. The layouts are those of kaldi-matrix.h, kaldi-vector.h, feature-functions.h and
pitch-functions.h; none of the types has virtual functions.
"""

import ctypes
import importlib.util
import pathlib

import numpy as np

FLOATS = ctypes.POINTER(ctypes.c_float)


class Vector(ctypes.Structure):
    _fields_ = [("data", FLOATS), ("dim", ctypes.c_int32)]


class Matrix(ctypes.Structure):
    _fields_ = [("data", FLOATS)] + [(name, ctypes.c_int32) for name in ("columns", "rows", "stride")]


def structure(name, *fields):
    """A structure of `floats`, `ints` and `bools`, in their order."""
    kinds = {"f": ctypes.c_float, "i": ctypes.c_int32, "b": ctypes.c_bool}
    pairs = [(field, kinds[kind]) for kind, names in fields for field in names.split()]
    return type(name, (ctypes.Structure,), {"_fields_": pairs})


DeltaOptions = structure("DeltaOptions", ("i", "order window"))
SlidingOptions = structure(
    "SlidingOptions", ("i", "cmn_window min_window max_warnings"), ("b", "norm_vars center")
)
PitchOptions = structure(
    "PitchOptions",
    ("f", "sample_frequency frame_shift frame_length preemphasis min_f0 max_f0 soft_min_f0"),
    ("f", "penalty_factor lowpass_cutoff resample_frequency delta_pitch nccf_ballast"),
    ("i", "lowpass_filter_width upsample_filter_width max_frames_latency frames_per_chunk"),
    ("b", "simulate_first_pass_online"),
    ("i", "recompute_frame"),
    ("b", "nccf_ballast_online snip_edges"),
)
PostOptions = structure(
    "PostOptions",
    ("f", "pitch_scale pov_scale pov_offset delta_pitch_scale delta_pitch_noise_stddev"),
    ("i", "normalization_left_context normalization_right_context delta_window delay"),
    ("b", "add_pov_feature add_normalized_log_pitch add_delta_pitch add_raw_log_pitch"),
)


def library():
    folder = importlib.util.find_spec("vosk").submodule_search_locations[0]
    return ctypes.CDLL(str(pathlib.Path(folder) / "libvosk.so"))


LIB = library()


def matrix(values):
    values = np.ascontiguousarray(values, np.float32)
    rows, columns = values.shape
    made = Matrix(values.ctypes.data_as(FLOATS), columns, rows, columns)
    made.keep = values
    return made


def vector(values):
    values = np.ascontiguousarray(values, np.float32)
    made = Vector(values.ctypes.data_as(FLOATS), len(values))
    made.keep = values
    return made


def array(result):
    rows = np.ctypeslib.as_array(result.data, (result.rows, result.stride))
    return rows[:, : result.columns].copy()


def call(name, *args):
    """Calls a function that leaves its result in a matrix, its last argument."""
    result = Matrix()
    pointers = [arg if isinstance(arg, int) else ctypes.byref(arg) for arg in args]
    getattr(LIB, name)(*pointers, ctypes.byref(result))
    return array(result)


def deltas(feats, order, window):
    name = "_ZN5kaldi13ComputeDeltasERKNS_20DeltaFeaturesOptionsERKNS_10MatrixBaseIfEEPNS_6MatrixIfEE"
    return call(name, DeltaOptions(order, window), matrix(feats))


def splice(feats, left, right):
    name = "_ZN5kaldi12SpliceFramesERKNS_10MatrixBaseIfEEiiPNS_6MatrixIfEE"
    return call(name, matrix(feats), left, right)


def sliding_cmvn(feats, cmn_window, min_window, center, norm_vars):
    name = "_ZN5kaldi16SlidingWindowCmnERKNS_23SlidingWindowCmnOptionsERKNS_10MatrixBaseIfEEPS4_"
    result = matrix(np.zeros_like(feats))
    options = SlidingOptions(cmn_window, min_window, 0, norm_vars, center)
    getattr(LIB, name)(ctypes.byref(options), ctypes.byref(matrix(feats)), ctypes.byref(result))
    return array(result)


def pitch_options(options):
    made = PitchOptions(frames_per_chunk=0, recompute_frame=500)
    for name, value in options.items():
        if name != "post":
            kind = dict(PitchOptions._fields_)[name]
            setattr(made, name, value if kind is ctypes.c_float else int(value))
    return made


def pitch(samples, options):
    name = (
        "_ZN5kaldi17ComputeKaldiPitchERKNS_22PitchExtractionOptionsERKNS_10VectorBaseIfEEPNS_6MatrixIfEE"
    )
    return call(name, pitch_options(options), vector(samples))


def post(pitches, options):
    name = "_ZN5kaldi12ProcessPitchERKNS_19ProcessPitchOptionsERKNS_10MatrixBaseIfEEPNS_6MatrixIfEE"
    made = PostOptions(delay=0)
    for field, value in options.items():
        if field != "seed":
            setattr(made, field, value)
    return call(name, made, matrix(pitches))
