"""Cosine scores of trials in the files of WeSpeaker (pip install kaldiio scikit-learn):

    python wespeaker_scores.py embeddings/eval/xvector.scp trials scores/trials.score

Trials are lines `enrolment test target|nontarget`; the score goes before the label, as WeSpeaker's score_norm.py,
compute_metrics.py and score_calibration.py read it.
"""

import sys

import kaldiio
import numpy
from sklearn.metrics import roc_curve

vectors, trials, target = sys.argv[1:]
embeddings = {key: vector / numpy.linalg.norm(vector) for key, vector in kaldiio.load_scp_sequential(vectors)}
scores, labels = [], []
with open(trials) as lines, open(target, "w") as out:
    for enrolment, test, label in map(str.split, lines):
        scores.append(embeddings[enrolment] @ embeddings[test])
        labels.append(label == "target")
        print(enrolment, test, f"{scores[-1]:.5f}", label, file=out)
false_alarms, hits, _ = roc_curve(labels, scores)
where = numpy.argmin(abs(false_alarms - (1 - hits)))
print(f"{len(scores)} trials, EER {50 * (false_alarms[where] + 1 - hits[where]):.2f} %")
