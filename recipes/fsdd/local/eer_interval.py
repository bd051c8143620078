#!/usr/bin/env python3
"""eer_interval.py TRIALS SCORES: equal error rate in per cent, and its 95 % bootstrap interval over utterances.

TRIALS has `utterance utterance target|nontarget` lines, SCORES `utterance utterance score`, in the same order. Utterances are
drawn with replacement; a pair counts as often as both its utterances were drawn together. The speakers stay the same.
"""
import random
import sys

RESAMPLES = 200


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [line.split() for line in lines]


def equal_error_rate(pairs, weight):
    """Where as many targets are below the threshold as others above it; `pairs` are sorted by score."""
    targets = sum(weight(a, b) for a, b, is_target in pairs if is_target)
    others = sum(weight(a, b) for a, b, is_target in pairs if not is_target)
    misses, alarms = 0.0, others
    for a, b, is_target in pairs:
        if is_target:
            misses += weight(a, b)
        else:
            alarms -= weight(a, b)
        if misses / targets >= alarms / others:
            return (misses / targets + alarms / others) / 2
    return 1.0


def main():
    trials, scores = read(sys.argv[1]), read(sys.argv[2])
    for number, (trial, score) in enumerate(zip(trials, scores, strict=True), 1):
        if trial[:2] != score[:2]:
            sys.exit(f"{sys.argv[2]}:{number}: expected the pair {trial[:2]}, found {score[:2]}")
    order = sorted(range(len(trials)), key=lambda at: float(scores[at][2]))
    pairs = [(trials[at][0], trials[at][1], trials[at][2] == "target") for at in order]
    utterances = sorted({name for trial in trials for name in trial[:2]})
    generator = random.Random(0)
    drawn = []
    for _ in range(RESAMPLES):
        count = dict.fromkeys(utterances, 0)
        for name in generator.choices(utterances, k=len(utterances)):
            count[name] += 1
        drawn.append(equal_error_rate(pairs, lambda a, b: count[a] * count[b]))
    drawn.sort()
    tail = RESAMPLES // 40
    rate = equal_error_rate(pairs, lambda a, b: 1)
    print(f"{100 * rate:.1f} ({100 * drawn[tail]:.1f} to {100 * drawn[-1 - tail]:.1f})")


main()
