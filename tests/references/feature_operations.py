"""Holds operations on features to Kaldi's own code, for tests/it/feature_operations.rs.

Usage: feature_operations.py FEATS.ark CASES.json
CASES is a list of [OUTPUT.ark, operation, arguments...], the arguments those of kaldi.py.
"""

import json
import sys

import kaldi
import kaldi_native_io
import kaldiio
import numpy as np


def vad(feats, threshold, scale, context, proportion):
    """Kaldi, ivector/voice-activity-detection.cc, ComputeVadEnergy, which libvosk.so lacks."""
    energy = feats[:, 0]
    above = energy > threshold + scale * energy.mean(dtype=np.float64)
    around = [above[max(0, t - context) : t + context + 1] for t in range(len(above))]
    return np.array([near.sum() >= np.float32(len(near)) * np.float32(proportion) for near in around], np.float32)


def subsample(feats, n, offset):
    return feats[offset::n] if n > 0 else np.repeat(feats, -n, axis=0)


def main():
    feats = dict(kaldiio.load_ark(sys.argv[1]))
    for path, operation, *args in json.load(open(sys.argv[2])):
        ours = dict(kaldiio.load_ark(path))
        assert ours.keys() == feats.keys(), (path, list(ours))
        function = {"vad": vad, "subsample": subsample}.get(operation) or getattr(kaldi, operation)
        for key, values in feats.items():
            theirs = function(values, *args)
            np.testing.assert_allclose(ours[key], theirs, rtol=2e-5, atol=2e-5, err_msg=f"{path} {key}")
        reader = (
            kaldi_native_io.SequentialFloatVectorReader
            if operation == "vad"
            else kaldi_native_io.SequentialFloatMatrixReader
        )
        with reader(f"ark:{path}") as entries:
            for key, values in entries:
                np.testing.assert_array_equal(values, ours[key])


main()
