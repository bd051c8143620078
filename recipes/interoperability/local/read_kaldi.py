"""read_kaldi.py DATA OUT: reads our archives with kaldiio and kaldi_native_io, which have to agree."""

import sys

from packages import need

kaldiio, native, numpy = need("kaldiio", "kaldi_native_io", "numpy")
_, out = sys.argv[1:]

codes = kaldiio.load_scp(f"{out}/phonetic.scp")
with native.SequentialFloatMatrixReader(f"scp:{out}/phonetic.scp") as reader:
    count = 0
    for utterance, matrix in reader:
        numpy.testing.assert_array_equal(matrix, codes[utterance])
        count += 1
assert count == len(codes) > 0

embeddings = kaldiio.load_scp(f"{out}/speaker.scp")
with native.SequentialFloatVectorReader(f"ark:{out}/speaker.ark") as reader:
    for utterance, vector in reader:
        numpy.testing.assert_array_equal(vector, embeddings[utterance])
        assert abs(numpy.linalg.norm(vector) - 1) < 1e-5

shape = codes[utterance].shape
print(f"kaldiio, kaldi_native_io: {count} utterances; codes of {utterance}: {shape[0]} of {shape[1]} values")
