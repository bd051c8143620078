"""read_lhotse.py DATA OUT: a data directory by lhotse, with its features."""

import sys

from packages import need

lhotse, kaldi, kaldiio, numpy, _ = need("lhotse", "lhotse.kaldi", "kaldiio", "numpy", "kaldi_native_io")
data, _ = sys.argv[1:]

recordings, supervisions, features = kaldi.load_kaldi_data_dir(data, 16000, frame_shift=0.01)
cuts = lhotse.CutSet.from_manifests(recordings, supervisions, features)
feats = kaldiio.load_scp(f"{data}/feats.scp")
with open(f"{data}/utt2spk") as table:
    speakers = dict(line.split() for line in table)
for cut in cuts:
    (supervision,) = cut.supervisions
    numpy.testing.assert_array_equal(cut.load_features(), feats[supervision.id])
    assert supervision.speaker == speakers[supervision.id]
assert len(cuts) == len(feats) > 0
print(f"lhotse: {len(cuts)} cuts of {len(set(speakers.values()))} speakers with their features")
