"""load_model.py MODEL PHONETIC SPEAKER: what `unbraid.load` gives of a model and of its exported encoders.

It has to be what phonetic.ark and speaker.ark have of the recordings in data/wav.scp, which `unbraid extract` wrote.
"""

import sys

import numpy
import soundfile
import unbraid

name, *files = sys.argv[1:]
model = unbraid.load(name)
phonetic, speaker = map(unbraid.load, files)
codes = dict(unbraid.read("ark:phonetic.ark"))
embeddings = dict(unbraid.read("ark:speaker.ark", vectors=True))
assert len(codes) == 4
for line in open("data/wav.scp"):
    key, path = line.split()
    recording = soundfile.read(path)
    assert model.sample_rate_hz == recording[1]
    for encoder in (model, phonetic):
        found = encoder.phonetic(*recording)
        assert found.dtype == numpy.float32
        numpy.testing.assert_allclose(found, codes[key], atol=1e-4 * abs(codes[key]).max())
    for encoder in (model, speaker):
        numpy.testing.assert_allclose(encoder.speaker(*recording), embeddings[key], atol=1e-4)
