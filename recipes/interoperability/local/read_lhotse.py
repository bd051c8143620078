"""read_lhotse.py DATA OUT: reads a data directory with lhotse, with its features; and again with one segment per recording,
since lhotse takes speakers and texts only from segments."""

import pathlib
import shutil
import sys
import tempfile

from packages import need

lhotse, kaldi, kaldiio, numpy, _ = need("lhotse", "lhotse.kaldi", "kaldiio", "numpy", "kaldi_native_io")
data, _ = map(pathlib.Path, sys.argv[1:])


def table(name):
    with open(data / name) as lines:
        return dict(line.rstrip("\n").split(maxsplit=1) for line in lines)


feats = kaldiio.load_scp(str(data / "feats.scp"))
recordings, _, features = kaldi.load_kaldi_data_dir(data, 16000, frame_shift=0.01)
cuts = lhotse.CutSet.from_manifests(recordings=recordings, features=features)
for cut in cuts:
    numpy.testing.assert_array_equal(cut.load_features(), feats[cut.recording_id])
    assert cut.num_samples == cut.load_audio().shape[1]
assert len(cuts) == len(feats) > 0

with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    for name in ("wav.scp", "utt2spk", "text"):
        shutil.copy(data / name, folder)
    segments = (f"{r.id} {r.id} 0 {r.duration}\n" for r in recordings)
    (folder / "segments").write_text("".join(segments))
    _, supervisions, _ = kaldi.load_kaldi_data_dir(folder, 16000)
speakers, texts = table("utt2spk"), table("text")
for supervision in supervisions:
    assert supervision.speaker == speakers[supervision.id]
    assert supervision.text == texts[supervision.id]
assert len(supervisions) == len(feats)
print(f"lhotse: {len(cuts)} cuts with features, {len(set(speakers.values()))} speakers")
