"""Writes an archive of waveforms with kaldiio, as Kaldi's wav-copy does: wavs.ark and wavs.scp."""

import kaldiio
import numpy

with kaldiio.WriteHelper("ark,scp:wavs.ark,wavs.scp") as writer:
    for key, length in [("a", 4000), ("b", 5001)]:
        samples = numpy.arange(length) * 37 % 2001 - 1000
        writer(key, (8000, samples.astype(numpy.int16)))
