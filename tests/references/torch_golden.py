"""Golden files of torchaudio.compliance.kaldi and of Whisper's log_mel_spectrogram, for tests/front_ends/golden.rs.

Usage: torch_golden.py FOLDER, from the project's root; it writes FOLDER/torchaudio.json and FOLDER/whisper.json.
To run it again (PyTorch, 5 GB, comes with benches/baselines/requirements.txt):

    $(scripts/references.sh benches/baselines/requirements.txt) tests/references/torch_golden.py tests/golden

Signals are bundled speech (data/mini) and made ones, all of 16-bit integers, which golden.rs makes again. Of each case
a few frames are kept.
"""

import json
import sys

import numpy as np
import soundfile
import torch
import torchaudio.compliance.kaldi as kaldi
import whisper.audio

FRAMES = 5


def noise(length):
    state, values = 1, []
    for _ in range(length):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append((state >> 16) - 32768 >> 3)
    return np.array(values, dtype=np.int64)


def signals():
    speech = soundfile.read("data/mini/audio/f01-s01.flac", dtype="int16")[0].astype(np.int64)
    other = soundfile.read("data/mini/audio/m01-s03.flac", dtype="int16")[0].astype(np.int64)
    made = {
        "speech": speech,
        "other speech": other,
        "noise": noise(8000),
        "silence": np.zeros(4000, dtype=np.int64),
        "one frame": noise(400),
        "less than a frame": noise(399),
        "clipping": np.clip(speech * 20, -32768, 32767),
        "DC": (speech >> 2) + 16384,
    }
    return {name: torch.from_numpy((x / 32768).astype(np.float32)) for name, x in made.items()}


# Our options in TOML, torchaudio's as arguments.
FBANK = [
    ("num_mel_bins = 80", dict(num_mel_bins=80)),
    ("num_mel_bins = 40\nsnip_edges = false\nuse_energy = true", dict(num_mel_bins=40, snip_edges=False, use_energy=True)),
    ("vtln_warp = 1.15", dict(vtln_warp=1.15)),
    ("vtln_warp = 0.85\nvtln_low = 80.0\nvtln_high = -300.0", dict(vtln_warp=0.85, vtln_low=80.0, vtln_high=-300.0)),
    ("subtract_mean = true\nwindow_type = 'hamming'", dict(subtract_mean=True, window_type="hamming")),
    ("use_log_fbank = false\nuse_power = false", dict(use_log_fbank=False, use_power=False)),
]
MFCC = [
    ("use_energy = false", dict()),
    ("num_ceps = 20\nnum_mel_bins = 30\nuse_energy = true\nhtk_compat = true", dict(num_ceps=20, num_mel_bins=30, use_energy=True, htk_compat=True)),
    ("use_energy = false\nvtln_warp = 1.1\ncepstral_lifter = 0.0", dict(vtln_warp=1.1, cepstral_lifter=0.0)),
]
SPECTROGRAM = [
    ("", dict()),
    ("raw_energy = false\nsnip_edges = false", dict(raw_energy=False, snip_edges=False)),
]


def case(signal, kind, options, feats):
    """Keeps frames spread over all, the first and the last among them."""
    feats = feats.numpy().astype(np.float64)
    at = sorted({round(i) for i in np.linspace(0, max(len(feats) - 1, 0), FRAMES)}) if len(feats) else []
    rows = [[float(f"{value:.7g}") for value in feats[i]] for i in at]
    return {"signal": signal, "options": f"kind = '{kind}'\n{options}", "frames": len(feats), "at": at, "rows": rows}


def torchaudio_cases(made):
    for kind, compute, variants in [("fbank", kaldi.fbank, FBANK), ("mfcc", kaldi.mfcc, MFCC), ("spectrogram", kaldi.spectrogram, SPECTROGRAM)]:
        for number, (options, arguments) in enumerate(variants):
            # Edge cases under the first two variants only.
            # torchaudio refuses signals below a frame.
            whole = [name for name in made if name != "less than a frame"]
            for name in whole if number < 2 and kind != "spectrogram" else ["speech", "silence"]:
                # Its samples are ours times 32768, but once to see full scale at 1.
                scale = 1.0 if name == "other speech" else 32768.0
                text = f"full_scale = {scale}\ndither = 0.0\nenergy_floor = 1.0\n{options}"
                yield case(name, kind, text, compute((made[name] * scale)[None], **arguments))


def whisper_cases(made):
    for name, samples in made.items():
        for bins in (80, 128):
            options = f"num_mel_bins = {bins}\npadding = {0 if name == 'speech' else 1600}"
            padding = 0 if name == "speech" else 1600
            feats = whisper.audio.log_mel_spectrogram(samples, n_mels=bins, padding=padding)
            yield case(name, "whisper", options, feats.T)


def main():
    made = signals()
    for name, cases in [("torchaudio", torchaudio_cases(made)), ("whisper", whisper_cases(made))]:
        with open(f"{sys.argv[1]}/{name}.json", "w") as file:
            lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
            file.write(f"[\n{lines}\n]\n")


main()
