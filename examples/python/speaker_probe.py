"""How well a linear classifier recognises the speaker from codes, by scikit-learn (pip install numpy scikit-learn):

    unbraid extract --model en-16k --output phonetic --wav scp:data/wav.scp npy:codes
    python speaker_probe.py codes data/utt2spk

`codes.npy` has the rows of all utterances, `codes.tsv` the first row and the number of rows of each.
"""

import csv
import sys

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

codes, utt2spk = sys.argv[1:]
rows = numpy.load(f"{codes}.npy", mmap_mode="r")
with open(f"{codes}.tsv") as index:
    places = {row["utterance"]: (int(row["start"]), int(row["rows"])) for row in csv.DictReader(index, delimiter="\t")}
with open(utt2spk) as lines:
    speakers = dict(map(str.split, lines))


def statistics(start, count):
    """Mean and standard deviation over time, [2 * dim]."""
    piece = rows[start : start + count]
    return numpy.concatenate([piece.mean(axis=0), piece.std(axis=0)])


features = numpy.stack([statistics(*place) for place in places.values()])
labels = [speakers[utterance] for utterance in places]
probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
accuracy = cross_val_score(probe, features, labels, cv=folds).mean()
chance = 1 / len(set(labels))
print(f"{len(labels)} utterances, {len(set(labels))} speakers: accuracy {accuracy:.3f}, chance {chance:.3f}")
