"""sherpa_embeddings.py MODEL WAV_SCP FOLDER: speaker embeddings by sherpa-onnx, of every recording of a wav.scp.

Writes FOLDER/NAME.out (f32).
"""

import pathlib
import sys

import numpy
import sherpa_onnx
import soundfile

model, table, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=model, num_threads=1, provider="cpu")
assert config.validate(), model
extractor = sherpa_onnx.SpeakerEmbeddingExtractor(config)
for line in table.read_text().splitlines():
    name, path = line.split(None, 1)
    samples, rate = soundfile.read(path, dtype="float32")
    stream = extractor.create_stream()
    stream.accept_waveform(sample_rate=rate, waveform=samples)
    stream.input_finished()
    assert extractor.is_ready(stream), name
    embedding = numpy.array(extractor.compute(stream), "<f4")
    assert embedding.shape == (extractor.dim,), embedding.shape
    embedding.tofile(folder / f"{name}.out")
