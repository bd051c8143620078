"""foreign_features.py: from the archives z.ark (matrices), v.ark (vectors) and u.ark (integer vectors) in the working folder,
the same as other programs keep them: trees and lists of .npy and .npz, safetensors and Parquet tables of several types and
orders, each beside the archive FORM.ark that holds the same numbers. Writes
lines 'OBJECT FORM SPECIFIER' to forms.txt."""

import os

import kaldiio
import numpy
import pyarrow
import pyarrow.parquet
from safetensors.numpy import save_file

matrices = dict(kaldiio.load_ark("z.ark"))
vectors = dict(kaldiio.load_ark("v.ark"))
units = dict(kaldiio.load_ark("u.ark"))


def tree(name, arrays, save):
    for number, (key, array) in enumerate(arrays.items()):
        folder = os.path.join(name, key.split("-")[0], str(number % 2))
        os.makedirs(folder, exist_ok=True)
        save(os.path.join(folder, key), number, array)


def any_order(path, number, array):
    array = [array, numpy.asfortranarray(array), array[None], numpy.asfortranarray(array[None])][number % 4]
    numpy.save(path + ".npy", array)


def plain(path, number, array):
    numpy.save(path + ".npy", array)


forms = open("forms.txt", "w")


def made(kind, form, specifier):
    print(kind, form, specifier, file=forms)


tree("tree", matrices, any_order)
made("matrix", "z", "npy:tree")
files = {f[:-4]: os.path.join(d, f) for d, _, fs in os.walk("tree") for f in fs}
with open("keys.txt", "w") as keyed, open("files.txt", "w") as bare, open("npy.scp", "w") as scp:
    for key in matrices:
        print(key, files[key], file=keyed)
        print(files[key], file=bare)
        print(key, files[key], file=scp)
made("matrix", "z", "npy:keys.txt")
made("matrix", "z", "npy:files.txt")
made("matrix", "z", "scp:npy.scp")
numpy.savez("stored.npz", **matrices)
numpy.savez_compressed("packed.npz", **matrices)
made("matrix", "z", "npy:stored.npz")
made("matrix", "z", "npy:packed.npz")
tree("npz", matrices, lambda path, number, array: numpy.savez(path + ".npz", features=array))
made("matrix", "z", "npy:npz")
save_file(matrices, "m.safetensors")
made("matrix", "z", "safetensors:m.safetensors")

# Types that single precision holds, or is rounded to.
for name, dtype in [("f2", "<f2"), ("f8", "<f8"), ("big", ">f4"), ("i1", "i1"), ("u2", "<u2"), ("i8", ">i8")]:
    scaled = {key: (array / numpy.abs(array).max() * 100) for key, array in matrices.items()}
    scaled = {key: (abs(a) if dtype.endswith("u2") else a).astype(dtype) for key, a in scaled.items()}
    tree(name, scaled, any_order)
    kaldiio.save_ark(f"{name}.ark", {key: array.astype("<f8") for key, array in scaled.items()})
    made("matrix", name, f"npy:{name}")
    if name in ("f2", "f8", "i1"):
        save_file(scaled, f"{name}.safetensors")
        made("matrix", name, f"safetensors:{name}.safetensors")

nested = pyarrow.table({"utt_id": list(matrices), "split": ["a"] * len(matrices), "feats": [a.tolist() for a in matrices.values()]})
single = pyarrow.schema([("utt_id", pyarrow.string()), ("split", pyarrow.string()), ("feats", pyarrow.list_(pyarrow.list_(pyarrow.float32())))])
for name, options in [("snappy", {}), ("zstd", {"compression": "zstd", "row_group_size": 3}), ("gzip", {"compression": "gzip"})]:
    pyarrow.parquet.write_table(nested.cast(single), f"{name}.parquet", **options)
    made("matrix", "z", f"parquet:{name}.parquet")
pyarrow.parquet.write_table(nested, "double.parquet")
made("matrix", "z", "parquet:double.parquet")

tree("vectors", vectors, plain)
made("vector", "v", "npy:vectors")
save_file(vectors, "v.safetensors")
made("vector", "v", "safetensors:v.safetensors")
dims = len(next(iter(vectors.values())))
fixed = pyarrow.array([v.tolist() for v in vectors.values()], pyarrow.list_(pyarrow.float32(), dims))
pyarrow.parquet.write_table(pyarrow.table({"speaker": list(vectors), "embedding": fixed}), "v.parquet")
made("vector", "v", "parquet:v.parquet")

for name, dtype in [("u1", "u1"), ("i2", "<i2"), ("i8units", "<i8")]:
    tree(name, {key: array.astype(dtype) for key, array in units.items()}, plain)
    made("int-vector", "u", f"npy:{name}")
tree("batch", {key: array[None].astype("i4") for key, array in units.items()}, plain)
made("int-vector", "u", "npy:batch")
save_file({key: array.astype("i8") for key, array in units.items()}, "u.safetensors")
made("int-vector", "u", "safetensors:u.safetensors")
pyarrow.parquet.write_table(pyarrow.table({"utt": list(units), "units": [a.tolist() for a in units.values()]}), "u.parquet")
made("int-vector", "u", "parquet:u.parquet")
