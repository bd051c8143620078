"""Writes speech as Ogg Opus in the modes of the codec, and what libsndfile's libopus decodes of each, as raw floats.

usage: opus.py FLAC...
"""

import sys

import numpy as np
import soundfile

speech = np.concatenate([soundfile.read(path)[0] for path in sys.argv[1:]])
# Three times the rate, so that full band is encoded at high bit rates.
times = np.arange(3 * len(speech)) / 3
speech = np.interp(times, np.arange(len(speech)), speech)
stereo = np.stack([speech, np.roll(speech, 4800) / 2], axis=1)

for channels, samples in [(1, speech), (2, stereo)]:
    # From 0, the highest bit rate, to 1.
    for level in [0.3, 0.8, 0.9, 0.95, 1.0]:
        name = f"{channels}-{level}"
        with soundfile.SoundFile(
            f"{name}.opus", "w", 48000, channels, "OPUS", format="OGG", compression_level=level
        ) as file:
            file.write(samples)
        soundfile.read(f"{name}.opus", dtype="float32")[0].astype("<f4").tofile(f"{name}.f32")
