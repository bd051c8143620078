"""Writes corpora as Kaldi data directories; shared by the preparations of the sentence recipes.

Input: the utterances of a corpus and, per speaker, the set that they belong to (train, train_spk_dev or test).
Output: DATA/all, in which spk2set has these sets, and its parts

    train, dev, train_probe   the training speakers: for training, for validation, for probes (per speaker, the last
                              eighth is train_probe and the eighth before it dev)
    train_spk_dev             speakers that are not trained on, for choosing settings
    test                      unseen speakers
    test_learn, test_probe    of each unseen speaker the first two thirds, to train probes, and the last, to test them

with all pairs of train_spk_dev and of test as trials. Nothing is written before everything has been read.
"""

import hashlib
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

# Utterances per speaker that trials are made of: the number of trials grows with its square.
MOST_IN_TRIALS = 30


@dataclass
class Utterance:
    """One line of every file of a data directory; `more` holds files beyond wav.scp, utt2spk and text."""

    id: str
    speaker: str
    wav: Path
    text: str
    more: dict = field(default_factory=dict)


def refuse(place, expected, found):
    """Ends the program with one line."""
    sys.exit(f"{place}: expected {expected}, found {found}")


def need_file(path, what):
    """`path`, which has to be a non-empty file."""
    if not path.is_file():
        refuse(path, what, "none")
    if path.stat().st_size == 0:
        refuse(path, what, "an empty file")
    return path


def need_folder(path, what):
    """`path`, which has to be a folder."""
    if not path.is_dir():
        refuse(path, what, "none")
    return path


def need_some(found, place, what):
    """`found`, which has to be non-empty."""
    if not found:
        refuse(place, what, "none")
    return found


def read_text(path, what):
    """The text of a file, in UTF-8, without byte order mark."""
    try:
        return need_file(path, what).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(path, "UTF-8 text", f"other bytes at {error.start}")


def read_rows(path, columns, what):
    """Rows `(line number, fields)` of a table of at least so many columns; the last takes the rest of the line."""
    rows = []
    for number, line in enumerate(read_text(path, what).splitlines(), 1):
        fields = line.split(maxsplit=columns - 1)
        if len(fields) < columns:
            refuse(f"{path}:{number}", what, f"'{line}'")
        rows.append((number, fields))
    return need_some(rows, path, what)


def draw(names, count, seed):
    """`count` of `names`, the same ones for a seed under every version of Python."""
    return sorted(sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())[:count])


def write_sets(data, utterances, speakers):
    """Writes all sets below `data`; `speakers` has, per speaker, `set` and other known attributes (gender, age)."""
    need_some(utterances, data, "utterances")
    utterances = sorted(utterances, key=lambda utterance: utterance.id)
    for before, after in zip(utterances, utterances[1:]):
        if before.id == after.id:
            refuse(after.wav, "every utterance once", f"{after.id} again, as {before.wav}")
    sets = {"all": utterances}
    for name in ("train", "train_spk_dev", "test"):
        own = [u for u in utterances if speakers[u.speaker]["set"] == name]
        sets[name] = need_some(own, data, f"utterances of {name}")
    training = sets["train"]
    sets["train"] = _parts(training, lambda n: (0, n - 2 * _eighth(n)))
    sets["dev"] = _parts(training, lambda n: (n - 2 * _eighth(n), n - _eighth(n)))
    sets["train_probe"] = _parts(training, lambda n: (n - _eighth(n), n))
    sets["test_learn"] = _parts(sets["test"], lambda n: (0, n - n // 3))
    sets["test_probe"] = _parts(sets["test"], lambda n: (n - n // 3, n))
    for name, chosen in sets.items():
        _write_set(data / name, need_some(chosen, data, f"utterances of {name}"), speakers)
    for name in ("train_spk_dev", "test"):
        _write(data / name / "trials", _trials(sets[name]))


def _eighth(count):
    """At least one; 0 of fewer than four."""
    return max(1, count // 8) if count >= 4 else 0


def _by_speaker(utterances):
    spoken = {}
    for utterance in utterances:
        spoken.setdefault(utterance.speaker, []).append(utterance)
    return spoken


def _parts(utterances, window):
    """The utterances `first` to `last` of each speaker, where `window` computes both from their number."""
    chosen = []
    for own in _by_speaker(utterances).values():
        first, last = window(len(own))
        chosen += own[first:last]
    return sorted(chosen, key=lambda utterance: utterance.id)


def _trials(utterances):
    chosen = []
    for own in _by_speaker(utterances).values():
        count = min(len(own), MOST_IN_TRIALS)
        chosen += [own[index * len(own) // count] for index in range(count)]
    for index, a in enumerate(chosen):
        for b in chosen[index + 1 :]:
            yield f"{a.id} {b.id} {'target' if a.speaker == b.speaker else 'nontarget'}"


def _write_set(folder, utterances, speakers):
    folder.mkdir(parents=True, exist_ok=True)
    spoken = _by_speaker(utterances)
    _write(folder / "wav.scp", (f"{u.id} {u.wav}" for u in utterances))
    _write(folder / "utt2spk", (f"{u.id} {u.speaker}" for u in utterances))
    _write(folder / "text", (f"{u.id} {u.text}".rstrip() for u in utterances))
    for name in utterances[0].more:
        _write(folder / name, (f"{u.id} {u.more[name]}" for u in utterances))
    _write(folder / "spk2utt", (f"{s} {' '.join(u.id for u in spoken[s])}" for s in sorted(spoken)))
    for name in speakers[utterances[0].speaker]:
        _write(folder / f"spk2{name}", (f"{s} {speakers[s][name]}" for s in sorted(spoken)))


def _write(path, lines):
    """Writes a file that appears only when it is complete."""
    half = path.with_name(f".{path.name}.half")
    with open(half, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(line + "\n")
    os.replace(half, path)
