"""Checks maps and residuals with numpy's lstsq and kaldiio, for tests/it/speaker_regression.rs.

Usage: speaker_regression.py FEATS.ark EMBEDDINGS.ark MAP.ark RESIDUAL.ark COMPONENTS
COMPONENTS is the number of principal components of the embeddings; 0 for the embeddings themselves.
"""

import sys

import kaldiio
import numpy as np


def main():
    feats, embeddings, fitted, residual, components = sys.argv[1:]
    feats, embeddings = dict(kaldiio.load_ark(feats)), dict(kaldiio.load_ark(embeddings))
    fitted, residual = dict(kaldiio.load_ark(fitted))["global"], dict(kaldiio.load_ark(residual))
    assert fitted.dtype == np.float64
    s = np.concatenate([feats[key] for key in feats]).astype(np.float64)
    d = np.concatenate([np.tile(embeddings[key], (len(feats[key]), 1)) for key in feats]).astype(np.float64)
    basis = np.eye(d.shape[1])
    if int(components):
        basis = np.linalg.svd(d - d.mean(0), full_matrices=False)[2][: int(components)].T
    inputs = np.hstack([d @ basis, np.ones((len(d), 1))])
    # Directions that only the rounding of embeddings to f32 spans (1e-8 of the greatest) are none.
    map_, _, rank, _ = np.linalg.lstsq(inputs, s, rcond=1e-6)
    expected = s - inputs @ map_
    found = np.concatenate([residual[key] for key in feats])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    if rank == inputs.shape[1]:
        np.testing.assert_allclose(fitted[:-1], basis @ map_[:-1], atol=1e-5)
        np.testing.assert_allclose(fitted[-1], map_[-1], atol=1e-5)


main()
