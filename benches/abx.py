#!/usr/bin/env python3
"""ABX of the phones of the bundled speech, by unbraid and by fastabx on one core: seconds and errors of both.

Usage: abx.py UNBRAID FOLDER
It needs Python 3.12 with fastabx (pip install fastabx, which brings PyTorch) and kaldi_native_io. Items are the phones of
data/mini of 30 ms or more, without silence, in any context; all triples. Features are fbank-80 without dither.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import kaldi_native_io  # noqa: E402
import torch  # noqa: E402
from fastabx import Dataset, Score, Task  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent


def prepare(unbraid, folder):
    """mini.item, f.scp and pt/."""
    (folder / "pt").mkdir(parents=True, exist_ok=True)
    speakers, phones, wavs = {}, collections.defaultdict(list), []
    for part in ("test", "train"):
        data = ROOT / "data/mini" / part
        speakers.update(line.split() for line in open(data / "utt2spk"))
        for line in open(data / "phones.ctm"):
            key, _, start, length, phone = line.split()
            phones[key].append((float(start), float(start) + float(length), phone))
        wavs += [f"{key} {ROOT / path}\n" for key, path in (line.split() for line in open(data / "wav.scp"))]
    with open(folder / "mini.item", "w") as item:
        item.write("#file onset offset #phone prev-phone next-phone speaker\n")
        for key, own in phones.items():
            for start, end, phone in own:
                if phone != "SIL" and end - start >= 0.03:
                    item.write(f"{key} {start:.4f} {end:.4f} {phone} - - {speakers[key]}\n")
    (folder / "wav.scp").write_text("".join(sorted(wavs)))
    fbank = [unbraid, "feats", "fbank", "--set", "dither=0", "--set", "num_mel_bins=80"]
    subprocess.run([*fbank, f"scp:{folder}/wav.scp", f"ark,scp:{folder}/f.ark,{folder}/f.scp"], check=True)
    with kaldi_native_io.SequentialFloatMatrixReader(f"scp:{folder}/f.scp") as reader:
        for key, feats in reader:
            torch.save(torch.from_numpy(feats.copy()), folder / "pt" / f"{key}.pt")


def main():
    unbraid, folder = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).absolute()
    prepare(unbraid, folder)
    os.sched_setaffinity(0, {0})
    torch.set_num_threads(1)
    start = time.monotonic()
    command = [unbraid, "eval", "abx", "--item", f"{folder}/mini.item", "--representation", f"mel={folder}/f.scp"]
    limits = ["--max-items", "0", "--max-speakers", "0", "--threads", "1", "--out", f"{folder}/abx"]
    subprocess.run([*command, *limits], check=True)
    print(f"unbraid: {time.monotonic() - start:.1f} s")
    start = time.monotonic()
    dataset = Dataset.from_item(folder / "mini.item", folder / "pt", 100, device="cpu", progress=False)
    errors = []
    for how in ({"by": ["speaker"]}, {"across": ["speaker"]}):
        errors.append(Score(Task(dataset, on="#phone", **how), "angular").collapse(levels=["speaker"]))
    print(f"fastabx: {time.monotonic() - start:.1f} s, errors {json.dumps(errors)}")


if __name__ == "__main__":
    main()
