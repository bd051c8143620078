"""Mel spectrograms by librosa, for tests/front_ends/librosa.rs.

Usage: librosa_mel.py OPTIONS.json SAMPLES.f32 FEATURES.f32
OPTIONS are those of unbraid. SAMPLES are little-endian f32; FEATURES are [frames, n_mels].
"""

import json
import sys

import librosa
import numpy as np


def main():
    options_path, samples_path, feats_path = sys.argv[1:]
    with open(options_path) as file:
        given = json.load(file)
    assert given.pop("kind") == "mel"
    output = given.pop("output")
    decibels = {name: given.pop(name) for name in ("ref", "amin", "top_db")}
    given["win_length"] = given["win_length"] or None
    given["fmax"] = given["fmax"] or None
    given["norm"] = {"slaney": "slaney", "none": None}[given["norm"]]
    samples = np.fromfile(samples_path, dtype="<f4")
    mel = librosa.feature.melspectrogram(y=samples, **given)
    if output == "db":
        decibels["ref"] = decibels["ref"] or np.max
        decibels["top_db"] = decibels["top_db"] or None
        mel = librosa.power_to_db(mel, **decibels)
    np.ascontiguousarray(mel.T, dtype="<f4").tofile(feats_path)


main()
