#!/usr/bin/env python3
"""What training with two ranks costs: seconds per step of one process of one thread, of two processes that know nothing of each
other, and of two ranks with a batch each (train --ranks 2), in turns. The ratio of the second to the third is the efficiency of
ranks; that of the first to the second is what the machine's cores share.

Usage: ranks.py UNBRAID CONF [ROUNDS] [KEY=VALUE...]       (in the folder of a recipe whose features are there)
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

FIRST, LAST = 20, 80


def start(unbraid, conf, place, settings, more=()):
    options = [f"--set={setting}" for setting in settings]
    command = [unbraid, "train", "--conf", conf, "--exp", place, "--steps", str(LAST), *options, *more]
    steps = ["train.threads=1", 'device="cpu"', "train.validate_every=0", "train.checkpoint_every=1000000", f"train.log_every={FIRST}"]
    return subprocess.Popen([*command, *(f"--set={step}" for step in steps)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def seconds(processes, places):
    for process in processes:
        _, error = process.communicate()
        if process.returncode != 0:
            sys.exit(error.decode())
    found = []
    for place in places:
        lines = [json.loads(line) for line in (pathlib.Path(place) / "log.jsonl").read_text().splitlines()]
        at = {line["step"]: line["seconds"] for line in lines if line.get("split") == "train"}
        found.append((at[LAST] - at[FIRST]) / (LAST - FIRST))
    return max(found)


def main():
    unbraid, conf, *rest = sys.argv[1:]
    rounds = int(rest[0]) if rest else 3
    settings = rest[1:]
    rows = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            one, two, other, ranks = (f"{folder}/{name}" for name in ("one", "two", "other", "ranks"))
            alone = seconds([start(unbraid, conf, one, settings)], [one])
            both = seconds([start(unbraid, conf, place, settings) for place in (two, other)], [two, other])
            joined = seconds([start(unbraid, conf, ranks, settings, ["--ranks", "2"])], [ranks])
            rows.append((alone, both, joined))
            print(f"{1000 * alone:.0f} ms, {1000 * both:.0f} ms, {1000 * joined:.0f} ms", file=sys.stderr)
    ratios = [(both / joined, alone / joined) for alone, both, joined in rows]
    print(f"two ranks against two processes: {statistics.median(ratio for ratio, _ in ratios):.2f}")
    print(f"two ranks against one process alone: {statistics.median(ratio for _, ratio in ratios):.2f}")


if __name__ == "__main__":
    main()
