"""Makes tests/golden/speechbrain_plda.json: PLDA trained and scored by speechbrain's own PLDA and fast_PLDA_scoring.

Made with speechbrain 1.1.2 and torch 2.11.0: python tests/references/speechbrain_plda.py > tests/golden/...
A golden file, because both take gigabytes; `tests/it/backend.rs` reads it without Python. speechbrain's model (a full
residual covariance and a speaker space of full rank) is that of two covariances; both trainings end at the greatest
likelihood, which all speakers having as many utterances makes one and the same. Scores are of one utterance on each side.
"""

import json
import sys

import numpy
from speechbrain.processing.PLDA_LDA import PLDA, Ndx, StatObject_SB, fast_PLDA_scoring

DIMS, SPEAKERS, UTTERANCES, ITERATIONS = 4, 14, 6, 3000


def stats(models, vectors):
    count = len(vectors)
    none = numpy.array([None] * count)
    names = numpy.array([f"u{index}" for index in range(count)], dtype="|O")
    return StatObject_SB(
        modelset=names if models is None else numpy.array(models, dtype="|O"),
        segset=names,
        start=none,
        stop=none,
        stat0=numpy.ones((count, 1)),
        stat1=numpy.array(vectors),
    )


def draw(rng, speakers, utterances, between, within):
    places = rng.normal(size=(speakers, DIMS)) @ between + 3.0
    vectors = places[:, None] + rng.normal(size=(speakers, utterances, DIMS)) @ within
    return vectors.reshape(-1, DIMS).astype(numpy.float32).astype(float)


rng = numpy.random.default_rng(8)
between = rng.normal(size=(DIMS, DIMS))
within = 0.6 * rng.normal(size=(DIMS, DIMS))
train = draw(rng, SPEAKERS, UTTERANCES, between, within)
test = draw(rng, 4, 2, between, within)
plda = PLDA(rank_f=DIMS, nb_iter=ITERATIONS)
plda.plda(stats([f"s{index // UTTERANCES}" for index in range(len(train))], train))
sides = stats(None, test)
ndx = Ndx(models=sides.modelset, testsegs=sides.segset)
scores = fast_PLDA_scoring(sides, sides, ndx, plda.mean, plda.F, plda.Sigma)
golden = {
    "utterances": UTTERANCES,
    "train": train.tolist(),
    "test": test.tolist(),
    "scores": scores.scoremat.tolist(),
}
json.dump(golden, sys.stdout, indent=None)
print()
