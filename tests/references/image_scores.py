"""Makes tests/golden/image_scores.json: scores of image features by numpy, scipy and scikit-learn.

Made with numpy 2.4.6, scipy 1.17.1 and scikit-learn 1.8.0:
python tests/references/image_scores.py > tests/golden/image_scores.json
A golden file, so that the tests of src/eval/images need no Python.
"""

import json

import numpy as np
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.manifold._t_sne import _joint_probabilities


def draw(generator, items, dims, shift=0.0):
    mix = generator.normal(size=(dims, dims))
    return np.round(generator.normal(size=(items, dims)) @ mix + shift, 2)


def frechet(name, first, second):
    c1, c2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = np.real(sqrtm(c1 @ c2))
    distance = np.sum((first.mean(0) - second.mean(0)) ** 2) + np.trace(c1 + c2 - 2 * root)
    return {"name": name, "first": first.tolist(), "second": second.tolist(), "distance": float(distance)}


def kid(name, first, second):
    """The unbiased estimate of all items, written as in Binkowski's code."""
    dims, items = first.shape[1], len(first)
    kernel = lambda x, y: (x @ y.T / dims + 1) ** 3
    within = lambda x: (kernel(x, x).sum() - np.trace(kernel(x, x))) / (items * (items - 1))
    distance = within(first) + within(second) - 2 * kernel(first, second).mean()
    return {"name": name, "first": first.tolist(), "second": second.tolist(), "distance": float(distance)}


def assignment(generator, clusters, classes):
    counts = generator.integers(0, 30, size=(clusters, classes))
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return {"counts": counts.tolist(), "accuracy": float(counts[rows, columns].sum() / counts.sum())}


def linear(generator, items, decay):
    labels = np.arange(items) % 3
    vectors = np.round(generator.normal(size=(items, 4)) + np.eye(3, 4)[labels], 2)
    fit = LogisticRegression(C=1 / (decay * items), tol=1e-10, max_iter=10000).fit(vectors, labels)
    logs = fit.predict_log_proba(vectors)[np.arange(items), labels]
    loss = -logs.mean() + decay / 2 * np.sum(fit.coef_**2)
    return {"vectors": vectors.tolist(), "labels": labels.tolist(), "decay": decay, "loss": float(loss)}


def affinities(generator, items, perplexity):
    vectors = draw(generator, items, 3)
    found = _joint_probabilities(cdist(vectors, vectors, "sqeuclidean"), perplexity, 0)
    full = np.zeros((items, items))
    full[np.triu_indices(items, 1)] = found
    full = np.round(full + full.T, 8)
    return {"vectors": vectors.tolist(), "perplexity": perplexity, "affinities": full.tolist()}


def main():
    generator = np.random.default_rng(0)
    golden = {
        "frechet": [
            frechet("of full rank", draw(generator, 14, 4), draw(generator, 11, 4, 1.0)),
            frechet("fewer images than dimensions", draw(generator, 4, 6), draw(generator, 5, 6)),
        ],
        "kid": [kid("near", draw(generator, 8, 3), draw(generator, 8, 3, 0.5))],
        "assignment": [assignment(generator, *shape) for shape in [(5, 5), (7, 4), (3, 6), (10, 10)]],
        "linear": [linear(generator, 24, 1e-1), linear(generator, 30, 1e-3)],
        "affinities": [affinities(generator, 10, 2.5)],
    }
    print(json.dumps(golden, separators=(",", ":")))


main()
