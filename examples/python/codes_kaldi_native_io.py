"""Phonetic codes, speaker embeddings and phones by frame, read by kaldi_native_io (pip install kaldi_native_io):

    python codes_kaldi_native_io.py phonetic.scp speaker.scp ali.scp
"""

import collections
import sys

import kaldi_native_io as kaldi
import numpy

phonetic, speaker, alignments = (f"scp:{path}" for path in sys.argv[1:])
phones = collections.Counter()
with (
    kaldi.SequentialFloatMatrixReader(phonetic) as utterances,
    kaldi.RandomAccessFloatVectorReader(speaker) as embeddings,
    kaldi.RandomAccessInt32VectorReader(alignments) as aligned,
):
    for utterance, codes in utterances:  # [codes, dim]
        embedding = embeddings[utterance]  # [dim], of length 1
        alignment = numpy.array(aligned[utterance])  # [frames]: the number of a phone for each frame
        frames_per_code = round(len(alignment) / len(codes))
        phones.update(alignment[::frames_per_code].tolist())
        print(f"{utterance}: codes {codes.shape}, embedding {embedding.shape}, {frames_per_code} frames per code")
print("codes per phone:", dict(sorted(phones.items())))
