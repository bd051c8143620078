"""Log mel spectrograms by openai-whisper, for tests/front_ends/whisper.rs.

Usage: whisper_mel.py OPTIONS.json SAMPLES.f32 FEATURES.f32
OPTIONS are those of unbraid. SAMPLES are little-endian f32; FEATURES are [frames, num_mel_bins].
"""

import json
import sys

import numpy as np
import torch
from whisper.audio import log_mel_spectrogram


def main():
    options_path, samples_path, feats_path = sys.argv[1:]
    with open(options_path) as file:
        given = json.load(file)
    assert given["kind"] == "whisper"
    samples = torch.from_numpy(np.fromfile(samples_path, dtype="<f4"))
    mel = log_mel_spectrogram(samples, n_mels=given["num_mel_bins"], padding=given["padding"])
    np.ascontiguousarray(mel.T.numpy(), dtype="<f4").tofile(feats_path)


main()
