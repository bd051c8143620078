"""read_tables.py DATA OUT: reads codes with NumPy, safetensors and pyarrow and compares them with the archive."""

import csv
import sys

from packages import need

kaldiio, numpy, safetensors, pyarrow, _ = need(
    "kaldiio", "numpy", "safetensors.numpy", "pyarrow.parquet", "pyarrow"
)
_, out = sys.argv[1:]
codes = kaldiio.load_scp(f"{out}/phonetic.scp")

# One memory-mapped array: an utterance is a slice of its rows.
rows = numpy.load(f"{out}/phonetic.npy", mmap_mode="r")
with open(f"{out}/phonetic.tsv") as index:
    for place in csv.DictReader(index, delimiter="\t"):
        start, count = int(place["start"]), int(place["rows"])
        numpy.testing.assert_array_equal(rows[start : start + count], codes[place["utterance"]])

tensors = safetensors.load_file(f"{out}/phonetic.safetensors")
for utterance, tensor in tensors.items():
    numpy.testing.assert_array_equal(tensor, codes[utterance])

table = pyarrow.read_table(f"{out}/phonetic.parquet")
for row in table.to_pylist():
    values = numpy.array(row["values"], numpy.float32).reshape(row["rows"], row["columns"])
    numpy.testing.assert_array_equal(values, codes[row["utterance"]])

assert len(tensors) == table.num_rows == len(codes)
print(f"numpy, safetensors, pyarrow: {table.num_rows} utterances, {rows.shape[0]} codes")
