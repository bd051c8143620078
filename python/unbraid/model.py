"""Trained models on waveforms, by onnxruntime."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from .program import run

# The format of the metadata that `unbraid export` writes.
_FORMAT = 1


class Model:
    """The encoders of a model. Samples are [samples] floats of one channel, with full scale 1, at `sample_rate_hz`."""

    def __init__(self, encoders):
        self._encoders = encoders
        self.sample_rate_hz = int(next(iter(encoders.values())).about["sample_rate_hz"])

    def phonetic(self, samples, rate):
        """Phonetic codes [codes, dim] of a recording at a rate in Hz, as `unbraid extract` gives them."""
        codes, _ = self._run("phonetic", samples, rate)
        return codes[0]

    def speaker(self, samples, rate):
        """The speaker embedding [dim] of a recording at a rate in Hz, of length 1."""
        [embeddings] = self._run("speaker", samples, rate)
        return embeddings[0]

    def _run(self, output, samples, rate):
        if output not in self._encoders:
            found = ", ".join(encoder.path.name for encoder in self._encoders.values())
            raise ValueError(f"model: expected one with a {output} encoder, found {found}")
        if rate != self.sample_rate_hz:
            raise ValueError(f"rate: expected {self.sample_rate_hz} Hz, found {rate}: resample the recording")
        return self._encoders[output](samples)


class _Encoder:
    """An encoder that `unbraid export --format onnx --front-end` wrote."""

    def __init__(self, path):
        self.path = path
        self.session = _session(path)
        entries = self.session.get_modelmeta().custom_metadata_map
        self.about = json.loads(entries.get("unbraid.json", "{}"))
        expected = "a model of 'unbraid export --format onnx --front-end'"
        if "format" not in self.about:
            raise ValueError(f"{path}: expected {expected}, found one without unbraid.json in its metadata")
        if self.about["format"] > _FORMAT:
            raise ValueError(f"{path}: expected format {_FORMAT}, found {self.about['format']}: update unbraid")
        if self.about["input"] != "waveform":
            raise ValueError(f"{path}: expected {expected}, found one that takes features")

    def __call__(self, samples):
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            found = f"{samples.dtype} of shape {list(samples.shape)}"
            raise ValueError(f"samples: expected floats of shape [samples], with full scale 1, found {found}")
        if len(samples) < self.about["least"]:
            raise ValueError(f"samples: expected {self.about['least']} at least, found {len(samples)}")
        if not np.isfinite(samples).all():
            raise ValueError("samples: expected finite ones, found NaN or infinity")
        waveforms = samples.astype(np.float32)[None]
        return self.session.run(None, {"waveforms": waveforms, "lengths": np.array([len(samples)])})


def _onnxruntime():
    try:
        import onnxruntime
    except ModuleNotFoundError:
        message = "unbraid.load needs onnxruntime, found none: pip install onnxruntime"
        raise ModuleNotFoundError(message, name="onnxruntime") from None
    return onnxruntime


def _session(path):
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected an ONNX model, found none")
    try:
        return _onnxruntime().InferenceSession(path)
    except Exception as error:  # onnxruntime has a class of its own for each of its failures.
        raise ValueError(f"{path}: expected an ONNX model, found one that onnxruntime refuses: {error}") from None


def load(model, checkpoint="last"):
    """A `Model`: of the name of one that comes with unbraid, of an experiment's folder, or of an exported FILE.onnx.

    The first two are exported once, by the program and with PyTorch, to the user's cache ($XDG_CACHE_HOME or ~/.cache),
    and have both encoders; a file has one. `checkpoint` is "last", "best" or "step_000123".
    """
    _onnxruntime()
    path = Path(model)
    if path.suffix == ".onnx":
        encoder = _Encoder(path)
        return Model({encoder.about["representation"]: encoder})
    experiment = path if path.is_dir() else _shipped(str(model))
    return Model({output: _Encoder(path) for output, path in _exported(experiment, checkpoint).items()})


def _shipped(name):
    """The folder of a model that comes with unbraid."""
    lines = run("models").splitlines()
    folders = dict(line.split("  ", 1) for line in lines if not line.startswith(" "))
    if name not in folders:
        expected = f"one of {', '.join(folders)}, the folder of an experiment, or FILE.onnx"
        raise ValueError(f"model: expected {expected}, found {name!r}")
    return Path(folders[name])


def _exported(experiment, checkpoint):
    """Both encoders, exported where the cache has none of these weights by this version of the program."""
    digest = hashlib.sha256(run("--version").encode())
    for name in ("conf.toml", "inventory.json", "front_end.toml", f"{checkpoint}/weights.safetensors"):
        file = experiment / name
        digest.update(name.encode() + (file.read_bytes() if file.exists() else b""))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unbraid" / "onnx"
    cache.mkdir(parents=True, exist_ok=True)
    targets = {output: cache / f"{digest.hexdigest()[:16]}-{output}.onnx" for output in ("phonetic", "speaker")}
    for output, target in targets.items():
        if not target.exists():
            which = ["--exp", experiment, "--checkpoint", checkpoint, "--output", output]
            run("export", "--format", "onnx", "--front-end", *which, target)
    return targets
