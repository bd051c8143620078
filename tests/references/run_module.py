"""run_module.py MODULE FOLDER: runs a module of `unbraid export` as anyone would who has PyTorch alone.

Reads every FOLDER/NAME.in (f32, one row after another) and writes FOLDER/NAME.out; what the module says of itself goes to
FOLDER/unbraid.json.
"""

import json
import pathlib
import sys

import numpy
import torch

path, folder = sys.argv[1], pathlib.Path(sys.argv[2])
extra = {"unbraid.json": ""}
module = torch.jit.load(path, _extra_files=extra)
text = extra["unbraid.json"]
text = text.decode() if isinstance(text, bytes) else text
told = json.loads(text)
(folder / "unbraid.json").write_text(text)
with torch.no_grad():
    for source in sorted(folder.glob("*.in")):
        values = torch.from_numpy(numpy.fromfile(source, dtype="<f4"))
        shape = (1, -1, told["bins"]) if told["input"] == "features" else (1, -1)
        found = module(values.reshape(shape))
        assert found.shape[0] == 1 and found.shape[-1] == told["dim"], found.shape
        found.numpy().astype("<f4").tofile(source.with_suffix(".out"))
