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
    frames = same = 0
    # Kaldi's costs are f32, where a step of the pitch costs 2.5e-6: it takes a neighbour now and then.
    step = np.log1p(options["delta_pitch"])
    for key, values in samples.items():
        theirs = kaldi.pitch(values, options)
        assert ours[key].shape == theirs.shape, (key, ours[key].shape, theirs.shape)
        apart = np.abs(np.log(ours[key][:, 1] / theirs[:, 1])) / step
        equal = apart < 0.1
        assert apart.max() < 2.1, f"{key}: pitches are {apart.max():.1f} steps apart"
        np.testing.assert_allclose(ours[key][equal, 0], theirs[equal, 0], atol=1e-4, err_msg=key)
        frames, same = frames + len(equal), same + equal.sum()
        expected = kaldi.post(ours[key], options["post"])
        np.testing.assert_allclose(features[key], expected, rtol=1e-3, atol=2e-3, err_msg=key)
    print(f"{same} of {frames} pitches are the same, all others within 2 steps")
    assert same >= 0.95 * frames, f"{same} of {frames} pitches are the same"


main()
