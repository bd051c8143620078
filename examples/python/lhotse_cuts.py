"""A data directory with its codes and embeddings as a lhotse CutSet (pip install lhotse kaldiio):

    python lhotse_cuts.py data/test phonetic.scp speaker.scp cuts.jsonl.gz

    cut = lhotse.CutSet.from_file("cuts.jsonl.gz")[0]
    cut.load_codes()                       # [codes, dim]; truncated with the cut
    cut.supervisions[0].load_embedding()   # [dim], of length 1

Arrays go to the folder of the name without `.jsonl.gz`.
"""

import pathlib
import sys

import kaldiio
import lhotse

data, phonetic, speaker, target = sys.argv[1:]


def table(name):
    """The lines `key value` of a file of the data directory; none where there is no such file."""
    path = pathlib.Path(data, name)
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split(maxsplit=1) for line in lines)


codes, embeddings = kaldiio.load_scp(phonetic), kaldiio.load_scp(speaker)
speakers, texts = table("utt2spk"), table("text")
with (
    lhotse.CutSet.open_writer(target) as cuts,
    lhotse.NumpyFilesWriter(target.removesuffix(".jsonl.gz")) as arrays,
):
    for key, path in table("wav.scp").items():
        recording = lhotse.Recording.from_file(path, recording_id=key)
        cut = recording.to_cut()
        supervision = lhotse.SupervisionSegment(
            key, key, start=0, duration=cut.duration, text=texts.get(key), speaker=speakers[key]
        )
        supervision.embedding = arrays.store_array(f"{key}-speaker", embeddings[key])
        # lhotse rounds duration / shift to the number of codes: the nominal shift would cost the last one of some.
        shift = cut.duration / len(codes[key])
        cut.codes = arrays.store_array(f"{key}-phonetic", codes[key], frame_shift=shift, temporal_dim=0, start=0)
        cut.supervisions.append(supervision)
        cuts.write(cut)
