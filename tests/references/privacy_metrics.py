"""Checks the privacy metrics that unbraid gave, for tests/it/attack.rs.

Usage: privacy_metrics.py CASES.json
Each case holds scores [draws][enrolled][tests] and calibration [draws][enrolled][calibration], in which test t is of speaker
t, size (of groups), dev (scores of development speakers) and what unbraid found. Linkability, singling-out and ROCCH-EER are
those of the authors' package; the rest is written down from the papers' formulas here.
"""

import json
import math
import sys

import numpy as np
from legal_eval.io import ScoreMatrix
from legal_eval.metrics import ConversationScores, linkability, rocch_eer, singling_out
from scipy.optimize import minimize
from scipy.stats import betabinom
from sklearn.isotonic import IsotonicRegression


def close(name, ours, theirs, gap=1e-9):
    assert abs(ours - theirs) < gap, (name, ours, theirs)


def names(count):
    return [f"s{number}" for number in range(count)]


def check_linkability(case, scores):
    for draw, found in zip(scores, case["linkability"], strict=True):
        speakers = names(len(draw))
        matrix = ScoreMatrix(scores=draw, enroll_speakers=speakers, test_speakers=speakers, metadata={})
        for candidates, ours in enumerate(found, start=1):
            close("linkability", ours, linkability(matrix, candidates, estimator="exact")[0])


def check_singling_out(case, scores, runs=100):
    draw, calibration = scores[0], np.array(case["calibration"])
    speakers = names(len(draw))
    per = calibration.shape[1] // len(draw)
    slices = [(speaker * per, (speaker + 1) * per) for speaker in range(len(draw))]
    conversations = ConversationScores(speakers, speakers, draw, calibration, slices)
    for size, draws, found in case["singling_out"]:
        theirs = singling_out(conversations, size, n_runs=1 if size == len(draw) else runs)
        rates = np.array([np.mean(theirs[speaker]) for speaker in speakers])
        if size == len(draw):
            for ours, rate in zip(found, rates, strict=True):
                close("singling-out", ours, rate)
        else:
            # Draws are independent, of every speaker and on both sides.
            shares = (rates + found) / 2
            spread = math.sqrt(np.sum(shares * (1 - shares)) * (1 / draws + 1 / runs)) / len(draw)
            close("singling-out", np.mean(found), rates.mean(), 4 * spread + 1e-9)


def d_sys(mated, other):
    bins = min(len(mated) // 10, 100)
    edges = np.linspace(min(mated.min(), other.min()), max(mated.max(), other.max()), bins + 1)
    densities = [np.histogram(scores, edges, density=True)[0] for scores in (mated, other)]
    ratio = np.divide(*densities, out=np.ones(bins), where=densities[1] != 0)
    linked = np.where(ratio > 1, 2 * ratio / (1 + ratio) - 1, 0)
    linked[densities[1] == 0] = 1
    return np.trapezoid(linked * densities[0], (edges[1:] + edges[:-1]) / 2)


def zebra(mated, other):
    """Log-likelihood ratios by isotonic regression with Laplace's rule, and what they disclose; the integral in closed form."""
    low, high = min(mated.min(), other.min()) - 1, max(mated.max(), other.max()) + 1
    scores = np.concatenate([mated, other, [low, high, low, high]])
    answers = np.concatenate([np.ones(len(mated)), np.zeros(len(other)), [1, 1, 0, 0]])
    share = IsotonicRegression(out_of_bounds="clip").fit(scores, answers).predict(scores)[:-4]
    ratios = np.log(share / (1 - share)) - math.log(len(mated) / len(other))

    def cost(x):
        c = np.expm1(x)
        small = np.abs(x) < 1e-5
        safe = np.where(small, 1, c)
        return np.where(small, 0.25 - c / 6, (safe - x) / (2 * safe**2))

    costs = cost(ratios[: len(mated)]).mean() + cost(-ratios[len(mated) :]).mean()
    return 1 / math.log(4) - costs / math.log(2), np.abs(ratios).max() / math.log(10)


def tpr(mated, other):
    ordered = np.sort(other)[::-1]
    threshold = ordered[math.floor(1e-3 * len(other))]
    return np.mean(mated > threshold)


def rank_shares(scores):
    speakers = scores.shape[1]
    counts = np.zeros(speakers)
    for draw in scores:
        for test, column in enumerate(draw.T):
            above, tied = np.sum(column > column[test]), np.sum(column == column[test])
            counts[above : above + tied] += 1 / tied
    counted = counts / counts.sum()
    places, n = np.arange(speakers), speakers - 1
    first, second = counted @ places, counted @ places**2
    scale = n * (second / first - first - 1) + first
    alpha, beta = (n * first - second) / scale, (n - first) * (n - second / first) / scale
    laplace = (counts + 1) / (counts.sum() + speakers)
    # Narrower than any beta-binomial: Laplace's rule.
    fits = scale > 0 and alpha > 0 and beta > 0
    return counted, betabinom.pmf(places, n, alpha, beta) if fits else laplace, laplace


def normalised(draw):
    return (draw - draw.mean(axis=0)) / draw.std(axis=0)


def lid(scores, dev):
    dev = np.array([normalised(np.array(draw)) for draw in dev])
    own = np.broadcast_to(np.eye(dev.shape[1], dtype=bool), dev.shape)
    ends = [dev.min(), dev.max()]
    mated, other = np.concatenate([dev[own], ends]), np.concatenate([dev[~own], ends])

    def cost(line):
        a, b = line
        return np.logaddexp(0, -a * mated - b).mean() + np.logaddexp(0, a * other + b).mean()

    a = minimize(cost, [1, 0], tol=1e-14, method="BFGS", options={"gtol": 1e-11}).x[0]
    bits = []
    for draw in scores:
        logits = a * normalised(draw)
        posterior = np.exp(logits - np.logaddexp.reduce(logits, axis=0))
        bits.extend(np.log2(len(draw) * np.diag(posterior)))
    return np.mean(bits), np.mean(np.array(bits) > 0), np.max(bits)


def check_case(case):
    scores = np.array(case["scores"])
    own = np.broadcast_to(np.eye(scores.shape[1], dtype=bool), scores.shape)
    mated, other = scores[own], scores[~own]
    ours, trials = case["identified"], case["detected"]
    check_linkability(case, scores)
    check_singling_out(case, scores)
    close("rocch_eer", trials["rocch_eer"], rocch_eer(mated, other))
    close("d_sys", trials["d_sys"], d_sys(mated, other))
    bits, worst = zebra(mated, other)
    close("zebra_bits", trials["zebra_bits"], bits)
    close("zebra_worst", trials["zebra_worst"], worst)
    close("tpr", trials["tpr"], tpr(mated, other))
    counted, smoothed, laplace = rank_shares(scores)
    speakers = len(counted)
    close("identification", ours["identification"], counted[0])
    close("srd_mean", ours["srd_mean"], smoothed @ np.log2(speakers * smoothed))
    close("srd_max", ours["srd_max"], np.log2(speakers * counted).max())
    close("eps_max", ours["eps_max"], np.abs(np.log(laplace * (speakers - 1) / (1 - laplace))).max())
    mean, positive, most = lid(scores, case["dev"])
    # The line is where a cost is flat: half of its digits are known.
    close("lid_mean", ours["lid_mean"], mean, 1e-6)
    close("lid_positive", ours["lid_positive"], positive, 2e-3)
    close("lid_max", ours["lid_max"], most, 1e-6)


def main():
    for case in json.load(open(sys.argv[1])):
        with np.errstate(divide="ignore", invalid="ignore"):
            check_case(case)


main()
