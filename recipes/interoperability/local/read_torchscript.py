"""read_torchscript.py DATA OUT: runs exported encoders with PyTorch alone, on features and on waveforms, and compares with unbraid."""

import json
import sys

from packages import need

torch, kaldiio, soundfile = need("torch", "kaldiio", "soundfile")
data, out = sys.argv[1:]


def run(name, inputs):
    """The module's output for each utterance, and its metadata."""
    notes = {"unbraid.json": ""}
    module = torch.jit.load(f"{out}/{name}.pt", _extra_files=notes)
    with torch.inference_mode():
        found = {utterance: module(torch.tensor(x)[None])[0].numpy() for utterance, x in inputs.items()}
    return found, json.loads(notes["unbraid.json"])


feats = kaldiio.load_scp(f"{data}/feats.scp")
with open(f"{data}/wav.scp") as table:
    waves = {utterance: soundfile.read(path, dtype="float32")[0] for utterance, path in map(str.split, table)}

for representation in ("phonetic", "speaker"):
    expected = kaldiio.load_scp(f"{out}/{representation}.scp")
    found, notes = run(representation, feats)
    gaps = [abs(found[u] - expected[u]).max() / abs(expected[u]).max() for u in expected]
    assert max(gaps) < 1e-5, (representation, max(gaps))
    found, notes = run(f"{representation}_wav", waves)
    # Front-ends in single and double precision differ in the last digits, which moves a few quantised values by one level.
    same = [(abs(found[u] - expected[u]) < 1e-3).mean() for u in expected]
    assert sum(same) / len(same) > 0.99, (representation, sum(same) / len(same))
    print(
        f"torch: {representation}, {len(expected)} utterances: largest gap {max(gaps):.1e}; from waveforms at "
        f"{notes['sample_rate_hz']:.0f} Hz {100 * sum(same) / len(same):.2f} % of the values the same"
    )
