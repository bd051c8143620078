"""Phonetic codes and speaker embeddings in Python.

`read` gives what `unbraid` wrote, and everything else that it reads, as arrays. `load` gives a trained model that takes
waveforms. Both run the program `unbraid`, which this package brings with it.
"""

from .model import Model, load
from .program import program
from .tables import read

__all__ = ["Model", "load", "program", "read"]
