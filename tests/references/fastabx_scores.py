"""Makes tests/golden/fastabx_scores.json: made utterances, and fastabx's ABX errors on them.

Made with fastabx 0.9.0 and torch 2.11.0 (Python 3.12): python tests/references/fastabx_scores.py > tests/golden/...
A golden file, because both take gigabytes; `tests/it/abx.rs` reads it without Python. Features are small whole
numbers: frames that repeat make ties, and one frame of a speaker is zeros.

fastabx computes in single precision, where sums of the same angles in another order differ and ties are broken by
rounding. So the case of ties gets angles from double precision, rounded so that their sums are exact.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import torch
from fastabx import Dataset, Score, Task
from fastabx.accessor import normalize_with_singularity
from fastabx.distance import angular_distance
from torchdtw import dtw_batch

PHONES = "abc"
SPEAKERS = 4


def utterance(rng, speaker, number, spread):
    """Phones of 25 to 95 ms, one after the other; features at 100 frames a second."""
    phones, frames, start = [], [], 0
    for _ in range(8):
        phones.append([start, rng.randrange(250, 950), rng.choice(PHONES)])
        start += phones[-1][1]
    for frame in range(start // 100 + 1):
        centre = 100 * frame + 50
        phone = next((p for at, length, p in phones if at <= centre < at + length), phones[-1][2])
        place = PHONES.index(phone)
        shape = [spread * (dim == place) + (dim * speaker) % spread for dim in range(4)]
        frames.append([value + rng.randint(-spread, spread) for value in shape])
    if number == 0:
        frames[2] = [0, 0, 0, 0]
    return {
        "key": f"s{speaker}-{number}",
        "speaker": f"s{speaker}",
        "text": PHONES[number % 3],
        "phones": [[at / 10000, length / 10000, phone] for at, length, phone in phones],
        "feats": frames,
    }


def phone_items(utterances):
    for u in utterances:
        names = ["-", *(p for _, _, p in u["phones"]), "-"]
        for i, (at, length, phone) in enumerate(u["phones"]):
            yield f"{u['key']} {at:.4f} {(at + length):.4f} {phone} {names[i]} {names[i + 2]} {u['speaker']}"


def word_items(utterances):
    for u in utterances:
        yield f"{u['key']} 0.00 {len(u['feats']) / 100:.2f} {u['text']} - - {u['speaker']}"


def item_file(folder, items):
    item = Path(folder) / "made.item"
    item.write_text("\n".join(["#file onset offset #phone prev-phone next-phone speaker", *items]) + "\n")
    return item


def unit_dataset(utterances, items):
    """Of each frame the sum of its values modulo 4, which the test computes too."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [{"file": u["key"], "units": [sum(frame) % 4 for frame in u["feats"]]} for u in utterances]
        units = Path(folder) / "units.jsonl"
        units.write_text("".join(json.dumps(line) + "\n" for line in lines))
        item = item_file(folder, items)
        return Dataset.from_item_and_units(item, units, 100, audio_key="file", device="cpu", progress=False)


def dataset(utterances, items):
    with tempfile.TemporaryDirectory() as folder:
        for u in utterances:
            torch.save(torch.tensor(u["feats"], dtype=torch.float32), Path(folder) / f"{u['key']}.pt")
        item = item_file(folder, items)
        return Dataset.from_item(item, folder, 100, device="cpu", progress=False)


def exact_angles(x, y):
    unit = lambda t: normalize_with_singularity(t.reshape(-1, t.size(2)).double()).view(*t.shape[:2], -1)
    return angular_distance(unit(x), unit(y)).float().double()


def rounded_path(costs, sx, sy, *, symmetric):
    return dtw_batch(costs, sx, sy, symmetric=symmetric).float()


def score(utterances, distance, items, on, by, across, levels):
    read = unit_dataset if distance == "identical" else dataset
    task = Task(read(utterances, list(items(utterances))), on=on, by=by, across=across)
    found = Score(task, distance, alignment=rounded_path, progress=False)
    return {"error": found.collapse(levels=levels), "cells": len(task), "triples": int(found.cells["size"].sum())}


def case(name, seed, spread, distance):
    rng = random.Random(seed)
    # The first speaker says more than the others: means over speakers are not means over cells.
    counts = [9, 6, 6, 6]
    utterances = [utterance(rng, s, n, spread) for s in range(SPEAKERS) for n in range(counts[s])]
    context, triphone = ["prev-phone", "next-phone"], [("next-phone", "prev-phone"), "speaker"]
    run = lambda *task: score(utterances, distance, *task)
    units = lambda *task: score(utterances, "identical", *task)
    return {
        "name": name,
        "utterances": utterances,
        "context": {
            "within": run(phone_items, "#phone", [*context, "speaker"], None, triphone),
            "across": run(phone_items, "#phone", context, ["speaker"], triphone),
        },
        "any": {
            "within": run(phone_items, "#phone", ["speaker"], None, ["speaker"]),
            "across": run(phone_items, "#phone", None, ["speaker"], ["speaker"]),
        },
        "units": {
            "within": units(phone_items, "#phone", [*context, "speaker"], None, triphone),
            "across": units(phone_items, "#phone", context, ["speaker"], triphone),
        },
        "units_any": {
            "within": units(phone_items, "#phone", ["speaker"], None, ["speaker"]),
            "across": units(phone_items, "#phone", None, ["speaker"], ["speaker"]),
        },
        "words": {
            "within": run(word_items, "#phone", ["speaker"], None, ["speaker"]),
            "across": run(word_items, "#phone", None, ["speaker"], ["speaker"]),
        },
        "speakers": {
            "within": run(word_items, "speaker", ["#phone"], None, ["#phone"]),
            "across": run(word_items, "speaker", None, ["#phone"], ["#phone"]),
        },
    }


json.dump([case("noisy", 1, 3, "angular"), case("ties", 2, 1, exact_angles)], sys.stdout, separators=(",", ":"))
print()
