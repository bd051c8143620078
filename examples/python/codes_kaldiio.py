"""Phonetic codes, speaker embeddings and phones by frame, read by kaldiio (pip install kaldiio):

    python codes_kaldiio.py phonetic.scp speaker.scp ali.scp
"""

import collections
import sys

import kaldiio

phonetic, speaker, alignments = map(kaldiio.load_scp, sys.argv[1:])  # Read when an utterance is asked for.
phones = collections.Counter()
for utterance, codes in phonetic.items():  # [codes, dim]
    embedding = speaker[utterance]  # [dim], of length 1
    alignment = alignments[utterance]  # [frames]: the number of a phone for each frame
    frames_per_code = round(len(alignment) / len(codes))
    phones.update(alignment[::frames_per_code].tolist())
    print(f"{utterance}: codes {codes.shape}, embedding {embedding.shape}, {frames_per_code} frames per code")
print("codes per phone:", dict(sorted(phones.items())))
