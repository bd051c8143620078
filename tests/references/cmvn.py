"""Checks statistics and normalised features with numpy and kaldiio, for tests/cmvn.rs.

Usage: cmvn.py FEATS.ark UTT2SPK CMVN.ark MEANS.ark BOTH.ark
MEANS are the features less their speaker's mean, BOTH also have variance 1.
"""

import collections
import sys

import kaldiio
import numpy as np


def main():
    feats, utt2spk, cmvn, means, both = sys.argv[1:]
    speaker_of = dict(line.split() for line in open(utt2spk))
    feats = dict(kaldiio.load_ark(feats))
    frames = collections.defaultdict(list)
    for utterance, values in feats.items():
        frames[speaker_of[utterance]].append(values.astype(np.float64))
    cmvn = dict(kaldiio.load_ark(cmvn))
    assert cmvn.keys() == frames.keys(), (list(cmvn), list(frames))
    expected = {}
    for speaker, parts in frames.items():
        x = np.concatenate(parts)
        sums = np.stack([np.append(x.sum(0), len(x)), np.append((x**2).sum(0), 0)])
        assert cmvn[speaker].dtype == np.float64
        np.testing.assert_allclose(cmvn[speaker], sums, rtol=1e-12)
        expected[speaker] = x.mean(0), x.std(0)
    for path, scaled in (means, False), (both, True):
        normalised = dict(kaldiio.load_ark(path))
        assert normalised.keys() == feats.keys()
        for utterance, values in normalised.items():
            mean, deviation = expected[speaker_of[utterance]]
            truth = feats[utterance] - mean
            np.testing.assert_allclose(values, truth / deviation if scaled else truth, atol=1e-5)


main()
