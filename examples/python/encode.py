"""Phonetic codes and a speaker embedding of a recording, by onnxruntime alone (pip install onnxruntime soundfile):

    unbraid export --model en-16k --format onnx --front-end --output phonetic phonetic.onnx
    unbraid export --model en-16k --format onnx --front-end --output speaker speaker.onnx
    python encode.py phonetic.onnx speaker.onnx talk.flac talk.npz
"""

import json
import sys

import numpy
import onnxruntime
import soundfile


def run(model, samples, rate):
    """All outputs of a model for one recording, samples [samples] with full scale 1."""
    session = onnxruntime.InferenceSession(model)
    about = json.loads(session.get_modelmeta().custom_metadata_map["unbraid.json"])
    if rate != about["sample_rate_hz"] or len(samples) < about["least"]:
        sys.exit(f"expected {about['least']} samples at {about['sample_rate_hz']} Hz, found {len(samples)} at {rate}")
    inputs = {"waveforms": samples[None], "lengths": numpy.array([len(samples)])}
    return session.run(None, inputs)


phonetic, speaker, recording, target = sys.argv[1:]
samples, rate = soundfile.read(recording, dtype="float32")
[codes], _ = run(phonetic, samples, rate)
[[embedding]] = run(speaker, samples, rate)
numpy.savez(target, codes=codes, embedding=embedding)
print(f"{recording}: codes {codes.shape}, embedding {embedding.shape}")
