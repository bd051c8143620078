"""foreign.py NAME: tables that unbraid wrote as NAME.npy/.tsv, NAME.safetensors and NAME.parquet, against its archive
NAME.ark as kaldiio reads it: the same keys, shapes and numbers."""

import csv
import sys

import kaldiio
import numpy
import pyarrow.parquet
from safetensors.numpy import load_file

name = sys.argv[1]
expected = dict(kaldiio.load_ark(f"{name}.ark"))
assert expected


def check(key, found, form):
    assert found.dtype == numpy.float32, (form, key, found.dtype)
    assert found.shape == expected[key].shape, (form, key, found.shape)
    assert (found == expected[key]).all(), (form, key)


rows = numpy.load(f"{name}.npy", mmap_mode="r")
with open(f"{name}.tsv") as index:
    places = list(csv.DictReader(index, delimiter="\t"))
assert [place["utterance"] for place in places] == list(expected)
for place in places:
    start, count = int(place["start"]), int(place["rows"])
    found = rows[start : start + count]
    check(place["utterance"], found if expected[place["utterance"]].ndim == 2 else found[0], "npy")

tensors = load_file(f"{name}.safetensors")
assert tensors.keys() == expected.keys()
for key, found in tensors.items():
    check(key, found, "safetensors")

table = pyarrow.parquet.read_table(f"{name}.parquet").to_pydict()
assert table["utterance"] == list(expected)
for key, count, columns, values in zip(*(table[c] for c in ("utterance", "rows", "columns", "values"))):
    found = numpy.array(values, numpy.float32).reshape(count, columns)
    check(key, found if expected[key].ndim == 2 else found[0], "parquet")
