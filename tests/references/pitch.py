"""Holds pitches to Kaldi's own code, for tests/it/pitch.rs.

Usage: pitch.py OPTIONS.json SAMPLES.ark PITCH.ark FEATURES.ark
Samples are vectors on the 16-bit scale; pitches are ours, and so are features, of the options' `post`.
"""

import json
import sys

import kaldi
import kaldiio
import numpy as np


def main():
    options = json.load(open(sys.argv[1]))
    samples, ours, features = (dict(kaldiio.load_ark(path)) for path in sys.argv[2:])
    assert samples.keys() == ours.keys() == features.keys()
    frames = voiced = same = same_voiced = 0
    farthest = np.zeros(2)
    # A step of the pitch costs Kaldi 2.5e-6, and its costs are f32: between voiced stretches, where a step may lie
    # here as well as there, rounding decides, and a voiced frame takes a neighbouring pitch now and then.
    step = np.log1p(options["delta_pitch"])
    for key, values in samples.items():
        theirs = kaldi.pitch(values, options)
        assert ours[key].shape == theirs.shape, (key, ours[key].shape, theirs.shape)
        apart = np.abs(np.log(ours[key][:, 1] / theirs[:, 1])) / step
        equal = apart < 0.1
        np.testing.assert_allclose(ours[key][equal, 0], theirs[equal, 0], atol=1e-4, err_msg=key)
        loud = theirs[:, 0] > 0.8
        farthest = np.maximum(farthest, [apart[loud].max(initial=0), apart.max()])
        frames, same = frames + len(equal), same + equal.sum()
        voiced, same_voiced = voiced + loud.sum(), same_voiced + equal[loud].sum()
        expected = kaldi.post(ours[key], options["post"])
        np.testing.assert_allclose(features[key], expected, rtol=1e-3, atol=2e-3, err_msg=key)
    told = (
        f"{same_voiced} of {voiced} voiced pitches are the same, the others within {farthest[0]:.1f} steps; "
        f"of all {same} of {frames}, the others within {farthest[1]:.1f}"
    )
    print(told)
    assert same_voiced >= 0.95 * voiced and same >= 0.75 * frames, told
    assert farthest[0] < 2.1 and farthest[1] < 5.1, told


main()
