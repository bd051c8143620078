"""Makes tests/golden/discophon_scores.json: discophon's measures of units on made utterances.

Made with discophon 0.2.0 (Python 3.12): python tests/references/discophon_scores.py > tests/golden/discophon_scores.json

A golden file, because discophon needs a newer Python than the other references. `tests/it/discovery.rs` makes the same
utterances from the same numbers: a linear congruential generator (Knuth's MMIX), whose high bits are taken.
"""

import json
import sys
import tempfile
from pathlib import Path

from discophon.data import read_gold_annotations, read_submitted_units
from discophon.evaluate import phoneme_discovery

FILES = 200
PHONES = ["SIL", "a", "e", "k", "s", "t", "u"]
UNITS = 7


class Numbers:
    def __init__(self, seed):
        self.state = seed

    def below(self, count):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % count


def utterance(number):
    """Phones of 10 to 80 ms; each unit of 20 ms is that of its phone, or any in one of three cases."""
    numbers = Numbers(number)
    phones, length = [], 0
    for _ in range(3 + numbers.below(12)):
        steps = 1 + numbers.below(8)
        phones.append((length, length + steps, numbers.below(len(PHONES))))
        length += steps
    units = []
    for step in range(0, length + numbers.below(3) - 1, 2):
        own = next((phone for start, end, phone in phones if start <= step < end), 0)
        units.append(numbers.below(UNITS) if numbers.below(3) == 0 else (own * 3 + 1) % UNITS)
    return phones, units or [0]


def score(folder, files, kind, n_phonemes):
    gold, units = folder / "gold.txt", folder / "units.jsonl"
    lines = ["#file onset offset #phone"]
    for name, (phones, _) in files.items():
        lines += [f"{name} {start / 100:.2f} {end / 100:.2f} {PHONES[phone]}" for start, end, phone in phones]
    gold.write_text("\n".join(lines) + "\n")
    units.write_text("".join(json.dumps({"file": name, "units": own}) + "\n" for name, (_, own) in files.items()))
    try:
        return phoneme_discovery(
            read_submitted_units(units), read_gold_annotations(gold), kind=kind, n_units=UNITS, n_phonemes=n_phonemes
        )
    except ZeroDivisionError:
        return None


def both(folder, files):
    return {kind: score(folder, files, kind, len(PHONES) - 1) for kind in ("many-to-one", "one-to-one")}


with tempfile.TemporaryDirectory() as folder:
    files = {f"u{number}": utterance(number) for number in range(FILES)}
    single = [both(Path(folder), {name: own}) for name, own in files.items()]
    json.dump({"all": both(Path(folder), files), "single": single}, sys.stdout, separators=(",", ":"))
print()
