"""Checks the MIG and SAP that unbraid gave with numpy and scikit-learn, for tests/it/factors.rs.

Usage: factor_scores.py CASE.json
CASE holds vectors [items][dims], classes [factors][items], learn and test [items], mig and sap [factors].
"""

import json
import sys

import numpy as np
from sklearn.metrics import mutual_info_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

BINS = 20


def gap(values):
    ordered = sorted(values)
    return ordered[-1] - ordered[-2]


def mig(vectors, classes):
    scores = []
    for column in vectors.T:
        edges = np.histogram(column, BINS)[1][:-1]
        scores.append(mutual_info_score(np.digitize(column, edges), classes))
    return gap(scores) / mutual_info_score(classes, classes)


def sap(learn, test, classes, learn_items, test_items):
    scores = []
    for dim in range(learn.shape[1]):
        machine = LinearSVC(C=0.01, class_weight="balanced", tol=1e-10, max_iter=100000, dual=False)
        machine.fit(learn[:, [dim]], classes[learn_items])
        scores.append(np.mean(machine.predict(test[:, [dim]]) == classes[test_items]))
    return gap(scores)


def main():
    case = json.load(open(sys.argv[1]))
    vectors, learn, test = np.array(case["vectors"]), case["learn"], case["test"]
    scaler = StandardScaler().fit(vectors[learn])
    for classes, ours_mig, ours_sap in zip(np.array(case["classes"]), case["mig"], case["sap"], strict=True):
        theirs = mig(vectors, classes)
        assert abs(theirs - ours_mig) < 1e-9, (theirs, ours_mig)
        theirs = sap(scaler.transform(vectors[learn]), scaler.transform(vectors[test]), classes, learn, test)
        # An item on the border between two classes may fall to either side.
        assert abs(theirs - ours_sap) < 1.5 / len(test), (theirs, ours_sap)


main()
