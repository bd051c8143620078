"""Compares quality measures and a calibration by them with NumPy.

Usage: quality_calibration.py EMBEDDINGS COHORT UTT2DUR MEASURES TRIALS SCORES CALIBRATION (archives as text)
"""

import json
import sys

import numpy as np

TOP = 20


def vectors(path):
    """Vectors of a text archive by key."""
    rows = (line.replace("[", " ").replace("]", " ").split() for line in open(path))
    return {key: np.array(values, dtype=np.float64) for key, *values in rows}


def unit(vector):
    return vector / np.linalg.norm(vector)


def fit(rows, targets):
    """Weights and offset with the least cross-entropy, both kinds of trials weighing the same."""
    weight = np.where(targets, 0.5 / targets.sum(), 0.5 / (~targets).sum())
    mean, deviation = rows.mean(0), rows.std(0)
    x = np.hstack([(rows - mean) / deviation, np.ones((len(rows), 1))])
    w = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ w))
        w -= np.linalg.solve((x.T * (weight * p * (1 - p))) @ x, x.T @ (weight * (p - targets)))
    scaled = w[:-1] / deviation
    return scaled, w[-1] - scaled @ mean


embeddings, cohort, utt2dur, measures, trials, scores, calibration = sys.argv[1:]
embeddings, cohort, measures = vectors(embeddings), vectors(cohort), vectors(measures)
durations = dict(line.split() for line in open(utt2dur))
others = np.array([unit(vector) for vector in cohort.values()])
for key, vector in embeddings.items():
    nearest = np.sort(others @ unit(vector))[-TOP:]
    expected = [np.log(float(durations[key])), np.linalg.norm(vector), nearest.mean()]
    np.testing.assert_allclose(measures[key], expected, atol=2e-6, err_msg=key)

rows, targets = [], []
for trial, line in zip(open(trials), open(scores), strict=True):
    enrolment, test, kind = trial.split()
    sides = np.stack([measures[enrolment], measures[test]])
    rows.append([float(line.split()[2]), *np.stack([sides.min(0), sides.max(0)], 1).ravel()])
    targets.append(kind == "target")
weights, offset = fit(np.array(rows), np.array(targets))
model = json.load(open(calibration))["model"]
found = np.array([model["scale"], *np.ravel(model["measures"]), model["offset"]])
np.testing.assert_allclose(found, [*weights, offset], rtol=1e-6, atol=1e-6)
